/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GDB's remote serial protocol: one packet in, its answer out. All-stop: while packets are handled every CPU of the guest
 * stands still; what resumes it is returned to the caller. What is asked of the machine is in core/gdb_target.h. GDB
 * manual: "Remote Protocol".
 */
#ifndef CORE_GDB_STUB_H
#define CORE_GDB_STUB_H

#include "core/gdb_link.h"
#include "core/gdb_target.h"
#include "core/vcpu.h"

enum gdb_verdict {
	GDB_STAY,   /* on to the next packet */
	GDB_RESUME, /* the guest goes on as `actions` say; the answer follows when it stops */
	GDB_DETACH, /* the guest goes on, nobody is attached any more */
	GDB_KILL,   /* reset the machine */
};

/* Why the guest stands still. */
struct gdb_stop {
	unsigned cpu;
	unsigned signal; /* GDB's numbers: 2 interrupted, 5 trap */
	enum {
		GDB_STOP_PLAIN,
		GDB_STOP_SOFTWARE,
		GDB_STOP_HARDWARE,
		GDB_STOP_WATCH,
	} kind;
	enum gdb_break watch; /* which kind of watchpoint, and what it met */
	uint64_t address;
};

struct gdb_stub {
	const struct gdb_target *target;
	struct gdb_link link;
	struct gdb_stop stop; /* the last one: what '?' is answered with */
	unsigned reg_cpu;     /* whose registers and memory (Hg) */
	unsigned monitor_cpu; /* of the monitor's commands: reg_cpu, or what `monitor cpu` said */
	unsigned run_cpu;     /* whom the old commands run (Hc); GDB_ALL_CPUS: all */
	bool physical;	      /* addresses are physical (monitor phys) */
	bool error_text;      /* GDB understands errors in words */
	uint8_t actions[VM_MAX_CPUS]; /* enum gdb_action, after GDB_RESUME */
	/* GDB_STEP: as long as RIP is in there; empty: one instruction. */
	struct gdb_range ranges[VM_MAX_CPUS];
	char answer[GDB_PACKET_BYTES];
};

#define GDB_ALL_CPUS UINT32_MAX

void gdb_stub_init(struct gdb_stub *stub, const struct gdb_target *target,
		   void (*put)(void *line, uint8_t byte), void *line);

/* A packet has come in stub->link.in. Sends the answer, but for GDB_RESUME. */
enum gdb_verdict gdb_stub_packet(struct gdb_stub *stub);

/* A packet that was too long for us: so it is said. */
void gdb_stub_refuse_overlong(struct gdb_stub *stub);

/* The guest has stopped: to be sent where the packet before was GDB_RESUME. */
void gdb_stub_report_stop(struct gdb_stub *stub, const struct gdb_stop *stop);
/* It has, and nothing is to be sent: GDB asks. */
void gdb_stub_note_stop(struct gdb_stub *stub, const struct gdb_stop *stop);

#endif
