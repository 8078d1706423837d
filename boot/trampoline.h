/* SPDX-License-Identifier: BSD-2-Clause */
/* The way into the core and, for a CPU that enters the guest, back. See trampoline.asm. */
#ifndef BOOT_TRAMPOLINE_H
#define BOOT_TRAMPOLINE_H

#include <stdint.h>

struct boot_cpu_context;
struct boot_info;

/*
 * Returns an enum core_status. With `context` (all but `cpu_index` is filled here) a CORE_CPU_ENTER
 * returns CORE_OK as the guest.
 */
uint64_t core_call(uint64_t request, struct boot_info *info, struct boot_cpu_context *context);

#endif
