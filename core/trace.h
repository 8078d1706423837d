/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace: of each CPU the newest exits, in a ring that only this CPU writes. It is read while all CPUs stand still, or
 * by the CPU itself. One piece of memory is shared out among the CPUs that there are.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"
#include "core/vcpu.h"

/* Records of all CPUs together. */
#define TRACE_RECORDS 4096u

struct trace_record {
	uint64_t tsc; /* when the exit came to be handled */
	uint64_t rip;
	uint64_t detail, value; /* mean what the kind of exit says (vmexit/exit_trace.c) */
	uint32_t cycles; /* that it took to handle, 0: not yet done; at the most UINT32_MAX */
	uint8_t kind;	 /* enum exit_kind */
};

/* Once; `cpus` is between 1 and VM_MAX_CPUS. Nothing is traced yet. */
void trace_init(unsigned cpus);

/* From the next exit of each CPU on. What is in the rings stays. */
void trace_set(bool on);
bool trace_is_on(void);
/* All CPUs stand still: forget what is in the rings. */
void trace_clear(void);

/* This CPU's: a new record in the place of its oldest one, all zero. */
struct trace_record *trace_add(unsigned cpu);
/* The last one, NULL if there is none. */
struct trace_record *trace_last(unsigned cpu);

/* How many there are, and how many gave way to newer ones. */
struct trace_count {
	uint64_t kept, gone;
};
struct trace_count trace_count(void);

/* A walk over the records of all CPUs in the order of their time. */
struct trace_walk {
	uint64_t next[VM_MAX_CPUS];
};

/* Begin at the newest `records`, all of them if there are fewer. */
void trace_walk_begin(struct trace_walk *walk, uint64_t records);
/* NULL at the end. */
const struct trace_record *trace_walk_next(struct trace_walk *walk, unsigned *cpu);

/* This CPU's: its last record is complete. */
void trace_finish(unsigned cpu, uint64_t tsc);

#endif
