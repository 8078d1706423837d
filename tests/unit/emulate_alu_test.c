/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/emulate_alu.c
/* The emulator's arithmetic against the CPU of the build host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/cr.h"
#include "vmexit/emulate_alu.h"

#define ROUNDS	   3000u
#define ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Often near an edge of some size. */
static uint64_t random_operand(void)
{
	uint64_t value = random64();

	switch (random64() >> 61) {
	case 0:
		return (value & 3) - 1;
	case 1:
		return BIT64(value & 63) - (value >> 7 & 1);
	default:
		return value;
	}
}

/* --- the same on the CPU, below the red zone ------------------------------------------------- */

struct operands {
	uint64_t a, b, count, flags;
};

#define ON_CPU(insn)                                                         \
	__asm__ volatile("leaq -128(%%rsp), %%rsp; pushq %[f]; popfq; " insn \
			 "; pushfq; popq %[f]; leaq 128(%%rsp), %%rsp"       \
			 : [a] "+a"(o->a), [f] "+r"(o->flags)                \
			 : [b] "d"(o->b), [c] "c"(o->count)                  \
			 : "cc", "memory")

#define DEFINE_SIZED(name, one, two, four, eight)            \
	static void name(struct operands *o, unsigned bytes) \
	{                                                    \
		switch (bytes) {                             \
		case 1:                                      \
			ON_CPU(one);                         \
			break;                               \
		case 2:                                      \
			ON_CPU(two);                         \
			break;                               \
		case 4:                                      \
			ON_CPU(four);                        \
			break;                               \
		default:                                     \
			ON_CPU(eight);                       \
			break;                               \
		}                                            \
		o->a = alu_cut(o->a, bytes);                 \
	}

