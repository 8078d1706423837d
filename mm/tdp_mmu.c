/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Below eager_end everything is mapped at start and pages come from the main pool. Above it, a "slot" is what one
 * table of the largest leaves covers (512 GiB, or 1 GiB without 1 GiB pages): mapped as a whole on first touch and
 * taken back as a whole. The two parts never exchange pages, so nothing that was protected can be taken back.
 */
#include "mm/tdp_mmu.h"

#include <stddef.h>

#include "mm/layout.h"

/* Pages of the high pool for slots whose types or rights are not uniform in each of their largest pages. */
#define HIGH_SPLIT_TABLES 8u
/* Giving up after so many steps bounds the time that odd MTRRs (masks with holes) can cost; the leaf is UC then. */
#define UNIFORM_STEPS	  4096u

static uint64_t slot_bytes(const struct tdp_mmu *tdp)
{
	return page_format_entry_bytes(tdp->table.format.max_leaf_level + 1u);
}

/* Tables on the way to one slot that no other slot may share: its own and those above it, without the root. */
static uint64_t slot_tables(const struct page_format *format)
{
	return format->levels - 1u - format->max_leaf_level;
}

/* What every function that changes entries ends with. */
static void note_change(struct tdp_mmu *tdp, uint64_t start, uint64_t bytes, bool changed)
{
	tdp->generation++;
	if (changed)
		flush_model_changed(&tdp->model, start, start + (bytes - 1));
}

static uint64_t lower_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The type of [start, end) if it has only one. */
static bool uniform_type(const struct tdp_mmu *tdp, uint64_t start, uint64_t end,
			 enum memtype *type)
{
	uint64_t next;

	*type = MEMTYPE_WB;
	if (!tdp->typed)
		return true;
	*type = mtrr_range(&tdp->mtrr, start, &next);
	for (unsigned steps = 0; next < end; steps++) {
		if (steps == UNIFORM_STEPS || mtrr_range(&tdp->mtrr, next, &next) != *type)
			return false;
	}
	return true;
}

/* --- types in place ------------------------------------------------------------------------------- */

/* How far the leaf goes whose type is being set, and whether a page may be taken to split it. */
struct retype {
	struct page_table *table;
	bool changed;
};

static bool split(struct retype *retype, uint64_t address)
{
	return page_table_split(retype->table, address, &retype->changed);
}

/* Sets the type of the leaf at `address`, after splitting it if need be. Returns where the next one starts. */
static uint64_t retype_leaf(const struct tdp_mmu *tdp, struct retype *retype, uint64_t address)
{
	const struct page_format *format = &retype->table->format;
	unsigned level;
	uint64_t *entry = page_table_entry(retype->table, address, &level);
	uint64_t bytes = page_format_entry_bytes(level);
	uint64_t hpa = *entry & format->address;
	enum memtype type;

	/* By the frame, not the address: one that leads elsewhere has the type of where it leads. */
	if (!uniform_type(tdp, hpa, hpa + bytes, &type)) {
		if (level > 0 && *entry != 0 && split(retype, address))
			return address;
		type = MEMTYPE_UC;
	}
	if (*entry != 0)
		page_table_store(retype->table, entry, page_format_with_type(format, *entry, type),
				 &retype->changed);
	return ALIGN_DOWN(address, bytes) + bytes;
}

static void retype_range(const struct tdp_mmu *tdp, struct retype *retype, uint64_t first,
			 uint64_t end)
{
	uint64_t start = first;

	while (start < end) {
		gpa_t gpa = { start };

		if (tdp_mmu_is_hidden(tdp, gpa))
			start = ALIGN_DOWN(start, LARGE_PAGE_BYTES) + LARGE_PAGE_BYTES;
		else
			start = retype_leaf(tdp, retype, start);
	}
	page_table_merge(retype->table, first, end - first, &retype->changed);
}

bool tdp_mmu_set_types(struct tdp_mmu *tdp, const struct mtrr_state *mtrr)
{
	struct retype low = { .table = &tdp->table };
	struct retype high = { .table = &tdp->high_table };

	if (!tdp->typed)
		return false;
	tdp->mtrr = *mtrr;
	retype_range(tdp, &low, 0, tdp->eager_end);
	for (unsigned i = 0; i < tdp->high_count; i++) {
		uint64_t slot = tdp->high_slots[i];

		retype_range(tdp, &high, slot, lower_of(slot + slot_bytes(tdp), tdp->end));
	}
	note_change(tdp, 0, tdp->end, low.changed || high.changed);
	return low.changed || high.changed;
}

