/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/sleep.h"

/* In the last byte of a control register. */
#define CONTROL_TYPE   BITS32(4, 2)
#define CONTROL_ENABLE BIT32(5)

static uint32_t phase_of(uint32_t word)
{
	return word & SLEEP_PHASE;
}

bool sleep_begin(struct sleep *sleep)
{
	uint32_t old = atomic_load(&sleep->word);

	do {
		if (phase_of(old) != SLEEP_AWAKE)
			return false;
	} while (!atomic_compare_exchange_weak(&sleep->word, &old, old | SLEEP_LEAVING));
	return true;
}

void sleep_give_up(struct sleep *sleep)
{
	atomic_fetch_and(&sleep->word, ~SLEEP_PHASE);
}

bool sleep_is_leaving(struct sleep *sleep)
{
	return phase_of(atomic_load(&sleep->word)) == SLEEP_LEAVING;
}

void sleep_park(struct sleep *sleep)
{
	atomic_fetch_add(&sleep->word, SLEEP_PARKED_ONE);
}

bool sleep_unpark(struct sleep *sleep)
{
	uint32_t old = atomic_load(&sleep->word);

	do {
		if (phase_of(old) == SLEEP_LEAVING)
			return false;
	} while (!atomic_compare_exchange_weak(&sleep->word, &old, old - SLEEP_PARKED_ONE));
	return true;
}

uint32_t sleep_parked(struct sleep *sleep)
{
	return atomic_load(&sleep->word) / SLEEP_PARKED_ONE;
}

/*
 * Whatever the phase was when the power went: the write may have come back before that, and everybody was about to go
 * on. Nobody but the first CPU runs then.
 */
bool sleep_is_first(struct sleep *sleep)
{
	return atomic_exchange(&sleep->word, SLEEP_WAKING) != SLEEP_WAKING;
}

void sleep_end(struct sleep *sleep)
{
	atomic_store(&sleep->woken, 0);
	atomic_fetch_add(&sleep->count, 1);
	atomic_store(&sleep->word, SLEEP_AWAKE);
}

/* Where in an access to `port` a port lies; at or above the access's size if it does not. */
static unsigned offset_in(uint16_t port, unsigned of)
{
	return (of - port) & 0xffff;
}

static bool asks(const struct boot_sleep_register *reg, uint16_t port, unsigned bytes,
		 uint32_t value)
{
	unsigned offset = offset_in(port, reg->control + reg->bytes - 1u);
	uint32_t byte;

	if (offset >= bytes)
		return false;
	byte = value >> 8 * offset;
	return (byte & CONTROL_ENABLE) != 0 && field_get(CONTROL_TYPE, byte) == reg->type;
}

bool sleep_is_request(const struct boot_sleep *machine, uint16_t port, unsigned bytes,
		      uint32_t value)
{
	for (uint32_t i = 0; i < machine->register_count; i++) {
		if (asks(&machine->registers[i], port, bytes, value))
			return true;
	}
	return false;
}

bool sleep_has_port(const struct boot_sleep *machine, uint16_t port)
{
	for (uint32_t i = 0; i < machine->register_count; i++) {
		const struct boot_sleep_register *reg = &machine->registers[i];

		/* The byte that decides; the other one is nothing to us. */
		if (port == reg->control + reg->bytes - 1)
			return true;
	}
	return false;
}
