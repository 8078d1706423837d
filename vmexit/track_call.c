/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/track_call.h"

#include <stddef.h>

#include "core/lock.h"
#include "core/vcpu.h"
#include "mm/guest_copy.h"
#include "vmexit/memtype_change.h"
#include "vmexit/track.h"

/* Each CPU's own, as its notifications are. */
struct log {
	uint64_t gpa;
	uint64_t written;
};

static struct log logs[VM_MAX_CPUS];

#if CONFIG_PAGE_TRACK

static void put(struct log *log, const struct track_record *record)
{
	uint64_t at = log->gpa + offsetof(struct track_log, records) +
		      log->written % TRACK_LOG_RECORDS * sizeof(*record);

	if (!guest_copy_out((gpa_t){ at }, record, sizeof(*record)))
		return;
	log->written++;
	(void)!guest_copy_out((gpa_t){ log->gpa }, &log->written, sizeof(log->written));
}

static void note(uint32_t cpu, enum track_record_kind kind, gpa_t gpa, uint32_t count)
{
	struct track_record record = { .gpa = gpa.v, .count = count, .kind = kind };

	if (logs[cpu].gpa != 0)
		put(&logs[cpu], &record);
}

static void note_written(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa,
			 const uint8_t *bytes, unsigned byte_count)
{
	struct track_record record = { .kind = TRACK_RECORD_WRITTEN };

	(void)self;
	while (logs[cpu].gpa != 0 && byte_count > 0) {
		unsigned part = byte_count < TRACK_RECORD_BYTES ? byte_count : TRACK_RECORD_BYTES;

		record.gpa = gpa.v;
		record.count = part;
		__builtin_memcpy(record.bytes, bytes, part);
		put(&logs[cpu], &record);
		gpa.v += part;
		bytes += part;
		byte_count -= part;
	}
}

static void note_added(struct page_track_notifier *self, uint32_t cpu, gpa_t frame)
{
	(void)self;
	note(cpu, TRACK_RECORD_ADDED, frame, 0);
}

static void note_removed(struct page_track_notifier *self, uint32_t cpu, gpa_t frame)
{
	(void)self;
	note(cpu, TRACK_RECORD_REMOVED, frame, 0);
}

static void note_region(struct page_track_notifier *self, uint32_t cpu, gpa_t start, uint64_t bytes)
{
	(void)self;
	note(cpu, TRACK_RECORD_REGION, start, (uint32_t)(bytes / PAGE_BYTES));
}

static struct page_track_notifier notifier = {
	.added = note_added,
	.removed = note_removed,
	.written = note_written,
	.region_removed = note_region,
};

#else

static struct page_track_notifier notifier;

#endif

/* Only who asks for it pays for it. */
static void listen(struct vm *vm)
{
	static bool is_listening;

	lock_acquire(&vm->lock);
	if (!is_listening)
		page_track_register(&vm->track, &notifier);
	is_listening = true;
	lock_release(&vm->lock);
}

static bool set_log(const struct vcpu *vcpu, uint64_t gpa)
{
	static const struct track_log empty;
	struct log *log = &logs[vcpu->index];

	*log = (struct log){ 0 };
	if (gpa == 0)
		return true;
	if ((gpa & (PAGE_BYTES - 1)) != 0 || !guest_copy_out((gpa_t){ gpa }, &empty, sizeof(empty)))
		return false;
	log->gpa = gpa;
	return true;
}

static uint64_t lookup(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	struct page_mapping mapping = { .level = 0 };
	uint64_t count;
	bool is_mapped;

	lock_acquire(&vm->lock);
	is_mapped = page_table_lookup(&vm->tdp.table, gpa.v, &mapping);
	count = page_track_count(&vm->track, gpa);
	lock_release(&vm->lock);
	if (!is_mapped)
		return ~UINT64_C(0);
	return (uint64_t)mapping.level << TRACK_CALL_LEVEL_SHIFT |
	       (uint64_t)mapping.rights << TRACK_CALL_RIGHTS_SHIFT |
	       (uint64_t)mapping.type << TRACK_CALL_TYPE_SHIFT | count << TRACK_CALL_COUNT_SHIFT;
}

bool track_call(struct vcpu *vcpu, uint64_t *result)
{
	uint64_t address = regs_fixed_read(&vcpu->regs, REG_RDX);
	gpa_t gpa = { address };

	if (cpl_read(vcpu) != 0)
		return false;
	switch (regs_fixed_read(&vcpu->regs, REG_RCX)) {
	case TRACK_CALL_ADD:
		listen(vcpu->vm);
		*result = track_add(vcpu, gpa);
		return true;
	case TRACK_CALL_REMOVE:
		*result = track_remove(vcpu, gpa);
		return true;
	case TRACK_CALL_REMOVE_REGION:
		*result = track_remove_region(vcpu, gpa, regs_fixed_read(&vcpu->regs, REG_R8));
		return true;
	case TRACK_CALL_LOG:
		*result = set_log(vcpu, address);
		return true;
	case TRACK_CALL_LOOKUP:
		*result = lookup(vcpu, gpa);
		return true;
	case TRACK_CALL_REBUILDS:
		*result = memtype_rebuilds();
		return true;
	default:
		return false;
	}
}
