/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/monitor_walk.h"

#include "arch/x86/cr.h"
#include "core/caps.h"
#include "core/string.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"
#include "mm/page_role.h"
#include "mm/table_walk.h"

#define PDPTE_SHIFT  30u
#define PDPT_ADDRESS BITS64(31, 5)

static void add(struct monitor_walk *walk, unsigned level, bool is_leaf, uint64_t at,
		uint64_t entry)
{
	walk->entries[walk->count++] = (struct monitor_walk_entry){
		.level = (uint8_t)level, .is_leaf = is_leaf, .at = at, .entry = entry
	};
}

/* --- the guest's tables ---------------------------------------------------------------------- */

static const char *outcome_text(enum table_walk_outcome outcome)
{
	switch (outcome) {
	case TABLE_WALK_NOT_PRESENT:
		return "not present";
	case TABLE_WALK_RESERVED:
		return "a reserved bit is set";
	case TABLE_WALK_NO_MEMORY:
		return "a table lies where no memory is";
	default:
		return NULL;
	}
}

static const char *paging_name(const struct page_format *format)
{
	static const char *const names[] = { "paging is off",  "?",
					     "32-bit paging",  "PAE paging",
					     "4-level paging", "5-level paging" };

	return names[format->levels];
}

static void add_entries(struct monitor_walk *walk, const struct table_walk *done)
{
	for (unsigned level = done->top;; level--) {
		add(walk, level, level == done->leaf && walk->failure == NULL, done->at[level],
		    done->entry[level]);
		if (level == done->leaf)
			break;
	}
}

/* Its uppermost entry is in a register, and in memory where CR3 points to. */
static enum table_walk_outcome walk_pae(const struct page_format *format,
					const struct regs_sync_sregs *sregs, uint64_t address,
					struct table_walk *done, struct monitor_walk *walk)
{
	unsigned index = (unsigned)(address >> PDPTE_SHIFT) & 3;
	uint64_t pdpte = sregs->pdptr[index];
	enum table_walk_outcome outcome = table_walk_check_pdpte(format, pdpte);

	add(walk, TABLE_WALK_PDPTE_LEVEL, false,
	    (sregs->cr3 & PDPT_ADDRESS) + index * sizeof(pdpte), pdpte);
	if (outcome != TABLE_WALK_DONE)
		return outcome;
	return table_walk(format, &guest_copy_reader, pdpte, TABLE_WALK_PDPTE_LEVEL - 1, address,
			  done);
}

static struct paging_role role_of(const struct regs_sync_sregs *sregs)
{
	return (struct paging_role){ .cr0 = sregs->cr0,
				     .cr3 = sregs->cr3,
				     .cr4 = sregs->cr4,
				     .efer = sregs->efer,
				     .maxphyaddr = hv_caps.maxphyaddr,
				     .huge_pages = hv_caps.host_huge_pages,
				     .upper_bit8 = hv_caps.upper_bit8 };
}

static bool is_possible(const struct regs_sync_sregs *sregs, uint64_t address)
{
	if ((sregs->efer & EFER_LMA) == 0)
		return (address >> 32) == 0;
	return is_canonical(address, (sregs->cr4 & CR4_LA57) != 0 ? 57 : 48);
}

void monitor_walk_guest(const struct regs_sync_sregs *sregs, uint64_t address,
			struct monitor_walk *walk)
{
	const struct paging_role role = role_of(sregs);
	struct page_format format = { .role = 0 };
	struct table_walk done = { .top = 0 };
	enum table_walk_outcome outcome;

	page_role_update(&format, &role);
	*walk = (struct monitor_walk){ .kind = paging_name(&format), .address = address };
	if (!is_possible(sregs, address)) {
		walk->failure = "there is no such linear address";
		return;
	}
	if (format.levels == 0)
		return;
	done.top = done.leaf = PAGE_LEVELS; /* nothing was read */
	if (format.levels == TABLE_WALK_PDPTE_LEVEL + 1)
		outcome = walk_pae(&format, sregs, address, &done, walk);
	else
		outcome = table_walk(&format, &guest_copy_reader, sregs->cr3, format.levels - 1u,
				     address, &done);
	walk->failure = outcome_text(outcome);
	if (done.leaf < PAGE_LEVELS)
		add_entries(walk, &done);
	walk->address = done.address;
	walk->page_bytes = done.page_bytes;
}

/* --- EPT, NPT -------------------------------------------------------------------------------- */

static bool is_leaf(const struct page_format *format, unsigned level, uint64_t entry)
{
	return level == 0 || (entry & format->leaf) != 0;
}

static uint64_t frame_of(const struct page_format *format, unsigned level, uint64_t entry)
{
	return entry & format->address & ~(page_format_entry_bytes(level) - 1);
}

void monitor_walk_map(const struct tdp_mmu *tdp, uint64_t address, struct monitor_walk *walk)
{
	const struct page_format *format = &tdp->table.format;
	const uint64_t *table = tdp->table.root;
	bool is_ept = format->kind == PAGE_FORMAT_EPT;

	*walk = (struct monitor_walk){ .kind = is_ept ? "EPT" : "NPT", .is_ept = is_ept };
	if (address >= tdp->end) {
		walk->failure = "beyond the end of the map";
		return;
	}
	for (unsigned level = format->levels - 1u;; level--) {
		const uint64_t *at = table + page_format_index(address, level);
		uint64_t entry = *at, bytes = page_format_entry_bytes(level);
		bool ends = (entry & format->present) == 0;

		add(walk, level, !ends && is_leaf(format, level, entry), ptr_to_hpa(at).v, entry);
		if (ends) {
			walk->failure = "not mapped before it is touched";
			return;
		}
		if (is_leaf(format, level, entry)) {
			walk->address = frame_of(format, level, entry) | (address & (bytes - 1));
			walk->page_bytes = bytes;
			return;
		}
		table = hpa_to_ptr((hpa_t){ entry & format->address });
	}
}

/* What one entry maps, from its first byte on; false: nothing, and map->bytes is what it covers. */
static bool part_at(const struct tdp_mmu *tdp, uint64_t address, struct monitor_map *map)
{
	const struct page_format *format = &tdp->table.format;
	unsigned level;
	uint64_t entry = *page_table_entry(&tdp->table, address, &level);
	uint64_t bytes = page_format_entry_bytes(level);

	*map = (struct monitor_map){ .address = ALIGN_DOWN(address, bytes), .bytes = bytes };
	if ((entry & format->present) == 0)
		return false;
	map->frame = frame_of(format, level, entry);
	map->page_bytes = bytes;
	map->rights = page_format_rights(format, entry);
	map->type = page_format_memtype(format, entry);
	map->is_typed = tdp->typed;
	map->is_hidden = tdp_mmu_is_hidden(tdp, (gpa_t){ map->address });
	return true;
}

static bool goes_on(const struct monitor_map *map, const struct monitor_map *next)
{
	return map->page_bytes == next->page_bytes && map->rights == next->rights &&
	       map->type == next->type && map->is_hidden == next->is_hidden &&
	       (map->is_hidden || next->frame - next->address == map->frame - map->address);
}

bool monitor_walk_next(const struct tdp_mmu *tdp, uint64_t address, struct monitor_map *map)
{
	struct monitor_map next;

	for (;; address = map->address + map->bytes) {
		if (address >= tdp->end)
			return false;
		if (part_at(tdp, address, map))
			break;
	}
	for (address = map->address + map->bytes; address < tdp->end; address += next.bytes) {
		if (!part_at(tdp, address, &next) || !goes_on(map, &next))
			break;
		map->bytes += next.bytes;
	}
	return true;
}
