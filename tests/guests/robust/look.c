/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/robust/look.h"

#include <stddef.h>

#define CR0_CHANGES_MODE UINT64_C(0x80000001)  /* PG, PE */
#define CR4_CHANGES_MODE UINT64_C(0x100007020) /* FRED, SMXE, VMXE, LA57, PAE */
#define CR0_KNOWN	 UINT64_C(0x00000000e005003f)
#define CR4_VMXE	 UINT64_C(0x2000)
#define DR7_GD		 UINT64_C(0x2000)
#define HYPERCALL_TOP	 UINT64_C(0x534f4c4f56) /* "SOLOV" */
#define MSR_EFER	 0xc0000080

/* What engine.c has in EFER; nobody changes LME, LMA, SVME. */
#define EFER_FIXED	 UINT64_C(0x1500)

struct parse {
	const struct look_state *ls;
	const uint8_t *bytes;
	uint32_t count, at;
	bool prefix_66, prefix_67, prefix_f2, prefix_f3;
	uint8_t rex;
	uint8_t opcode, modrm;
};

static uint8_t byte_at(const struct parse *p, uint32_t at)
{
	return at < p->count ? p->bytes[at] : 0;
}

static uint64_t reg(const struct parse *p, uint32_t index)
{
	return p->ls->state->gpr[index & 15];
}

static bool is_real(const struct parse *p)
{
	return p->ls->world->paging == PAGING_REAL;
}

static bool is_virtual(const struct parse *p)
{
	return (p->ls->state->rflags & FLAG_VM) != 0;
}

static bool is_memory(const struct parse *p)
{
	return (p->modrm & 0xc0) != 0xc0;
}

static uint32_t modrm_reg(const struct parse *p)
{
	return p->modrm >> 3 & 7;
}

/* --- prefixes --- */

static bool take_prefix(struct parse *p, uint8_t byte)
{
	switch (byte) {
	case 0x66:
		p->prefix_66 = true;
		return true;
	case 0x67:
		p->prefix_67 = true;
		return true;
	case 0xf2:
		p->prefix_f2 = true;
		return true;
	case 0xf3:
		p->prefix_f3 = true;
		return true;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0xf0:
		return true;
	default:
		return false;
	}
}

static void take_prefixes(struct parse *p)
{
	for (; p->at < INSN_BYTES_MAX; p->at++) {
		const uint8_t byte = byte_at(p, p->at);

		if (take_prefix(p, byte)) {
			p->rex = 0; /* one that is not the last does not count */
		} else if (p->ls->bits == 64 && (byte & 0xf0) == 0x40) {
			p->rex = byte;
		} else {
			return;
		}
	}
}

/* --- MSRs --- */

/*
 * Not: clocks, the firmware's and the platform's business (microcode, power, SMI, memory encryption), the local APIC, and what the
 * hypervisor hides.
 */
static const struct {
	uint32_t first, last;
} unsafe_msrs[] = {
	{ 0x10, 0x10 },
	{ 0x17, 0x1b },
	{ 0x2a, 0x3b },
	{ 0x79, 0x79 },
	{ 0x8b, 0x9f },
	{ 0xe1, 0xe8 },
	{ 0x10f, 0x110 },
	{ 0x122, 0x123 },
	{ 0x19a, 0x1a0 },
	{ 0x1d9, 0x1d9 },
	{ 0x1f2, 0x1fc },
	{ 0x480, 0x4ff },
	{ 0x6a0, 0x6a8 },
	{ 0x6e0, 0x6e0 },
	{ 0x800, 0x8ff },
	{ 0xc0000080, 0xc0000080 },
	{ 0xc00000e7, 0xc00000e9 },
	{ 0xc0000104, 0xc0000104 },
	{ 0xc0010010, 0xc001001f },
	{ 0xc0010020, 0xc0010021 },
	{ 0xc0010050, 0xc0010074 },
	{ 0xc0010100, 0xc0010150 },
};

bool look_msr_is_safe(uint32_t msr)
{
	for (uint32_t i = 0; i < sizeof(unsafe_msrs) / sizeof(unsafe_msrs[0]); i++) {
		if (msr >= unsafe_msrs[i].first && msr <= unsafe_msrs[i].last)
			return false;
	}
	return true;
}

/* Whose very presence is hidden. */
static bool is_hidden_msr(uint32_t msr)
{
	return msr == 0x3a || (msr >= 0x480 && msr <= 0x4ff) ||
	       (msr >= 0xc0010114 && msr <= 0xc001011f);
}

static struct look look_rdmsr(const struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN, .forget = FORGET_RAX_RDX };

	if (p->ls->cpl == 0 && is_hidden_msr((uint32_t)reg(p, RCX)))
		look.verdict = LOOK_RUN_LOOSE;
	return look;
}

