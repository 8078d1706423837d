/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions for trips, put together byte by byte. */
#ifndef TESTS_GUESTS_FACTS_CR_SNIPPET_H
#define TESTS_GUESTS_FACTS_CR_SNIPPET_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/lib/trip.h"

struct snippet {
	uint8_t bytes[64];
	uint32_t count;
};

void snippet_bytes(struct snippet *snippet, const char *bytes, uint32_t count);
/* MOV of the register A (0), B (3), C (1) or D (2) to or from a control register; CR8 and above in 64-bit mode. */
void snippet_write_cr(struct snippet *snippet, uint32_t cr, uint32_t gpr);
void snippet_read_cr(struct snippet *snippet, uint32_t cr, uint32_t gpr);
/* The INT that ends it. */
void snippet_end(struct snippet *snippet);
void snippet_run(const struct snippet *snippet, struct trip *trip, struct trip_end *end);

#endif