#define DEFINE_BINARY(name)                                                      \
	DEFINE_SIZED(cpu_##name, #name "b %b[b], %b[a]", #name "w %w[b], %w[a]", \
		     #name "l %k[b], %k[a]", #name "q %q[b], %q[a]")
#define DEFINE_UNARY(name) \
	DEFINE_SIZED(cpu_##name, #name "b %b[a]", #name "w %w[a]", #name "l %k[a]", #name "q %q[a]")
#define DEFINE_SHIFT(name)                                                     \
	DEFINE_SIZED(cpu_##name, #name "b %%cl, %b[a]", #name "w %%cl, %w[a]", \
		     #name "l %%cl, %k[a]", #name "q %%cl, %q[a]")
#define DEFINE_DOUBLE(name)                                           \
	DEFINE_SIZED(cpu_##name, "nop", #name "w %%cl, %w[b], %w[a]", \
		     #name "l %%cl, %k[b], %k[a]", #name "q %%cl, %q[b], %q[a]")
#define DEFINE_BIT(name)                                                                \
	DEFINE_SIZED(cpu_##name, "nop", #name "w %w[b], %w[a]", #name "l %k[b], %k[a]", \
		     #name "q %q[b], %q[a]")

DEFINE_BINARY(add)
DEFINE_BINARY(or)
DEFINE_BINARY(adc)
DEFINE_BINARY(sbb)
DEFINE_BINARY(and)
DEFINE_BINARY(sub)
DEFINE_BINARY(xor)
DEFINE_BINARY(cmp)
DEFINE_BINARY(test)
DEFINE_UNARY(inc)
DEFINE_UNARY(dec)
DEFINE_UNARY(not )
DEFINE_UNARY(neg)
DEFINE_SHIFT(rol)
DEFINE_SHIFT(ror)
DEFINE_SHIFT(rcl)
DEFINE_SHIFT(rcr)
DEFINE_SHIFT(shl)
DEFINE_SHIFT(shr)
DEFINE_SHIFT(sar)
DEFINE_DOUBLE(shld)
DEFINE_DOUBLE(shrd)
DEFINE_BIT(bt)
DEFINE_BIT(bts)
DEFINE_BIT(btr)
DEFINE_BIT(btc)

typedef void (*cpu_function)(struct operands *o, unsigned bytes);

/* --- comparing ------------------------------------------------------------------------------ */

static struct operands random_operands(unsigned bytes)
{
	return (struct operands){ .a = alu_cut(random_operand(), bytes),
				  .b = alu_cut(random_operand(), bytes),
				  .count = random64() >> 56,
				  .flags = RFLAGS_FIXED | RFLAGS_IF | (random64() & ARITHMETIC) };
}

static void compare(const char *name, unsigned bytes, const struct operands *in,
		    const struct operands *cpu, uint64_t result, uint64_t flags, uint64_t undefined)
{
	if (result == cpu->a && ((flags ^ cpu->flags) & ~undefined) == 0)
		return;
	fail_msg("%s %u: %llx, %llx, count %llx, flags %llx: %llx %llx, on the CPU %llx %llx", name,
		 bytes, (unsigned long long)in->a, (unsigned long long)in->b,
		 (unsigned long long)in->count, (unsigned long long)in->flags,
		 (unsigned long long)result, (unsigned long long)flags, (unsigned long long)cpu->a,
		 (unsigned long long)cpu->flags);
}

static void binaries(void **state)
{
	static const cpu_function functions[] = {
		[ALU_ADD] = cpu_add, [ALU_OR] = cpu_or,	  [ALU_ADC] = cpu_adc,
		[ALU_SBB] = cpu_sbb, [ALU_AND] = cpu_and, [ALU_SUB] = cpu_sub,
		[ALU_XOR] = cpu_xor, [ALU_CMP] = cpu_cmp, [ALU_TEST] = cpu_test,
	};

	(void)state;
	for (unsigned i = 0; i < ROUNDS * ARRAY_COUNT(functions) * 4; i++) {
		unsigned operation = i / 4 % ARRAY_COUNT(functions), bytes = 1u << (i & 3);
		struct operands in = random_operands(bytes), cpu = in;
		uint64_t flags = in.flags, result;
		bool logical = operation == ALU_OR || operation == ALU_AND ||
			       operation == ALU_XOR || operation == ALU_TEST;

		functions[operation](&cpu, bytes);
		result = alu_binary((enum alu_binary)operation, bytes, in.a, in.b, &flags);
		if (operation == ALU_CMP || operation == ALU_TEST)
			result = in.a;
		compare("binary", bytes, &in, &cpu, result, flags, logical ? RFLAGS_AF : 0);
	}
}

static void unaries(void **state)
{
	static const cpu_function functions[] = {
		[ALU_INC] = cpu_inc,
		[ALU_DEC] = cpu_dec,
		[ALU_NOT] = cpu_not,
		[ALU_NEG] = cpu_neg,
	};

	(void)state;
	for (unsigned i = 0; i < ROUNDS * ARRAY_COUNT(functions) * 4; i++) {
		unsigned operation = i / 4 % ARRAY_COUNT(functions), bytes = 1u << (i & 3);
		struct operands in = random_operands(bytes), cpu = in;
		uint64_t flags = in.flags;
		uint64_t result = alu_unary((enum alu_unary)operation, bytes, in.a, &flags);

		functions[operation](&cpu, bytes);
		compare("unary", bytes, &in, &cpu, result, flags, 0);
	}
}

/* SDM: "Flags Affected" of the shifts and rotates. */
static uint64_t undefined_after(enum alu_shift operation, unsigned bytes, uint64_t count)
{
	uint64_t undefined = 0;

	count &= bytes == 8 ? 63 : 31;
	if (count == 0)
		return 0;
	if (operation >= ALU_SHL)
		undefined |= RFLAGS_AF;
	if (count != 1)
		undefined |= RFLAGS_OF;
	if (operation >= ALU_SHL && operation != ALU_SAR && count >= 8 * bytes)
		undefined |= RFLAGS_CF;
	return undefined;
}

static void shifts(void **state)
{
	static const cpu_function functions[] = {
		[ALU_ROL] = cpu_rol, [ALU_ROR] = cpu_ror, [ALU_RCL] = cpu_rcl, [ALU_RCR] = cpu_rcr,
		[ALU_SHL] = cpu_shl, [ALU_SHR] = cpu_shr, [ALU_SAL] = cpu_shl, [ALU_SAR] = cpu_sar,
	};

	(void)state;
	for (unsigned i = 0; i < ROUNDS * ARRAY_COUNT(functions) * 4; i++) {
		unsigned operation = i / 4 % ARRAY_COUNT(functions), bytes = 1u << (i & 3);
		struct operands in = random_operands(bytes), cpu = in;
		uint64_t flags = in.flags;
		uint64_t result = alu_shift((enum alu_shift)operation, bytes, in.a,
					    (unsigned)in.count, &flags);

		functions[operation](&cpu, bytes);
		compare("shift", bytes, &in, &cpu, result, flags,
			undefined_after((enum alu_shift)operation, bytes, in.count));
	}
}

static void double_shifts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS * 6; i++) {
		unsigned bytes = 2u << (i % 3);
		bool left = (i & 8) != 0;
		struct operands in = random_operands(bytes), cpu = in;
		uint64_t flags = in.flags, result, undefined;

		if (bytes == 2) /* more has no defined result */
			in.count = cpu.count = in.count % 17;
		undefined = undefined_after(ALU_SHL, bytes, in.count);
		result = alu_shift_double(left, bytes, in.a, in.b, (unsigned)in.count, &flags);
		(left ? cpu_shld : cpu_shrd)(&cpu, bytes);
		compare("double shift", bytes, &in, &cpu, result, flags, undefined);
	}
}

static void bits(void **state)
{
	static const cpu_function functions[] = {
		[ALU_BT] = cpu_bt,
		[ALU_BTS] = cpu_bts,
		[ALU_BTR] = cpu_btr,
		[ALU_BTC] = cpu_btc,
	};

	(void)state;
	for (unsigned i = 0; i < ROUNDS * 12; i++) {
		unsigned operation = i / 3 % 4, bytes = 2u << (i % 3);
		struct operands in = random_operands(bytes), cpu = in;
		uint64_t flags = in.flags;
		uint64_t result = alu_bit((enum alu_bit)operation, in.a,
					  (unsigned)in.b & (8 * bytes - 1), &flags);

		functions[operation](&cpu, bytes);
		compare("bit", bytes, &in, &cpu, result, flags,
			RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF);
	}
}

#define SET(cc, suffix)                                                                        \
	case cc:                                                                               \
		__asm__ volatile("leaq -128(%%rsp), %%rsp; pushq %1; popfq; leaq 128(%%rsp), " \
				 "%%rsp; set" #suffix " %0"                                    \
				 : "=q"(value)                                                 \
				 : "r"(flags)                                                  \
				 : "cc", "memory");                                            \
		break

static bool cpu_condition(unsigned condition, uint64_t flags)
{
	bool value = false;

	switch (condition) {
		SET(0, o);
		SET(1, no);
		SET(2, b);
		SET(3, nb);
		SET(4, z);
		SET(5, nz);
		SET(6, be);
		SET(7, nbe);
		SET(8, s);
		SET(9, ns);
		SET(10, p);
		SET(11, np);
		SET(12, l);
		SET(13, nl);
		SET(14, le);
		SET(15, nle);
	}
	return value;
}

static void conditions(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16 * 64; i++) {
		uint64_t flags = RFLAGS_FIXED | RFLAGS_IF;

		for (unsigned flag = 0; flag < 6; flag++) {
			static const uint64_t all[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF,
							RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };

			flags |= (i >> (4 + flag) & 1) != 0 ? all[flag] : 0;
		}
		assert_int_equal(alu_condition(i & 15, flags), cpu_condition(i & 15, flags));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binaries), cmocka_unit_test(unaries),
		cmocka_unit_test(shifts),   cmocka_unit_test(double_shifts),
		cmocka_unit_test(bits),	    cmocka_unit_test(conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
