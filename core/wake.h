/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way up after S3: what has to lie below 1 MiB and in the FACS before the machine goes to sleep, so that the firmware
 * gives it to us, and the first C function that runs then.
 */
#ifndef CORE_WAKE_H
#define CORE_WAKE_H

#include "boot/boot_info.h"
#include "core/facs.h"
#include "core/vcpu.h"

/* One CPU, for core/wake_entry.asm, which finds it by its APIC ID. */
struct wake_slot {
	uint32_t apic_id;
	uint32_t pad;
	uint64_t stack_top;
	struct cpu *cpu;
};

_Static_assert(sizeof(struct wake_slot) == 24, "core/wake_entry.asm knows it");

/* Boot CPU, at start: make reachable what is needed. With no register of S3, nothing is. False: no memory for tables. */
MUST_CHECK bool wake_prepare(struct vm *vm);

/*
 * Put the trampoline in its place and divert the firmware to it. From then on the guest's waking vector is kept here.
 * wake_disarm() gives it back, if the machine has not slept or when it has come back.
 */
void wake_arm(struct vm *vm);
void wake_disarm(struct vm *vm);

/* Where the guest is to go on, as it was when wake_arm() was called. */
struct facs_wake wake_target(const struct vm *vm);
/* The vector of a SIPI that leads to the trampoline. */
uint8_t wake_sipi_vector(const struct vm *vm);

/*
 * For core/wake_entry.asm, on the host's tables and the CPU's own stack, with the descriptor tables of the trampoline:
 * takes the CPU up through the vendor seam.
 */
void wake_arrive(struct cpu *cpu);

#endif
