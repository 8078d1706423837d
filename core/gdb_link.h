/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The framing of GDB's remote serial protocol: bytes in, whole packets out, and the other way round. A pure state
 * machine over the bytes of the line: noise, broken and over-long packets leave it where the next '$' begins a packet.
 * GDB manual: "Overview" of the remote serial protocol, "Packet Acknowledgment".
 */
#ifndef CORE_GDB_LINK_H
#define CORE_GDB_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Payload of a packet in either direction, before escaping: what PacketSize says. */
#define GDB_PACKET_BYTES 4096u

enum gdb_link_event {
	GDB_LINK_NOTHING,
	GDB_LINK_PACKET,    /* a whole one is in `in`, unescaped and terminated by a 0 */
	GDB_LINK_BROKEN,    /* one with a wrong checksum: the peer is asked to repeat it */
	GDB_LINK_OVERLONG,  /* one that does not fit, thrown away: to be answered with an error */
	GDB_LINK_INTERRUPT, /* Ctrl-C */
	GDB_LINK_REPEAT,    /* the peer wants our last packet again, and gets it */
};

enum gdb_link_state {
	GDB_LINK_IDLE,
	GDB_LINK_DATA,
	GDB_LINK_SUM_HIGH,
	GDB_LINK_SUM_LOW,
};

struct gdb_link {
	void (*put)(void *line, uint8_t byte);
	void *line;
	enum gdb_link_state state;
	bool no_ack;	/* neither side acknowledges any more (QStartNoAckMode) */
	bool escaped;	/* the byte before was the escape character */
	bool overlong;	/* the packet that comes in does not fit */
	uint8_t sum;	/* of the raw bytes so far */
	uint8_t wanted; /* high half of the checksum that came */
	uint32_t in_bytes;
	uint32_t out_bytes; /* of the last packet that was sent, 0: none yet */
	char in[GDB_PACKET_BYTES + 1];
	char out[GDB_PACKET_BYTES];
};

/* `put` sends one byte on the line; it is called with `line`. */
void gdb_link_init(struct gdb_link *link, void (*put)(void *line, uint8_t byte), void *line);

/* One byte has come. Acknowledgments are sent here. */
enum gdb_link_event gdb_link_byte(struct gdb_link *link, uint8_t byte);

/* Send a packet; at most GDB_PACKET_BYTES, the rest is cut off. It is kept until the next one, for repetition. */
void gdb_link_send(struct gdb_link *link, const char *payload, size_t bytes);

#endif
