/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/test_call.h"

#include <stddef.h>

#include "core/caps.h"
#include "core/vcpu.h"
#include "mm/guest_copy.h"
#include "mm/gva_walk.h"
#include "vmexit/guest_physical.h"

#define ACCESS_KNOWN (ACCESS_WRITE | ACCESS_USER | ACCESS_FETCH | ACCESS_IMPLICIT | ACCESS_PEEK)
#define FLAGS_KNOWN  (TEST_CALL_AC | TEST_CALL_MARK | TEST_CALL_PDPTES_IN_MEMORY)

/* Only what gva_walk() demands of its caller: everything else is for the walker to judge. */
static bool is_possible(const struct test_call_walk *walk)
{
	bool long_mode = (walk->efer & EFER_LMA) != 0;

	if ((walk->access & ~ACCESS_KNOWN) != 0 || (walk->flags & ~FLAGS_KNOWN) != 0)
		return false;
	if (!long_mode)
		return (walk->gva >> 32) == 0;
	if ((walk->cr0 & CR0_PG) == 0 || (walk->cr4 & CR4_PAE) == 0)
		return false;
	return is_canonical(walk->gva, (walk->cr4 & CR4_LA57) != 0 ? 57 : 48);
}

static struct paging_role role_of(const struct test_call_walk *walk)
{
	struct paging_role role = {
		.cr0 = walk->cr0,
		.cr3 = walk->cr3,
		.cr4 = walk->cr4,
		.efer = walk->efer,
		.pkru = walk->pkru,
		.pkrs = walk->pkrs,
		.maxphyaddr = hv_caps.maxphyaddr,
		.huge_pages = hv_caps.host_huge_pages,
		.upper_bit8 = hv_caps.upper_bit8,
		.ac = (walk->flags & TEST_CALL_AC) != 0,
		.pdptr_in_memory = (walk->flags & TEST_CALL_PDPTES_IN_MEMORY) != 0,
	};

	for (unsigned i = 0; i < ARRAY_COUNT(role.pdptr); i++)
		role.pdptr[i] = walk->pdptr[i];
	return role;
}

/* Marking: as the hypervisor itself walks, with the format that the last walk on this CPU has left. */
static void translate(struct vcpu *vcpu, struct test_call_walk *walk)
{
	struct paging_role role = role_of(walk);
	struct gva_reader reader = guest_copy_reader;
	struct gva_result result = { 0 };

	if ((walk->flags & TEST_CALL_MARK) != 0) {
		page_role_update(&vcpu->gva_format, &role);
		role.format = &vcpu->gva_format;
		reader = guest_physical_reader(vcpu);
	} else {
		reader.window = NULL;
	}
	if (gva_walk(&role, &reader, (gva_t){ walk->gva }, walk->access, &result))
		walk->outcome = TEST_CALL_TRANSLATED;
	else
		walk->outcome = result.no_memory ? TEST_CALL_NO_MEMORY : TEST_CALL_PAGE_FAULT;
	walk->gpa = result.gpa.v;
	walk->page_bytes = result.page_bytes;
	walk->error_code = result.error_code;
}

bool test_call_walk(struct vcpu *vcpu, uint64_t *result)
{
	gpa_t block = { regs_fixed_read(&vcpu->regs, REG_RCX) };
	struct test_call_walk walk;

	if (cpl_read(vcpu) != 0)
		return false;
	*result = TEST_CALL_NO_BLOCK;
	if (!guest_copy_in(&walk, block, sizeof(walk)))
		return true;
	*result = TEST_CALL_BAD_BLOCK;
	if (!is_possible(&walk))
		return true;
	translate(vcpu, &walk);
	*result = guest_physical_write(vcpu, block, &walk, sizeof(walk)) ? TEST_CALL_DONE
									 : TEST_CALL_NO_BLOCK;
	return true;
}
