/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/cr.h"

#include "arch/x86/insn.h"
#include "core/pdptr.h"
#include "core/vendor.h"
#include "vmexit/memtype_change.h"

#define LMSW_BITS (CR0_PE | CR0_MP | CR0_EM | CR0_TS)

/* False: a reserved bit is set, the MOV to CR faults. */
static bool load_pdptrs(struct vcpu *vcpu)
{
	uint64_t pdptr[4];

	if (!pdptr_load(cr3_read(vcpu), pdptr))
		return false;
	pdptr_write(vcpu, pdptr);
	return true;
}

/* SDM: "MOV—Move to/from Control Registers", exceptions. */
static bool cr0_is_legal(struct vcpu *vcpu, uint64_t value)
{
	if ((value >> 32) != 0)
		return false;
	if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0)
		return false;
	if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0)
		return false;
	return (value & CR0_WP) != 0 || (cr4_read(vcpu) & CR4_CET) == 0;
}

/* Paging goes on: into IA-32e mode if EFER.LME asks for it. SDM: "Initializing IA-32e Mode". */
static bool enable_paging(struct vcpu *vcpu)
{
	uint64_t efer = efer_read(vcpu);

	if ((efer & EFER_LME) == 0)
		return (cr4_read(vcpu) & CR4_PAE) == 0 || load_pdptrs(vcpu);
	if ((cr4_read(vcpu) & CR4_PAE) == 0 ||
	    (segment_read(vcpu, SEGMENT_CS)->rights & SEGMENT_L) != 0)
		return false;
	if ((segment_read(vcpu, SEGMENT_TR)->rights & SEGMENT_TYPE) == SEGMENT_TYPE_TSS16_BUSY)
		return false;
	efer_write(vcpu, efer | EFER_LMA);
	return true;
}

static bool disable_paging(struct vcpu *vcpu)
{
	if (mode_is_64bit(vcpu) || (cr4_read(vcpu) & CR4_PCIDE) != 0)
		return false;
	efer_write(vcpu, efer_read(vcpu) & ~EFER_LMA);
	return true;
}

static bool change_paging(struct vcpu *vcpu, uint64_t old, uint64_t value)
{
	uint64_t changed = old ^ value;

	if ((changed & CR0_PG) != 0)
		return (value & CR0_PG) != 0 ? enable_paging(vcpu) : disable_paging(vcpu);
	if ((value & CR0_PG) != 0 && (changed & (CR0_CD | CR0_NW)) != 0 &&
	    (cr4_read(vcpu) & CR4_PAE) != 0 && (efer_read(vcpu) & EFER_LMA) == 0)
		return load_pdptrs(vcpu);
	return true;
}

static bool write_cr0_emulated(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = cr0_read(vcpu);

	if (!cr0_is_legal(vcpu, value))
		return false;
	value = (value & CR0_DEFINED) | CR0_ET;
	if (!change_paging(vcpu, old, value))
		return false;
	cr0_write(vcpu, value);
	if (((old ^ value) & (CR0_PG | CR0_WP)) != 0)
		vendor->flush_linear(vcpu);
	if ((old & ~value & CR0_CD) != 0)
		memtype_caching_enabled(vcpu);
	return true;
}

/* Only bits that are reserved to the guest are trapped: setting one is the only way here. */
static bool write_cr4_emulated(struct vcpu *vcpu, uint64_t value)
{
	if ((value & (CR4_VMXE | CR4_FRED)) != 0)
		return false;
	cr4_write(vcpu, value);
	vendor->flush_linear(vcpu);
	return true;
}

static bool access_cr0(struct vcpu *vcpu, const struct exit_info *exit)
{
	uint64_t old = cr0_read(vcpu);

	switch (exit->cr.kind) {
	case CR_ACCESS_WRITE:
		return write_cr0_emulated(vcpu, gpr_read(vcpu, exit->cr.gpr));
	case CR_ACCESS_CLTS:
		return write_cr0_emulated(vcpu, old & ~CR0_TS);
	case CR_ACCESS_LMSW:
		/* LMSW cannot clear PE. */
		return write_cr0_emulated(vcpu, (old & ~(LMSW_BITS & ~CR0_PE)) |
							(exit->cr.lmsw_source & LMSW_BITS));
	case CR_ACCESS_READ:
		gpr_write(vcpu, exit->cr.gpr, old);
		return true;
	}
	return false;
}

enum exit_verdict cr_access_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	bool ok = false;

	if (exit->cr.cr == 0)
		ok = access_cr0(vcpu, exit);
	else if (exit->cr.cr == 4 && exit->cr.kind == CR_ACCESS_WRITE)
		ok = write_cr4_emulated(vcpu, gpr_read(vcpu, exit->cr.gpr));
	else
		return VERDICT_FATAL; /* the back end traps nothing else */
	if (!ok) {
		events_raise_gp(vcpu, 0);
		return VERDICT_RESUME;
	}
	return VERDICT_NEXT_INSN;
}
