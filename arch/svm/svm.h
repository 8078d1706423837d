/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the AMD-V back end share. */
#ifndef ARCH_SVM_SVM_H
#define ARCH_SVM_SVM_H

#include "arch/svm/vmcb.h"
#include "core/vcpu.h"
#include "mm/addr.h"
#include "vmexit/exit.h"

/* A vCPU's own state beyond the register cache. */
struct svm_vcpu {
	struct vmcb *vmcb;
	struct vmcb *host_vmcb; /* VMSAVE of the host: FS, GS, TR, LDTR and their MSRs */
	struct vmcb *stub_vmcb; /* the halt loop that waits for a SIPI */
	void *host_save_area;	/* VM_HSAVE_PA, this CPU's alone */
	hpa_t vmcb_hpa, host_vmcb_hpa, stub_vmcb_hpa;
	uint32_t clean;	     /* the clean bits after an exit: all, or none where the CPU has none */
	bool nmi_blocked;    /* where the VMCB has no place for it: until an IRET */
	bool step;	     /* a single step is under way */
	bool step_guest_tf;  /* the guest's own TF meanwhile */
	bool step_guest_btf; /* DEBUGCTL.BTF was set, and is to be again */
	bool step_delivery;  /* of an event, which no trap follows */
	uint8_t step_insn;   /* enum step_insn */
	uint8_t step_bytes;  /* the instruction's length, 0: not known */
	uint8_t step_source; /* the register that goes to DR6 */
	uint64_t step_dr6;   /* the guest's meanwhile, and of what follows */
	uint64_t step_rip;
	uint64_t step_r11, step_sfmask;
	uint64_t step_cr3; /* to see, and mend, what a task switch has saved */
	gva_t step_tss_flags;
	uint64_t step_tr_base;
	struct event step_event; /* of STEP_INSN_RAISE */
};

/* What is stepped, as far as it saves, loads or shows what a step changes. */
enum step_insn {
	STEP_INSN_PLAIN,
	STEP_INSN_PUSHF,
	STEP_INSN_POPF,
	STEP_INSN_IRET,
	STEP_INSN_FAR,	   /* JMP and CALL, which may switch tasks */
	STEP_INSN_RAISE,   /* INT n, INT3, INTO, INT1: delivered as an event */
	STEP_INSN_SYSCALL, /* in long mode; else it is as any other */
	STEP_INSN_SYSRET,  /* in 64-bit mode */
	STEP_INSN_READ_DEBUGCTL,
	STEP_INSN_WRITE_DEBUGCTL,
	STEP_INSN_READ_DR6,
	STEP_INSN_WRITE_DR6,
};

static inline bool svm_step_insn_has_dr6(const struct svm_vcpu *svm)
{
	return svm->step_insn == STEP_INSN_READ_DR6 || svm->step_insn == STEP_INSN_WRITE_DR6;
}

static inline struct svm_vcpu *svm_of(struct vcpu *vcpu)
{
	return vcpu->backend;
}

/* RFLAGS.TF in the VMCB is ours, whatever the guest's is. */
static inline bool svm_has_own_tf(struct vcpu *vcpu)
{
	return svm_of(vcpu)->step && !svm_of(vcpu)->step_delivery;
}

/* regs.c */
void svm_regs_fetch(struct vcpu *vcpu, enum reg reg);
/* All that finding and fetching the current instruction needs, at once. */
void svm_regs_fetch_for_insn(struct vcpu *vcpu);
void svm_regs_store(struct vcpu *vcpu); /* all dirty ones; the caller clears their bits */

/* events.c */
/* An exit that interrupted an event's delivery: queue it again. */
void svm_events_requeue(struct vcpu *vcpu);
/* Before the entry: what is pending into EVENTINJ. */
void svm_events_inject(struct vcpu *vcpu);
/* Pure: what EXITINTINFO says, mended. False: nothing to inject again. */
bool svm_event_decode(uint64_t info, struct event *event);
uint64_t svm_event_encode(const struct event *event, bool protected_mode);

/* step.c */
void svm_set_single_step(struct vcpu *vcpu, bool on);
/* An intercepted exception during a step: *exit tells what it means. */
void svm_step_exception(struct vcpu *vcpu, struct exit_info *exit);
/* An intercepted NMI: whether the step was the delivery of an event that is done now. */
bool svm_step_is_delivered(struct vcpu *vcpu);

