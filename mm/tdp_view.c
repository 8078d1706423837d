/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/tdp_view.h"

#include <stddef.h>

#include "mm/layout.h"

bool tdp_view_init(struct tdp_view *view, struct pool *pool)
{
	for (unsigned level = 0; level < TDP_VIEW_LEVELS; level++) {
		view->tables[level] = pool_alloc(pool);
		view->second[level] = pool_alloc(pool);
		if (view->tables[level] == NULL || view->second[level] == NULL)
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

hpa_t tdp_view_build(struct tdp_view *view, const struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame,
		     unsigned rights, enum memtype type)
{
	const struct page_format *format = &tdp->table.format;
	unsigned level = format->levels - 1u;
	uint64_t *root = view->tables[level];

	view->gpa = gpa;
	__builtin_memcpy(root, tdp->table.root, PAGE_BYTES);
	for (; level > 0; level--) {
		uint64_t *entry = &view->tables[level][page_format_index(gpa.v, level)];

		copy_below(view->tables[level - 1], format, *entry, level - 1);
		*entry = page_format_table(format, ptr_to_hpa(view->tables[level - 1]));
	}
	view->tables[0][page_format_index(gpa.v, 0)] =
		page_format_leaf(format, frame, 0, rights, type);
	return ptr_to_hpa(root);
}

void tdp_view_add(struct tdp_view *view, const struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame,
		  unsigned rights, enum memtype type)
{
	const struct page_format *format = &tdp->table.format;
	unsigned level = format->levels - 1u;
	uint64_t *table = view->tables[level];
	bool same_way = true;

	for (; level > 0; level--) {
		uint64_t *entry = &table[page_format_index(gpa.v, level)];

		same_way = same_way &&
			   page_format_index(gpa.v, level) == page_format_index(view->gpa.v, level);
		table = same_way ? view->tables[level - 1] : view->second[level - 1];
		if (same_way)
			continue;
		copy_below(table, format, *entry, level - 1);
		*entry = page_format_table(format, ptr_to_hpa(table));
	}
	table[page_format_index(gpa.v, 0)] = page_format_leaf(format, frame, 0, rights, type);
}