static uint64_t efer_of(const struct parse *p)
{
	return p->ls->world->paging == PAGING_LONG ? 0x500 : 0;
}

static struct look look_wrmsr(const struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };
	const uint32_t msr = (uint32_t)reg(p, RCX);
	const uint64_t value = (uint32_t)reg(p, RAX) | reg(p, RDX) << 32;

	if (p->ls->cpl != 0)
		return look;
	look.is_wrmsr = true;
	if (msr == MSR_EFER && !((value ^ efer_of(p)) & EFER_FIXED))
		return look;
	if (is_hidden_msr(msr) && msr != 0x3a)
		look.verdict = LOOK_RUN_LOOSE;
	else if (!look_msr_is_safe(msr))
		look.verdict = LOOK_END;
	return look;
}

/* --- ports --- */

static bool is_io_allowed(const struct parse *p, uint32_t port, uint32_t bytes)
{
	const uint32_t iopl = (uint32_t)(p->ls->state->rflags & FLAG_IOPL) >> 12;

	/* The task's bitmap says no to all others. */
	return engine_port_is_safe(port, bytes) ||
	       (!is_real(p) && (is_virtual(p) || p->ls->cpl > iopl));
}

static enum look_verdict look_io(const struct parse *p)
{
	const bool is_byte = (p->opcode & 1) == 0, has_imm = (p->opcode & 0xf8) == 0xe0;
	const bool is_32 = (p->ls->bits == 16) == p->prefix_66;
	const uint32_t port = has_imm ? byte_at(p, p->at + 1) : reg(p, RDX) & 0xffff;

	return is_io_allowed(p, port, is_byte ? 1 : is_32 ? 4 : 2) ? LOOK_RUN : LOOK_END;
}

/* --- the stack of POPF and IRET --- */

static uint64_t stack_linear(const struct parse *p, uint32_t offset)
{
	const struct robust_state *state = p->ls->state;
	uint64_t sp = state->gpr[RSP], descriptor;

	if (p->ls->bits == 64)
		return sp + offset;
	if (is_real(p) || is_virtual(p))
		return ((sp + offset) & 0xffff) + (uint64_t)(state->ss << 4);
	descriptor = engine_descriptor(p->ls->engine, state->ss);
	sp += offset;
	sp &= (descriptor >> 54 & 1) != 0 ? UINT32_MAX : UINT16_MAX;
	return (uint32_t)(sp + (descriptor >> 16 & 0xffffff) + (descriptor >> 56 << 24));
}

/* The second byte of the flags that are going to be loaded gets TF. False: they are not where we can reach them. */
static bool patch_flags(const struct parse *p, uint32_t words)
{
	const bool is_wide =
		p->ls->bits == 64 && ((p->rex & 8) != 0 || (words == 0 && !p->prefix_66));
	const uint32_t word = is_wide ? 8 : (p->ls->bits == 16) == p->prefix_66 ? 4 : 2;
	uint8_t *byte = engine_byte(p->ls->engine, stack_linear(p, words * word + 1));

	if (!byte)
		return false;
	*byte = (uint8_t)((*byte | FLAG_TF >> 8) & ~(FLAG_NT >> 8));
	return true;
}

static enum look_verdict look_popf(const struct parse *p)
{
	return patch_flags(p, 0) ? LOOK_RUN : LOOK_END;
}

static enum look_verdict look_iret(const struct parse *p)
{
	return patch_flags(p, 2) ? LOOK_RUN : LOOK_END;
}

/* --- control and debug registers --- */

static enum look_verdict look_to_cr0(const struct parse *p, uint64_t value)
{
	const uint64_t old = p->ls->state->cr0;

	if ((value ^ old) & CR0_CHANGES_MODE)
		return LOOK_END;
	if (value & ~CR0_KNOWN)
		return LOOK_RUN_LOOSE;
	/* NW without CD is #GP, which QEMU has only under the hypervisor. */
	if ((value & 0x60000000) == 0x20000000)
		return LOOK_RUN_LOOSE;
	return LOOK_RUN;
}

static enum look_verdict look_to_cr3(const struct parse *p, uint64_t value)
{
	const uint64_t root = engine_cr3(p->ls->engine);
	const uint64_t flags = p->ls->world->paging == PAGING_PAE ? 0x1f : 0xfff;

	if (is_real(p))
		return LOOK_RUN;
	if ((value & ~flags) == root)
		return LOOK_RUN;
	return LOOK_END;
}

static enum look_verdict look_to_cr4(const struct parse *p, uint64_t value)
{
	const uint64_t old = p->ls->state->cr4;

