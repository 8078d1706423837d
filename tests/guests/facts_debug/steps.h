/* SPDX-License-Identifier: BSD-2-Clause */
/* Single steps over everything that a hypervisor may intercept. */
#ifndef TESTS_GUESTS_FACTS_DEBUG_STEPS_H
#define TESTS_GUESTS_FACTS_DEBUG_STEPS_H

#include <stdbool.h>

/* In all modes and with every instruction, or in those that matter most. */
void facts_steps(bool full);

#endif
