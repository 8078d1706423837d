/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INIT and SIPI on their way from one vCPU to another where the hardware does not carry them (AMD-V): a word in the
 * target. Pure: atomic operations on that word, so that the protocol runs as a test on the build host.
 * SDM: "MP Initialization Protocol Algorithm for MP Systems"; a SIPI to a CPU that does not wait for one is lost,
 * a second one as well.
 */
#ifndef CORE_STARTUP_H
#define CORE_STARTUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STARTUP_INIT	0x100u /* an INIT has not been acted upon */
#define STARTUP_SIPI	0x200u /* a SIPI has not been acted upon; the vector is in the low byte */
#define STARTUP_WAITING 0x400u /* the vCPU is in wait-for-SIPI */
#define STARTUP_VECTOR	0x0ffu

enum startup_action {
	STARTUP_NOTHING,
	STARTUP_RESET, /* reset the vCPU, then wait for a SIPI (the boot CPU: run from the reset vector) */
	STARTUP_RESET_AND_START, /* reset it, and start it at the vector */
	STARTUP_START,		 /* it was waiting: start it at the vector */
};

/* The sender's side. Both return whether the target must be kicked. */
bool startup_send_init(_Atomic(uint32_t) *word);
bool startup_send_sipi(_Atomic(uint32_t) *word, uint8_t vector);

/* The target's side: take what has come. `boot_cpu`: an INIT does not lead to wait-for-SIPI. */
enum startup_action startup_take(_Atomic(uint32_t) *word, bool boot_cpu, uint8_t *vector);

#endif
