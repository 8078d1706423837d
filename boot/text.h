/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatting and conversion of text without any library or firmware call. */
#ifndef BOOT_TEXT_H
#define BOOT_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Write one NUL-terminated line, cut where it does not fit. Known: %s, %.*s, %c, %u, %lu, %x, %lx, %%.
 * Returns the characters written, without the NUL. `out_bytes` is at least 1.
 */
size_t text_vformat(char *out, size_t out_bytes, const char *format, va_list arguments);
size_t text_format(char *out, size_t out_bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

size_t text_bytes(const char *text);
bool text_is_equal(const char *a, const char *b);
bool text_is_utf8(const char *text, size_t bytes);

/*
 * Conversions between UTF-8 and UTF-16. Both end the result with a NUL and return false, with an
 * empty result, if it does not fit or the source is malformed.
 */
bool text_to_utf16(uint16_t *out, size_t out_units, const char *utf8);
bool text_from_utf16(char *out, size_t out_bytes, const uint16_t *units, size_t unit_count);

#endif
