/* SPDX-License-Identifier: BSD-2-Clause */
/* How memory types follow what all CPUs write into their MTRRs (VT-x). */
#ifndef TESTS_GUESTS_TRACK_TYPES_H
#define TESTS_GUESTS_TRACK_TYPES_H

void types_check(void);

#endif
