/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/format.h"

#include <stdbool.h>
#include <stdint.h>

struct sink {
	char *buffer;
	size_t bytes;
	size_t used;
};

struct spec {
	unsigned width;
	bool zero, left;
	unsigned longs;
};

static void sink_put(struct sink *sink, char c)
{
	if (sink->used + 1 < sink->bytes)
		sink->buffer[sink->used++] = c;
}

static void sink_pad(struct sink *sink, char c, size_t used, size_t width)
{
	for (; used < width; used++)
		sink_put(sink, c);
}

static void put_text(struct sink *sink, const struct spec *spec, const char *text, size_t length)
{
	if (!spec->left)
		sink_pad(sink, ' ', length, spec->width);
	for (size_t i = 0; i < length; i++)
		sink_put(sink, text[i]);
	if (spec->left)
		sink_pad(sink, ' ', length, spec->width);
}

static void put_number(struct sink *sink, const struct spec *spec, uint64_t value, unsigned base,
		       bool negative)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (spec->zero && !spec->left) {
		size_t width = spec->width > sizeof(digits) - 1 ? sizeof(digits) - 1 : spec->width;

		while (sizeof(digits) - at + (negative ? 1 : 0) < width)
			digits[--at] = '0';
	}
	if (negative)
		digits[--at] = '-';
	put_text(sink, spec, digits + at, sizeof(digits) - at);
}

/* The analyzer does not see that the list was started by the caller's caller. */
/* NOLINTBEGIN(clang-analyzer-valist.Uninitialized) */
static uint64_t take_unsigned(struct format_arguments *arguments, unsigned longs)
{
	return longs != 0 ? va_arg(arguments->list, unsigned long long)
			  : va_arg(arguments->list, unsigned);
}

static int64_t take_signed(struct format_arguments *arguments, unsigned longs)
{
	return longs != 0 ? va_arg(arguments->list, long long) : va_arg(arguments->list, int);
}

static const char *parse_spec(const char *format, struct spec *spec)
{
	for (;; format++) {
		if (*format == '0')
			spec->zero = true;
		else if (*format == '-')
			spec->left = true;
		else
			break;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		spec->width = spec->width * 10 + (unsigned)(*format - '0');
	for (; *format == 'l' || *format == 'z'; format++)
		spec->longs++;
	return format;
}

static void put_string(struct sink *sink, const struct spec *spec, const char *text)
{
	size_t length = 0;

	if (text == NULL)
		text = "(null)";
	while (text[length] != '\0')
		length++;
	put_text(sink, spec, text, length);
}

static void put_argument(struct sink *sink, const struct spec *spec, char conversion,
			 struct format_arguments *arguments)
{
	int64_t number;
	char c;

	switch (conversion) {
	case 'd':
		number = take_signed(arguments, spec->longs);
		put_number(sink, spec, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10,
			   number < 0);
		break;
	case 'u':
		put_number(sink, spec, take_unsigned(arguments, spec->longs), 10, false);
		break;
	case 'x':
		put_number(sink, spec, take_unsigned(arguments, spec->longs), 16, false);
		break;
	case 's':
		put_string(sink, spec, va_arg(arguments->list, const char *));
		break;
	case 'c':
		c = (char)va_arg(arguments->list, int);
		put_text(sink, spec, &c, 1);
		break;
	default:
		sink_put(sink, conversion);
		break;
	}
}

/* NOLINTEND(clang-analyzer-valist.Uninitialized) */

size_t format_string_v(char *buffer, size_t bytes, const char *format,
		       struct format_arguments *arguments)
{
	struct sink sink = { buffer, bytes, 0 };

	for (; *format != '\0'; format++) {
		struct spec spec = { 0 };

		if (*format != '%') {
			sink_put(&sink, *format);
			continue;
		}
		format = parse_spec(format + 1, &spec);
		if (*format == '\0')
			break;
		put_argument(&sink, &spec, *format, arguments);
	}
	if (bytes > 0)
		buffer[sink.used] = '\0';
	return sink.used;
}

size_t format_string(char *buffer, size_t bytes, const char *format, ...)
{
	struct format_arguments arguments;
	size_t used;

	va_start(arguments.list, format);
	used = format_string_v(buffer, bytes, format, &arguments);
	va_end(arguments.list);
	return used;
}
