// sources: tests/guests/robust/look.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fuzzer in the guest (tests/guests/robust.c) must not execute, in whatever disguise of prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/guests/robust/look.h"

#define ARENA	0x20000u
#define CONTROL 0x30000u
#define ROUNDS	2000u

static uint8_t arena[ARENA_BYTES];
static struct engine engine = { .arena = ARENA, .control = CONTROL };
static struct robust_world world;
static struct robust_state state;
static uint32_t bits, cpl;

uint64_t engine_cr3(const struct engine *unused)
{
	(void)unused;
	return CONTROL + 0xe000;
}

/* All segments: flat, 32 bits. */
uint64_t engine_descriptor(const struct engine *unused, uint32_t selector)
{
	(void)unused;
	(void)selector;
	return UINT64_C(0x00cf93000000ffff);
}

uint8_t *engine_byte(const struct engine *unused, uint64_t linear)
{
	(void)unused;
	return linear - ARENA < ARENA_BYTES ? &arena[linear - ARENA] : NULL;
}

bool engine_port_is_safe(uint32_t port, uint32_t bytes)
{
	return port >= 0x80 && port + bytes <= 0x81;
}

static struct look look(const uint8_t *bytes, uint32_t count)
{
	const struct look_state ls = {
		.state = &state, .world = &world, .engine = &engine, .bits = bits, .cpl = cpl
	};
	uint8_t all[2 * INSN_BYTES_MAX];

	memset(all, 0xcc, sizeof(all));
	memcpy(all, bytes, count);
	return look_at(&ls, all, sizeof(all));
}

static void set(uint32_t new_bits, uint32_t new_cpl, enum robust_paging paging)
{
	bits = new_bits;
	cpl = new_cpl;
	world = (struct robust_world){ .paging = paging };
	state = (struct robust_state){ .cr0 = 0x80010031, .cr4 = 0x20, .rflags = 2 };
	state.gpr[RSP] = ARENA + 0x3000;
	state.gpr[RDX] = 0xcf9;
	state.gpr[RCX] = 0x79;
}

struct code {
	uint8_t bytes[6], count;
};

/* At CPL 0, with DX = 0xcf9 and ECX = 0x79. */
static const struct code forbidden[] = {
	{ { 0xe6, 0x64 }, 2 },
	{ { 0xe5, 0x60 }, 2 },
	{ { 0xee }, 1 },
	{ { 0xef }, 1 },
	{ { 0xec }, 1 },
	{ { 0x6c }, 1 },
	{ { 0x6f }, 1 },
	{ { 0xf4 }, 1 },
	{ { 0x0f, 0x30 }, 2 },
	{ { 0x0f, 0x01, 0x17 }, 3 },
	{ { 0x0f, 0x01, 0x1f }, 3 },
	{ { 0x0f, 0x01, 0xc9 }, 3 },
	{ { 0x0f, 0x22, 0xc0 }, 3 },
	{ { 0x0f, 0x22, 0xd8 }, 3 },
	{ { 0x0f, 0x22, 0xe0 }, 3 },
	{ { 0x0f, 0xc7, 0xf0 }, 3 },
	{ { 0x8e, 0x17 }, 2 },
	{ { 0xcd, 0x0d }, 2 },
	{ { 0x8e, 0xd0, 0xee }, 3 },
	{ { 0x8e, 0xd0, 0x9d }, 3 },
	{ { 0x8e, 0xd0, 0x0f, 0x30 }, 4 },
};

enum { FORBIDDEN = sizeof(forbidden) / sizeof(forbidden[0]) };

static uint32_t disguise(uint8_t *to, const struct code *code, uint32_t variant)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					    0x66, 0x67, 0xf0, 0xf2, 0xf3 };
	uint32_t count = 0;

	for (; variant > 0; variant /= 12) {
		if (variant % 12 < sizeof(prefixes))
			to[count++] = prefixes[variant % 12];
	}
	memcpy(to + count, code->bytes, code->count);
	return count + code->count;
}

