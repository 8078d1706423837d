/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the hypervisor comes to look at its lines, whatever the guest does: where a guest spins with interrupts off nothing
 * else makes it exit.
 *
 * VT-x: each CPU's VMX-preemption timer. On each, not on one alone: the timer stands still in deep C-states and in
 * wait-for-SIPI, and a CPU that executes the guest's instructions is in neither.
 * AMD-V: the UART's interrupt, which arrives at the boot CPU as an NMI (vmexit/io_apic.h). That one is never off: its INIT
 * leads to the reset vector. The UART's status tells such an NMI from the guest's own.
 * Without either, at each exit. Without a line for input, not at all. A UART that is shared with the guest needs its interrupt
 * on VT-x as well.
 */
#ifndef VMEXIT_ATTENTION_H
#define VMEXIT_ATTENTION_H

#include "vmexit/exit.h"

/* How long input may wait at most, about; VT-x: of the guest's time, that of the hypervisor not counted. */
#define ATTENTION_MS 20u

/* Boot CPU, once, with the guest-physical map built: which lines there are, and how to look at them. */
void attention_prepare(struct vm *vm);
/* Whether the back end's timer is to give EXIT_ATTENTION every ATTENTION_MS. */
bool attention_by_timer(void);
/* This CPU, on the host's tables, enters the guest next for the first time. */
void attention_begin(struct vcpu *vcpu);
/* After S3, on one CPU, once all are under the hypervisor again: the UARTs and the I/O APIC are as after a reset. */
void attention_wake(void);

/* Look at the lines now. */
void attention_look(struct vcpu *vcpu);

/* A line of the log, once after each change: whose the keyboard of a shared line is. */
void attention_say_keys(void);

/* An NMI has come to this CPU: look at the lines. True if it came for one, unless a kick explains it. */
bool attention_take_nmi(struct vcpu *vcpu);

/*
 * Somebody reads a line for longer, without need of being told: until the release no line interrupts. May be nested, and
 * come from any CPU.
 */
void attention_hold(void);
void attention_release(void);

#endif
