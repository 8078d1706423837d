/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may be written to the control registers, what that does to cached translations, and INVPCID: pure functions, for
 * who emulates such an instruction or checks a whole state. SDM: "MOV—Move to/from Control Registers", "INVPCID",
 * "Operations that Invalidate TLBs and Paging-Structure Caches"; APM volume 2: "CR3 Register", "TLB Management".
 */
#ifndef ARCH_X86_CR_RULES_H
#define ARCH_X86_CR_RULES_H

#include "arch/x86/cr.h"
#include "arch/x86/limits.h"

/* How much of the cached translations an operation drops. */
enum tlb_scope {
	TLB_NOTHING,
	TLB_ADDRESS,	/* one linear address in one PCID, not global */
	TLB_PCID,	/* one PCID, not global */
	TLB_NOT_GLOBAL, /* all PCIDs, not global */
	TLB_ALL,	/* all PCIDs, also global */
};

/*
 * A value for CR3 in IA-32e mode as the source of a MOV (bit 63 is then "do not flush", if CR4.PCIDE) or (`stored`) as
 * the register itself holds it. Outside IA-32e mode only 32 bits can be written, and all of them may be.
 */
bool cr3_is_legal(uint64_t value, uint64_t cr4, bool stored, const struct x86_limits *limits);

/* What a MOV to CR3 leaves in the register. */
static inline uint64_t cr3_stored(uint64_t value)
{
	return value & ~CR3_NOFLUSH;
}

/* The PCID that translations are tagged with. */
static inline uint64_t cr3_pcid(uint64_t cr3, uint64_t cr4)
{
	return (cr4 & CR4_PCIDE) != 0 ? cr3 & CR3_PCID : 0;
}

/* What a MOV to CR3 drops: of the new PCID. */
enum tlb_scope cr3_write_flushes(uint64_t value, uint64_t cr4);

/* MOV to CR4; `cr3` and `efer` as they are. False: #GP(0). */
bool cr4_change_is_legal(uint64_t old, uint64_t value, uint64_t cr0, uint64_t cr3, uint64_t efer,
			 const struct x86_limits *limits);
enum tlb_scope cr4_change_flushes(uint64_t old, uint64_t value);

/* INVPCID's descriptor, as it lies in memory. */
struct invpcid_descriptor {
	uint64_t pcid; /* bits 63:12 are reserved */
	uint64_t address;
};

/* What the instruction drops; false: #GP(0). `cpl` 0 and a CPU that has it are the caller's to check. */
bool invpcid_is_legal(uint64_t type, const struct invpcid_descriptor *descriptor, uint64_t cr4,
		      enum tlb_scope *scope);

/* PAE paging: CR0.PG, CR4.PAE and not IA-32e mode. */
static inline bool is_pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && (efer & EFER_LMA) == 0;
}

/* Whether all present entries are without reserved bits; else the load is #GP(0). SDM: "PDPTE Registers". */
bool pdptr_is_legal(const uint64_t pdptr[4], unsigned maxphyaddr);

/* Whether a write of CR0 or CR4 reads the PDPTEs from memory again; `efer` is the new one. SDM: "PDPTE Registers". */
bool pdptr_is_reloaded(uint64_t old_cr0, uint64_t cr0, uint64_t old_cr4, uint64_t cr4,
		       uint64_t efer);

#endif