static void test_forbidden(void **unused)
{
	static const uint32_t widths[] = { 16, 32, 64 };
	uint8_t bytes[16];

	(void)unused;
	for (uint32_t i = 0; i < FORBIDDEN * 3; i++) {
		const struct code *code = &forbidden[i / 3];

		for (uint32_t variant = 0; variant < ROUNDS; variant++) {
			const uint32_t count = disguise(bytes, code, variant);

			set(widths[i % 3], 0, i % 3 == 2 ? PAGING_LONG : PAGING_32);
			/* RDRAND with F3 is another instruction. */
			if (code->bytes[1] == 0xc7 && memchr(bytes, 0xf3, count))
				continue;
			if (look(bytes, count).verdict != LOOK_END)
				fail_msg("code %u variant %u bits %u", i / 3, variant,
					 widths[i % 3]);
		}
	}
}

/* The same from CPL 3: the CPU refuses them itself, but what could be executed there. */
static void test_user(void **unused)
{
	static const uint8_t out[] = { 0xee }, mwait[] = { 0x0f, 0x01, 0xc9 }, hlt[] = { 0xf4 };

	(void)unused;
	set(64, 3, PAGING_LONG);
	assert_int_equal(look(out, 1).verdict, LOOK_RUN);
	assert_int_equal(look(hlt, 1).verdict, LOOK_RUN);
	assert_int_equal(look(mwait, 3).verdict, LOOK_END);
	state.rflags |= FLAG_IOPL;
	assert_int_equal(look(out, 1).verdict, LOOK_END);
	set(16, 3, PAGING_32);
	state.rflags |= FLAG_IOPL | FLAG_VM; /* the bitmap counts whatever IOPL */
	assert_int_equal(look(out, 1).verdict, LOOK_RUN);
}

static void check_patch(const uint8_t *bytes, uint32_t count, uint32_t offset)
{
	memset(arena, 0x40, sizeof(arena));
	assert_int_equal(look(bytes, count).verdict, LOOK_RUN);
	for (uint32_t i = 0; i < sizeof(arena); i++)
		assert_int_equal(arena[i], i == 0x3000 + offset ? 0x01 : 0x40);
}

/* Where the flags lie that POPF and IRET load, TF is set and NT is not. */
static void test_single_step_stays(void **unused)
{
	static const uint8_t popf[] = { 0x9d }, iret[] = { 0xcf }, iret_66[] = { 0x66, 0xcf };
	static const uint8_t iret_64[] = { 0x48, 0xcf }, both[] = { 0x66, 0x48, 0xcf };

	(void)unused;
	set(64, 0, PAGING_LONG);
	check_patch(popf, 1, 1);
	check_patch(iret, 1, 9);
	check_patch(iret_66, 2, 5);
	check_patch(iret_64, 2, 17);
	check_patch(both, 3, 17);
	set(32, 0, PAGING_32);
	check_patch(iret, 1, 9);
	check_patch(iret_66, 2, 5);
	set(16, 0, PAGING_32);
	check_patch(iret, 1, 5);
	check_patch(iret_66, 2, 9);
	state.gpr[RSP] = 0x1000;
	assert_int_equal(look(popf, 1).verdict, LOOK_END);
}

static void test_allowed(void **unused)
{
	static const uint8_t cpuid[] = { 0x66, 0x0f, 0xa2 }, out_80[] = { 0xe6, 0x80 };
	static const uint8_t shadow[] = { 0x8e, 0xd0, 0x0f, 0xa2 }, lgdt[] = { 0x0f, 0x01, 0x17 };
	struct look seen;

	(void)unused;
	set(64, 0, PAGING_LONG);
	seen = look(cpuid, 3);
	assert_int_equal(seen.verdict, LOOK_RUN);
	assert_int_equal(seen.forget, FORGET_CPUID);
	assert_int_equal(seen.opcode_at, 1);
	assert_int_equal(look(out_80, 2).verdict, LOOK_RUN);
	assert_int_equal(look(shadow, 4).verdict, LOOK_RUN);
	cpl = 3;
	assert_int_equal(look(lgdt, 3).verdict, LOOK_RUN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_single_step_stays),
		cmocka_unit_test(test_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
