/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gva_walk() reads the guest's tables through a reader. Here the reader translates first, and keeps the fault for the
 * time when the walk has given up.
 */
#include "mm/nested_walk.h"

#include <stddef.h>

struct second_stage {
	const struct ngpa_tables *tables;
	unsigned peek; /* ACCESS_PEEK or 0 */
	bool failed;
	ngpa_t ngpa;
	struct ngpa_result result;
};

static bool translate_entry(struct second_stage *second, uint64_t ngpa, unsigned access)
{
	const struct ngpa_access how = { .stage = NGPA_TABLE, .access = access | second->peek };

	second->ngpa.v = ngpa;
	second->failed = !ngpa_walk(second->tables, second->ngpa, &how, &second->result);
	return !second->failed;
}

static bool read_entry(void *context, gpa_t at, unsigned bytes, uint64_t *value)
{
	struct second_stage *second = context;
	const struct gva_reader *reader = second->tables->reader;

	return translate_entry(second, at.v, 0) &&
	       reader->read(reader->context, second->result.gpa, bytes, value);
}

static bool exchange_entry(void *context, gpa_t at, unsigned bytes, uint64_t old, uint64_t new,
			   bool *same)
{
	struct second_stage *second = context;
	const struct gva_reader *reader = second->tables->reader;

	return translate_entry(second, at.v, ACCESS_WRITE) &&
	       reader->exchange(reader->context, second->result.gpa, bytes, old, new, same);
}

static bool fail(struct nested_result *result, enum nested_fault fault)
{
	result->fault = fault;
	return false;
}

static bool fail_first(struct nested_result *result, const struct gva_result *first,
		       const struct second_stage *second)
{
	if (!first->no_memory) {
		result->error_code = first->error_code;
		return fail(result, NESTED_GUEST_PAGE);
	}
	if (!second->failed || second->result.fault == NGPA_NO_MEMORY)
		return fail(result, NESTED_NO_MEMORY);
	result->ngpa = second->ngpa;
	result->second = second->result;
	return fail(result, NESTED_TABLE);
}

static bool translate_final(const struct ngpa_tables *tables, const struct gva_result *first,
			    unsigned access, struct nested_result *result)
{
	struct ngpa_access how = { .stage = NGPA_FINAL,
				   .access = access & (ACCESS_WRITE | ACCESS_FETCH | ACCESS_PEEK),
				   .linear_rights = first->rights };

	if (access_is_user(access))
		how.access |= ACCESS_USER;
	result->ngpa.v = first->gpa.v;
	if (ngpa_walk(tables, result->ngpa, &how, &result->second))
		return true;
	return fail(result,
		    result->second.fault == NGPA_NO_MEMORY ? NESTED_NO_MEMORY : NESTED_FINAL);
}

bool nested_walk(const struct paging_role *role, const struct ngpa_tables *tables, gva_t gva,
		 unsigned access, struct nested_result *result)
{
	struct second_stage second = { .tables = tables, .peek = access & ACCESS_PEEK };
	const struct gva_reader reader = { &second, read_entry, exchange_entry, NULL };
	struct gva_result first;

	result->fault = NESTED_NO_FAULT;
	result->error_code = 0;
	if (!gva_walk(role, &reader, gva, access, &first))
		return fail_first(result, &first, &second);
	if (!translate_final(tables, &first, access, result))
		return false;
	result->gpa = result->second.gpa;
	result->page_bytes = first.page_bytes < result->second.page_bytes
				     ? first.page_bytes
				     : result->second.page_bytes;
	result->rights =
		(first.rights & result->second.rights & RIGHT_ALL) | (first.rights & RIGHT_USER);
	return true;
}
