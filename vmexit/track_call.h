/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hypercall by which a test in the guest has its own memory tracked and is told what was written (tests/guests/
 * track.c). All that it can do is to make writes to its own memory slow, as far as the pools of tracking go, and to have
 * records written to a page of its own.
 */
#ifndef VMEXIT_TRACK_CALL_H
#define VMEXIT_TRACK_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* RAX on input; CPL 0, else #UD. RCX is an enum track_call_operation; on output RAX is its result. */
#define HYPERCALL_TRACK UINT64_C(0x534f4c4f5654524b) /* "SOLOVTRK" */

enum track_call_operation {
	TRACK_CALL_ADD,		  /* RDX: an address in the frame. 1, or 0 if refused */
	TRACK_CALL_REMOVE,	  /* the same. 1: it was the last time */
	TRACK_CALL_REMOVE_REGION, /* RDX: address, R8: bytes. How many frames there were */
	TRACK_CALL_LOG, /* RDX: the page of RAM for this CPU's struct track_log, or 0. 1, or 0 if it cannot be */
	TRACK_CALL_LOOKUP, /* RDX: an address. TRACK_CALL_* below, or all ones if nothing is mapped */
	TRACK_CALL_REBUILDS, /* How often memory types were rebuilt since the start */
};

/* What TRACK_CALL_LOOKUP packs together: the leaf of the guest-physical map, and how often the frame was added. */
#define TRACK_CALL_LEVEL_SHIFT	0u
#define TRACK_CALL_RIGHTS_SHIFT 8u
#define TRACK_CALL_TYPE_SHIFT	16u
#define TRACK_CALL_COUNT_SHIFT	32u

enum track_record_kind {
	TRACK_RECORD_WRITTEN,
	TRACK_RECORD_ADDED,
	TRACK_RECORD_REMOVED,
	TRACK_RECORD_REGION
};

#define TRACK_RECORD_BYTES 48u
#define TRACK_LOG_RECORDS  63u

/* What was written with more bytes than fit comes in several records. */
struct track_record {
	uint64_t gpa;
	uint32_t count; /* of bytes here; of a region, pages */
	uint32_t kind;
	uint8_t bytes[TRACK_RECORD_BYTES];
};

struct track_log {
	uint64_t written; /* records so far: the next one goes to this modulo TRACK_LOG_RECORDS */
	uint64_t reserved[7];
	struct track_record records[TRACK_LOG_RECORDS];
};

_Static_assert(sizeof(struct track_log) == 4096, "one page");

/* False: #UD. */
bool track_call(struct vcpu *vcpu, uint64_t *result);

#endif
