/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VMX controls a CPU allows, and which of them we take: pure functions over the capability
 * MSRs. SDM, appendix "VMX Capability Reporting Facility".
 */
#ifndef ARCH_VMX_CAPABILITY_H
#define ARCH_VMX_CAPABILITY_H

#include "arch/x86/bits.h"

/* Pin-based VM-execution controls. */
#define PIN_EXTERNAL_INTERRUPT_EXITING BIT32(0)
#define PIN_NMI_EXITING		       BIT32(3)
#define PIN_VIRTUAL_NMIS	       BIT32(5)
#define PIN_PREEMPTION_TIMER	       BIT32(6)

/* Primary processor-based VM-execution controls. */
#define PRIMARY_HLT_EXITING	       BIT32(7)
#define PRIMARY_INVLPG_EXITING	       BIT32(9)
#define PRIMARY_MWAIT_EXITING	       BIT32(10)
#define PRIMARY_RDPMC_EXITING	       BIT32(11)
#define PRIMARY_RDTSC_EXITING	       BIT32(12)
#define PRIMARY_CR3_LOAD_EXITING       BIT32(15)
#define PRIMARY_CR3_STORE_EXITING      BIT32(16)
#define PRIMARY_CR8_LOAD_EXITING       BIT32(19)
#define PRIMARY_CR8_STORE_EXITING      BIT32(20)
#define PRIMARY_NMI_WINDOW_EXITING     BIT32(22)
#define PRIMARY_MOV_DR_EXITING	       BIT32(23)
#define PRIMARY_IO_EXITING	       BIT32(24)
#define PRIMARY_IO_BITMAPS	       BIT32(25)
#define PRIMARY_MONITOR_TRAP_FLAG      BIT32(27)
#define PRIMARY_MSR_BITMAPS	       BIT32(28)
#define PRIMARY_MONITOR_EXITING	       BIT32(29)
#define PRIMARY_PAUSE_EXITING	       BIT32(30)
#define PRIMARY_SECONDARY_CONTROLS     BIT32(31)

/* Secondary processor-based VM-execution controls. */
#define SECONDARY_EPT		       BIT32(1)
#define SECONDARY_RDTSCP	       BIT32(3)
#define SECONDARY_VPID		       BIT32(5)
#define SECONDARY_UNRESTRICTED_GUEST   BIT32(7)
#define SECONDARY_INVPCID	       BIT32(12)
#define SECONDARY_XSAVES	       BIT32(20)
#define SECONDARY_USER_WAIT	       BIT32(26)
#define SECONDARY_PCONFIG	       BIT32(27)

/* VM-exit controls. */
#define EXIT_SAVE_DEBUG_CONTROLS       BIT32(2)
#define EXIT_HOST_64BIT		       BIT32(9)
#define EXIT_ACK_INTERRUPT	       BIT32(15)
#define EXIT_SAVE_PREEMPTION_TIMER     BIT32(22)
#define EXIT_SAVE_PAT		       BIT32(18)
#define EXIT_LOAD_PAT		       BIT32(19)
#define EXIT_SAVE_EFER		       BIT32(20)
#define EXIT_LOAD_EFER		       BIT32(21)
#define EXIT_CLEAR_BNDCFGS	       BIT32(23)
#define EXIT_CLEAR_LBR_CTL	       BIT32(26)
#define EXIT_LOAD_CET		       BIT32(28)

/* VM-entry controls. */
#define ENTRY_LOAD_DEBUG_CONTROLS      BIT32(2)
#define ENTRY_IA32E_GUEST	       BIT32(9)
#define ENTRY_LOAD_PAT		       BIT32(14)
#define ENTRY_LOAD_EFER		       BIT32(15)
#define ENTRY_LOAD_BNDCFGS	       BIT32(16)
#define ENTRY_LOAD_CET		       BIT32(20)
#define ENTRY_LOAD_LBR_CTL	       BIT32(21)

