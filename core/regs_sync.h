/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU's state as a user of the hypervisor (a debugger) reads and writes it: in sets, under a valid and a dirty mask.
 *
 * The structure may lie where the user changes it at any time. Both functions run on the vCPU's own CPU, at an exit
 * whose instruction is not going to be skipped, and never in an interrupt or NMI handler.
 */
#ifndef CORE_REGS_SYNC_H
#define CORE_REGS_SYNC_H

#include "arch/x86/limits.h"
#include "arch/x86/segment.h"
#include "core/regs.h"

struct vcpu;

#define REGS_SYNC_REGS	      BIT32(0)
#define REGS_SYNC_SREGS	      BIT32(1)
#define REGS_SYNC_EVENTS      BIT32(2)
#define REGS_SYNC_DEBUG	      BIT32(3)
#define REGS_SYNC_XSAVE	      BIT32(4)
#define REGS_SYNC_ALL	      BITS32(4, 0)

#define REGS_SYNC_XSAVE_BYTES 12288u /* all components there are, AMX among them */

struct regs_sync_regs {
	uint64_t gpr[REG_GPR_COUNT];
	uint64_t rip, rflags;
};

struct regs_sync_sregs {
	struct segment segments[SEGMENT_COUNT]; /* SS.DPL is the CPL */
	struct table_register gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	/* From the user: with 0, PAE paging loads them from memory. To the user: 1 if there is PAE paging. */
	uint64_t pdptr_valid;
	uint64_t pdptr[4];
};

/* Pending separately: no payload is in CR2, DR6 or DR7 before the delivery. Flags are 0 or 1. */
struct regs_sync_events {
	uint8_t valid, has_error, has_payload;
	uint8_t vector;
	uint8_t type;	    /* enum event_type */
	uint8_t insn_bytes; /* of soft events */
	uint8_t nmi_pending, nmi_blocked;
	uint32_t error_code;
	uint32_t interrupt_shadow; /* SHADOW_*; AMD-V has one kind and calls it SHADOW_STI */
	uint64_t payload;
};

struct regs_sync_debug {
	uint64_t dr[4];
	uint64_t dr6, dr7;
};

/* Standard form. SDM: "XSAVE Area". If XCR0 is without SSE, SSE state is there all the same, without a bit in XSTATE_BV. */
struct regs_sync_xsave {
	uint64_t xcr0;
	uint64_t bytes; /* as XCR0 wants it */
	uint8_t area[REGS_SYNC_XSAVE_BYTES] __attribute__((aligned(64)));
};

struct regs_sync {
	uint32_t valid; /* sets that to_user fills */
	uint32_t dirty; /* sets that from_user loads */
	struct regs_sync_regs regs;
	struct regs_sync_sregs sregs;
	struct regs_sync_events events;
	struct regs_sync_debug debug;
	struct regs_sync_xsave xsave;
};

