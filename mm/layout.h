/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's virtual address space (its own page tables, 4 or 5 levels as the firmware ran):
 *
 *   0xffffffff80000000  the reservation: the core's image (W^X by section), then the pool; mapped linearly
 *   0xffffff8000000000  one slot a CPU: stacks between guard pages
 *   0xffffff6000000000  what the way up after S3 needs: two pages below 1 MiB (the first one also 1:1, to execute), the FACS
 *   0xffffff7000000000  device registers that the core uses (local APIC), uncached
 *   0xffff800000000000  guest memory, 1:1 from physical 0, user and no-execute, behind SMAP and SMEP;
 *                       the reservation's own 2 MiB pages are left out
 */
#ifndef MM_LAYOUT_H
#define MM_LAYOUT_H

#include "mm/addr.h"

#define LAYOUT_IMAGE	 UINT64_C(0xffffffff80000000)
#define LAYOUT_CPU_SLOTS UINT64_C(0xffffff8000000000)
#define LAYOUT_WAKE	 UINT64_C(0xffffff6000000000)
#define LAYOUT_DEVICES	 UINT64_C(0xffffff7000000000)
#define LAYOUT_GUEST	 UINT64_C(0xffff800000000000)
#define LAYOUT_GUEST_MAX UINT64_C(0x400000000000) /* 64 TiB */

/* Where the reservation is. Written once by the boot CPU before anything else (layout_init). */
void layout_init(hpa_t reservation, uint64_t bytes);
/* The same where the reservation is not mapped at LAYOUT_IMAGE: on the build host, in tests. */
void layout_init_at(void *virt, hpa_t reservation, uint64_t bytes);
hpa_t layout_reservation(void);
uint64_t layout_reservation_bytes(void);

/* For pages of the reservation only (image and pool); anything else is our bug and panics. */
void *hpa_to_ptr(hpa_t hpa);
hpa_t ptr_to_hpa(const void *ptr);

/* What mm says when it is used wrongly. Declared here, defined by core (in tests by the test). */
void mm_panic(const char *what) __attribute__((noreturn));

#endif
