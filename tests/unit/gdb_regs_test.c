/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/gdb_regs.c core/format.c
/* GDB's numbers, names and values of the registers, and the description that says so. */
#include "core/gdb_regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/cr.h"
#include "arch/x86/xsave.h"

#define NO_REGISTER UINT32_MAX

static struct regs_sync state;
static char xml[64 * 1024];

static int reset(void **unused)
{
	(void)unused;
	memset(&state, 0, sizeof(state));
	state.valid = REGS_SYNC_ALL;
	state.xsave.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	state.xsave.bytes = 832;
	memset(xml, 0, sizeof(xml));
	assert_true(gdb_regs_describe(true, 0, xml, sizeof(xml) - 1) < sizeof(xml) - 1);
	return 0;
}

/* As GDB counts: the description's registers in their order. */
static unsigned number_of(const char *name)
{
	const char *at = xml;
	char wanted[40];

	snprintf(wanted, sizeof(wanted), "<reg name=\"%s\"", name);
	for (unsigned number = 0; (at = strstr(at, "<reg ")) != NULL; number++, at++) {
		if (strncmp(at, wanted, strlen(wanted)) == 0)
			return number;
	}
	fail_msg("no register %s", name);
	return NO_REGISTER;
}

static uint64_t value_of(const char *name)
{
	uint8_t bytes[GDB_REG_BYTES_MAX];
	uint64_t value;

	assert_true(gdb_reg_read(&state, number_of(name), bytes));
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static bool set(const char *name, uint64_t value)
{
	uint8_t bytes[GDB_REG_BYTES_MAX] = { 0 };

	memcpy(bytes, &value, sizeof(value));
	return gdb_reg_write(&state, number_of(name), bytes);
}

static void the_numbers_are_those_of_gdb(void **unused)
{
	(void)unused;
	assert_int_equal(number_of("rax"), 0);
	assert_int_equal(number_of("rbx"), 1);
	assert_int_equal(number_of("rsp"), 7);
	assert_int_equal(number_of("r15"), 15);
	assert_int_equal(number_of("rip"), 16);
	assert_int_equal(number_of("gs"), 23);
	assert_int_equal(number_of("st0"), 24);
	assert_int_equal(number_of("fop"), 39);
	assert_int_equal(number_of("xmm15"), 55);
	assert_int_equal(number_of("mxcsr"), 56);
	assert_int_equal(number_of("ymm15h"), gdb_regs_count() - 1);
	assert_int_equal(gdb_reg_bytes(gdb_regs_count()), 0);
	assert_int_equal(gdb_reg_bytes(NO_REGISTER), 0);
	assert_int_equal(gdb_reg_bytes(24), 10);
}

static void all_of_them_fit(void **unused)
{
	unsigned bytes = 0;

	(void)unused;
	for (unsigned i = 0; i < gdb_regs_count(); i++) {
		assert_in_range(gdb_reg_bytes(i), 1, GDB_REG_BYTES_MAX);
		bytes += gdb_reg_bytes(i);
	}
	assert_true(bytes <= GDB_REGS_BYTES);
}

static void names_lead_to_the_state(void **unused)
{
	(void)unused;
	state.regs.gpr[REG_RCX] = 0x1122334455667788;
	state.regs.gpr[12] = 12;
	state.regs.rip = 0xffffffff81000000;
	state.regs.rflags = 0x246;
	state.sregs.segments[SEGMENT_SS].selector = 0x18;
	state.sregs.segments[SEGMENT_GS].base = 0xffff888000000000;
	state.sregs.cr3 = 0x1000;
	state.sregs.idtr.limit = 0xfff;
	state.debug.dr7 = 0x400;
	assert_int_equal(value_of("rcx"), 0x1122334455667788);
	assert_int_equal(value_of("r12"), 12);
	assert_int_equal(value_of("rip"), 0xffffffff81000000);
	assert_int_equal(value_of("eflags"), 0x246);
	assert_int_equal(value_of("ss"), 0x18);
	assert_int_equal(value_of("gs_base"), 0xffff888000000000);
	assert_int_equal(value_of("cr3"), 0x1000);
	assert_int_equal(value_of("idtr_limit"), 0xfff);
	assert_int_equal(value_of("dr7"), 0x400);
}

static void a_write_marks_its_set(void **unused)
{
	(void)unused;
	assert_true(set("r9", 99));
	assert_int_equal(state.dirty, REGS_SYNC_REGS);
	assert_true(set("cr8", 5));
	assert_int_equal(state.dirty, REGS_SYNC_REGS | REGS_SYNC_SREGS);
	assert_true(set("dr6", 0xffff0ff0));
	assert_true(set("xmm3", 7));
	assert_int_equal(state.dirty, REGS_SYNC_ALL & ~REGS_SYNC_EVENTS);
	assert_int_equal(state.regs.gpr[9], 99);
	assert_int_equal(state.sregs.cr8, 5);
	assert_int_equal(state.debug.dr6, 0xffff0ff0);
}

static void a_selector_has_16_bits(void **unused)
{
	(void)unused;
	assert_false(set("cs", 0x10008));
	assert_int_equal(state.dirty, 0);
	assert_true(set("cs", 0xfff8));
	assert_int_equal(state.sregs.segments[SEGMENT_CS].selector, 0xfff8);
}

static void every_register_comes_back(void **unused)
{
	(void)unused;
	srandom(1);
	state.xsave.area[XSAVE_XSTATE_BV] = 7;
	for (unsigned i = 0; i < gdb_regs_count(); i++) {
		uint8_t value[GDB_REG_BYTES_MAX] = { 0 }, back[GDB_REG_BYTES_MAX];

		if (i == number_of("ftag"))
			continue;
		for (unsigned j = 0; j < gdb_reg_bytes(i); j++)
			value[j] = (uint8_t)random();
		if (!gdb_reg_write(&state, i, value)) {
			memset(value + 2, 0, sizeof(value) - 2);
			assert_true(gdb_reg_write(&state, i, value));
		}
		assert_true(gdb_reg_read(&state, i, back));
		assert_memory_equal(value, back, gdb_reg_bytes(i));
	}
}

/* Components without a bit: what XRSTOR makes of them, whatever lies in the area. */
static void what_is_not_in_use_is_as_after_a_reset(void **unused)
{
	(void)unused;
	memset(state.xsave.area, 0x55, 832);
	memset(state.xsave.area + XSAVE_XSTATE_BV, 0, 64);
	assert_int_equal(value_of("fctrl"), 0x37f);
	assert_int_equal(value_of("ftag"), 0xffff);
	assert_int_equal(value_of("fstat"), 0);
	assert_int_equal(value_of("st3"), 0);
	assert_int_equal(value_of("xmm0"), 0);
	assert_int_equal(value_of("ymm7h"), 0);
	/* One is written: the others of its component stay as they were. */
	assert_true(set("ymm7h", 77));
	assert_int_equal(state.xsave.area[XSAVE_XSTATE_BV], 4);
	assert_int_equal(value_of("ymm7h"), 77);
	assert_int_equal(value_of("ymm8h"), 0);
	assert_true(set("st0", 1));
	assert_int_equal(state.xsave.area[XSAVE_XSTATE_BV], 5);
	assert_int_equal(value_of("fctrl"), 0x37f);
	assert_int_equal(value_of("st1"), 0);
	assert_int_equal(value_of("xmm1"), 0);
}

static void mxcsr_alone_is_loaded(void **unused)
{
	(void)unused;
	memset(state.xsave.area + 160, 0x55, 256);
	assert_true(set("mxcsr", 0x1fa0));
	assert_int_equal(value_of("mxcsr"), 0x1fa0);
	assert_int_equal(state.xsave.area[XSAVE_XSTATE_BV], 2);
	assert_int_equal(value_of("xmm2"), 0);
}

static void avx_is_there_where_xcr0_has_it(void **unused)
{
	uint8_t value[GDB_REG_BYTES_MAX] = { 0 };
	unsigned number = number_of("ymm0h");

	(void)unused;
	state.xsave.xcr0 = XCR0_X87 | XCR0_SSE;
	assert_false(gdb_reg_read(&state, number, value));
	assert_false(gdb_reg_write(&state, number, value));
	assert_true(gdb_reg_read(&state, number_of("xmm0"), value));
	/* A CPU that waits for its SIPI has nothing to show. */
	state.valid = 0;
	assert_false(gdb_reg_read(&state, 0, value));
}

/* SDM, "x87 FPU Tag Word" and "FXSAVE": TOP = 3, so that ST(i) is physical register i + 3. */
static void tags_are_unfolded(void **unused)
{
	uint8_t *area = state.xsave.area;

	(void)unused;
	area[XSAVE_XSTATE_BV] = 1;
	area[3] = 3 << 3;
	area[4] = 1 << 3 | 1 << 4 | 1 << 5;
	/* ST(0) valid: 1.0; ST(1) zero; ST(2) a denormal. */
	area[32 + 7] = 0x80;
	area[32 + 8] = 0xff;
	area[32 + 9] = 0x3f;
	area[64] = 1;
	assert_int_equal(value_of("ftag"), 0xf03f | 0 << 6 | 1 << 8 | 2 << 10);
	assert_true(set("ftag", 0xffff & ~(3u << 14)));
	assert_int_equal(area[4], 1 << 7);
}

static void parts_of_the_description_make_the_whole(void **unused)
{
	static char parts[sizeof(xml)];
	const size_t total = strlen(xml);

	(void)unused;
	for (size_t step = 1; step < 3000; step = step * 3 + 1) {
		size_t at = 0, got;

		memset(parts, 0, sizeof(parts));
		do {
			got = gdb_regs_describe(true, at, parts + at, step);
			at += got;
		} while (got == step);
		assert_int_equal(at, total);
		assert_string_equal(parts, xml);
	}
	assert_int_equal(gdb_regs_describe(true, total, parts, 10), 0);
	assert_int_equal(gdb_regs_describe(true, SIZE_MAX, parts, 10), 0);
}

static void without_avx_nothing_else_moves(void **unused)
{
	static char small[sizeof(xml)];
	const size_t bytes = gdb_regs_describe(false, 0, small, sizeof(small) - 1);

	(void)unused;
	assert_null(strstr(small, "ymm"));
	/* The same up to where AVX would begin. */
	assert_memory_equal(small, xml, bytes - strlen("</target>"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_numbers_are_those_of_gdb, reset),
		cmocka_unit_test_setup(all_of_them_fit, reset),
		cmocka_unit_test_setup(names_lead_to_the_state, reset),
		cmocka_unit_test_setup(a_write_marks_its_set, reset),
		cmocka_unit_test_setup(a_selector_has_16_bits, reset),
		cmocka_unit_test_setup(every_register_comes_back, reset),
		cmocka_unit_test_setup(what_is_not_in_use_is_as_after_a_reset, reset),
		cmocka_unit_test_setup(mxcsr_alone_is_loaded, reset),
		cmocka_unit_test_setup(avx_is_there_where_xcr0_has_it, reset),
		cmocka_unit_test_setup(tags_are_unfolded, reset),
		cmocka_unit_test_setup(parts_of_the_description_make_the_whole, reset),
		cmocka_unit_test_setup(without_avx_nothing_else_moves, reset),
	};

	/* For GDB itself to read. */
	if (argc > 1 && strcmp(argv[1], "xml") == 0) {
		reset(NULL);
		puts(xml);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