	if ((value ^ old) & CR4_CHANGES_MODE)
		return ((value ^ old) & CR4_CHANGES_MODE) == CR4_VMXE ? LOOK_RUN_LOOSE : LOOK_END;
	/* What this CPU does not have is reserved. */
	if (value & ~(p->ls->cr4_bits | old))
		return LOOK_RUN_LOOSE;
	return LOOK_RUN;
}

static struct look look_to_cr(const struct parse *p)
{
	const uint32_t cr = modrm_reg(p) | (p->rex & 4u) << 1;
	uint64_t value = reg(p, (p->modrm & 7u) | (p->rex & 1u) << 3);
	struct look look = { .verdict = LOOK_RUN };

	if (p->ls->cpl != 0)
		return look;
	if (p->ls->bits != 64)
		value = (uint32_t)value;
	if (cr == 0)
		look.verdict = look_to_cr0(p, value);
	else if (cr == 3)
		look.verdict = look_to_cr3(p, value);
	else if (cr == 4)
		look.verdict = look_to_cr4(p, value);
	return look;
}

static enum look_verdict look_to_dr(const struct parse *p)
{
	const uint64_t value = reg(p, (p->modrm & 7u) | (p->rex & 1u) << 3);

	if (p->ls->cpl == 0 && (modrm_reg(p) == 7 || modrm_reg(p) == 5) && (value & DR7_GD))
		return LOOK_END;
	return LOOK_RUN;
}

/* --- 0F 00, 0F 01 and the like --- */

static struct look look_0f01_register(const struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };

	switch (p->modrm) {
	case 0xc1: /* VMCALL */
	case 0xd9: /* VMMCALL */
		if (reg(p, RAX) >> 24 == HYPERCALL_TOP)
			look.verdict = LOOK_RUN_LOOSE;
		return look;
	case 0xd8: /* VMRUN ...: under AMD-V EFER.SVME is set, and #GP comes before #UD and before the exit */
	case 0xda:
	case 0xdb:
	case 0xdc:
	case 0xdd:
	case 0xde:
	case 0xdf:
		look.verdict = LOOK_RUN_LOOSE;
		return look;
	case 0xc9: /* MWAIT */
	case 0xfb: /* MWAITX */
	case 0xfd: /* RDPRU */
	case 0xd7: /* ENCLU and its like */
	case 0xcf:
	case 0xc0:
		look.verdict = LOOK_END;
		return look;
	case 0xf9:
		look.forget = FORGET_RAX_RDX_RCX;
		return look;
	case 0xf8:
		return look;
	default:
		break;
	}
	if (modrm_reg(p) == 6 && is_real(p))
		look.verdict = LOOK_END; /* LMSW */
	return look;
}

static struct look look_0f01(const struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };

	if (!is_memory(p))
		return look_0f01_register(p);
	if (p->ls->cpl == 0 && (modrm_reg(p) == 2 || modrm_reg(p) == 3))
		look.verdict = LOOK_END;
	if (is_real(p) && modrm_reg(p) == 6)
		look.verdict = LOOK_END;
	return look;
}

/* QEMU loads a null selector, and the next exception that needs the task's segment ends it ("invalid tss"). */
static enum look_verdict look_0f00(const struct parse *p)
{
	const uint32_t index = (p->modrm & 7u) | (p->rex & 1u) << 3;

	if (modrm_reg(p) != 3 || p->ls->cpl != 0 || is_real(p))
		return LOOK_RUN;
	return is_memory(p) || !(reg(p, index) & 0xfffc) ? LOOK_END : LOOK_RUN;
}

static struct look look_0f_more(const struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };

	switch (p->opcode) {
	case 0xa2:
		look.forget = FORGET_CPUID;
		break;
	case 0xb2: /* LSS */
		look.verdict = is_real(p) ? LOOK_END : LOOK_RUN;
		break;
	case 0xae: /* UMWAIT, TPAUSE */
		if (!is_memory(p) && modrm_reg(p) == 6 && (p->prefix_66 || p->prefix_f2))
			look.verdict = LOOK_END;
		break;
	case 0xc7: /* RDRAND, RDSEED, VMXON and its like */
		if (modrm_reg(p) >= 6)
			look.verdict = !is_memory(p) && !p->prefix_f3 ? LOOK_END : LOOK_RUN;
		break;
	default:
		break;
	}
	return look;
}

