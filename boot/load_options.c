/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/load_options.h"

#include "boot/text.h"

#include <stdint.h>

#define LOAD_OPTIONS_UNITS 4096u /* longest text in UTF-16 units */

static uint16_t load_options_u16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* A line's end, as a file written by the Shell brings it along, separates words like any blank. */
static bool load_options_is_line_end(uint16_t unit)
{
	return unit == '\r' || unit == '\n';
}

static bool load_options_is_text_unit(uint16_t unit)
{
	return (unit >= 0x20 && unit != 0x7f && unit < 0xfff0) || unit == '\t' ||
	       load_options_is_line_end(unit);
}

/*
 * Some firmware passes the whole EFI_LOAD_OPTION (attributes, length of the path list, description,
 * path list) where only the data at its end belongs. Its device path must then end exactly as such
 * a list does, which no text can look like. Returns where the data begins, 0 if it is no such thing.
 */
static size_t load_options_skip_header(const uint8_t *data, size_t bytes)
{
	size_t path_bytes, at = 6;

	if (bytes < 6 + 2 + 4)
		return 0;
	path_bytes = load_options_u16(data + 4);
	while (at + 2 <= bytes && load_options_u16(data + at) != 0)
		at += 2;
	at += 2;
	if (path_bytes < 4 || at > bytes || path_bytes > bytes - at)
		return 0;
	at += path_bytes;
	if (data[at - 4] != 0x7f || data[at - 3] != 0xff || data[at - 2] != 4 || data[at - 1] != 0)
		return 0;
	return at;
}

/* ASCII keys make the second byte of UCS-2 text zero, and no 8-bit text has a zero inside. */
static enum load_options_kind load_options_decode_wide(const uint8_t *data, size_t bytes, char *out,
						       size_t out_bytes)
{
	static uint16_t units[LOAD_OPTIONS_UNITS];
	size_t count = bytes / 2, i;

	while (count > 0 && load_options_u16(data + 2 * (count - 1)) == 0)
		count--;
	if (count > LOAD_OPTIONS_UNITS)
		return LOAD_OPTIONS_TOO_LONG;
	for (i = 0; i < count; i++) {
		units[i] = load_options_u16(data + 2 * i);
		if (!load_options_is_text_unit(units[i]))
			return LOAD_OPTIONS_BINARY;
		if (load_options_is_line_end(units[i]))
			units[i] = ' ';
	}
	/* One byte of UTF-8 is the least that a unit takes, three the most. */
	if (count >= out_bytes)
		return LOAD_OPTIONS_TOO_LONG;
	if (!text_from_utf16(out, out_bytes, units, count))
		return count * 3 >= out_bytes ? LOAD_OPTIONS_TOO_LONG : LOAD_OPTIONS_BINARY;
	return LOAD_OPTIONS_TEXT;
}

static enum load_options_kind load_options_decode_narrow(const uint8_t *data, size_t bytes,
							 char *out, size_t out_bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (data[i] < 0x80 && !load_options_is_text_unit(data[i]))
			return LOAD_OPTIONS_BINARY;
	if (!text_is_utf8((const char *)data, bytes))
		return LOAD_OPTIONS_BINARY;
	if (bytes >= out_bytes)
		return LOAD_OPTIONS_TOO_LONG;
	for (i = 0; i < bytes; i++)
		out[i] = load_options_is_line_end(data[i]) ? ' ' : (char)data[i];
	out[bytes] = '\0';
	return LOAD_OPTIONS_TEXT;
}

static bool load_options_begin_with(const uint8_t *data, size_t bytes, const char *mark)
{
	size_t i;

	for (i = 0; mark[i] != '\0'; i++)
		if (i >= bytes || data[i] != (uint8_t)mark[i])
			return false;
	return true;
}

enum load_options_kind load_options_decode(const void *data, size_t bytes, char *out,
					   size_t out_bytes)
{
	const uint8_t *text = data;
	size_t used;

	out[0] = '\0';
	if (data == NULL)
		return LOAD_OPTIONS_NONE;
	used = load_options_skip_header(text, bytes);
	text += used;
	bytes -= used;
	for (used = bytes; used > 0 && text[used - 1] == 0; used--)
		;
	if (used == 0)
		return LOAD_OPTIONS_NONE;
	/* Files that became a Boot####'s data begin with the mark of their encoding. */
	if (load_options_begin_with(text, bytes, "\xff\xfe"))
		return load_options_decode_wide(text + 2, bytes - 2, out, out_bytes);
	if (load_options_begin_with(text, used, "\xef\xbb\xbf"))
		return load_options_decode_narrow(text + 3, used - 3, out, out_bytes);
	if (bytes >= 2 && text[1] == 0)
		return load_options_decode_wide(text, bytes, out, out_bytes);
	return load_options_decode_narrow(text, used, out, out_bytes);
}

static char load_options_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool load_options_begin_with_program(const char *text)
{
	static const char suffix[] = ".efi";
	char tail[4] = { 0 };
	bool is_quoted = false;
	size_t i;

	while (*text == ' ' || *text == '\t')
		text++;
	for (; *text != '\0' && (is_quoted || (*text != ' ' && *text != '\t')); text++) {
		if (*text == '=')
			return false;
		if (*text == '"') {
			is_quoted = !is_quoted;
			continue;
		}
		for (i = 0; i < 3; i++)
			tail[i] = tail[i + 1];
		tail[3] = load_options_lower(*text);
	}
	for (i = 0; i < 4; i++)
		if (tail[i] != suffix[i])
			return false;
	return true;
}
