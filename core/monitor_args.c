/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_args.h"

#include "core/hex.h"
#include "core/monitor_regs.h"

#define DEPTH_MAX 8u

static void fail(struct monitor_args *args, const char *why)
{
	if (args->why == NULL)
		args->why = why;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_end(char c)
{
	return c == '\0' || c == ' ' || c == '\t';
}

static void skip_blanks(struct monitor_args *args)
{
	while (*args->at == ' ' || *args->at == '\t')
		args->at++;
}

bool monitor_args_more(struct monitor_args *args)
{
	skip_blanks(args);
	return *args->at != '\0';
}

bool monitor_args_word(struct monitor_args *args, const char *word)
{
	const char *at;

	skip_blanks(args);
	for (at = args->at; *word != '\0'; at++, word++) {
		if (*at != *word)
			return false;
	}
	if (!is_end(*at))
		return false;
	args->at = at;
	return true;
}

/* --- numbers --------------------------------------------------------------------------------- */

static uint64_t scaled(struct monitor_args *args, uint64_t value)
{
	unsigned shift = 0;

	if (*args->at == 'k' || *args->at == 'K')
		shift = 10;
	else if (*args->at == 'm' || *args->at == 'M')
		shift = 20;
	else if (*args->at == 'g' || *args->at == 'G')
		shift = 30;
	if (shift == 0)
		return value;
	args->at++;
	if (value << shift >> shift != value)
		fail(args, "the number has more than 64 bits");
	return value << shift;
}

static uint64_t literal(struct monitor_args *args)
{
	unsigned base = 10, digits = 0;
	uint64_t value = 0, next;

	if (args->at[0] == '0' && (args->at[1] == 'x' || args->at[1] == 'X')) {
		base = 16;
		args->at += 2;
	}
	for (; hex_value(*args->at) < base; args->at++, digits++) {
		if (__builtin_mul_overflow(value, base, &next) ||
		    __builtin_add_overflow(next, hex_value(*args->at), &next)) {
			fail(args, "the number has more than 64 bits");
			return 0;
		}
		value = next;
	}
	if (digits == 0)
		fail(args, "0x is no number");
	value = scaled(args, value);
	if (hex_value(*args->at) < 16)
		fail(args, "hexadecimal numbers begin with 0x");
	else if (is_letter(*args->at) || is_digit(*args->at))
		fail(args, "that is no number");
	return value;
}

static uint64_t register_value(struct monitor_args *args)
{
	const char *name = args->at + (*args->at == '$');
	size_t bytes = 0;
	unsigned number;

	while (is_letter(name[bytes]) || is_digit(name[bytes]))
		bytes++;
	args->at = name + bytes;
	if (!monitor_reg_find(name, bytes, &number)) {
		fail(args, "there is no register of that name");
		return 0;
	}
	if (args->state == NULL) {
		fail(args, "this CPU has no registers now: it waits for a SIPI");
		return 0;
	}
	return monitor_reg_value(args->state, number);
}

static uint64_t sum(struct monitor_args *args, unsigned depth);

static uint64_t factor(struct monitor_args *args, unsigned depth)
{
	uint64_t value;

	if (*args->at == '-') {
		args->at++;
		if (depth == DEPTH_MAX) {
			fail(args, "too many signs and parentheses");
			return 0;
		}
		return 0 - factor(args, depth + 1);
	}
	if (*args->at == '(') {
		args->at++;
		if (depth == DEPTH_MAX) {
			fail(args, "too many signs and parentheses");
			return 0;
		}
		value = sum(args, depth + 1);
		if (*args->at == ')')
			args->at++;
		else
			fail(args, "a ) is missing");
		return value;
	}
	if (is_digit(*args->at))
		return literal(args);
	if (*args->at == '$' || is_letter(*args->at))
		return register_value(args);
	fail(args, is_end(*args->at) ? "a number is missing" : "that is no number");
	return 0;
}

static uint64_t product(struct monitor_args *args, unsigned depth)
{
	uint64_t value = factor(args, depth);

	while (args->why == NULL && *args->at == '*') {
		args->at++;
		value *= factor(args, depth);
	}
	return value;
}

static uint64_t sum(struct monitor_args *args, unsigned depth)
{
	uint64_t value = product(args, depth);

	while (args->why == NULL && (*args->at == '+' || *args->at == '-')) {
		bool plus = *args->at++ == '+';
		uint64_t next = product(args, depth);

		value = plus ? value + next : value - next;
	}
	return value;
}

static uint64_t expression(struct monitor_args *args)
{
	skip_blanks(args);
	if (args->why != NULL)
		return 0;
	return sum(args, 0);
}

uint64_t monitor_args_number(struct monitor_args *args)
{
	uint64_t value = expression(args);

	if (args->why == NULL && !is_end(*args->at))
		fail(args, "that is no number");
	return args->why == NULL ? value : 0;
}

uint64_t monitor_args_number_up_to(struct monitor_args *args, uint64_t last, const char *what)
{
	uint64_t value = monitor_args_number(args);

	if (value <= last)
		return value;
	fail(args, what);
	return 0;
}

void monitor_args_range(struct monitor_args *args, uint64_t *start, uint64_t *bytes)
{
	*start = expression(args);
	*bytes = 1;
	if (args->why == NULL && args->at[0] == '.' && args->at[1] == '.') {
		args->at += 2;
		*bytes = monitor_args_number(args) - *start;
	} else {
		*bytes = monitor_args_number(args);
	}
	if (args->why == NULL && (*bytes == 0 || *start + (*bytes - 1) < *start))
		fail(args, "the range is empty, or goes beyond the end");
}

const char *monitor_args_end(struct monitor_args *args)
{
	if (args->why == NULL && monitor_args_more(args))
		fail(args, "there are more words than that");
	return args->why;
}