/* --- start ---------------------------------------------------------------------------------------- */

static bool map_identity(struct tdp_mmu *tdp, uint64_t start, uint64_t end, enum memtype type)
{
	bool changed = false;

	return page_table_map(&tdp->table, start, (hpa_t){ start }, end - start, RIGHT_ALL, type,
			      &changed);
}

/* Large pages that are uniform, as long a run of them as there is, and smaller ones where the type changes. */
static bool map_eager(struct tdp_mmu *tdp)
{
	uint64_t start = 0;

	while (start < tdp->eager_end) {
		enum memtype type = MEMTYPE_WB, next_type;
		uint64_t end = tdp->eager_end, next;

		if (tdp->typed) {
			type = mtrr_range(&tdp->mtrr, start, &end);
			for (next = end; next < tdp->eager_end; end = next) {
				next_type = mtrr_range(&tdp->mtrr, end, &next);
				if (next_type != type)
					break;
			}
		}
		end = lower_of(end, tdp->eager_end);
		if (!map_identity(tdp, start, end, type))
			return false;
		start = end;
	}
	return true;
}

static bool make_hidden_table(struct tdp_mmu *tdp)
{
	const struct page_format *format = &tdp->table.format;

	tdp->hidden_table = pool_alloc(tdp->pool);
	tdp->ones_page = pool_alloc(tdp->pool);
	if (tdp->hidden_table == NULL || tdp->ones_page == NULL)
		return false;
	__builtin_memset(tdp->ones_page, 0xff, PAGE_BYTES);
	for (unsigned i = 0; i < PAGE_BYTES / sizeof(uint64_t); i++)
		tdp->hidden_table[i] = page_format_leaf(format, ptr_to_hpa(tdp->ones_page), 0,
							RIGHT_READ | RIGHT_EXEC, MEMTYPE_WB);
	return true;
}

/* Pages that slots still to come may need in the worst case. */
static void set_reserve(struct tdp_mmu *tdp)
{
	tdp->high_table.reserve =
		(TDP_HIGH_TABLES + 1 - tdp->high_count) * slot_tables(&tdp->table.format);
}

static void set_ends(struct tdp_mmu *tdp, const struct page_format *format, uint64_t eager_end,
		     uint64_t end)
{
	uint64_t reach = BIT64(PAGE_SHIFT + 9u * format->levels);
	uint64_t slot = page_format_entry_bytes(format->max_leaf_level + 1u);

	tdp->end = lower_of(end, reach);
	/* At least one slot, so that no table above it belongs to the high part alone. */
	eager_end = eager_end == 0 ? slot : ALIGN_UP(eager_end, slot);
	tdp->eager_end = lower_of(eager_end, tdp->end);
}

bool tdp_mmu_init(struct tdp_mmu *tdp, const struct page_format *format, struct pool *pool,
		  const struct mtrr_state *mtrr, uint64_t eager_end, uint64_t end)
{
	uint64_t high_pages = (TDP_HIGH_TABLES + 1) * slot_tables(format) + HIGH_SPLIT_TABLES;

	__builtin_memset(tdp, 0, sizeof(*tdp));
	set_ends(tdp, format, eager_end, end);
	tdp->pool = pool;
	tdp->typed = mtrr != NULL;
	if (tdp->typed)
		tdp->mtrr = *mtrr;
	if (tdp->eager_end == tdp->end)
		high_pages = 0;
	if (!pool_carve(&tdp->high, "tdp high", pool, high_pages))
		return false;
	if (!page_table_init(&tdp->table, format, pool) || !make_hidden_table(tdp) ||
	    !map_eager(tdp))
		return false;
	tdp->table.merges = true;
	tdp->high_table = tdp->table;
	tdp->high_table.pool = &tdp->high;
	set_reserve(tdp);
	return true;
}

/* --- hiding ---------------------------------------------------------------------------- */

