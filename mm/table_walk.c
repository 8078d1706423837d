/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/table_walk.h"

#define PSE36_SHIFT  19u /* from bits 20:13 of the entry to 39:32 of the address */

#define PDPT_ADDRESS BITS64(31, 5)
#define PDPTE_SHIFT  30u

static bool is_reserved(const struct page_format *format, uint64_t entry, unsigned level, bool leaf)
{
	return (entry & format->reserved[leaf][level]) ||
	       (format->bad_low[entry >> format->fourth & 1] >> (entry & 63) & 1);
}

static void finish(const struct page_format *format, uint64_t address, struct table_walk *walk)
{
	uint64_t entry = walk->entry[walk->leaf];
	uint64_t bytes = BIT64(PAGE_SHIFT + format->index_bits * walk->leaf);

	walk->page_bytes = bytes;
	walk->address = (entry & format->address & ~(bytes - 1)) | (address & (bytes - 1));
	if (walk->leaf > 0)
		walk->address |= (entry & format->high_address) << PSE36_SHIFT;
}

enum table_walk_outcome table_walk(const struct page_format *format,
				   const struct gva_reader *reader, uint64_t table, unsigned top,
				   uint64_t address, struct table_walk *walk)
{
	uint64_t index_mask = BIT64(format->index_bits) - 1;
	uint64_t entry;
	bool leaf;

	walk->top = top;
	walk->all = ~UINT64_C(0);
	for (unsigned level = top;; level--) {
		uint64_t index = address >> (PAGE_SHIFT + format->index_bits * level) & index_mask;
		uint64_t at = (table & format->address) + index * format->bytes_per_entry;

		if (UNLIKELY(!reader->read(reader->context, (gpa_t){ at }, format->bytes_per_entry,
					   &entry)))
			return TABLE_WALK_NO_MEMORY;
		walk->at[level] = at;
		walk->entry[level] = entry;
		walk->leaf = level;
		walk->all &= entry ^ format->inverted;
		if (UNLIKELY(!(entry & format->present)))
			return TABLE_WALK_NOT_PRESENT;
		leaf = level == 0 || (entry & format->leaf);
		if (UNLIKELY(is_reserved(format, entry, level, leaf)))
			return TABLE_WALK_RESERVED;
		if (leaf)
			break;
		table = entry;
	}
	finish(format, address, walk);
	return TABLE_WALK_DONE;
}

bool table_walk_read_pdpte(const struct gva_reader *reader, uint64_t root, uint64_t address,
			   uint64_t *pdpte)
{
	uint64_t at = (root & PDPT_ADDRESS) + (address >> PDPTE_SHIFT & 3) * sizeof(*pdpte);

	return reader->read(reader->context, (gpa_t){ at }, sizeof(*pdpte), pdpte);
}

enum table_walk_outcome table_walk_check_pdpte(const struct page_format *format, uint64_t pdpte)
{
	if (!(pdpte & format->present))
		return TABLE_WALK_NOT_PRESENT;
	if (pdpte & format->reserved[0][TABLE_WALK_PDPTE_LEVEL])
		return TABLE_WALK_RESERVED;
	return TABLE_WALK_DONE;
}

enum table_walk_outcome table_walk_mark(const struct page_format *format,
					const struct gva_reader *reader, bool write,
					const struct table_walk *walk)
{
	for (unsigned level = walk->top;; level--) {
		uint64_t wanted = walk->entry[level] | format->accessed;
		bool same = true;

		if (level == walk->leaf && write)
			wanted |= format->dirty;
		if (wanted != walk->entry[level] &&
		    !reader->exchange(reader->context, (gpa_t){ walk->at[level] },
				      format->bytes_per_entry, walk->entry[level], wanted, &same))
			return TABLE_WALK_NO_MEMORY;
		if (!same)
			return TABLE_WALK_RACE;
		if (level == walk->leaf)
			return TABLE_WALK_DONE;
	}
}
