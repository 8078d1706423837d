// sources: vmexit/emulate_form.c vmexit/decode.c vmexit/decode_implied.c vmexit/decode_operands.c
// sources: vmexit/decode_vector.c tests/oracle/every_insn.c tests/oracle/random_insn.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the emulator says of an instruction's memory operand against decode_operands(), which other decoders have
 * confirmed: size, reads, writes and LOCK, for every opcode with every prefix that selects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/oracle/every_insn.h"
#include "tests/oracle/random_insn.h"
#include "vmexit/decode_operands.h"
#include "vmexit/emulate_form.h"

static void fail_about(const uint8_t bytes[15], unsigned code_bytes,
		       const struct insn_operands *operands, const struct emulate_form *form)
{
	fail_msg(
		"%u-bit %02x %02x %02x %02x %02x: bytes %u/%u reads %d/%d writes %d/%d undefined %d",
		8 * code_bytes, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
		operands->memory.bytes, form->bytes, operands->memory.reads, form->reads,
		operands->memory.writes, form->writes, operands->undefined);
}

/* PUSH and POP have the stack's operand besides, MOVS and CMPS the second string. */
static bool same_operand(const struct insn_operands *operands, const struct emulate_form *form)
{
	const struct insn_operand *memory = &operands->memory;

	if (form->kind == EMULATE_STRING)
		return memory->bytes == form->bytes;
	return memory->bytes == form->bytes && memory->reads == form->reads &&
	       memory->writes == form->writes;
}

static void agrees_with_the_decoder(void **state)
{
	unsigned number, code_bytes, forms = 0;
	uint8_t bytes[15];

	(void)state;
	random_insn_seed(1);
	for (number = 0; every_insn(number, &code_bytes, bytes); number++) {
		struct insn_operands operands;
		struct emulate_form form;
		struct insn insn;

		if (!decode_insn(bytes, 15, code_bytes, &insn) || !emulate_form(&insn, &form))
			continue;
		forms++;
		assert_true(decode_operands(&insn, &operands));
		if (operands.undefined
			    ? !insn.lock || form.lockable
			    : (insn.lock && !form.lockable) || !same_operand(&operands, &form))
			fail_about(bytes, code_bytes, &operands, &form);
	}
	assert_true(forms > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_decoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