bool tdp_mmu_hide(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes)
{
	bool changed = false;

	if (tdp->hidden_count == TDP_HIDDEN_RANGES || gpa.v >= tdp->eager_end ||
	    bytes > tdp->eager_end - gpa.v)
		return false;
	if (!page_table_link_shared_range(&tdp->table, gpa.v, bytes, tdp->hidden_table, &changed))
		return false;
	tdp->hidden[tdp->hidden_count++] = (struct tdp_hidden){ gpa.v, gpa.v + bytes };
	note_change(tdp, gpa.v, bytes, changed);
	return true;
}

bool tdp_mmu_is_hidden(const struct tdp_mmu *tdp, gpa_t gpa)
{
	for (unsigned i = 0; i < tdp->hidden_count; i++) {
		if (gpa.v >= tdp->hidden[i].base && gpa.v < tdp->hidden[i].end)
			return true;
	}
	return false;
}

/* --- first touch ---------------------------------------------------------------------------------- */

/* A slot gives its tables back, but they are not used again before the next touch: all flush between. */
static void take_back(struct tdp_mmu *tdp, uint64_t slot)
{
	uint64_t bytes = lower_of(slot_bytes(tdp), tdp->end - slot);
	bool changed = false;

	if (!page_table_unmap(&tdp->high_table, slot, bytes, &changed))
		mm_panic("tdp_mmu: a slot cannot be taken back");
}

static bool note_slot(struct tdp_mmu *tdp, uint64_t slot)
{
	if (tdp->high_count < TDP_HIGH_TABLES) {
		tdp->high_slots[tdp->high_count++] = slot;
		return false;
	}
	while (tdp->high_pinned[tdp->high_next]) /* never all of them */
		tdp->high_next = (tdp->high_next + 1) % TDP_HIGH_TABLES;
	take_back(tdp, tdp->high_slots[tdp->high_next]);
	tdp->high_slots[tdp->high_next] = slot;
	tdp->high_next = (tdp->high_next + 1) % TDP_HIGH_TABLES;
	return true;
}

static void map_slot(struct tdp_mmu *tdp, uint64_t slot, bool *changed)
{
	uint64_t bytes = lower_of(slot_bytes(tdp), tdp->end - slot);
	struct retype retype = { .table = &tdp->high_table };
	enum memtype type;
	bool uniform = uniform_type(tdp, slot, slot + bytes, &type);

	tdp->high_table.reserve = 0; /* this is what it was for */
	if (!page_table_map(&tdp->high_table, slot, (hpa_t){ slot }, bytes, RIGHT_ALL,
			    uniform ? type : MEMTYPE_UC, changed))
		mm_panic("tdp_mmu: the high pool was counted wrong");
	set_reserve(tdp);
	if (!uniform)
		retype_range(tdp, &retype, slot, slot + bytes);
	*changed |= retype.changed;
}

enum tdp_touch tdp_mmu_touch(struct tdp_mmu *tdp, gpa_t gpa)
{
	struct page_mapping mapping;
	bool flush = false;
	uint64_t slot;

	if (gpa.v < tdp->eager_end || gpa.v >= tdp->end)
		return TDP_TOUCH_REFUSED;
	if (page_table_lookup(&tdp->high_table, gpa.v, &mapping))
		return TDP_TOUCH_MAPPED; /* another CPU was faster */
	slot = ALIGN_DOWN(gpa.v, slot_bytes(tdp));
	flush = note_slot(tdp, slot);
	map_slot(tdp, slot, &flush);
	note_change(tdp, 0, tdp->end, flush);
	return flush ? TDP_TOUCH_RECYCLED : TDP_TOUCH_MAPPED;
}

/* --- changes --------------------------------------------------------------------------------------- */

static bool may_change(const struct tdp_mmu *tdp, uint64_t start, uint64_t bytes)
{
	uint64_t end = start < tdp->eager_end ? tdp->eager_end : tdp->end;

	if (((start | bytes) & (PAGE_BYTES - 1)) != 0 || bytes == 0 || start >= end ||
	    bytes > end - start)
		return false;
	for (unsigned i = 0; i < tdp->hidden_count; i++) {
		if (start < tdp->hidden[i].end && start + bytes > tdp->hidden[i].base)
			return false;
	}
	return true;
}

static bool *pin_of(struct tdp_mmu *tdp, uint64_t slot)
{
	for (unsigned i = 0; i < tdp->high_count; i++) {
		if (tdp->high_slots[i] == slot)
			return &tdp->high_pinned[i];
	}
	return NULL;
}

