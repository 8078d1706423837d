/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware ACPI control structure, in which the OS leaves the address where it wants to wake up. Pure but for the
 * memory of the structure. ACPI: "Firmware ACPI Control Structure (FACS)".
 */
#ifndef CORE_FACS_H
#define CORE_FACS_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"

struct facs {
	uint8_t signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector; /* real mode: CS = address >> 4, IP = address & 15 */
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector; /* protected mode without paging; counts if it is not 0 */
	uint8_t version;
	uint8_t reserved[3];
	uint32_t os_flags;
};

_Static_assert(sizeof(struct facs) == 40, "ACPI has it so");

/* What the OS has asked for. */
struct facs_wake {
	uint64_t address;
	bool is_protected; /* enter in 32-bit protected mode, else in real mode */
};

/* Where the firmware would go. False: this structure names no place. */
MUST_CHECK bool facs_read(const volatile struct facs *facs, struct facs_wake *wake);

/*
 * The firmware goes to `vector` in real mode instead; *old keeps what facs_restore() puts back, unless the OS has written
 * there since.
 */
void facs_divert(volatile struct facs *facs, uint32_t vector, struct facs *old);
void facs_restore(volatile struct facs *facs, uint32_t vector, const struct facs *old);

#endif
