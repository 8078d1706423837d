/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/kick.h"

void kick_record(struct kick_box *box, uint32_t reason, uint64_t now)
{
	atomic_store(&box->sent_tsc, now);
	atomic_fetch_add(&box->sent, 1);
	atomic_fetch_or(&box->reasons, reason);
}

bool kick_take(struct kick_box *box, uint32_t arrivals, uint64_t now, uint32_t *reasons)
{
	bool guest_nmi;

	*reasons = atomic_exchange(&box->reasons, 0);
	guest_nmi = (*reasons & KICK_GUEST_NMI) != 0;
	for (; arrivals > 0; arrivals--) {
		bool expected = atomic_load(&box->sent) != box->accounted;
		uint64_t sent_tsc = atomic_load(&box->sent_tsc);

		/* One that was sent after `now` was read is not old. */
		if (expected && now > sent_tsc && now - sent_tsc > KICK_EXPIRY_CYCLES) {
			box->accounted = atomic_load(&box->sent);
			expected = *reasons != 0;
		}
		if (!expected)
			guest_nmi = true;
		else if (box->accounted != atomic_load(&box->sent))
			box->accounted++;
	}
	return guest_nmi;
}
