/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/kick.h"

/*
 * The reason before the look at under_way, and in kick_take() the other way round: either the sender finds the NMI
 * gone and sends one, or the target finds the reason.
 */
bool kick_record(struct kick_box *box, uint32_t reason, uint64_t now)
{
	atomic_fetch_or(&box->reasons, reason);
	return kick_close(box, now);
}

bool kick_close(struct kick_box *box, uint64_t now)
{
	uint64_t sent_tsc;

	if (atomic_exchange(&box->under_way, 1) != 0) {
		sent_tsc = atomic_load(&box->sent_tsc);
		/* A clock that is behind the sender's says nothing. */
		if (now < sent_tsc || now - sent_tsc <= KICK_LOST_CYCLES)
			return false;
	}
	atomic_store(&box->sent_tsc, now);
	return true;
}

void kick_open(struct kick_box *box)
{
	atomic_store(&box->under_way, 0);
}

bool kick_take(struct kick_box *box, uint64_t arrivals, uint32_t *reasons)
{
	bool guest_nmi = false;

	for (; arrivals > 0; arrivals--) {
		if (atomic_exchange(&box->under_way, 0) == 0)
			guest_nmi = true;
	}
	*reasons = atomic_exchange(&box->reasons, 0);
	return guest_nmi || (*reasons & KICK_GUEST_NMI) != 0;
}
