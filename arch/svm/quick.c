/* SPDX-License-Identifier: BSD-2-Clause */
/* The quick way through the frequent exits (vmexit/quick.h): called by the entry stub with what the CPU has left. */
#include "vmexit/quick.h"

#include "arch/svm/svm.h"
#include "arch/x86/cr.h"
#include "arch/x86/debug.h"
#include "core/caps.h"
#include "vmexit/apic_access.h"
#include "vmexit/decode_system.h"

#define OPCODE_BYTES(count) BITS64(8 * (count)-1, 0)

/* Without prefixes: the opcode as the first bytes of memory, and their number. */
struct quick_insn {
	enum exit_kind kind;
	enum system_insn insn;
	uint64_t opcode;
	unsigned bytes;
};

static const struct quick_insn insn_cpuid = { EXIT_CPUID, SYSTEM_CPUID, 0xa20f, 2 };
static const struct quick_insn insn_rdmsr = { EXIT_RDMSR, SYSTEM_RDMSR, 0x320f, 2 };
static const struct quick_insn insn_wrmsr = { EXIT_WRMSR, SYSTEM_WRMSR, 0x300f, 2 };
static const struct quick_insn insn_vmmcall = { EXIT_HYPERCALL, SYSTEM_VMMCALL, 0xd9010f, 3 };

static inline bool is_64bit(const struct vmcb *vmcb)
{
	return (vmcb->efer & EFER_LMA) != 0 && (vmcb->cs.attributes & (SEGMENT_L >> 4)) != 0;
}

/* By NRIP save. False: whether the sum wraps depends on the mode, or it is no next RIP at all. */
static inline __attribute__((always_inline)) bool saved_next_rip(const struct vmcb *vmcb,
								 uint64_t *next)
{
	uint64_t rip = vmcb->rip;

	*next = vmcb->next_rip;
	return LIKELY(*next - rip - 1 < INSN_MAX_BYTES && (*next ^ rip) >> 32 == 0);
}

static inline bool has_la57(const struct vmcb *vmcb)
{
	return (vmcb->cr4 & CR4_LA57) != 0;
}

static __attribute__((noinline)) unsigned prefixed_bytes(const struct vmcb *vmcb,
							 enum system_insn insn)
{
	struct gva_code code = gva_fetch_code(vmcb->cr3, has_la57(vmcb), (gva_t){ vmcb->rip });

	return decode_system_length((const uint8_t *)&code, INSN_MAX_BYTES, 8, insn);
}

/* By looking it up in memory. False: something else is there. */
static inline __attribute__((always_inline)) bool found_next_rip(const struct vmcb *vmcb,
								 const struct quick_insn *insn,
								 uint64_t *next)
{
	uint64_t code, bytes = insn->bytes;

	if (UNLIKELY(!is_64bit(vmcb)))
		return false;
	code = gva_fetch_word(vmcb->cr3, has_la57(vmcb), (gva_t){ vmcb->rip });
	if (UNLIKELY((code & OPCODE_BYTES(insn->bytes)) != insn->opcode)) {
		bytes = prefixed_bytes(vmcb, insn->insn);
		if (bytes == 0)
			return false;
	}
	*next = vmcb->rip + bytes;
	return true;
}

static inline enum quick_next advance(struct vcpu *vcpu, struct vmcb *vmcb, uint64_t next)
{
	vmcb->rip = next;
	vmcb->interrupt_shadow &= ~INTERRUPT_SHADOW;
	vmcb->rax = regs_fixed_read(&vcpu->regs, REG_RAX);
	return quick_finish(vcpu);
}

static inline __attribute__((always_inline)) enum quick_next handle(struct vcpu *vcpu,
								    struct vmcb *vmcb,
								    const struct quick_insn *insn)
{
	uint64_t next;

	if (!(LIKELY(hv_caps.nrip_save) ? saved_next_rip(vmcb, &next)
					: found_next_rip(vmcb, insn, &next)))
		return QUICK_GENERAL;
	if (UNLIKELY(quick_handle(vcpu, insn->kind) != VERDICT_NEXT_INSN))
		return QUICK_PREPARE;
	return advance(vcpu, vmcb, next);
}