/* Why a state is refused, and the same in words. */
#define REGS_SYNC_REASONS(X)                                                                  \
	X(OK, "accepted")                                                                     \
	X(SET_UNKNOWN, "there is no such set")                                                \
	X(CPU_WAITS, "the CPU waits for a SIPI")                                              \
	X(CPU_STEPS, "a single step of the hypervisor is under way")                          \
	X(FLAG, "a flag is neither 0 nor 1")                                                  \
	X(RIP_NOT_CANONICAL, "RIP is not canonical")                                          \
	X(RIP_ABOVE_4G, "RIP has more than 32 bits outside 64-bit mode")                      \
	X(RFLAGS_RESERVED, "RFLAGS: a reserved bit")                                          \
	X(RFLAGS_VM_MODE, "RFLAGS.VM without protected mode, or in IA-32e mode")              \
	X(CR0_RESERVED, "CR0: a reserved bit")                                                \
	X(CR0_PG_WITHOUT_PE, "CR0.PG without PE")                                             \
	X(CR0_NW_WITHOUT_CD, "CR0.NW without CD")                                             \
	X(CR4_RESERVED, "CR4: a bit that this CPU or this guest does not have")               \
	X(CR4_CET_WITHOUT_WP, "CR4.CET without CR0.WP")                                       \
	X(CR4_PCIDE_OUTSIDE_LONG_MODE, "CR4.PCIDE outside IA-32e mode")                       \
	X(EFER_RESERVED, "EFER: a bit that this CPU or this guest does not have")             \
	X(EFER_LMA_WRONG, "EFER.LMA is not LME and CR0.PG")                                   \
	X(EFER_LMA_WITHOUT_PAE, "IA-32e mode without CR4.PAE")                                \
	X(CR3_RESERVED, "CR3: a bit beyond the physical-address width")                       \
	X(CR8_RESERVED, "CR8: more than four bits")                                           \
	X(PDPTR_WITHOUT_PAE, "PDPTEs outside PAE paging")                                     \
	X(PDPTR_RESERVED, "a present PDPTE with a reserved bit")                              \
	X(PDPTR_MEMORY, "PDPTEs that are not those in memory, from where AMD-V takes them")   \
	X(TABLE_BASE, "the base of GDTR or IDTR is not canonical")                            \
	X(SEGMENT_IS_UNUSABLE, "CS or TR is unusable")                                        \
	X(SEGMENT_SELECTOR, "LDTR or TR refers to the LDT")                                   \
	X(SEGMENT_BASE, "the base of a segment")                                              \
	X(SEGMENT_VM86, "a segment is not as virtual-8086 mode has it")                       \
	X(SEGMENT_RESERVED, "a reserved bit in a segment's rights")                           \
	X(SEGMENT_WRONG_TYPE, "the type of a segment")                                        \
	X(SEGMENT_SYSTEM, "the S bit of a segment")                                           \
	X(SEGMENT_WRONG_DPL, "the DPL of CS or SS")                                           \
	X(SEGMENT_NOT_PRESENT, "a segment that is not present")                               \
	X(SEGMENT_LONG_AND_BIG, "CS.L and CS.D in IA-32e mode")                               \
	X(SEGMENT_GRANULARITY, "the limit of a segment contradicts G")                        \
	X(EVENT_TYPE, "there is no such type of event")                                       \
	X(EVENT_VECTOR, "the vector does not belong to that type of event")                   \
	X(EVENT_ERROR_CODE, "the error code is missing, or there can be none")                \
	X(EVENT_ERROR_BITS, "the error code has more than 16 bits")                           \
	X(EVENT_PAYLOAD, "this event has no such payload")                                    \
	X(EVENT_LENGTH, "the length of the instruction that raised the event")                \
	X(EVENT_BLOCKED, "the event cannot be delivered now")                                 \
	X(SHADOW_RESERVED, "there is no such interrupt shadow")                               \
	X(SHADOW_BOTH, "STI and MOV SS at once")                                              \
	X(SHADOW_STI_WITHOUT_IF, "the shadow of STI with interrupts off")                     \
	X(DR6_RESERVED, "DR6: a reserved bit")                                                \
	X(DR7_RESERVED, "DR7: a reserved bit")                                                \
	X(XSAVE_ABSENT, "this CPU has no XSAVE")                                              \
	X(XCR0_ILLEGAL, "XCR0: a combination that XSETBV refuses")                            \
	X(XSAVE_SIZE, "the XSAVE area is not as large as XCR0 wants it")                      \
	X(XSAVE_HEADER_FORM, "the header of the XSAVE area is not that of the standard form") \
	X(XSAVE_COMPONENTS, "the XSAVE area has components that XCR0 has not")                \
	X(XSAVE_MXCSR_BITS, "MXCSR: a reserved bit")                                          \
	X(XSAVE_REFUSED, "the CPU refused the XSAVE area")

#define REGS_SYNC_ENUM(name, text) REGS_SYNC_##name,
enum regs_sync_reason { REGS_SYNC_REASONS(REGS_SYNC_ENUM) REGS_SYNC_REASON_COUNT };
#undef REGS_SYNC_ENUM

/* Once, by CORE_PREPARE; a unit test has limits of its own. */
void regs_sync_init(const struct x86_limits *limits);

/* Fill the sets in `valid`; the bits of those that this CPU does not have are cleared. */
void regs_sync_to_user(struct vcpu *vcpu, struct regs_sync *user);

/*
 * Copy the sets in `dirty` in, check them together with what is not in them, and load either all of them, clearing
 * `dirty`, or none; then the reason says why.
 */
MUST_CHECK enum regs_sync_reason regs_sync_from_user(struct vcpu *vcpu, struct regs_sync *user);

const char *regs_sync_reason_text(enum regs_sync_reason reason);

#endif
