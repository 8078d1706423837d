/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/cr_rules.h"

bool cr3_is_legal(uint64_t value, uint64_t cr4, bool stored, const struct x86_limits *limits)
{
	uint64_t reserved = BITS64(63, limits->maxphyaddr);

	if (limits->lam)
		reserved &= ~(CR3_LAM_U48 | CR3_LAM_U57);
	if (!stored && (cr4 & CR4_PCIDE) != 0)
		reserved &= ~CR3_NOFLUSH;
	return (value & reserved) == 0;
}

enum tlb_scope cr3_write_flushes(uint64_t value, uint64_t cr4)
{
	return (cr4 & CR4_PCIDE) != 0 && (value & CR3_NOFLUSH) != 0 ? TLB_NOTHING : TLB_PCID;
}

bool cr4_change_is_legal(uint64_t old, uint64_t value, uint64_t cr0, uint64_t cr3, uint64_t efer,
			 const struct x86_limits *limits)
{
	bool is_long = (efer & EFER_LMA) != 0;

	if ((value & ~limits->cr4) != 0)
		return false;
	if (is_long && ((value & CR4_PAE) == 0 || ((old ^ value) & CR4_LA57) != 0))
		return false;
	if ((~old & value & CR4_PCIDE) != 0 && (!is_long || (cr3 & CR3_PCID) != 0))
		return false;
	return (value & CR4_CET) == 0 || (cr0 & CR0_WP) != 0;
}

enum tlb_scope cr4_change_flushes(uint64_t old, uint64_t value)
{
	uint64_t changed = old ^ value;

	if ((changed & CR4_PGE) != 0 || (old & ~value & CR4_PCIDE) != 0)
		return TLB_ALL;
	/* PSE and LA57 are what a walk depends on, too: AMD names the first, and the second changes without paging only. */
	if ((changed & (CR4_PAE | CR4_PSE | CR4_LA57)) != 0 || (~old & value & CR4_SMEP) != 0)
		return TLB_PCID;
	return TLB_NOTHING;
}

bool invpcid_is_legal(uint64_t type, const struct invpcid_descriptor *descriptor, uint64_t cr4,
		      enum tlb_scope *scope)
{
	static const enum tlb_scope scopes[4] = { TLB_ADDRESS, TLB_PCID, TLB_ALL, TLB_NOT_GLOBAL };

	if (type >= ARRAY_COUNT(scopes) || (descriptor->pcid & ~CR3_PCID) != 0)
		return false;
	/* The PCID is looked at only where it is used. */
	if (type <= 1 && (cr4 & CR4_PCIDE) == 0 && descriptor->pcid != 0)
		return false;
	if (type == 0 && !is_canonical(descriptor->address, (cr4 & CR4_LA57) != 0 ? 57 : 48))
		return false;
	*scope = scopes[type];
	return true;
}

bool pdptr_is_legal(const uint64_t pdptr[4], unsigned maxphyaddr)
{
	uint64_t reserved = BITS64(63, maxphyaddr) | BITS64(8, 5) | BITS64(2, 1);

	for (unsigned i = 0; i < 4; i++) {
		if ((pdptr[i] & 1) != 0 && (pdptr[i] & reserved) != 0)
			return false;
	}
	return true;
}

bool pdptr_is_reloaded(uint64_t old_cr0, uint64_t cr0, uint64_t old_cr4, uint64_t cr4,
		       uint64_t efer)
{
	if (!is_pae_paging(cr0, cr4, efer))
		return false;
	return ((old_cr0 ^ cr0) & (CR0_PG | CR0_CD | CR0_NW)) != 0 ||
	       ((old_cr4 ^ cr4) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) != 0;
}
