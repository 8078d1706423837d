/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual-machine control structure: its fields in the manual's order, and accessors that know
 * each field's width. SDM: "Field Encoding in VMCS", "VMREAD", "VMWRITE".
 */
#ifndef ARCH_VMX_VMCS_H
#define ARCH_VMX_VMCS_H

#include "arch/x86/bits.h"

/* Fields of a feature that a CPU does not have do not exist there: VMREAD and VMWRITE fail. */
#define VMCS_FIELDS(X)                       \
	X(VPID, 0x0000)                      \
	X(GUEST_ES_SELECTOR, 0x0800)         \
	X(GUEST_CS_SELECTOR, 0x0802)         \
	X(GUEST_SS_SELECTOR, 0x0804)         \
	X(GUEST_DS_SELECTOR, 0x0806)         \
	X(GUEST_FS_SELECTOR, 0x0808)         \
	X(GUEST_GS_SELECTOR, 0x080a)         \
	X(GUEST_LDTR_SELECTOR, 0x080c)       \
	X(GUEST_TR_SELECTOR, 0x080e)         \
	X(HOST_ES_SELECTOR, 0x0c00)          \
	X(HOST_CS_SELECTOR, 0x0c02)          \
	X(HOST_SS_SELECTOR, 0x0c04)          \
	X(HOST_DS_SELECTOR, 0x0c06)          \
	X(HOST_FS_SELECTOR, 0x0c08)          \
	X(HOST_GS_SELECTOR, 0x0c0a)          \
	X(HOST_TR_SELECTOR, 0x0c0c)          \
	X(IO_BITMAP_A, 0x2000)               \
	X(IO_BITMAP_B, 0x2002)               \
	X(MSR_BITMAP, 0x2004)                \
	X(EXIT_MSR_STORE, 0x2006)            \
	X(EXIT_MSR_LOAD, 0x2008)             \
	X(ENTRY_MSR_LOAD, 0x200a)            \
	X(TSC_OFFSET, 0x2010)                \
	X(EPTP, 0x201a)                      \
	X(XSS_EXITING_BITMAP, 0x202c)        \
	X(PCONFIG_EXITING_BITMAP, 0x203e)    \
	X(EXIT_GPA, 0x2400)                  \
	X(LINK_POINTER, 0x2800)              \
	X(GUEST_DEBUGCTL, 0x2802)            \
	X(GUEST_PAT, 0x2804)                 \
	X(GUEST_EFER, 0x2806)                \
	X(GUEST_PDPTE0, 0x280a)              \
	X(GUEST_PDPTE1, 0x280c)              \
	X(GUEST_PDPTE2, 0x280e)              \
	X(GUEST_PDPTE3, 0x2810)              \
	X(GUEST_BNDCFGS, 0x2812)             \
	X(GUEST_LBR_CTL, 0x2816)             \
	X(HOST_PAT, 0x2c00)                  \
	X(HOST_EFER, 0x2c02)                 \
	X(PIN_CONTROLS, 0x4000)              \
	X(PRIMARY_CONTROLS, 0x4002)          \
	X(EXCEPTION_BITMAP, 0x4004)          \
	X(PAGE_FAULT_MASK, 0x4006)           \
	X(PAGE_FAULT_MATCH, 0x4008)          \
	X(CR3_TARGET_COUNT, 0x400a)          \
	X(EXIT_CONTROLS, 0x400c)             \
	X(EXIT_MSR_STORE_COUNT, 0x400e)      \
	X(EXIT_MSR_LOAD_COUNT, 0x4010)       \
	X(ENTRY_CONTROLS, 0x4012)            \
	X(ENTRY_MSR_LOAD_COUNT, 0x4014)      \
	X(ENTRY_INTR_INFO, 0x4016)           \
	X(ENTRY_ERROR_CODE, 0x4018)          \
	X(ENTRY_INSN_BYTES, 0x401a)          \
	X(SECONDARY_CONTROLS, 0x401e)        \
	X(INSTRUCTION_ERROR, 0x4400)         \
	X(EXIT_REASON, 0x4402)               \
	X(EXIT_INTR_INFO, 0x4404)            \
	X(EXIT_ERROR_CODE, 0x4406)           \
	X(IDT_VECTORING_INFO, 0x4408)        \
	X(IDT_VECTORING_ERROR_CODE, 0x440a)  \
	X(EXIT_INSN_BYTES, 0x440c)           \
	X(EXIT_INSN_INFO, 0x440e)            \
	X(GUEST_ES_LIMIT, 0x4800)            \
	X(GUEST_CS_LIMIT, 0x4802)            \
	X(GUEST_SS_LIMIT, 0x4804)            \
	X(GUEST_DS_LIMIT, 0x4806)            \
	X(GUEST_FS_LIMIT, 0x4808)            \
	X(GUEST_GS_LIMIT, 0x480a)            \
	X(GUEST_LDTR_LIMIT, 0x480c)          \
	X(GUEST_TR_LIMIT, 0x480e)            \
	X(GUEST_GDTR_LIMIT, 0x4810)          \
	X(GUEST_IDTR_LIMIT, 0x4812)          \
	X(GUEST_ES_RIGHTS, 0x4814)           \
	X(GUEST_CS_RIGHTS, 0x4816)           \
	X(GUEST_SS_RIGHTS, 0x4818)           \
	X(GUEST_DS_RIGHTS, 0x481a)           \
	X(GUEST_FS_RIGHTS, 0x481c)           \
	X(GUEST_GS_RIGHTS, 0x481e)           \
	X(GUEST_LDTR_RIGHTS, 0x4820)         \
	X(GUEST_TR_RIGHTS, 0x4822)           \
	X(GUEST_INTERRUPTIBILITY, 0x4824)    \
	X(GUEST_ACTIVITY, 0x4826)            \
	X(GUEST_SYSENTER_CS, 0x482a)         \
	X(GUEST_PREEMPTION_TIMER, 0x482e)    \
	X(HOST_SYSENTER_CS, 0x4c00)          \
	X(CR0_MASK, 0x6000)                  \
	X(CR4_MASK, 0x6002)                  \
	X(CR0_SHADOW, 0x6004)                \
	X(CR4_SHADOW, 0x6006)                \
	X(EXIT_QUALIFICATION, 0x6400)        \
	X(EXIT_LINEAR_ADDRESS, 0x640a)       \
	X(GUEST_CR0, 0x6800)                 \
	X(GUEST_CR3, 0x6802)                 \
	X(GUEST_CR4, 0x6804)                 \
	X(GUEST_ES_BASE, 0x6806)             \
	X(GUEST_CS_BASE, 0x6808)             \
	X(GUEST_SS_BASE, 0x680a)             \
	X(GUEST_DS_BASE, 0x680c)             \
	X(GUEST_FS_BASE, 0x680e)             \
	X(GUEST_GS_BASE, 0x6810)             \
	X(GUEST_LDTR_BASE, 0x6812)           \
	X(GUEST_TR_BASE, 0x6814)             \
	X(GUEST_GDTR_BASE, 0x6816)           \
	X(GUEST_IDTR_BASE, 0x6818)           \
	X(GUEST_DR7, 0x681a)                 \
	X(GUEST_RSP, 0x681c)                 \
	X(GUEST_RIP, 0x681e)                 \
	X(GUEST_RFLAGS, 0x6820)              \
	X(GUEST_PENDING_DEBUG, 0x6822)       \
	X(GUEST_SYSENTER_ESP, 0x6824)        \
	X(GUEST_SYSENTER_EIP, 0x6826)        \
	X(GUEST_S_CET, 0x6828)               \
	X(GUEST_SSP, 0x682a)                 \
	X(GUEST_INTERRUPT_SSP_TABLE, 0x682c) \
	X(HOST_CR0, 0x6c00)                  \
	X(HOST_CR3, 0x6c02)                  \
	X(HOST_CR4, 0x6c04)                  \
	X(HOST_FS_BASE, 0x6c06)              \
	X(HOST_GS_BASE, 0x6c08)              \
	X(HOST_TR_BASE, 0x6c0a)              \
	X(HOST_GDTR_BASE, 0x6c0c)            \
	X(HOST_IDTR_BASE, 0x6c0e)            \
	X(HOST_SYSENTER_ESP, 0x6c10)         \
	X(HOST_SYSENTER_EIP, 0x6c12)         \
	X(HOST_RSP, 0x6c14)                  \
	X(HOST_RIP, 0x6c16)                  \
	X(HOST_S_CET, 0x6c18)                \
	X(HOST_SSP, 0x6c1a)                  \
	X(HOST_INTERRUPT_SSP_TABLE, 0x6c1c)

