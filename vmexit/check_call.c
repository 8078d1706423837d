/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/check_call.h"

#include "core/lock.h"
#include "core/vcpu.h"
#include "mm/host_map.h"
#include "mm/layout.h"
#include "mm/table_each.h"

/* FNV-1a, eight bytes at a time. */
#define SUM_BEGIN   UINT64_C(0xcbf29ce484222325)
#define SUM_PRIME   UINT64_C(0x100000001b3)
/* What the CPU itself changes. SDM: "Accessed and Dirty Flags". */
#define ENTRY_MARKS UINT64_C(0x60)

extern const uint8_t core_text_start[], core_text_end[], core_rodata_start[], core_rodata_end[];

static uint64_t add(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * SUM_PRIME;
	return sum ^ sum >> 32;
}

static uint64_t add_range(uint64_t sum, const uint8_t *start, const uint8_t *end)
{
	uint64_t value;

	for (; start < end; start += sizeof(value)) {
		__builtin_memcpy(&value, start, sizeof(value));
		sum = add(sum, value);
	}
	return sum;
}

static void add_entry(void *context, uint64_t address, unsigned level, uint64_t entry)
{
	uint64_t *sum = context;

	*sum = add(add(*sum, address | level), entry & ~ENTRY_MARKS);
}

struct search {
	const struct tdp_mmu *tdp;
	uint64_t leaks;
};

static void look_at_entry(void *context, uint64_t address, unsigned level, uint64_t entry)
{
	struct search *search = context;
	const struct page_table *table = &search->tdp->table;
	uint64_t bytes = page_format_entry_bytes(level), hpa;
	uint64_t base = layout_reservation().v, end = base + layout_reservation_bytes();
	bool is_written;

	(void)address;
	if (!table_each_is_leaf(table, level, entry))
		return;
	hpa = entry & table->format.address & ~(bytes - 1);
	is_written = (page_format_rights(&table->format, entry) & RIGHT_WRITE) != 0;
	if (hpa >= end || hpa + bytes <= base)
		return;
	search->leaks += is_written || level != 0 || hpa != ptr_to_hpa(search->tdp->ones_page).v;
}

static uint64_t count_leaks(struct vm *vm)
{
	struct search search = { .tdp = &vm->tdp };

	lock_acquire(&vm->lock);
	table_each(&vm->tdp.table, look_at_entry, &search);
	lock_release(&vm->lock);
	return search.leaks;
}

bool check_call(struct vcpu *vcpu, uint64_t *result)
{
	uint64_t sum = SUM_BEGIN;

	if (cpl_read(vcpu) != 0)
		return false;
	switch (regs_fixed_read(&vcpu->regs, REG_RCX)) {
	case CHECK_CALL_IMAGE:
		sum = add_range(sum, core_text_start, core_text_end);
		*result = add_range(sum, core_rodata_start, core_rodata_end);
		return true;
	case CHECK_CALL_HOST:
		table_each(host_map_table(), add_entry, &sum);
		*result = sum;
		return true;
	case CHECK_CALL_LEAKS:
		*result = count_leaks(vcpu->vm);
		return true;
	default:
		return false;
	}
}
