/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of the machine below it, beyond what the GDB stub asks (core/gdb_target.h). All CPUs of the guest
 * stand still while a command runs.
 */
#ifndef CORE_MONITOR_TARGET_H
#define CORE_MONITOR_TARGET_H

#include <stddef.h>

#include "core/gdb_target.h"
#include "core/trace.h"
#include "mm/page_format.h"

/* How an address was translated: the entries from the uppermost one on, down to the one that maps a page or fails. */
struct monitor_walk {
	struct monitor_walk_entry {
		uint8_t level; /* counted from the leaf: 0 maps 4 KiB */
		bool is_leaf;
		uint64_t at; /* where it is */
		uint64_t entry;
	} entries[PAGE_LEVELS];
	unsigned count;
	const char *kind;    /* what tables they are */
	bool is_ept;	     /* what the bits of an entry mean */
	const char *failure; /* NULL: it has this translation */
	uint64_t address;
	uint64_t page_bytes;
};

/* A part of the guest-physical map in which everything is alike. */
struct monitor_map {
	uint64_t address, bytes;
	uint64_t frame; /* behind the first byte */
	uint64_t page_bytes;
	unsigned rights;
	enum memtype type;
	bool is_typed;	/* EPT: the type is in the map */
	bool is_hidden; /* all its frames are one page of 0xff */
};

/* A range whose writes are counted. */
struct monitor_track {
	uint64_t gpa, bytes;
	uint64_t writes;
	unsigned cpu; /* the last one */
	uint64_t written_gpa;
	unsigned written_bytes;
	uint8_t first[8]; /* bytes of it */
};

struct monitor_target {
	const struct gdb_target *gdb;

	const char *(*machine)(void); /* a few words on what it runs on */
	uint32_t (*apic_id)(unsigned cpu);
	uint64_t (*now)(void); /* TSC */
	uint32_t (*tsc_khz)(void);

	/* RDMSR and WRMSR as this CPU's guest would execute them. False: #GP, and nothing has changed. */
	bool (*msr)(unsigned cpu, uint32_t msr, bool write, uint64_t *value);
	/* Memory whoever it belongs to. Returns how many bytes are there from the first on. */
	size_t (*read_hpa)(uint64_t hpa, void *to, size_t bytes);
	/* By the CPU's own page tables; or a guest-physical address by EPT or NPT. */
	void (*walk)(unsigned cpu, bool nested, uint64_t address, struct monitor_walk *walk);
	/* The part that begins at `address` or is the next one behind it. False: none. */
	bool (*map)(uint64_t address, struct monitor_map *map);

	uint64_t (*exits)(unsigned cpu, unsigned kind);
	const char *(*exit_name)(unsigned kind); /* NULL behind the last */
	void (*describe_exit)(const struct trace_record *record, char *text, size_t bytes);

	/* NULL, or why not. */
	const char *(*track)(uint64_t gpa, uint64_t bytes);
	void (*untrack_all)(void);
	bool (*tracked)(unsigned number, struct monitor_track *track);

	/* Text of the log from *at on (0: the oldest), which goes on. Returns how many bytes, 0 at the end. */
	size_t (*log)(uint32_t *at, char *text, size_t bytes);

	/* Do not return, but for the reason why they cannot be done. */
	const char *(*reset)(void);
	const char *(*power_off)(void);
};

#endif