#define VMCS_ENUM(name, encoding) VMCS_##name = (encoding),
enum vmcs_field { VMCS_FIELDS(VMCS_ENUM) };
#undef VMCS_ENUM

enum vmcs_width { VMCS_WIDTH_16 = 0, VMCS_WIDTH_64 = 1, VMCS_WIDTH_32 = 2, VMCS_WIDTH_NATURAL = 3 };
#define VMCS_WIDTH(field) ((unsigned)(field) >> 13 & 3u)

/*
 * "CLEAR" is VMCLEAR's own: the region is no longer current nor active on any CPU. All return false
 * on VMfail.
 */
MUST_CHECK static inline bool vmx_on(uint64_t region)
{
	bool ok;

	asm volatile("vmxon %[region]" : "=@cca"(ok) : [region] "m"(region) : "memory");
	return ok;
}

static inline void vmx_off(void)
{
	asm volatile("vmxoff" : : : "cc", "memory");
}

MUST_CHECK static inline bool vmcs_clear(uint64_t region)
{
	bool ok;

	asm volatile("vmclear %[region]" : "=@cca"(ok) : [region] "m"(region) : "memory");
	return ok;
}

MUST_CHECK static inline bool vmcs_load(uint64_t region)
{
	bool ok;

	asm volatile("vmptrld %[region]" : "=@cca"(ok) : [region] "m"(region) : "memory");
	return ok;
}

/*
 * Neither CF (VMfailInvalid) nor ZF (VMfailValid). SDM: "Conventions" of the VMX instruction
 * reference. Unit tests have a VMCS of their own.
 */
