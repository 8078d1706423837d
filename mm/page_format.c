/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/page_format.h"

#include "mm/page_entry.h"

#define EPT_KEPT BIT64(11) /* ignored by the CPU: tells an entry without rights from an empty one */

void page_format_init(struct page_format *format, enum page_format_kind kind, unsigned levels,
		      unsigned max_leaf_level, unsigned maxphyaddr)
{
	*format = (struct page_format){
		.kind = kind,
		.levels = (uint8_t)levels,
		.max_leaf_level = (uint8_t)max_leaf_level,
		.address = BITS64((maxphyaddr < 52 ? maxphyaddr : 52) - 1, PAGE_SHIFT),
	};
	if (kind == PAGE_FORMAT_EPT) {
		format->present = EPT_R | EPT_W | EPT_X | EPT_X_USER;
		format->leaf = EPT_LEAF;
		/* The user-execute bit is ignored without MBEC, and no leaf has it then. */
		format->table_bits = EPT_R | EPT_W | EPT_X | EPT_X_USER;
	} else {
		format->present = ENTRY_P;
		format->leaf = ENTRY_PS;
		/*
		 * Rights are the leaf's business. Every NPT access counts as a user access, and the host's guest
		 * window is user memory: U/S is set on the way.
		 */
		format->table_bits = ENTRY_P | ENTRY_RW | ENTRY_US | ENTRY_A;
	}
}

static uint64_t ept_leaf_bits(const struct page_format *format, unsigned rights, enum memtype type)
{
	uint64_t bits = field_put(EPT_TYPE, type) | EPT_KEPT;

	if (rights & RIGHT_READ)
		bits |= EPT_R;
	/* Write without read is a misconfiguration, execute without read is one on most CPUs. */
	if ((rights & RIGHT_WRITE) && (rights & RIGHT_READ))
		bits |= EPT_W;
	if (!(rights & RIGHT_READ) && !format->exec_only)
		return bits;
	if (!format->mode_based_exec)
		return (rights & RIGHT_EXEC) == RIGHT_EXEC ? bits | EPT_X : bits;
	if (rights & RIGHT_EXEC_SUPERVISOR)
		bits |= EPT_X;
	if (rights & RIGHT_EXEC_USER)
		bits |= EPT_X_USER;
	return bits;
}

/* Accessed and dirty are set from the start: nobody reads them, and the CPU need not write them. */
static uint64_t npt_leaf_bits(const struct page_format *format, unsigned rights)
{
	uint64_t bits = ENTRY_US | ENTRY_A | ENTRY_D;
	unsigned needed = RIGHT_EXEC;

	/* With GMET a page is for users (U/S = 1) or to be executed by supervisors, and users do not reach that. */
	if (format->mode_based_exec && (rights & RIGHT_EXEC) == RIGHT_EXEC_SUPERVISOR) {
		bits &= ~ENTRY_US;
		needed = RIGHT_EXEC_SUPERVISOR;
	} else if (format->mode_based_exec) {
		needed = RIGHT_EXEC_USER;
	}
	if (rights & RIGHT_READ)
		bits |= ENTRY_P;
	if (rights & RIGHT_WRITE)
		bits |= ENTRY_RW;
	if ((rights & needed) != needed)
		bits |= ENTRY_NX;
	return bits;
}

static uint64_t host_leaf_bits(unsigned rights, enum memtype type)
{
	uint64_t bits = ENTRY_A | ENTRY_D;

	if (rights & RIGHT_READ)
		bits |= ENTRY_P;
	if (rights & RIGHT_WRITE)
		bits |= ENTRY_RW;
	if (rights & RIGHT_USER)
		bits |= ENTRY_US;
	if (!(rights & RIGHT_EXEC))
		bits |= ENTRY_NX;
	if (type == MEMTYPE_UC)
		bits |= ENTRY_PCD | ENTRY_PWT; /* PAT entry 3 */
	return bits;
}

uint64_t page_format_leaf(const struct page_format *format, hpa_t hpa, unsigned level,
			  unsigned rights, enum memtype type)
{
	uint64_t entry = hpa.v & format->address;

	if (level > 0)
		entry |= format->leaf;
	if (format->kind == PAGE_FORMAT_EPT)
		return entry | ept_leaf_bits(format, rights, type);
	if (format->kind == PAGE_FORMAT_NPT)
		return entry | npt_leaf_bits(format, rights);
	return entry | host_leaf_bits(rights, type);
}

uint64_t page_format_table(const struct page_format *format, hpa_t table)
{
	return (table.v & format->address) | format->table_bits;
}

static unsigned ept_rights(const struct page_format *format, uint64_t entry)
{
	unsigned rights = 0;

	if (entry & EPT_R)
		rights |= RIGHT_READ;
	if (entry & EPT_W)
		rights |= RIGHT_WRITE;
	if (!format->mode_based_exec)
		return entry & EPT_X ? rights | RIGHT_EXEC : rights;
	if (entry & EPT_X)
		rights |= RIGHT_EXEC_SUPERVISOR;
	if (entry & EPT_X_USER)
		rights |= RIGHT_EXEC_USER;
	return rights;
}

static unsigned exec_rights(const struct page_format *format, uint64_t entry)
{
	if (format->kind != PAGE_FORMAT_NPT || !format->mode_based_exec)
		return RIGHT_EXEC;
	return entry & ENTRY_US ? RIGHT_EXEC_USER : RIGHT_EXEC_SUPERVISOR;
}

unsigned page_format_rights(const struct page_format *format, uint64_t entry)
{
	unsigned rights = RIGHT_READ;

	if (format->kind == PAGE_FORMAT_EPT)
		return ept_rights(format, entry);
	if (!(entry & ENTRY_P))
		return 0;
	if (entry & ENTRY_RW)
		rights |= RIGHT_WRITE;
	if (!(entry & ENTRY_NX))
		rights |= exec_rights(format, entry);
	if (format->kind == PAGE_FORMAT_HOST && (entry & ENTRY_US))
		rights |= RIGHT_USER;
	return rights;
}

enum memtype page_format_memtype(const struct page_format *format, uint64_t entry)
{
	if (format->kind == PAGE_FORMAT_EPT)
		return (enum memtype)field_get(EPT_TYPE, entry);
	if (format->kind == PAGE_FORMAT_HOST && (entry & ENTRY_PCD))
		return MEMTYPE_UC;
	return MEMTYPE_WB;
}

unsigned page_format_pat_index(uint64_t entry, bool large)
{
	unsigned index = entry & (large ? ENTRY_PAT_LARGE : ENTRY_PAT_SMALL) ? 4 : 0;

	return index | (unsigned)field_get(ENTRY_PCD | ENTRY_PWT, entry);
}

bool page_format_ignores_pat(uint64_t entry)
{
	return entry & EPT_IPAT;
}

uint64_t page_format_with_type(const struct page_format *format, uint64_t entry, enum memtype type)
{
	if (format->kind != PAGE_FORMAT_EPT)
		return entry;
	return (entry & ~EPT_TYPE) | field_put(EPT_TYPE, type);
}