static struct look look_0f(struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };

	p->opcode = byte_at(p, p->at + 1);
	p->modrm = byte_at(p, p->at + 2);
	switch (p->opcode) {
	case 0x00:
		look.verdict = look_0f00(p);
		return look;
	case 0x01:
		return look_0f01(p);
	case 0x05:
		/* QEMU lets SYSCALL out of real mode, to code and stack that begin at 0. */
		look.verdict = is_real(p) ? LOOK_END : LOOK_RUN;
		return look;
	case 0x07: /* SYSRET */
		look.verdict = p->ls->cpl == 0 && !(reg(p, 11) & FLAG_TF) ? LOOK_END : LOOK_RUN;
		return look;
	case 0x22:
		return look_to_cr(p);
	case 0x23:
		look.verdict = look_to_dr(p);
		return look;
	case 0x30:
		return look_wrmsr(p);
	case 0x31:
	case 0x33:
		look.forget = FORGET_RAX_RDX;
		return look;
	case 0x32:
		return look_rdmsr(p);
	default:
		return look_0f_more(p);
	}
}

/* --- one byte --- */

static struct look look_primary(struct parse *p);

/* The instruction after one that loads SS is not stepped: it is looked at together with it. */
static struct look look_after_ss(struct parse *p, uint32_t bytes)
{
	struct parse next = { .ls = p->ls,
			      .bytes = p->bytes + p->at + bytes,
			      .count = p->count > p->at + bytes ? p->count - p->at - bytes : 0 };
	struct look look = { .verdict = LOOK_END };

	if (is_real(p) || next.count < INSN_BYTES_MAX)
		return look;
	take_prefixes(&next);
	/* Whatever leaves the straight line or has more to be said is too much. */
	switch (byte_at(&next, next.at)) {
	case 0x90:
	case 0xcc:
	case 0x50 ... 0x57:
	case 0xb8 ... 0xbf:
		look.verdict = LOOK_RUN;
		break;
	case 0x0f:
		if (byte_at(&next, next.at + 1) == 0xa2) {
			look.verdict = LOOK_RUN;
			look.forget = FORGET_CPUID;
		}
		break;
	default:
		break;
	}
	return look;
}

static bool is_error_vector(uint8_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
	       vector == 29 || vector == 30;
}

static struct look look_flow(const struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };

	switch (p->opcode) {
	case 0x9d:
		look.verdict = look_popf(p);
		break;
	case 0xcd:
		/* No error code is pushed. */
		if (p->ls->cpl == 0 && is_error_vector(byte_at(p, p->at + 1)))
			look.verdict = LOOK_END;
		break;
	case 0xcf:
		look.verdict = look_iret(p);
		break;
	case 0xf4:
		look.is_halt = p->ls->cpl == 0;
		if (look.is_halt && !p->ls->has_timer)
			look.verdict = LOOK_END;
		break;
	default:
		break;
	}
	return look;
}

static struct look look_primary(struct parse *p)
{
	struct look look = { .verdict = LOOK_RUN };

	p->opcode = byte_at(p, p->at);
	p->modrm = byte_at(p, p->at + 1);
	switch (p->opcode) {
	case 0x0f:
		return look_0f(p);
	case 0x17:
		return p->ls->bits == 64 ? look : look_after_ss(p, 1);
	case 0x6c ... 0x6f:
	case 0xe4 ... 0xe7:
	case 0xec ... 0xef:
		look.verdict = look_io(p);
		return look;
	case 0x8e:
		if (modrm_reg(p) != 2)
			return look;
		if (is_memory(p))
			look.verdict = LOOK_END;
		else
			look = look_after_ss(p, 2);
		return look;
	default:
		return look_flow(p);
	}
}

/* At the first bytes of its segment the step's own trap finds no stack, and the machine shuts down (SDM: "PUSH"). */
static bool loads_sp(const struct parse *p)
{
	const bool is_rm = !is_memory(p) && (p->modrm & 7) == RSP;

	switch (p->opcode) {
	case 0x5c:
	case 0x94:
	case 0xbc:
	case 0xc8:
	case 0xc9:
		return true;
	case 0x8b:
	case 0x8d:
		return modrm_reg(p) == RSP;
	case 0x87:
		return modrm_reg(p) == RSP || is_rm;
	case 0x89:
	case 0x8f:
		return is_rm;
	default:
		return false;
	}
}

struct look look_at(const struct look_state *ls, const uint8_t *bytes, uint32_t count)
{
	struct parse p = { .ls = ls, .bytes = bytes, .count = count };
	struct look look;

	take_prefixes(&p);
	/* In real mode QEMU knows no limits: addresses of 32 bits would reach everything. */
	if (is_real(&p) && p.prefix_67)
		return (struct look){ .verdict = LOOK_END, .opcode_at = p.at };
	look = look_primary(&p);
	if (is_real(&p) && loads_sp(&p))
		look.verdict = LOOK_END;
	look.opcode_at = p.at;
	return look;
}