#ifdef HOST_TEST
MUST_CHECK bool vmcs_read_raw(unsigned field, uint64_t *value);
MUST_CHECK bool vmcs_write_raw(unsigned field, uint64_t value);
#else
MUST_CHECK static inline bool vmcs_read_raw(unsigned field, uint64_t *value)
{
	bool ok;

	asm volatile("vmread %[field], %[value]"
		     : "=@cca"(ok), [value] "=r"(*value)
		     : [field] "r"((uint64_t)field));
	return ok;
}

MUST_CHECK static inline bool vmcs_write_raw(unsigned field, uint64_t value)
{
	bool ok;

	asm volatile("vmwrite %[value], %[field]"
		     : "=@cca"(ok)
		     : [value] "r"(value), [field] "r"((uint64_t)field));
	return ok;
}
#endif

/*
 * Our bug: the field does not exist on this CPU or no VMCS is current. arch/vmx/dump.c names the
 * field.
 */
void vmcs_access_failed(unsigned field, bool write) __attribute__((noreturn, cold));

static inline uint64_t vmcs_read_checked(unsigned field)
{
	uint64_t value;

	if (UNLIKELY(!vmcs_read_raw(field, &value)))
		vmcs_access_failed(field, false);
	return value;
}

static inline void vmcs_write_checked(unsigned field, uint64_t value)
{
	if (UNLIKELY(!vmcs_write_raw(field, value)))
		vmcs_access_failed(field, true);
}

#define VMCS_CHECK_WIDTH(field, width) \
	_Static_assert(VMCS_WIDTH(field) == (width), #field " has another width")

#define VMCS_READ(field, width, type)            \
	({                                       \
		VMCS_CHECK_WIDTH(field, width);  \
		(type) vmcs_read_checked(field); \
	})

#define VMCS_WRITE(field, width, type, value)             \
	do {                                              \
		VMCS_CHECK_WIDTH(field, width);           \
		vmcs_write_checked(field, (type)(value)); \
	} while (0)

#define vmcs_read16(field)	   VMCS_READ(field, VMCS_WIDTH_16, uint16_t)
#define vmcs_read32(field)	   VMCS_READ(field, VMCS_WIDTH_32, uint32_t)
#define vmcs_read64(field)	   VMCS_READ(field, VMCS_WIDTH_64, uint64_t)
#define vmcs_read(field)	   VMCS_READ(field, VMCS_WIDTH_NATURAL, uint64_t)
#define vmcs_write16(field, value) VMCS_WRITE(field, VMCS_WIDTH_16, uint16_t, value)
#define vmcs_write32(field, value) VMCS_WRITE(field, VMCS_WIDTH_32, uint32_t, value)
#define vmcs_write64(field, value) VMCS_WRITE(field, VMCS_WIDTH_64, uint64_t, value)
#define vmcs_write(field, value)   VMCS_WRITE(field, VMCS_WIDTH_NATURAL, uint64_t, value)

enum invalidation_type {
	INVALIDATE_SINGLE_CONTEXT = 1, /* INVEPT and INVVPID alike */
	INVALIDATE_ALL_CONTEXTS = 2,
};

struct invept_descriptor {
	uint64_t eptp, zero;
};

struct invvpid_descriptor {
	uint64_t vpid, address;
};

MUST_CHECK static inline bool invept(enum invalidation_type type, uint64_t eptp)
{
	struct invept_descriptor descriptor = { eptp, 0 };
	bool ok;

	asm volatile("invept %[descriptor], %[type]"
		     : "=@cca"(ok)
		     : [descriptor] "m"(descriptor), [type] "r"((uint64_t)type)
		     : "memory");
	return ok;
}

MUST_CHECK static inline bool invvpid(enum invalidation_type type, uint16_t vpid)
{
	struct invvpid_descriptor descriptor = { vpid, 0 };
	bool ok;

	asm volatile("invvpid %[descriptor], %[type]"
		     : "=@cca"(ok)
		     : [descriptor] "m"(descriptor), [type] "r"((uint64_t)type)
		     : "memory");
	return ok;
}

/* Guest interruptibility state. SDM: "Guest Non-Register State". */
#define INTERRUPTIBILITY_STI	BIT32(0)
#define INTERRUPTIBILITY_MOV_SS BIT32(1)
#define INTERRUPTIBILITY_SMI	BIT32(2)
#define INTERRUPTIBILITY_NMI	BIT32(3)
#define INTERRUPTIBILITY_SHADOW (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)

enum vmcs_activity {
	VMCS_ACTIVITY_ACTIVE = 0,
	VMCS_ACTIVITY_HLT = 1,
	VMCS_ACTIVITY_SHUTDOWN = 2,
	VMCS_ACTIVITY_WAIT_SIPI = 3,
};

/* Guest pending debug exceptions. */
#define PENDING_DEBUG_BREAKPOINTS	 BITS64(3, 0)
#define PENDING_DEBUG_ENABLED_BREAKPOINT BIT64(12)
#define PENDING_DEBUG_BS		 BIT64(14)

#endif
