/* SPDX-License-Identifier: BSD-2-Clause */
/* Hexadecimal digits. */
#ifndef CORE_HEX_H
#define CORE_HEX_H

#include <stdint.h>

/* Below 16; lower case. */
static inline char hex_digit(uint64_t value)
{
	return "0123456789abcdef"[value];
}

/* Of either case; 16: that is none. */
static inline unsigned hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

#endif
