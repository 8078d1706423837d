/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/probe.h"

enum { COM1 = 0x3f8, LINE_STATUS = 5, CAN_SEND = 0x20, SPIN_LIMIT = 1000000 };

static uint32_t print_lock;

/* Where characters go: a buffer of which the last byte is kept for the end, or with NULL the serial line. */
struct sink {
	char *at, *last;
};

static void send_char(char c)
{
	for (int spins = 0; !(probe_inb(COM1 + LINE_STATUS) & CAN_SEND); spins++) {
		if (spins == SPIN_LIMIT)
			return;
	}
	probe_outb(COM1, (uint8_t)c);
}

static void print_char(struct sink *sink, char c)
{
	if (!sink->at) {
		if (c == '\n')
			send_char('\r');
		send_char(c);
	} else if (sink->at < sink->last) {
		*sink->at++ = c;
	}
}

static void print_text(struct sink *sink, const char *text)
{
	for (; *text; text++)
		print_char(sink, *text);
}

static void print_number(struct sink *sink, uint64_t value, uint32_t base)
{
	char digits[24];
	uint32_t at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	print_text(sink, &digits[at]);
}

/* One %: returns what follows it. */
static const char *print_one(struct sink *sink, const char *format, va_list *arguments)
{
	const bool is_long = *format == 'l';
	uint64_t value;

	format += is_long;
	switch (*format) {
	case 's':
		print_text(sink, va_arg(*arguments, const char *));
		break;
	case 'c':
		print_char(sink, (char)va_arg(*arguments, int));
		break;
	case 'u':
	case 'x':
		value = is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, uint32_t);
		print_number(sink, value, *format == 'u' ? 10 : 16);
		break;
	default:
		print_char(sink, '%');
		return format;
	}
	return format + 1;
}

static void print_all(struct sink *sink, const char *format, va_list arguments)
{
	va_list copy;

	va_copy(copy, arguments);
	while (*format) {
		const char c = *format++;

		if (c == '%')
			format = print_one(sink, format, &copy);
		else
			print_char(sink, c);
	}
	va_end(copy);
}

void probe_vprint(const char *format, va_list arguments)
{
	struct sink line = { NULL, NULL };

	while (__atomic_exchange_n(&print_lock, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
	print_all(&line, format, arguments);
	__atomic_store_n(&print_lock, 0, __ATOMIC_RELEASE);
}

UINTN probe_vformat(char *buffer, UINTN size, const char *format, va_list arguments)
{
	struct sink sink = { buffer, buffer + size - 1 };

	print_all(&sink, format, arguments);
	*sink.at = 0;
	return (UINTN)(sink.at - buffer);
}

void probe_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	probe_vprint(format, arguments);
	va_end(arguments);
}
