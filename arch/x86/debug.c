/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/debug.h"

#define DR7_KIND(index)	  BITS64(17 + 4 * (index), 16 + 4 * (index))
#define DR7_LENGTH(index) BITS64(19 + 4 * (index), 18 + 4 * (index))
#define DR7_ENABLE(index) BITS64(1 + 2 * (index), 2 * (index))

enum { KIND_FETCH = 0, KIND_WRITE = 1, KIND_PORT = 2, KIND_ACCESS = 3, LENGTH_8 = 2 };

bool debug_has_data_breakpoint(uint64_t dr7)
{
	if ((dr7 & DR7_ENABLES) == 0)
		return false;
	for (unsigned i = 0; i < DEBUG_ADDRESSES; i++) {
		if ((dr7 & DR7_ENABLE(i)) != 0 && (dr7 & DR7_KIND(i)) != 0)
			return true;
	}
	return false;
}

static bool is_watched(unsigned kind, enum debug_touch touch)
{
	switch (touch) {
	case DEBUG_TOUCH_FETCH:
		return kind == KIND_FETCH;
	case DEBUG_TOUCH_READ:
		return kind == KIND_ACCESS;
	case DEBUG_TOUCH_WRITE:
		return kind == KIND_ACCESS || kind == KIND_WRITE;
	case DEBUG_TOUCH_PORT:
		return kind == KIND_PORT;
	}
	return false;
}

uint64_t debug_met(uint64_t dr7, const uint64_t address[DEBUG_ADDRESSES], enum debug_touch touch,
		   uint64_t first, unsigned bytes)
{
	uint64_t met = 0;

	for (unsigned i = 0; i < DEBUG_ADDRESSES; i++) {
		uint64_t length = field_get(DR7_LENGTH(i), dr7);
		uint64_t watched = length == LENGTH_8 ? 8 : length + 1;
		uint64_t start = address[i] & ~(watched - 1);

		/* The differences wrap as addresses do. */
		if ((dr7 & DR7_ENABLE(i)) != 0 &&
		    is_watched((unsigned)field_get(DR7_KIND(i), dr7), touch) &&
		    (first - start < watched || start - first < bytes))
			met |= BIT64(i);
	}
	return met;
}
