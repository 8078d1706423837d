/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/barrier.h"

#define BARRIER_VERDICT_MASK 0xffu
#define BARRIER_CPU_SHIFT    8

static uint32_t barrier_decide(struct barrier *barrier, uint32_t cpu, enum barrier_verdict verdict)
{
	uint32_t decision = BARRIER_OPEN;
	uint32_t wanted = (uint32_t)verdict | cpu << BARRIER_CPU_SHIFT;

	if (atomic_compare_exchange_strong(&barrier->decision, &decision, wanted))
		return wanted;
	return decision;
}

void barrier_init(struct barrier *barrier, uint32_t expected)
{
	atomic_store(&barrier->decision, (uint32_t)BARRIER_OPEN);
	atomic_store(&barrier->arrived, 0u);
	barrier->expected = expected;
}

enum barrier_verdict barrier_verdict(struct barrier *barrier)
{
	return (enum barrier_verdict)(atomic_load(&barrier->decision) & BARRIER_VERDICT_MASK);
}

uint32_t barrier_decider(struct barrier *barrier)
{
	return atomic_load(&barrier->decision) >> BARRIER_CPU_SHIFT;
}

enum barrier_verdict barrier_abort(struct barrier *barrier, uint32_t cpu,
				   enum barrier_verdict verdict)
{
	return (enum barrier_verdict)(barrier_decide(barrier, cpu, verdict) & BARRIER_VERDICT_MASK);
}

enum barrier_verdict barrier_arrive(struct barrier *barrier, uint32_t cpu, uint64_t deadline,
				    barrier_clock_t clock, void *context)
{
	/*
	 * A CPU that is late itself must not complete the count: whoever called may have given up
	 * already, and a commit that nobody waits for would leave one CPU alone in the guest.
	 */
	if (clock(context) >= deadline)
		return barrier_abort(barrier, cpu, BARRIER_TIMEOUT);
	if (atomic_fetch_add(&barrier->arrived, 1u) + 1 == barrier->expected)
		barrier_decide(barrier, cpu, BARRIER_COMMIT);
	while (barrier_verdict(barrier) == BARRIER_OPEN) {
		if (clock(context) >= deadline)
			barrier_decide(barrier, cpu, BARRIER_TIMEOUT);
		__builtin_ia32_pause();
	}
	return barrier_verdict(barrier);
}
