// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_cr/snippet.h"

void snippet_bytes(struct snippet *snippet, const char *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		snippet->bytes[snippet->count++] = (uint8_t)bytes[i];
}

static void cr_instruction(struct snippet *snippet, uint8_t opcode, uint32_t cr, uint32_t gpr)
{
	const char bytes[4] = { 0x44, 0x0f, (char)opcode, (char)(0xc0 | (cr & 7) << 3 | gpr) };

	snippet_bytes(snippet, cr >= 8 ? bytes : bytes + 1, cr >= 8 ? 4 : 3);
}

void snippet_write_cr(struct snippet *snippet, uint32_t cr, uint32_t gpr)
{
	cr_instruction(snippet, 0x22, cr, gpr);
}

void snippet_read_cr(struct snippet *snippet, uint32_t cr, uint32_t gpr)
{
	cr_instruction(snippet, 0x20, cr, gpr);
}

void snippet_end(struct snippet *snippet)
{
	snippet_bytes(snippet, "\xcd\x30", 2);
}

void snippet_run(const struct snippet *snippet, struct trip *trip, struct trip_end *end)
{
	trip->code = snippet->bytes;
	trip->bytes = snippet->count;
	trip_run(trip, end);
}
