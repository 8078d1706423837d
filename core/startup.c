/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/startup.h"

bool startup_send_init(_Atomic(uint32_t) *word)
{
	uint32_t old = atomic_load(word);

	/* An INIT forgets a SIPI that came before it. */
	while (!atomic_compare_exchange_weak(word, &old, STARTUP_INIT | (old & STARTUP_WAITING)))
		;
	return true;
}

bool startup_send_sipi(_Atomic(uint32_t) *word, uint8_t vector)
{
	uint32_t old = atomic_load(word);

	do {
		if ((old & (STARTUP_INIT | STARTUP_WAITING)) == 0 || (old & STARTUP_SIPI) != 0)
			return false;
	} while (!atomic_compare_exchange_weak(word, &old, old | STARTUP_SIPI | vector));
	return true;
}

enum startup_action startup_take(_Atomic(uint32_t) *word, bool boot_cpu, uint8_t *vector)
{
	uint32_t old = atomic_load(word), new;
	enum startup_action action;

	do {
		*vector = (uint8_t)(old & STARTUP_VECTOR);
		if ((old & STARTUP_INIT) != 0 && boot_cpu) {
			action = STARTUP_RESET;
			new = 0;
		} else if ((old & STARTUP_INIT) != 0) {
			action =
				(old & STARTUP_SIPI) != 0 ? STARTUP_RESET_AND_START : STARTUP_RESET;
			new = action == STARTUP_RESET ? STARTUP_WAITING : 0;
		} else if ((old & STARTUP_SIPI) != 0) {
			action = STARTUP_START;
			new = 0;
		} else {
			action = STARTUP_NOTHING;
			new = old;
		}
	} while (!atomic_compare_exchange_weak(word, &old, new));
	return action;
}
