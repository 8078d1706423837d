/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading the text of a packet, and composing one. A reader that has met what it did not expect stays bad. */
#ifndef CORE_GDB_TEXT_H
#define CORE_GDB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/bits.h"

struct gdb_reader {
	const char *at, *end;
	bool bad;
};

struct gdb_writer {
	char *buffer;
	size_t bytes, used;
	bool cut; /* something did not fit */
};

/* If `text` comes next, go behind it. */
bool gdb_skip(struct gdb_reader *reader, const char *text);
/* The same for what must come. */
void gdb_expect(struct gdb_reader *reader, char c);
bool gdb_at_end(const struct gdb_reader *reader);
/* A hexadecimal number of 1 to 16 digits; bad otherwise. */
uint64_t gdb_number(struct gdb_reader *reader);
/* `bytes` bytes of two digits each; bad otherwise. */
void gdb_hex(struct gdb_reader *reader, void *to, size_t bytes);
/* Characters up to the next `end` or the end of the packet, which stays; bad if they do not fit with a 0. */
void gdb_word(struct gdb_reader *reader, char end, char *to, size_t bytes);

void gdb_put(struct gdb_writer *writer, const char *text);
void gdb_put_bytes(struct gdb_writer *writer, const void *bytes, size_t count);
void gdb_put_hex(struct gdb_writer *writer, const void *bytes, size_t count);
void gdb_put_number(struct gdb_writer *writer, uint64_t number);

#endif
