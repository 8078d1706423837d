/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/stop.h"

#include <stddef.h>

static bool is_on(uint32_t word)
{
	return (word & 1) != 0;
}

bool stop_begin(struct stop *stop, uint32_t leader)
{
	uint32_t old = atomic_load(&stop->word);

	do {
		if (is_on(old))
			return false;
	} while (!atomic_compare_exchange_weak(&stop->word, &old, old + 1));
	atomic_store(&stop->leader, leader);
	return true;
}

void stop_end(struct stop *stop)
{
	atomic_fetch_add(&stop->word, 1);
}

bool stop_is_on(const struct stop *stop)
{
	return is_on(atomic_load(&stop->word));
}

void stop_forget(struct stop *stop)
{
	uint32_t old = atomic_load(&stop->word);

	atomic_store(&stop->word, old + (old & 1));
}

/* The word is read once: what is published is what was decided upon. An even one is published as well, by who is held. */
bool stop_stay(const struct stop *stop, struct stop_seat *seat)
{
	uint32_t word = atomic_load(&stop->word);
	bool stays = is_on(word) || atomic_load(&seat->held) != 0;

	atomic_store(&seat->parked, stays ? word : 0);
	return stays;
}

void stop_serve(struct stop_seat *seat, struct vcpu *vcpu)
{
	const struct stop_request *request = atomic_load(&seat->request);

	if (request == NULL)
		return;
	request->function(vcpu, request->context);
	atomic_store(&seat->request, NULL);
}

bool stop_is_parked(const struct stop *stop, const struct stop_seat *seat)
{
	return atomic_load(&seat->parked) == atomic_load(&stop->word);
}

void stop_hold(struct stop_seat *seat, bool held)
{
	atomic_store(&seat->held, held);
}

void stop_ask(struct stop_seat *seat, const struct stop_request *request)
{
	atomic_store(&seat->request, request);
}

bool stop_is_done(const struct stop_seat *seat)
{
	return atomic_load(&seat->request) == NULL;
}