/* IA32_VMX_BASIC. */
#define VMX_BASIC_REVISION	       BITS64(30, 0)
#define VMX_BASIC_REGION_BYTES	       BITS64(44, 32)
#define VMX_BASIC_MEMORY_TYPE	       BITS64(53, 50)
#define VMX_BASIC_TRUE_CONTROLS	       BIT64(55)

/* IA32_VMX_MISC. */
#define VMX_MISC_TIMER_SHIFT	       BITS64(4, 0)
#define VMX_MISC_ACTIVITY_HLT	       BIT64(6)
#define VMX_MISC_ACTIVITY_WAIT_SIPI    BIT64(8)

/* IA32_VMX_EPT_VPID_CAP. */
#define EPT_CAP_EXEC_ONLY	       BIT64(0)
#define EPT_CAP_4_LEVELS	       BIT64(6)
#define EPT_CAP_5_LEVELS	       BIT64(7)
#define EPT_CAP_WRITE_BACK	       BIT64(14)
#define EPT_CAP_2M_PAGES	       BIT64(16)
#define EPT_CAP_1G_PAGES	       BIT64(17)
#define EPT_CAP_INVEPT		       BIT64(20)
#define EPT_CAP_INVEPT_SINGLE	       BIT64(25)
#define EPT_CAP_INVEPT_ALL	       BIT64(26)
#define VPID_CAP_INVVPID	       BIT64(32)
#define VPID_CAP_INVVPID_SINGLE	       BIT64(41)
#define VPID_CAP_INVVPID_ALL	       BIT64(42)

enum vmx_word {
	VMX_WORD_PIN,
	VMX_WORD_PRIMARY,
	VMX_WORD_SECONDARY,
	VMX_WORD_EXIT,
	VMX_WORD_ENTRY,
	VMX_WORD_COUNT,
};

/* A copy of one CPU's capability MSRs; the TRUE ones where the CPU has them. */
struct vmx_capability {
	uint64_t basic;
	uint64_t control[VMX_WORD_COUNT];
	uint64_t misc;
	uint64_t ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

struct vmx_request {
	uint32_t must;	/* set, or we cannot work */
	uint32_t want;	/* set where the CPU can */
	uint32_t later; /* clear at first, but it must be possible to set them, or we cannot work */
	uint32_t never; /* must be possible to clear */
};

struct vmx_controls {
	uint32_t word[VMX_WORD_COUNT];
};

/*
 * Why there is no choice: bits of one control word that the CPU cannot set, or (forced) cannot
 * clear.
 */
struct vmx_refusal {
	enum vmx_word word;
	uint32_t bits;
	bool forced;
};

/*
 * One word. False: *refused has the bits that cannot be had and *forced those that cannot be
 * avoided.
 */
MUST_CHECK bool vmx_word_choose(uint64_t capability, const struct vmx_request *request,
				uint32_t *out, uint32_t *refused, uint32_t *forced);

/* All words, with controls that only make sense together taken or left together. */
MUST_CHECK bool vmx_controls_choose(const struct vmx_capability *capability,
				    struct vmx_controls *out, struct vmx_refusal *why);

/*
 * Whether this CPU (another one than the one that chose) allows the same words, and what is set in
 * them later.
 */
MUST_CHECK bool vmx_controls_allowed(const struct vmx_capability *capability,
				     const struct vmx_controls *controls, struct vmx_refusal *why);

const char *vmx_word_name(enum vmx_word word);

/* NULL if EPT is there as we need it, else what is missing. */
const char *vmx_ept_missing(uint64_t ept_vpid);

/* Levels that cover MAXPHYADDR; 4 where the CPU cannot do 5. */
unsigned vmx_ept_levels(uint64_t ept_vpid, unsigned maxphyaddr);

/*
 * EPTP for write-back tables without accessed and dirty flags. SDM: "Extended-Page-Table Pointer
 * (EPTP)".
 */
uint64_t vmx_eptp(uint64_t root, unsigned levels);

/* A value made acceptable for CR0 or CR4 in VMX operation; bits in `exempt` are left alone. */
uint64_t vmx_cr_fix(uint64_t value, uint64_t fixed0, uint64_t fixed1, uint64_t exempt);

#endif
