/* SPDX-License-Identifier: BSD-2-Clause */
/* A small vsnprintf: %c %s %d %u %x with l, ll and z, width, zero padding, left alignment, and %%. */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* In a struct, as a va_list is an array on some machines and cannot be passed on by reference. */
struct format_arguments {
	va_list list;
};

/* Both always terminate `buffer` if `bytes` > 0, and return the characters stored, without the terminator. */
size_t format_string(char *buffer, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
size_t format_string_v(char *buffer, size_t bytes, const char *format,
		       struct format_arguments *arguments) __attribute__((format(printf, 3, 0)));

#endif
