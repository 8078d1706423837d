/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/gdb_text.h"

#include "core/hex.h"
#include "core/string.h"

static size_t left(const struct gdb_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

bool gdb_skip(struct gdb_reader *reader, const char *text)
{
	size_t bytes = 0;

	while (text[bytes] != 0)
		bytes++;
	if (left(reader) < bytes || memcmp(reader->at, text, bytes) != 0)
		return false;
	reader->at += bytes;
	return true;
}

void gdb_expect(struct gdb_reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		reader->bad = true;
	else
		reader->at++;
}

bool gdb_at_end(const struct gdb_reader *reader)
{
	return reader->at == reader->end && !reader->bad;
}

uint64_t gdb_number(struct gdb_reader *reader)
{
	uint64_t number = 0;
	unsigned count = 0;

	for (; reader->at < reader->end && hex_value(*reader->at) < 16; reader->at++, count++)
		number = number << 4 | hex_value(*reader->at);
	if (count == 0 || count > 16)
		reader->bad = true;
	return number;
}

void gdb_hex(struct gdb_reader *reader, void *to, size_t bytes)
{
	uint8_t *out = to;

	for (size_t i = 0; i < bytes; i++, reader->at += 2) {
		unsigned high, low;

		if (left(reader) < 2) {
			reader->bad = true;
			return;
		}
		high = hex_value(reader->at[0]);
		low = hex_value(reader->at[1]);
		if (high > 15 || low > 15) {
			reader->bad = true;
			return;
		}
		out[i] = (uint8_t)(high << 4 | low);
	}
}

void gdb_word(struct gdb_reader *reader, char end, char *to, size_t bytes)
{
	size_t used = 0;

	for (; reader->at < reader->end && *reader->at != end; reader->at++) {
		if (used + 1 >= bytes)
			reader->bad = true;
		else
			to[used++] = *reader->at;
	}
	to[used] = 0;
}

void gdb_put_bytes(struct gdb_writer *writer, const void *bytes, size_t count)
{
	size_t room = writer->bytes - writer->used;

	if (count > room) {
		writer->cut = true;
		count = room;
	}
	memcpy(writer->buffer + writer->used, bytes, count);
	writer->used += count;
}

void gdb_put(struct gdb_writer *writer, const char *text)
{
	for (; *text != 0; text++)
		gdb_put_bytes(writer, text, 1);
}

void gdb_put_hex(struct gdb_writer *writer, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < count; i++) {
		char pair[2] = { hex_digit(from[i] >> 4), hex_digit(from[i] & 15) };

		gdb_put_bytes(writer, pair, sizeof(pair));
	}
}

void gdb_put_number(struct gdb_writer *writer, uint64_t number)
{
	unsigned shift = 60;

	while (shift > 0 && number >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		char digit = hex_digit(number >> shift & 15);

		gdb_put_bytes(writer, &digit, 1);
		if (shift == 0)
			return;
	}
}
