/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's `track`: ranges of RAM whose writes are counted, by mm/page_track.h. */
#ifndef VMEXIT_MONITOR_TRACK_H
#define VMEXIT_MONITOR_TRACK_H

#include "core/monitor_target.h"
#include "core/vcpu.h"

/* All CPUs stand still. NULL, or why not; then nothing is tracked that was not before. */
const char *monitor_track_add(struct vcpu *vcpu, uint64_t gpa, uint64_t bytes);
void monitor_track_remove_all(struct vcpu *vcpu);
/* The range of that number; false: there are not so many. */
bool monitor_track_get(unsigned number, struct monitor_track *track);

#endif
