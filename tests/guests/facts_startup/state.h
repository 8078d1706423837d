/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a CPU that gets an INIT with marks everywhere: what is left of them after the SIPI. */
#ifndef TESTS_GUESTS_FACTS_STARTUP_STATE_H
#define TESTS_GUESTS_FACTS_STARTUP_STATE_H

#include <stdint.h>

/* Of stub.asm. */
struct stub_data {
	uint32_t gpr[8];       /* in the order of their encoding */
	uint16_t selectors[6]; /* CS, DS, ES, FS, GS, SS */
	uint16_t bit, landing;
	uint8_t gdtr[8], idtr[8]; /* limit, base, padding */
	uint32_t flags;
	uint32_t control[4]; /* CR0, CR2, CR3, CR4 */
	uint32_t debug[6];   /* DR0 to DR3, DR6, DR7 */
	uint64_t efer;
	uint32_t count;	   /* entries so far, of all CPUs */
	uint16_t go_on[2]; /* far pointer; 0: it halts */
	/* Behind the limits of CS, DS, ES, FS, GS; bits 8 and 9: at the last byte of DS and CS. */
	uint16_t faults;
	uint16_t tries_limits;
} __attribute__((packed));

/* Runs on the CPU: sets all marks and never returns. */
void state_spoil(void *argument);
/* After it, from the stub's data; then on the CPU itself. */
void state_print_stub(const struct stub_data *data);
void state_print_rest(void *argument);
extern uint32_t state_is_spoiled;
extern uint32_t state_spins __attribute__((visibility("hidden")));

#endif