/* step_insn.c */
/* Once, before the step: what the instruction is, and all but TF that makes it end and leave no trace. */
void svm_step_insn_begin(struct vcpu *vcpu);
/* It has been executed, with our TF in RFLAGS. Returns whether the guest's own TF traps. */
bool svm_step_insn_complete(struct vcpu *vcpu);
/* Put back what is only ours; also where it has not been executed. */
void svm_step_insn_end(struct vcpu *vcpu);
/*
 * An exit interrupted a delivery. True: that of what the stepped instruction raises, which is pending again, as if it had
 * not begun.
 */
bool svm_step_insn_requeue(struct vcpu *vcpu);

/* step_v86.c */
/* Virtual-8086 mode, CR4.VME: whether INT n goes to the program's own handler. False: it faults on the way there. */
MUST_CHECK bool svm_step_v86_redirects(struct vcpu *vcpu, uint8_t vector, bool *to_program);
/* Such an INT n in a step that is beginning, which ends as that of a delivery. False: nothing is changed, it faults. */
MUST_CHECK bool svm_step_v86_int(struct vcpu *vcpu, uint8_t vector, unsigned insn_bytes);

/* exit.c */
void svm_exit_decode(struct vcpu *vcpu, struct exit_info *exit);
/* Length of the instruction that exited, by NRIP or by decoding it; 0 if it is not there any more. */
unsigned svm_insn_bytes(struct vcpu *vcpu, const struct exit_info *exit);
/* The verdict says that an instruction is done that exited in a step: it was the one. */
void svm_step_skip(struct vcpu *vcpu);

/* setup.c */
bool svm_vm_init(struct vm *vm, struct pool *pool);
bool svm_vcpu_alloc(struct vcpu *vcpu, struct pool *pool);
void svm_vcpu_init(struct vcpu *vcpu);
void svm_vcpu_reload(struct vcpu *vcpu);
void svm_vcpu_reset(struct vcpu *vcpu);
/* Let pending interrupts come in the host. */
void svm_take_interrupts(void);
void svm_set_intercepts(struct vcpu *vcpu);
void svm_debug_lent(struct vcpu *vcpu, uint64_t dr7);
void svm_flush(struct vcpu *vcpu);
void svm_flush_linear(struct vcpu *vcpu);
void svm_set_tdp_root(struct vcpu *vcpu, hpa_t root);

/* run.c */
bool svm_run(struct vcpu *vcpu, struct failure *failure);

/* stub.c: the guest of our own, which waits for a SIPI in the CPU's place. */
MUST_CHECK bool svm_stub_build(struct vm *vm, struct pool *pool);
void svm_stub_init(struct vcpu *vcpu);
/* One entry: it halts until something comes. */
void svm_stub_wait(struct vcpu *vcpu);
/*
 * Have the CPU execute MOV to DR7, with DR7 = `from` before it. VMRUN alone loads DR7, but QEMU's breakpoints go on as the
 * last MOV has left them.
 */
void svm_stub_load_dr7(struct vcpu *vcpu, uint64_t from, uint64_t to);

/* dump.c */
void svm_dump(struct vcpu *vcpu);

/* quick.c: what `after` below can be. For the guest: handle the exit if that is quickly done. */
uint32_t svm_quick_exit(struct vcpu *vcpu);
/* The same, for an exit that the caller of svm_enter() wants to see whatever it is; and for one from the stub. */
uint32_t svm_trial_exit(struct vcpu *vcpu);
uint32_t svm_stub_exit(struct vcpu *vcpu);

/*
 * entry.asm: loads the GPRs, runs the guest, stores them, and calls `after`; again and again while that returns
 * QUICK_AGAIN, else returns the same. `gpr` is struct regs.gpr of the vCPU, at whose address it is.
 */
uint32_t svm_enter(uint64_t *gpr, hpa_t vmcb, hpa_t host_vmcb, uint32_t (*after)(struct vcpu *));

static inline void svm_stgi(void)
{
	asm volatile("stgi" : : : "memory");
}

static inline void svm_clgi(void)
{
	asm volatile("clgi" : : : "memory");
}

/* Let what is pending (NMI, INIT) come, on the host's IDT. */
static inline void svm_take_pending(void)
{
	svm_stgi();
	asm volatile("nop");
	svm_clgi();
}

static inline void svm_vmsave(hpa_t vmcb)
{
	asm volatile("vmsave %0" : : "a"(vmcb.v) : "memory");
}

#endif
