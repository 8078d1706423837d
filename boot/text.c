/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/text.h"

struct text_sink {
	char *out;
	size_t room; /* without the NUL */
	size_t used;
};

static void text_put(struct text_sink *sink, char c)
{
	if (sink->used < sink->room)
		sink->out[sink->used++] = c;
}

static void text_put_string(struct text_sink *sink, const char *text, size_t limit)
{
	while (limit-- > 0 && *text != '\0')
		text_put(sink, *text++);
}

static void text_put_number(struct text_sink *sink, uint64_t value, unsigned base)
{
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	while (count > 0)
		text_put(sink, digits[--count]);
}

/* A va_list is an array here and a value elsewhere: only inside a struct can it be passed on. */
struct text_arguments {
	va_list list;
};

/* One conversion; `format` points behind the percent sign. Returns what follows it. */
static const char *text_convert(struct text_sink *sink, const char *format,
				struct text_arguments *arguments)
{
	size_t limit = SIZE_MAX;
	bool is_long = false;

	if (format[0] == '.' && format[1] == '*') {
		int precision = va_arg(arguments->list, int);

		limit = precision < 0 ? SIZE_MAX : (size_t)precision;
		format += 2;
	}
	if (*format == 'l') {
		is_long = true;
		format++;
	}
	switch (*format) {
	case 's':
		text_put_string(sink, va_arg(arguments->list, const char *), limit);
		break;
	case 'c':
		text_put(sink, (char)va_arg(arguments->list, int));
		break;
	case 'u':
	case 'x':
		text_put_number(sink,
				is_long ? va_arg(arguments->list, unsigned long)
					: va_arg(arguments->list, unsigned int),
				*format == 'u' ? 10 : 16);
		break;
	case '\0':
		return format;
	default:
		text_put(sink, *format);
		break;
	}
	return format + 1;
}

size_t text_vformat(char *out, size_t out_bytes, const char *format, va_list arguments)
{
	struct text_sink sink = { .out = out, .room = out_bytes - 1, .used = 0 };
	struct text_arguments copy;

	va_copy(copy.list, arguments);
	while (*format != '\0') {
		char c = *format++;

		if (c == '%')
			format = text_convert(&sink, format, &copy);
		else
			text_put(&sink, c);
	}
	va_end(copy.list);
	out[sink.used] = '\0';
	return sink.used;
}

size_t text_format(char *out, size_t out_bytes, const char *format, ...)
{
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	used = text_vformat(out, out_bytes, format, arguments);
	va_end(arguments);
	return used;
}

size_t text_bytes(const char *text)
{
	size_t bytes = 0;

	while (text[bytes] != '\0')
		bytes++;
	return bytes;
}

bool text_is_equal(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/*
 * Decode one character: its bytes are returned, 0 if the sequence is malformed, overlong, a surrogate
 * or beyond Unicode.
 */
static size_t text_decode(const char *text, size_t bytes, uint32_t *character)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = (uint8_t)text[0];
	size_t length = first < 0x80		 ? 1
			: (first & 0xe0) == 0xc0 ? 2
			: (first & 0xf0) == 0xe0 ? 3
			: (first & 0xf8) == 0xf0 ? 4
						 : 0;
	uint32_t value = length == 1 ? first : first & (0x7fu >> length);
	size_t i;

	if (length == 0 || length > bytes)
		return 0;
	for (i = 1; i < length; i++) {
		uint8_t next = (uint8_t)text[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (next & 0x3fu);
	}
	if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return length;
}

bool text_is_utf8(const char *text, size_t bytes)
{
	uint32_t character;

	while (bytes > 0) {
		size_t length = text_decode(text, bytes, &character);

		if (length == 0)
			return false;
		text += length;
		bytes -= length;
	}
	return true;
}

bool text_to_utf16(uint16_t *out, size_t out_units, const char *utf8)
{
	size_t bytes = text_bytes(utf8), used = 0;

	out[0] = 0;
	while (bytes > 0) {
		uint32_t character = 0;
		size_t length = text_decode(utf8, bytes, &character);
		size_t units = character > 0xffff ? 2 : 1;

		if (length == 0 || used + units >= out_units) {
			out[0] = 0;
			return false;
		}
		if (units == 2) {
			out[used++] = (uint16_t)(0xd800 + ((character - 0x10000) >> 10));
			character = 0xdc00 + ((character - 0x10000) & 0x3ff);
		}
		out[used++] = (uint16_t)character;
		utf8 += length;
		bytes -= length;
	}
	out[used] = 0;
	return true;
}

static size_t text_encode(char *out, uint32_t character)
{
	if (character < 0x80) {
		out[0] = (char)character;
		return 1;
	}
	if (character < 0x800) {
		out[0] = (char)(0xc0 | character >> 6);
		out[1] = (char)(0x80 | (character & 0x3f));
		return 2;
	}
	if (character < 0x10000) {
		out[0] = (char)(0xe0 | character >> 12);
		out[1] = (char)(0x80 | (character >> 6 & 0x3f));
		out[2] = (char)(0x80 | (character & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | character >> 18);
	out[1] = (char)(0x80 | (character >> 12 & 0x3f));
	out[2] = (char)(0x80 | (character >> 6 & 0x3f));
	out[3] = (char)(0x80 | (character & 0x3f));
	return 4;
}

/* Returns the units of one character, 0 for half a surrogate pair. */
static size_t text_decode_utf16(const uint16_t *units, size_t unit_count, uint32_t *character)
{
	*character = units[0];
	if (units[0] < 0xd800 || units[0] > 0xdfff)
		return 1;
	if (units[0] > 0xdbff || unit_count < 2 || units[1] < 0xdc00 || units[1] > 0xdfff)
		return 0;
	*character = 0x10000u + ((units[0] & 0x3ffu) << 10) + (units[1] & 0x3ffu);
	return 2;
}

bool text_from_utf16(char *out, size_t out_bytes, const uint16_t *units, size_t unit_count)
{
	size_t used = 0, i = 0;

	out[0] = '\0';
	while (i < unit_count) {
		char encoded[4];
		uint32_t character;
		size_t step = text_decode_utf16(&units[i], unit_count - i, &character);
		size_t length = text_encode(encoded, character), j;

		if (step == 0 || used + length >= out_bytes) {
			out[0] = '\0';
			return false;
		}
		for (j = 0; j < length; j++)
			out[used++] = encoded[j];
		i += step;
	}
	out[used] = '\0';
	return true;
}