static __attribute__((noinline)) enum quick_next handle_cpuid(struct vcpu *vcpu, struct vmcb *vmcb)
{
	return handle(vcpu, vmcb, &insn_cpuid);
}

/* Reading it once here is shorter than asking for it through the cache. */
static inline void fill_efer(struct vcpu *vcpu, const struct vmcb *vmcb)
{
	vcpu->regs.efer = vmcb->efer & ~EFER_SVME;
	regs_mark_available(&vcpu->regs, REG_EFER);
}

static __attribute__((noinline)) enum quick_next handle_rdmsr(struct vcpu *vcpu, struct vmcb *vmcb)
{
	fill_efer(vcpu, vmcb);
	return handle(vcpu, vmcb, &insn_rdmsr);
}

static __attribute__((noinline)) enum quick_next handle_wrmsr(struct vcpu *vcpu, struct vmcb *vmcb)
{
	fill_efer(vcpu, vmcb);
	return handle(vcpu, vmcb, &insn_wrmsr);
}

static __attribute__((noinline)) enum quick_next handle_vmmcall(struct vcpu *vcpu,
								struct vmcb *vmcb)
{
	if (vmcb->cpl != 0 || !hypercall_is_presence(vcpu))
		return QUICK_GENERAL;
	return handle(vcpu, vmcb, &insn_vmmcall);
}

/* A write to the page of the local APIC by the usual instruction. */
static __attribute__((noinline)) enum quick_next handle_nested_fault(struct vcpu *vcpu,
								     struct vmcb *vmcb)
{
	gpa_t gpa = { vmcb->exit_info2 };
	unsigned bytes;

	if ((vmcb->exit_info1 & (PFERR_WRITE | NPF_WALK)) != PFERR_WRITE ||
	    !apic_is_page(vcpu, gpa) || !is_64bit(vmcb) || UNLIKELY((vmcb->dr7 & DR7_ENABLES) != 0))
		return QUICK_GENERAL;
	bytes = apic_write_quick(vcpu, gpa,
				 gva_fetch_code(vmcb->cr3, has_la57(vmcb), (gva_t){ vmcb->rip }));
	if (UNLIKELY(bytes == 0))
		return QUICK_GENERAL;
	return advance(vcpu, vmcb, vmcb->rip + bytes);
}

static inline void after_vmrun(struct vcpu *vcpu, struct vmcb *vmcb)
{
	vmcb->clean = svm_of(vcpu)->clean;
	vmcb->tlb_control &= TLB_CONTROL_ALLOW_LARGER_RAP;
	vmcb->event_injection = 0;
	regs_forget_lazy(&vcpu->regs);
	regs_fixed_write(&vcpu->regs, REG_RAX, vmcb->rax);
}

uint32_t svm_quick_exit(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	after_vmrun(vcpu, vmcb);
	if (UNLIKELY((vmcb->exit_int_info & EVENT_VALID) != 0 ||
		     (vmcb->rflags & (RFLAGS_TF | RFLAGS_RF)) != 0 || (vmcb->cr0 & CR0_NW) != 0 ||
		     exit_watchers() != 0))
		return QUICK_GENERAL;
	if (vmcb->exit_code == SVM_EXIT_CPUID)
		return handle_cpuid(vcpu, vmcb);
	if (vmcb->exit_code == SVM_EXIT_MSR)
		return vmcb->exit_info1 == 0 ? handle_rdmsr(vcpu, vmcb) : handle_wrmsr(vcpu, vmcb);
	if (vmcb->exit_code == SVM_EXIT_NPF)
		return handle_nested_fault(vcpu, vmcb);
	if (vmcb->exit_code == SVM_EXIT_VMMCALL)
		return handle_vmmcall(vcpu, vmcb);
	return QUICK_GENERAL;
}

uint32_t svm_trial_exit(struct vcpu *vcpu)
{
	after_vmrun(vcpu, svm_of(vcpu)->vmcb);
	return QUICK_GENERAL;
}

uint32_t svm_stub_exit(struct vcpu *vcpu)
{
	(void)vcpu;
	return QUICK_GENERAL;
}
