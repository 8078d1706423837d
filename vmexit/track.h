/* SPDX-License-Identifier: BSD-2-Clause */
/* mm/page_track.h for this machine: with the flushes that it takes, and the notifiers told. */
#ifndef VMEXIT_TRACK_H
#define VMEXIT_TRACK_H

#include "vmexit/exit.h"

/*
 * From the return on, each write of any CPU to this frame of RAM is reported. False: refused (see mm/page_track.h), also
 * where the guest may not write or its accesses are emulated. Not from a notifier.
 */
MUST_CHECK bool track_add(struct vcpu *vcpu, gpa_t gpa);
/*
 * Undo one track_add(). Returns whether that was the last; then no CPU is in the middle of a report when it returns,
 * unless it was called from one.
 */
bool track_remove(struct vcpu *vcpu, gpa_t gpa);
/*
 * The memory goes away: nothing in the range is tracked any more. Returns how many frames were. No CPU is in the middle of a
 * report then, as above.
 */
uint64_t track_remove_region(struct vcpu *vcpu, gpa_t start, uint64_t bytes);

/*
 * This CPU's frames that are open for a step: report what has changed there (`complete`: see page_track_report()), and
 * let others write to them. Nothing if none are.
 */
void track_close(struct vcpu *vcpu, bool complete);

#endif
