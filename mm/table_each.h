/* SPDX-License-Identifier: BSD-2-Clause */
/* Every entry of tables that mm/page_table.h has built: to look whether they are what they are to be. */
#ifndef MM_TABLE_EACH_H
#define MM_TABLE_EACH_H

#include "mm/page_table.h"

/* A present entry of a level, and the address from which on it translates. */
typedef void (*table_visitor)(void *context, uint64_t address, unsigned level, uint64_t entry);

/* All present entries in the order of their addresses, an upper one before those below it. */
void table_each(const struct page_table *table, table_visitor visit, void *context);

/* Whether an entry maps a page and does not lead to another table. */
static inline bool table_each_is_leaf(const struct page_table *table, unsigned level,
				      uint64_t entry)
{
	return level == 0 || (entry & table->format.leaf) != 0;
}

#endif
