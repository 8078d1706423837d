/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a starter hands over as load options: UCS-2 text from the Shell, GRUB and most boot managers,
 * 8-bit text or anything at all from a Boot#### variable. Pure.
 */
#ifndef BOOT_LOAD_OPTIONS_H
#define BOOT_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum load_options_kind {
	LOAD_OPTIONS_NONE,
	LOAD_OPTIONS_TEXT,
	LOAD_OPTIONS_BINARY, /* no text in any encoding that we know */
	LOAD_OPTIONS_TOO_LONG,
};

/* The text as UTF-8, NUL-terminated, in `out`, which is empty for every other kind. */
enum load_options_kind load_options_decode(const void *data, size_t bytes, char *out,
					   size_t out_bytes);

/* Whether the first word is the program's own name: the Shell passes it, others do not. */
bool load_options_begin_with_program(const char *text);

#endif
