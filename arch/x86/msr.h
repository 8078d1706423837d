/* SPDX-License-Identifier: BSD-2-Clause */
/* MSR indices and their fields. SDM volume 4; APM volume 2, "MSR Cross-Reference". */
#ifndef ARCH_X86_MSR_H
#define ARCH_X86_MSR_H

#include "arch/x86/bits.h"

#define MSR_TSC				0x10u
#define MSR_APIC_BASE			0x1bu
#define MSR_FEATURE_CONTROL		0x3au
#define MSR_TSC_ADJUST			0x3bu
#define MSR_MTRRCAP			0xfeu
#define MSR_SYSENTER_CS			0x174u
#define MSR_SYSENTER_ESP		0x175u
#define MSR_SYSENTER_EIP		0x176u
#define MSR_DEBUGCTL			0x1d9u
#define MSR_SMRR_PHYSBASE		0x1f2u
#define MSR_SMRR_PHYSMASK		0x1f3u
#define MSR_MTRR_PHYSBASE0		0x200u
#define MSR_MTRR_FIX64K_00000		0x250u
#define MSR_MTRR_FIX16K_80000		0x258u
#define MSR_MTRR_FIX16K_A0000		0x259u
#define MSR_MTRR_FIX4K_C0000		0x268u
#define MSR_PAT				0x277u
#define MSR_MTRR_DEF_TYPE		0x2ffu
#define MSR_VMX_BASIC			0x480u
#define MSR_VMX_PINBASED_CTLS		0x481u
#define MSR_VMX_PROCBASED_CTLS		0x482u
#define MSR_VMX_EXIT_CTLS		0x483u
#define MSR_VMX_ENTRY_CTLS		0x484u
#define MSR_VMX_MISC			0x485u
#define MSR_VMX_CR0_FIXED0		0x486u
#define MSR_VMX_CR0_FIXED1		0x487u
#define MSR_VMX_CR4_FIXED0		0x488u
#define MSR_VMX_CR4_FIXED1		0x489u
#define MSR_VMX_PROCBASED_CTLS2		0x48bu
#define MSR_VMX_EPT_VPID_CAP		0x48cu
#define MSR_VMX_TRUE_PINBASED_CTLS	0x48du
#define MSR_VMX_TRUE_PROCBASED_CTLS	0x48eu
#define MSR_VMX_TRUE_EXIT_CTLS		0x48fu
#define MSR_VMX_TRUE_ENTRY_CTLS		0x490u
#define MSR_VMX_VMFUNC			0x491u
#define MSR_VMX_PROCBASED_CTLS3		0x492u
#define MSR_VMX_EXIT_CTLS2		0x493u
#define MSR_X2APIC_BASE			0x800u
#define MSR_X2APIC_ID			0x802u
#define MSR_X2APIC_LDR			0x80du
#define MSR_X2APIC_ICR			0x830u
#define MSR_XSS				0xda0u
#define MSR_EFER			0xc0000080u
#define MSR_STAR			0xc0000081u
#define MSR_LSTAR			0xc0000082u
#define MSR_CSTAR			0xc0000083u
#define MSR_SFMASK			0xc0000084u
#define MSR_FS_BASE			0xc0000100u
#define MSR_GS_BASE			0xc0000101u
#define MSR_KERNEL_GS_BASE		0xc0000102u
#define MSR_TSC_AUX			0xc0000103u
#define MSR_VM_CR			0xc0010114u
#define MSR_IGNNE			0xc0010115u
#define MSR_SMM_CTL			0xc0010116u
#define MSR_VM_HSAVE_PA			0xc0010117u
#define MSR_SVM_LOCK_KEY		0xc0010118u

#define APIC_BASE_BSP			BIT64(8)
#define APIC_BASE_EXTD			BIT64(10) /* x2APIC mode */
#define APIC_BASE_EN			BIT64(11)
#define APIC_BASE_ADDRESS		BITS64(51, 12)

#define FEATURE_CONTROL_LOCK		BIT64(0)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX BIT64(2)

#define DEBUGCTL_BTF			BIT64(1)

#define VM_CR_DPD			BIT64(0)
#define VM_CR_R_INIT			BIT64(1)
#define VM_CR_DIS_A20M			BIT64(2)
#define VM_CR_LOCK			BIT64(3)
#define VM_CR_SVMDIS			BIT64(4)

#endif
