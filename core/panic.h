/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end: something is wrong in the hypervisor, or an exit came that nobody expects. Everything known goes to
 * serial, all other CPUs are stopped (NMI), this one halts. The guest never goes on with half a hypervisor.
 */
#ifndef CORE_PANIC_H
#define CORE_PANIC_H

#include <stdint.h>

struct vcpu;

void hv_panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Our own bug if false; checked in release builds too, as it is cheap. */
#define HV_ASSERT(condition)                                                                 \
	do {                                                                                 \
		if (__builtin_expect(!(condition), 0))                                       \
			hv_panic("%s:%d: %s does not hold", __FILE__, __LINE__, #condition); \
	} while (0)

/* An exit that cannot be handled: guest registers, control structure and backtrace, then as hv_panic(). */
void hv_dump_and_stop(struct vcpu *vcpu, const char *why, uint64_t reason, const uint64_t info[2])
	__attribute__((noreturn));

/* Guest registers and, where memory allows, a guest backtrace, to the log. */
void hv_dump_guest(struct vcpu *vcpu);

/* From now on a panic has other CPUs to stop. */
void panic_guest_runs(void);

/* Halt this CPU for good: the answer to KICK_STOP. */
void hv_stop_cpu(void) __attribute__((noreturn));

#endif
