/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/probe.h"

enum { COM1 = 0x3f8, LINE_STATUS = 5, CAN_SEND = 0x20, SPIN_LIMIT = 1000000 };

static uint32_t print_lock;

static void print_char(char c)
{
	for (int spins = 0; !(probe_inb(COM1 + LINE_STATUS) & CAN_SEND); spins++) {
		if (spins == SPIN_LIMIT)
			return;
	}
	probe_outb(COM1, (uint8_t)c);
}

static void print_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			print_char('\r');
		print_char(*text);
	}
}

static void print_number(uint64_t value, uint32_t base)
{
	char digits[24];
	uint32_t at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	print_text(&digits[at]);
}

/* One %: returns what follows it. */
static const char *print_one(const char *format, va_list *arguments)
{
	const bool is_long = *format == 'l';
	uint64_t value;

	format += is_long;
	switch (*format) {
	case 's':
		print_text(va_arg(*arguments, const char *));
		break;
	case 'c':
		print_char((char)va_arg(*arguments, int));
		break;
	case 'u':
	case 'x':
		value = is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, uint32_t);
		print_number(value, *format == 'u' ? 10 : 16);
		break;
	default:
		print_char('%');
		return format;
	}
	return format + 1;
}

void probe_vprint(const char *format, va_list arguments)
{
	va_list copy;

	va_copy(copy, arguments);
	while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
	while (*format) {
		const char text[2] = { *format++, 0 };

		if (text[0] == '%')
			format = print_one(format, &copy);
		else
			print_text(text);
	}
	__atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
	va_end(copy);
}

void probe_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	probe_vprint(format, arguments);
	va_end(arguments);
}
