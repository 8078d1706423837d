// sources: core/gdb_stub.c core/gdb_link.c core/gdb_regs.c core/gdb_text.c core/format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes on the line: the first says whether they come as they are, or as the payloads of whole packets, one a line.
 * Whatever they are, a packet afterwards is answered.
 */
#include "core/gdb_stub.h"

#include <stdlib.h>

#include "tests/unit/fake_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct gdb_stub stub;
static struct gdb_link peer;
static unsigned answers;

static void nowhere(void *line, uint8_t byte)
{
	(void)line, (void)byte;
}

static void to_peer(void *line, uint8_t byte)
{
	(void)line;
	answers += gdb_link_byte(&peer, byte) == GDB_LINK_PACKET;
}

static void from_peer(void *line, uint8_t byte)
{
	(void)line;
	switch (gdb_link_byte(&stub.link, byte)) {
	case GDB_LINK_PACKET:
		if (gdb_stub_packet(&stub) == GDB_RESUME)
			gdb_stub_report_stop(&stub, &(struct gdb_stop){ .cpu = 1, .signal = 5 });
		break;
	case GDB_LINK_OVERLONG:
		gdb_stub_refuse_overlong(&stub);
		break;
	default:
		break;
	}
}

/* Our own sender makes the frames. */
static void send_packets(const uint8_t *data, size_t bytes)
{
	static struct gdb_link sender;

	gdb_link_init(&sender, from_peer, NULL);
	for (size_t at = 0, end; at < bytes; at = end + 1) {
		for (end = at; end < bytes && data[end] != '\n'; end++)
			;
		gdb_link_send(&sender, (const char *)data + at, end - at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes == 0)
		return 0;
	fake_target_reset();
	gdb_link_init(&peer, nowhere, NULL);
	gdb_stub_init(&stub, &fake_ops, to_peer, NULL);
	if (data[0] % 2 == 0) {
		for (size_t i = 1; i < bytes; i++)
			from_peer(NULL, data[i]);
		/* An open packet ends here at the latest. */
		send_packets((const uint8_t *)"qC", 2);
	} else {
		send_packets(data + 1, bytes - 1);
	}
	answers = 0;
	send_packets((const uint8_t *)"qC", 2);
	if (answers != 1)
		abort();
	for (unsigned i = 0; i < FAKE_RUNS; i++) {
		if (target.state[i].dirty != 0)
			abort();
	}
	return 0;
}
