/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/store_quick.c vmexit/decode.c
/* The quick decoder says the same as the complete one, or nothing. */
#include "vmexit/store_quick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmexit/decode.h"

#define CASES 2000000u

static void random_instruction(uint8_t *bytes)
{
	static const uint8_t opcodes[] = { 0x89, 0xc7, 0x89, 0xc7, 0x88, 0xa3, 0x87, 0x66, 0x8b };
	unsigned at = 0;

	for (unsigned i = 0; i < INSN_MAX_BYTES; i++)
		bytes[i] = (uint8_t)rand();
	if (rand() % 2 == 0)
		bytes[at++] = (uint8_t)(0x40 | rand() % 16);
	bytes[at] = opcodes[(unsigned)rand() % ARRAY_COUNT(opcodes)];
	if (rand() % 4 != 0)
		bytes[at + 1] &= 0xc7;
}

static void agrees_with_the_complete_decoder(void **state)
{
	uint8_t bytes[INSN_MAX_BYTES];
	unsigned decoded = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < CASES; i++) {
		unsigned code_bytes = rand() % 2 == 0 ? 8 : 4, count = (unsigned)rand() % 16;
		struct store_quick quick;
		struct insn insn;
		struct store store;

		random_instruction(bytes);
		if (!store_quick_decode(bytes, count, code_bytes, &quick))
			continue;
		decoded++;
		assert_true(decode_insn(bytes, count, code_bytes, &insn));
		assert_true(decode_store(&insn, &store));
		assert_int_equal(quick.bytes, insn.bytes);
		assert_int_equal(store.bytes, 4);
		assert_int_equal(store.kind, quick.is_immediate ? STORE_IMMEDIATE : STORE_REGISTER);
		if (quick.is_immediate)
			assert_int_equal(quick.immediate, (uint32_t)store.immediate);
		else
			assert_int_equal(quick.reg, store.reg);
	}
	assert_true(decoded > CASES / 20);
}

static void knows_what_linux_uses(void **state)
{
	/* mov %esi, -0xa02000(%rdi); movl $0, (%rax) with an absolute SIB form */
	static const uint8_t store[15] = { 0x89, 0xb7, 0x00, 0xe0, 0x5f, 0xff };
	static const uint8_t eoi[15] = { 0xc7, 0x04, 0x25, 0xb0, 0xd0, 0x5f, 0xff, 0, 0, 0, 0 };
	struct store_quick quick;

	(void)state;
	assert_true(store_quick_decode(store, 15, 8, &quick));
	assert_int_equal(quick.bytes, 6);
	assert_int_equal(quick.reg, 6);
	assert_true(store_quick_decode(eoi, 15, 8, &quick));
	assert_int_equal(quick.bytes, 11);
	assert_true(quick.is_immediate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_complete_decoder),
		cmocka_unit_test(knows_what_linux_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
