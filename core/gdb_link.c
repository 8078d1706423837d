/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/gdb_link.h"

#include "core/hex.h"

#define BEGIN	       '$'
#define END	       '#'
#define ESCAPE	       '}'
#define ESCAPE_XOR     0x20
#define RUN	       '*' /* run-length encoding in what we would send: never begun by us, so escaped */
#define INTERRUPT_BYTE 0x03

void gdb_link_init(struct gdb_link *link, void (*put)(void *line, uint8_t byte), void *line)
{
	*link = (struct gdb_link){ .put = put, .line = line };
}

static void put(const struct gdb_link *link, char c)
{
	link->put(link->line, (uint8_t)c);
}

/* --- out --- */

static void send_last(const struct gdb_link *link)
{
	uint8_t sum = 0;

	put(link, BEGIN);
	for (uint32_t i = 0; i < link->out_bytes; i++) {
		char c = link->out[i];

		if (c == BEGIN || c == END || c == ESCAPE || c == RUN) {
			put(link, ESCAPE);
			sum = (uint8_t)(sum + ESCAPE);
			c = (char)(c ^ ESCAPE_XOR);
		}
		put(link, c);
		sum = (uint8_t)(sum + (uint8_t)c);
	}
	put(link, END);
	put(link, hex_digit(sum >> 4));
	put(link, hex_digit(sum & 15));
}

void gdb_link_send(struct gdb_link *link, const char *payload, size_t bytes)
{
	link->out_bytes = bytes < sizeof(link->out) ? (uint32_t)bytes : sizeof(link->out);
	for (uint32_t i = 0; i < link->out_bytes; i++)
		link->out[i] = payload[i];
	send_last(link);
}

/* --- in --- */

static void begin(struct gdb_link *link)
{
	link->state = GDB_LINK_DATA;
	link->in_bytes = 0;
	link->sum = 0;
	link->escaped = false;
	link->overlong = false;
}

static enum gdb_link_event outside(struct gdb_link *link, uint8_t byte)
{
	switch (byte) {
	case BEGIN:
		begin(link);
		return GDB_LINK_NOTHING;
	case INTERRUPT_BYTE:
		return GDB_LINK_INTERRUPT;
	case '-':
		if (link->no_ack || link->out_bytes == 0)
			return GDB_LINK_NOTHING;
		send_last(link);
		return GDB_LINK_REPEAT;
	default: /* '+', and noise */
		return GDB_LINK_NOTHING;
	}
}

static void take(struct gdb_link *link, uint8_t byte)
{
	link->sum = (uint8_t)(link->sum + byte);
	if (!link->escaped && byte == ESCAPE) {
		link->escaped = true;
		return;
	}
	if (link->escaped)
		byte ^= ESCAPE_XOR;
	link->escaped = false;
	if (link->in_bytes == GDB_PACKET_BYTES)
		link->overlong = true;
	else
		link->in[link->in_bytes++] = (char)byte;
}

static void inside(struct gdb_link *link, uint8_t byte)
{
	/* Unescaped it can only be the beginning: the end of the packet before was lost. */
	if (byte == BEGIN)
		begin(link);
	else if (byte == END)
		link->state = GDB_LINK_SUM_HIGH;
	else
		take(link, byte);
}

static enum gdb_link_event finish(struct gdb_link *link, bool ok)
{
	link->state = GDB_LINK_IDLE;
	if (!link->no_ack)
		put(link, ok ? '+' : '-');
	if (!ok)
		return GDB_LINK_BROKEN;
	link->in[link->in_bytes] = 0;
	return link->overlong ? GDB_LINK_OVERLONG : GDB_LINK_PACKET;
}

enum gdb_link_event gdb_link_byte(struct gdb_link *link, uint8_t byte)
{
	unsigned digit = hex_value((char)byte);

	switch (link->state) {
	case GDB_LINK_IDLE:
		return outside(link, byte);
	case GDB_LINK_DATA:
		inside(link, byte);
		return GDB_LINK_NOTHING;
	case GDB_LINK_SUM_HIGH:
		if (digit < 16) {
			link->wanted = (uint8_t)(digit << 4);
			link->state = GDB_LINK_SUM_LOW;
			return GDB_LINK_NOTHING;
		}
		break;
	case GDB_LINK_SUM_LOW:
		if (digit < 16)
			return finish(link, (link->wanted | digit) == link->sum);
		break;
	}
	/* No checksum: the byte may begin the repetition. */
	(void)finish(link, false);
	if (byte == BEGIN)
		begin(link);
	return GDB_LINK_BROKEN;
}
