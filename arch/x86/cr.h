/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers, EFER, RFLAGS, debug registers and exception vectors. SDM: "Control Registers". */
#ifndef ARCH_X86_CR_H
#define ARCH_X86_CR_H

#include "arch/x86/bits.h"

#define CR0_PE BIT64(0)
#define CR0_MP BIT64(1)
#define CR0_EM BIT64(2)
#define CR0_TS BIT64(3)
#define CR0_ET BIT64(4)
#define CR0_NE BIT64(5)
#define CR0_WP BIT64(16)
#define CR0_AM BIT64(18)
#define CR0_NW BIT64(29)
#define CR0_CD BIT64(30)
#define CR0_PG BIT64(31)
#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)

#define CR3_PCID	BITS64(11, 0)
#define CR3_LAM_U57	BIT64(61)
#define CR3_LAM_U48	BIT64(62)
#define CR3_NOFLUSH	BIT64(63)

#define CR4_VME		BIT64(0)
#define CR4_PVI		BIT64(1)
#define CR4_TSD		BIT64(2)
#define CR4_DE		BIT64(3)
#define CR4_PSE		BIT64(4)
#define CR4_PAE		BIT64(5)
#define CR4_MCE		BIT64(6)
#define CR4_PGE		BIT64(7)
#define CR4_PCE		BIT64(8)
#define CR4_OSFXSR	BIT64(9)
#define CR4_OSXMMEXCPT	BIT64(10)
#define CR4_UMIP	BIT64(11)
#define CR4_LA57	BIT64(12)
#define CR4_VMXE	BIT64(13)
#define CR4_SMXE	BIT64(14)
#define CR4_FSGSBASE	BIT64(16)
#define CR4_PCIDE	BIT64(17)
#define CR4_OSXSAVE	BIT64(18)
#define CR4_KL		BIT64(19)
#define CR4_SMEP	BIT64(20)
#define CR4_SMAP	BIT64(21)
#define CR4_PKE		BIT64(22)
#define CR4_CET		BIT64(23)
#define CR4_PKS		BIT64(24)
#define CR4_UINTR	BIT64(25)
#define CR4_LASS	BIT64(27)
#define CR4_LAM_SUP	BIT64(28)
#define CR4_FRED	BIT64(32)

#define EFER_SCE	BIT64(0)
#define EFER_LME	BIT64(8)
#define EFER_LMA	BIT64(10)
#define EFER_NXE	BIT64(11)
#define EFER_SVME	BIT64(12)
#define EFER_LMSLE	BIT64(13)
#define EFER_FFXSR	BIT64(14)
#define EFER_TCE	BIT64(15)
#define EFER_MCOMMIT	BIT64(17)
#define EFER_INTWB	BIT64(18)
#define EFER_UAIE	BIT64(20)
#define EFER_AIBRSE	BIT64(21)

#define RFLAGS_CF	BIT64(0)
#define RFLAGS_FIXED	BIT64(1) /* always one */
#define RFLAGS_PF	BIT64(2)
#define RFLAGS_AF	BIT64(4)
#define RFLAGS_ZF	BIT64(6)
#define RFLAGS_SF	BIT64(7)
#define RFLAGS_TF	BIT64(8)
#define RFLAGS_IF	BIT64(9)
#define RFLAGS_DF	BIT64(10)
#define RFLAGS_OF	BIT64(11)
#define RFLAGS_IOPL	BITS64(13, 12)
#define RFLAGS_NT	BIT64(14)
#define RFLAGS_RF	BIT64(16)
#define RFLAGS_VM	BIT64(17)
#define RFLAGS_AC	BIT64(18)
#define RFLAGS_VIF	BIT64(19)

#define DR6_INIT	UINT64_C(0xffff0ff0)
#define DR6_BREAKPOINTS BITS64(3, 0)
#define DR6_ACTIVE_LOW	(BIT64(11) | BIT64(16)) /* bus lock; transactional region */
#define DR6_BD		BIT64(13)
#define DR6_BS		BIT64(14)
#define DR6_BT		BIT64(15)
#define DR7_INIT	UINT64_C(0x400)
#define DR7_GD		BIT64(13)

#define XCR0_X87	BIT64(0)
#define XCR0_SSE	BIT64(1)
#define XCR0_AVX	BIT64(2)
#define XCR0_MPX	BITS64(4, 3)
#define XCR0_AVX512	BITS64(7, 5)
#define XCR0_AMX	BITS64(18, 17)
#define XCR0_APX	BIT64(19)

/* SDM: "Exception and Interrupt Vectors". */
enum exception_vector {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_NMI = 2,
	VECTOR_BP = 3,
	VECTOR_OF = 4,
	VECTOR_BR = 5,
	VECTOR_UD = 6,
	VECTOR_NM = 7,
	VECTOR_DF = 8,
	VECTOR_TS = 10,
	VECTOR_NP = 11,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MF = 16,
	VECTOR_AC = 17,
	VECTOR_MC = 18,
	VECTOR_XM = 19,
	VECTOR_VE = 20,
	VECTOR_CP = 21,
	VECTOR_HV = 28,
	VECTOR_VC = 29,
	VECTOR_SX = 30,
};

/* Page-fault error code. SDM: "Page-Fault Exceptions"; the high ones as SVM reports nested faults. */
#define PFERR_PRESENT	   BIT64(0)
#define PFERR_WRITE	   BIT64(1)
#define PFERR_USER	   BIT64(2)
#define PFERR_RESERVED	   BIT64(3)
#define PFERR_FETCH	   BIT64(4)
#define PFERR_KEY	   BIT64(5)
#define PFERR_SHADOW_STACK BIT64(6)

#endif
