/* SPDX-License-Identifier: BSD-2-Clause */
/* The bits of table entries. SDM: "Paging", "The Extended Page Table Mechanism (EPT)"; APM: "Nested Paging". */
#ifndef MM_PAGE_ENTRY_H
#define MM_PAGE_ENTRY_H

#include "arch/x86/bits.h"

/* All tables of CR3 and nCR3; entries of 32-bit paging end at bit 31. */
#define ENTRY_P		BIT64(0)
#define ENTRY_RW	BIT64(1)
#define ENTRY_US	BIT64(2)
#define ENTRY_PWT	BIT64(3)
#define ENTRY_PCD	BIT64(4)
#define ENTRY_A		BIT64(5)
#define ENTRY_D		BIT64(6)
#define ENTRY_PS	BIT64(7)
#define ENTRY_G		BIT64(8)
#define ENTRY_PAT_SMALL BIT64(7) /* of a 4 KiB page */
#define ENTRY_PAT_LARGE BIT64(12)
#define ENTRY_KEY	BITS64(62, 59)
#define ENTRY_NX	BIT64(63)
#define ENTRY_NX_BIT	63u

#define EPT_R		BIT64(0)
#define EPT_W		BIT64(1)
#define EPT_X		BIT64(2) /* with MBEC: for supervisor-mode addresses */
#define EPT_TYPE	BITS64(5, 3)
#define EPT_IPAT	BIT64(6)
#define EPT_LEAF	BIT64(7)
#define EPT_A		BIT64(8)
#define EPT_D		BIT64(9)
#define EPT_X_USER	BIT64(10)
#define EPT_X_USER_BIT	10u

#endif
