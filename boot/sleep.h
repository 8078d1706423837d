/* SPDX-License-Identifier: BSD-2-Clause */
/* How the OS puts this machine into S3, from the FADT and the AML of DSDT and SSDTs. */
#ifndef BOOT_SLEEP_H
#define BOOT_SLEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/boot_info.h"

/*
 * Fill the registers and the FACS; register_count is 0 where there is no \_S3, no FACS, or no register in I/O space.
 * `rsdp` is its address, 0 if there is none.
 */
void sleep_find(uint64_t rsdp, struct boot_sleep *sleep);

/* The registers that switch the machine off (S5); register_count is 0 where it is not known. */
void sleep_find_off(uint64_t rsdp, struct boot_sleep *off);

/*
 * Once the machine is ours: an OS is woken in real mode or in 32-bit protected mode, and the FACS says so. ACPI:
 * 64BIT_WAKE_SUPPORTED_F.
 */
void sleep_claim(const struct boot_sleep *sleep);

/*
 * Pure. The SLP_TYP values for PM1a and PM1b that Name (_S3_, Package () {...}) in `aml` has, with the digit `state` for the 3;
 * false: no such name. AML is not interpreted: the name is looked for, with what makes it a package of integers. ACPI:
 * "\_Sx (System States)", "AML Grammar Definition".
 */
bool sleep_find_types(const uint8_t *aml, uint32_t bytes, char state, uint8_t types[2]);

#endif
