// sources: vmexit/io.c core/sleep.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdlib.h>

#include <cmocka.h>

#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/suspend.h"

/* What the exit itself calls: nothing here does. */
uint64_t cr4_read_bits(struct vcpu *vcpu, uint64_t mask)
{
	(void)vcpu, (void)mask;
	abort();
}

uint64_t dr7_read(struct vcpu *vcpu)
{
	(void)vcpu;
	abort();
}

void events_raise_gp(struct vcpu *vcpu, uint32_t error_code)
{
	(void)vcpu, (void)error_code;
	abort();
}

void events_raise_db(struct vcpu *vcpu, uint64_t bits)
{
	(void)vcpu, (void)bits;
	abort();
}

bool guest_fetch_insn(struct vcpu *vcpu, struct insn *out)
{
	(void)vcpu, (void)out;
	abort();
}

enum emulate_result emulate_insn(struct vcpu *vcpu, const struct insn *insn,
				 const struct emulate_target *target)
{
	(void)vcpu, (void)insn, (void)target;
	abort();
}

void suspend(struct vcpu *vcpu, uint16_t port, unsigned bytes, uint32_t value)
{
	(void)vcpu, (void)port, (void)bytes, (void)value;
	abort();
}

#define ENABLE(n)     (UINT64_C(1) << 2 * (n))
#define KIND(n, kind) ((uint64_t)(kind) << (16 + 4 * (n)))
#define LEN(n, len)   ((uint64_t)(len) << (18 + 4 * (n)))

static void io_breakpoints(void **state)
{
	const uint64_t at[4] = { 0x604, 0x605, 0x608, 0x607 };
	uint64_t io = ENABLE(0) | KIND(0, 2);

	(void)state;
	assert_int_equal(io_breakpoints_met(io, at, 0x604, 1), 1);
	assert_int_equal(io_breakpoints_met(io, at, 0x603, 2), 1);
	assert_int_equal(io_breakpoints_met(io, at, 0x601, 4), 1);
	assert_int_equal(io_breakpoints_met(io, at, 0x605, 2), 0);
	assert_int_equal(io_breakpoints_met(io, at, 0x600, 4), 0);
	/* The length widens it, and cuts the address. */
	assert_int_equal(io_breakpoints_met(io | LEN(0, 1), at, 0x605, 1), 1);
	assert_int_equal(io_breakpoints_met(ENABLE(3) | KIND(3, 2) | LEN(3, 3), at, 0x604, 1), 8);
	assert_int_equal(io_breakpoints_met(ENABLE(3) | KIND(3, 2) | LEN(3, 3), at, 0x608, 1), 0);
	/* Not enabled, or of another kind. */
	assert_int_equal(io_breakpoints_met(KIND(0, 2), at, 0x604, 1), 0);
	for (unsigned kind = 0; kind < 4; kind++)
		assert_int_equal(io_breakpoints_met(ENABLE(0) | KIND(0, kind), at, 0x604, 1),
				 kind == 2);
	assert_int_equal(io_breakpoints_met(ENABLE(1) << 1 | KIND(1, 2) | io, at, 0x604, 2), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_breakpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
