/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own memory, as far as its guest can ask: hidden from it, and the same before and after. */
#ifndef TESTS_GUESTS_ROBUST_MEMORY_H
#define TESTS_GUESTS_ROBUST_MEMORY_H

#include <stdint.h>

enum { MEMORY_CHECKS = 3 };

/* The reserved range that reads all ones: the last there is; 0 on a machine without. */
uint64_t memory_find_hidden(void);
/* By hypercall: check sums of its image and its page tables, and pages that lead to it. */
void memory_read_checks(uint64_t values[MEMORY_CHECKS]);
/* What they are now is what they were, and the hidden range still reads all ones. */
void memory_compare_checks(const uint64_t before[MEMORY_CHECKS], uint64_t hidden);

#endif
