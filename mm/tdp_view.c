/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/tdp_view.h"

#include <stddef.h>

#include "mm/layout.h"

bool tdp_view_init(struct tdp_view *view, struct pool *pool)
{
	*view = (struct tdp_view){ .used = 0 };
	for (unsigned i = 0; i < TDP_VIEW_TABLES; i++) {
		view->tables[i] = pool_alloc(pool);
		if (view->tables[i] == NULL)
			return false;
	}
	return true;
}

/* The table below `entry` of level `level` + 1, whatever that entry is: a table, a large page, or nothing. */
static void copy_below(uint64_t *to, const struct page_format *format, uint64_t entry,
		       unsigned level)
{
	uint64_t step = page_format_entry_bytes(level);
	uint64_t base = entry & format->address & ~(page_format_entry_bytes(level + 1) - 1);

	if ((entry & format->present) == 0) {
		__builtin_memset(to, 0, PAGE_BYTES);
	} else if ((entry & format->leaf) == 0) {
		__builtin_memcpy(to, hpa_to_ptr((hpa_t){ entry & format->address }), PAGE_BYTES);
	} else {
		for (unsigned i = 0; i < 512; i++)
			to[i] = page_format_leaf(format, (hpa_t){ base + i * step }, level,
						 page_format_rights(format, entry),
						 page_format_memtype(format, entry));
	}
}

/* Which of the view's own tables an entry leads to; NULL: none. */
static uint64_t *own_table(const struct tdp_view *view, const struct page_format *format,
			   uint64_t entry)
{
	for (unsigned i = 1; i < view->used; i++) {
		if (entry == page_format_table(format, ptr_to_hpa(view->tables[i])))
			return view->tables[i];
	}
	return NULL;
}

/* The view's entry for a frame, on tables of its own; NULL: there are no more of them. */
static uint64_t *find_entry(struct tdp_view *view, const struct page_format *format, gpa_t gpa)
{
	uint64_t *table = view->tables[0];

	for (unsigned level = format->levels - 1u; level > 0; level--) {
		uint64_t *entry = &table[page_format_index(gpa.v, level)];

		table = own_table(view, format, *entry);
		if (table != NULL)
			continue;
		if (view->used == TDP_VIEW_TABLES)
			return NULL;
		table = view->tables[view->used++];
		copy_below(table, format, *entry, level - 1);
		*entry = page_format_table(format, ptr_to_hpa(table));
	}
	return &table[page_format_index(gpa.v, 0)];
}

/* What the real map says about a frame, as an entry of the lowest level. */
static uint64_t real_entry(const struct tdp_mmu *tdp, gpa_t gpa)
{
	const struct page_format *format = &tdp->table.format;
	struct page_mapping mapping;

	if (!page_table_lookup(&tdp->table, gpa.v, &mapping))
		return 0;
	return page_format_leaf(format, mapping.hpa, 0, mapping.rights, mapping.type);
}

static void start_anew(struct tdp_view *view, const struct tdp_mmu *tdp)
{
	__builtin_memcpy(view->tables[0], tdp->table.root, PAGE_BYTES);
	view->used = 1;
	view->is_fresh = true;
	view->generation = tdp->generation;
}

hpa_t tdp_view_begin(struct tdp_view *view, const struct tdp_mmu *tdp)
{
	const struct page_format *format = &tdp->table.format;

	if (view->used == 0 || view->generation != tdp->generation ||
	    view->used + format->levels - 1 > TDP_VIEW_TABLES) {
		start_anew(view, tdp);
	} else {
		view->is_fresh = false;
		for (unsigned i = 0; i < view->frame_count; i++)
			*find_entry(view, format, view->frames[i]) =
				real_entry(tdp, view->frames[i]);
	}
	view->frame_count = 0;
	return ptr_to_hpa(view->tables[0]);
}

bool tdp_view_open(struct tdp_view *view, const struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame,
		   unsigned rights, enum memtype type)
{
	const struct page_format *format = &tdp->table.format;
	uint64_t *entry;

	if (view->generation != tdp->generation || view->frame_count == TDP_VIEW_FRAMES)
		return false;
	entry = find_entry(view, format, gpa);
	if (entry == NULL)
		return false;
	*entry = page_format_leaf(format, frame, 0, rights, type);
	view->frames[view->frame_count++] = gpa;
	return true;
}

bool tdp_view_is_exhausted(const struct tdp_view *view, const struct tdp_mmu *tdp)
{
	return view->generation == tdp->generation &&
	       (view->is_fresh || view->frame_count == TDP_VIEW_FRAMES);
}