static unsigned pinned_count(const struct tdp_mmu *tdp)
{
	unsigned count = 0;

	for (unsigned i = 0; i < tdp->high_count; i++)
		count += tdp->high_pinned[i];
	return count;
}

/* Above eager_end a range lies in one slot, which is mapped first and stays as long as it is not the plain identity. */
static bool pin(struct tdp_mmu *tdp, uint64_t start, uint64_t bytes, bool *changed)
{
	uint64_t slot = ALIGN_DOWN(start, slot_bytes(tdp));
	bool *pinned = pin_of(tdp, slot);

	if (bytes > slot + slot_bytes(tdp) - start)
		return false;
	if (pinned == NULL || !*pinned) {
		if (pinned_count(tdp) == TDP_HIGH_PINNED)
			return false;
		*changed |= tdp_mmu_touch(tdp, (gpa_t){ start }) == TDP_TOUCH_RECYCLED;
		pinned = pin_of(tdp, slot);
	}
	*pinned = true;
	return true;
}

static bool is_plain(const struct tdp_mmu *tdp, uint64_t start, uint64_t end)
{
	while (start < end) {
		struct page_mapping mapping;

		if (!page_table_lookup(&tdp->high_table, start, &mapping) ||
		    mapping.hpa.v != start || mapping.rights != RIGHT_ALL)
			return false;
		start += page_format_entry_bytes(mapping.level);
	}
	return true;
}

static void unpin(struct tdp_mmu *tdp, uint64_t start)
{
	uint64_t slot = ALIGN_DOWN(start, slot_bytes(tdp));

	*pin_of(tdp, slot) = !is_plain(tdp, slot, lower_of(slot + slot_bytes(tdp), tdp->end));
}

/* The tables that a change of a range is made in; NULL: it may not be. */
static struct page_table *begin_change(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes,
				       bool *changed)
{
	if (!may_change(tdp, gpa.v, bytes))
		return NULL;
	if (gpa.v < tdp->eager_end)
		return &tdp->table;
	return pin(tdp, gpa.v, bytes, changed) ? &tdp->high_table : NULL;
}

static bool end_change(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, bool ok, bool changed)
{
	if (gpa.v >= tdp->eager_end)
		unpin(tdp, gpa.v);
	if (ok)
		note_change(tdp, gpa.v, bytes, changed);
	return ok;
}

bool tdp_mmu_protect(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, unsigned rights, bool *changed)
{
	struct page_table *table = begin_change(tdp, gpa, bytes, changed);
	bool ok;

	if (table == NULL)
		return false;
	ok = page_table_protect(table, gpa.v, bytes, rights, changed);
	return end_change(tdp, gpa, bytes, ok, *changed);
}

bool tdp_mmu_unmap(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, bool *changed)
{
	struct page_table *table = begin_change(tdp, gpa, bytes, changed);
	bool ok;

	if (table == NULL)
		return false;
	ok = page_table_unmap(table, gpa.v, bytes, changed);
	return end_change(tdp, gpa, bytes, ok, *changed);
}

bool tdp_mmu_map(struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame, uint64_t bytes, unsigned rights,
		 bool *changed)
{
	struct page_table *table = begin_change(tdp, gpa, bytes, changed);
	struct retype retype = { .table = table };
	enum memtype type;
	bool ok, uniform;

	if (table == NULL)
		return false;
	uniform = uniform_type(tdp, frame.v, frame.v + bytes, &type);
	ok = page_table_map(table, gpa.v, frame, bytes, rights, uniform ? type : MEMTYPE_UC,
			    changed);
	if (ok && !uniform)
		retype_range(tdp, &retype, gpa.v, gpa.v + bytes);
	*changed |= retype.changed;
	return end_change(tdp, gpa, bytes, ok, *changed);
}

bool tdp_mmu_allows(const struct tdp_mmu *tdp, gpa_t gpa, unsigned rights)
{
	struct page_mapping mapping;

	return page_table_lookup(&tdp->table, gpa.v, &mapping) &&
	       (mapping.rights & rights) == rights;
}

void tdp_mmu_flushed(struct tdp_mmu *tdp)
{
	if (tdp->table.retired == NULL && tdp->high_table.retired == NULL)
		return;
	flush_model_rely(&tdp->model, 0, ~UINT64_C(0));
	page_table_release(&tdp->table);
	page_table_release(&tdp->high_table);
}
