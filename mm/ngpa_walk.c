/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/ngpa_walk.h"

#include "arch/x86/cr.h"

/* An address that the levels do not reach is not mapped. */
static enum table_walk_outcome walk_tables(const struct ngpa_tables *tables, uint64_t ngpa,
					   struct table_walk *walk)
{
	const struct page_format *format = tables->format;
	enum table_walk_outcome outcome;
	uint64_t table = tables->root;
	unsigned top = format->levels - 1u;

	walk->all = 0;
	if (ngpa & ~format->reach)
		return TABLE_WALK_NOT_PRESENT;
	if (top == TABLE_WALK_PDPTE_LEVEL) {
		if (!table_walk_read_pdpte(tables->reader, table, ngpa, &table))
			return TABLE_WALK_NO_MEMORY;
		outcome = table_walk_check_pdpte(format, table);
		if (outcome != TABLE_WALK_DONE)
			return outcome;
		top--;
	}
	return table_walk(format, tables->reader, table, top, ngpa, walk);
}

/*
 * What the access counts as. NPT takes every look at the guest's tables for a user's write, as the CPU may have to set
 * a bit there; EPT does if it keeps accessed and dirty bits itself. With MBEC it is the linear address, not the CPL, that
 * makes a fetch a user's.
 */
static unsigned effective_access(const struct page_format *format, const struct ngpa_access *access)
{
	unsigned kind = access->access & (ACCESS_WRITE | ACCESS_FETCH);

	if (format->kind == PAGE_FORMAT_NPT)
		return access->stage == NGPA_FINAL ? kind | (access->access & ACCESS_USER)
						   : ACCESS_WRITE | ACCESS_USER;
	if (access->stage == NGPA_TABLE && format->accessed != 0)
		return ACCESS_WRITE;
	return kind | (access->linear_rights & RIGHT_USER ? ACCESS_USER : 0);
}

static bool is_refused(const struct page_format *format, unsigned kind,
		       const struct table_walk *walk)
{
	return format->refused[kind] >> table_walk_page(format, walk->all) & 1;
}

static enum table_walk_outcome walk_once(const struct ngpa_tables *tables, uint64_t ngpa,
					 unsigned kind, bool peek, struct table_walk *walk)
{
	const struct page_format *format = tables->format;
	enum table_walk_outcome outcome = walk_tables(tables, ngpa, walk);

	if (outcome != TABLE_WALK_DONE || peek)
		return outcome;
	if (is_refused(format, kind, walk))
		return TABLE_WALK_REFUSED;
	return table_walk_mark(format, tables->reader, kind & ACCESS_WRITE, walk);
}

/* SDM: "Exit Qualification for EPT Violations". */
static uint64_t ept_qualification(const struct ngpa_tables *tables,
				  const struct ngpa_access *access, unsigned kind,
				  const struct table_walk *walk)
{
	const struct page_format *format = tables->format;
	uint64_t code = field_put(EPT_QUAL_ALLOWED, walk->all);
	unsigned rights = access->linear_rights;

	if (kind & ACCESS_FETCH)
		code |= EPT_QUAL_FETCH;
	else
		code |= kind & ACCESS_WRITE ? EPT_QUAL_WRITE : EPT_QUAL_READ;
	if (access->stage == NGPA_TABLE && format->accessed != 0)
		code |= EPT_QUAL_READ;
	if (format->mode_based_exec && (table_walk_page(format, walk->all) & 8))
		code |= EPT_QUAL_ALLOWED_XU;
	if (access->stage == NGPA_PDPTE)
		return code;
	code |= EPT_QUAL_LINEAR_VALID;
	if (access->stage == NGPA_TABLE)
		return code;
	code |= EPT_QUAL_FINAL;
	if (!tables->advanced_info)
		return code;
	return code | (rights & RIGHT_USER ? EPT_QUAL_LINEAR_USER : 0) |
	       (rights & RIGHT_WRITE ? EPT_QUAL_LINEAR_WRITE : 0) |
	       (rights & RIGHT_EXEC ? 0 : EPT_QUAL_LINEAR_NO_EXEC);
}

/* APM: "Nested versus Guest Page Faults, Fault Ordering". */
static uint64_t npt_error_code(const struct page_format *format, const struct ngpa_access *access,
			       unsigned kind, enum table_walk_outcome outcome, bool gmet_supervisor)
{
	uint64_t code = access->stage == NGPA_FINAL ? NPF_FINAL : NPF_TABLE;

	if (!gmet_supervisor)
		code |= PFERR_USER;
	if (kind & ACCESS_WRITE)
		code |= PFERR_WRITE;
	if ((kind & ACCESS_FETCH) && format->fetch_reported)
		code |= PFERR_FETCH;
	if (outcome != TABLE_WALK_NOT_PRESENT)
		code |= PFERR_PRESENT;
	if (outcome == TABLE_WALK_RESERVED)
		code |= PFERR_RESERVED;
	return code;
}

static void report(const struct ngpa_tables *tables, const struct ngpa_access *access,
		   unsigned kind, enum table_walk_outcome outcome, const struct table_walk *walk,
		   struct ngpa_result *result)
{
	const struct page_format *format = tables->format;

	if (outcome == TABLE_WALK_NO_MEMORY || outcome == TABLE_WALK_RACE) {
		result->fault = NGPA_NO_MEMORY;
	} else if (format->kind == PAGE_FORMAT_NPT) {
		result->fault = NGPA_NESTED_PAGE_FAULT;
		result->code = npt_error_code(format, access, kind, outcome,
					      format->mode_based_exec && !(kind & ACCESS_USER));
	} else if (outcome == TABLE_WALK_RESERVED) {
		result->fault = NGPA_EPT_MISCONFIGURATION;
	} else {
		result->fault = NGPA_EPT_VIOLATION;
		result->code = ept_qualification(tables, access, kind, walk);
	}
}

bool ngpa_walk(const struct ngpa_tables *tables, ngpa_t ngpa, const struct ngpa_access *access,
	       struct ngpa_result *result)
{
	const struct page_format *format = tables->format;
	unsigned kind = effective_access(format, access);
	enum table_walk_outcome outcome;
	struct table_walk walk;
	unsigned tries = 0;

	result->fault = NGPA_NO_FAULT;
	result->code = 0;
	do {
		outcome = walk_once(tables, ngpa.v, kind, access->access & ACCESS_PEEK, &walk);
	} while (UNLIKELY(outcome == TABLE_WALK_RACE) && ++tries < TABLE_WALK_TRIES);
	if (UNLIKELY(outcome != TABLE_WALK_DONE)) {
		report(tables, access, kind, outcome, &walk, result);
		return false;
	}
	result->gpa.v = walk.address;
	result->page_bytes = walk.page_bytes;
	result->entry = walk.entry[walk.leaf];
	result->rights = format->rights[table_walk_page(format, walk.all)];
	return true;
}
