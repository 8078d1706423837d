/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever is at the other end of the debugger's line: GDB. While the guest runs its bytes are only collected; a whole packet, or
 * Ctrl-C where somebody is attached, stops the guest, and in the session that follows the leader of the stop answers
 * packets until one makes the guest go on.
 */
#ifndef VMEXIT_CONSOLE_H
#define VMEXIT_CONSOLE_H

#include "core/vcpu.h"

/* Bytes may wait on a line. On any CPU, before it enters the guest: it stops the guest then if they ask for that. */
void console_attend(struct vcpu *vcpu);

/* The leader of a stop (vmexit/stop.h), with all others parked. Returns when the guest is to go on. */
void console_session(struct vcpu *leader);

#endif
