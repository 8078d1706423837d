/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one way by which the hypervisor writes to memory in the guest's name: task state, descriptors, stacks, operands of
 * emulated instructions, accessed and dirty bits. A write to a tracked frame (mm/page_track.h) takes its turn with those
 * of the guest's CPUs and is told exactly, each byte once; one to another frame is made before it can come to be tracked.
 *
 * It may wait for another CPU to finish one instruction. So the map's lock is not held, and in a native step
 * (vmexit/step.h) its instruction has been executed. Not from a notifier.
 */
#ifndef VMEXIT_GUEST_PHYSICAL_H
#define VMEXIT_GUEST_PHYSICAL_H

#include "core/vcpu.h"
#include "mm/addr.h"
#include "mm/gva_walk.h"

/* Frame by frame. False: it is not all RAM, and nothing was written. */
MUST_CHECK bool guest_physical_write(struct vcpu *vcpu, gpa_t to, const void *from, unsigned bytes);

/* How this CPU walks the guest's tables where the walk sets accessed and dirty bits. */
struct gva_reader guest_physical_reader(struct vcpu *vcpu);

#endif
