/* SPDX-License-Identifier: BSD-2-Clause */
/* The test hypercall itself: how to make it, and what it must refuse. */
#ifndef TESTS_GUESTS_WALK_CALLS_H
#define TESTS_GUESTS_WALK_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmexit/test_call.h"

/* Copied in and out: an enum test_call_status. #UD without hypervisor. */
uint64_t calls_walk(struct test_call_walk *walk);
/* Whether there is a hypervisor with it; checks that it refuses what it has to. */
bool calls_check(uint64_t *random);

#endif
