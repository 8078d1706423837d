/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/store_quick.c vmexit/decode.c vmexit/decode_store.c
/* The quick decoder says the same as the complete one, or nothing. */
#include "vmexit/store_quick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmexit/decode_store.h"

#define CASES 2000000u

static void random_instruction(uint8_t *bytes)
{
	static const uint8_t opcodes[] = { 0x89, 0xc7, 0x89, 0xc7, 0x88, 0xa3, 0x87, 0x66, 0x8b };
	unsigned at = 0;

	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (uint8_t)rand();
	if (rand() % 2 == 0)
		bytes[at++] = (uint8_t)(0x40 | rand() % 16);
	bytes[at] = opcodes[(unsigned)rand() % ARRAY_COUNT(opcodes)];
	if (rand() % 4 != 0)
		bytes[at + 1] &= 0xc7;
}

static struct store_quick decode(const uint8_t bytes[16])
{
	uint64_t words[2];

	memcpy(words, bytes, sizeof(words));
	return store_quick_decode(words[0], words[1]);
}

static void agrees_with_the_complete_decoder(void **state)
{
	uint8_t bytes[16];
	unsigned decoded = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < CASES; i++) {
		struct store_quick quick;
		struct insn insn;
		struct store store;

		random_instruction(bytes);
		quick = decode(bytes);
		if (quick.bytes == 0)
			continue;
		decoded++;
		assert_true(decode_insn(bytes, INSN_MAX_BYTES, 8, &insn));
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
	/* mov %esi, -0xa02000(%rdi); movl $1, (%rax) with an absolute SIB form; mov %r9d, 0x0(,%r8,1) */
	static const uint8_t store[16] = { 0x89, 0xb7, 0x00, 0xe0, 0x5f, 0xff };
	static const uint8_t eoi[16] = { 0xc7, 0x04, 0x25, 0xb0, 0xd0, 0x5f, 0xff, 1 };
	static const uint8_t rex[16] = { 0x46, 0x89, 0x0c, 0x05 };
	struct store_quick quick;

	(void)state;
	quick = decode(store);
	assert_int_equal(quick.bytes, 6);
	assert_int_equal(quick.reg, 6);
	assert_false(quick.is_immediate);
	quick = decode(eoi);
	assert_int_equal(quick.bytes, 11);
	assert_true(quick.is_immediate);
	assert_int_equal(quick.immediate, 1);
	quick = decode(rex);
	assert_int_equal(quick.bytes, 8);
	assert_int_equal(quick.reg, 9);
}

static void leaves_others_alone(void **state)
{
	/* a register, 64 bits, 16 bits, another opcode, C7 /1 */
	static const uint8_t others[][16] = { { 0x89, 0xc0 },
					      { 0x48, 0x89, 0x07 },
					      { 0x66, 0x89, 0x07 },
					      { 0x88, 0x07 },
					      { 0xc7, 0x0f } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++)
		assert_int_equal(decode(others[i]).bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_complete_decoder),
		cmocka_unit_test(knows_what_linux_uses),
		cmocka_unit_test(leaves_others_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
