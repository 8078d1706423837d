/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/table_each.h"

#include "mm/layout.h"

#define TABLE_ENTRIES 512u

/* What is on the way down. */
struct place {
	const uint64_t *entries;
	uint64_t address;
	unsigned index;
};

/* No recursion: the host's stacks are small. */
void table_each(const struct page_table *table, table_visitor visit, void *context)
{
	struct place way[PAGE_LEVELS] = { 0 };
	unsigned level = table->format.levels - 1u;

	way[level].entries = table->root;
	for (;;) {
		struct place *place = &way[level];
		uint64_t entry, address;

		if (place->index == TABLE_ENTRIES) {
			if (++level == table->format.levels)
				return;
			continue;
		}
		entry = place->entries[place->index];
		address = place->address + place->index * page_format_entry_bytes(level);
		place->index++;
		if ((entry & table->format.present) == 0)
			continue;
		visit(context, address, level, entry);
		if (table_each_is_leaf(table, level, entry))
			continue;
		way[--level] = (struct place){
			.entries = hpa_to_ptr((hpa_t){ entry & table->format.address }),
			.address = address,
		};
	}
}
