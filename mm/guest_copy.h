/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only window to guest memory. Guest data is copied once, in order, and looked at on the copy. Addresses
 * outside RAM and in the hypervisor's own memory are refused.
 */
#ifndef MM_GUEST_COPY_H
#define MM_GUEST_COPY_H

#include "arch/x86/bits.h"
#include "mm/addr.h"
#include "mm/gva_walk.h"

/* Ranges of RAM that are mapped in the guest window; set once at start (sorted, merged, copied; the reservation is cut out, so
 * layout_init() comes first). False: too many ranges. */
#define GUEST_COPY_RANGES 64u
MUST_CHECK bool guest_copy_add_ram(uint64_t base, uint64_t bytes);
bool guest_copy_is_ram(gpa_t gpa, uint64_t bytes);

MUST_CHECK bool guest_copy_in(void *to, gpa_t from, uint64_t bytes);

/*
 * Writes that nobody is told of: what the hypervisor does in the guest's name goes through vmexit/guest_physical.h
 * instead. The second is one compare-and-exchange of 8 or 4 bytes, naturally aligned; *same: it was made.
 */
MUST_CHECK bool guest_copy_out(gpa_t to, const void *from, uint64_t bytes);
MUST_CHECK bool guest_copy_exchange(gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
				    bool *same);

/* Whether the CPU has SMAP and the host's CR4 has it on; off until said. */
void guest_copy_use_smap(bool use);

/* The RAM ranges (whole pages) in order of address, the reservation cut out. False: there is no range `index`. */
bool guest_copy_range(unsigned index, uint64_t *base, uint64_t *end);

/* Where guest memory is mapped: LAYOUT_GUEST; tests point it to an array. */
extern uint8_t *guest_copy_window;

/* Forget all ranges (tests). */
void guest_copy_reset(void);

/* The walker's view of guest memory, where it marks nothing as accessed or dirty. */
extern const struct gva_reader guest_copy_reader;

#endif
