/* SPDX-License-Identifier: BSD-2-Clause */
/* All CPUs at once. */
#ifndef TESTS_GUESTS_TRACK_TOGETHER_H
#define TESTS_GUESTS_TRACK_TOGETHER_H

#include "tests/guests/lib/probe.h"

/* One function on this CPU and one on all others; how many CPUs have come back from it in time, which is per CPU. */
uint32_t together_run(probe_function here, probe_function there, uint32_t milliseconds);
/* Called in all of them: goes on when the last one has come. */
void together_start(void);

#endif
