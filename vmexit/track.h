/* SPDX-License-Identifier: BSD-2-Clause */
/* mm/page_track.h for this machine: with the flushes that it takes, and the notifiers told. */
#ifndef VMEXIT_TRACK_H
#define VMEXIT_TRACK_H

#include "vmexit/exit.h"

/*
 * From the return on, each write of any CPU to this frame of RAM is reported. False: refused (see mm/page_track.h). Not
 * from a notifier.
 */
MUST_CHECK bool track_add(struct vcpu *vcpu, gpa_t gpa);
/*
 * Undo one track_add(). Returns whether that was the last; then no CPU is in the middle of a report when it returns,
 * unless it was called from one.
 */
bool track_remove(struct vcpu *vcpu, gpa_t gpa);
/* The memory goes away: nothing in the range is tracked any more. Returns how many frames were. */
uint64_t track_remove_region(struct vcpu *vcpu, gpa_t start, uint64_t bytes);

#endif
