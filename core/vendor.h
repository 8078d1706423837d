/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vendor seam: few, coarse, const. Start-up picks vmx_ops or svm_ops once. The run loop belongs to the back
 * end: enter, decode the exit, vmexit_handle(), apply the verdict, resume.
 */
#ifndef CORE_VENDOR_H
#define CORE_VENDOR_H

#include "boot/boot_info.h"
#include "core/caps.h"
#include "core/vcpu.h"

struct vendor_ops {
	const char *name; /* "VT-x", "AMD-V" */

	/* Boot CPU: is everything there that we need? Fills the vendor's part of hv_caps. */
	enum core_status (*probe)(struct hv_caps *caps, struct failure *failure);

	/* Boot CPU, once: what all vCPUs share (bitmaps). The guest-physical map is already built. */
	MUST_CHECK bool (*vm_init)(struct vm *vm, struct pool *pool);
	/*
	 * Boot CPU: allocate the control structures of a vCPU and of its CPU. The vCPU is given by its address in the
	 * reservation; vcpu->cpu is valid on the host's tables only.
	 */
	MUST_CHECK bool (*vcpu_alloc)(struct vcpu *vcpu, struct pool *pool);

	/* This CPU: per-CPU checks, then VMXON or EFER.SVME. `undo` brings it back; both with host tables loaded. */
	enum core_status (*cpu_enable)(struct cpu *cpu, struct failure *failure);
	void (*cpu_disable)(struct cpu *cpu);

	/*
	 * This CPU, after cpu_disable and another cpu_enable: the control structure is as it was left. Between the two
	 * nothing of the host changes.
	 */
	void (*vcpu_reload)(struct vcpu *vcpu);

	/*
	 * This CPU: fill the control structure; afterwards the register cache holds the guest's state (all
	 * available and dirty, from the caller), which the first entry stores.
	 */
	void (*vcpu_init)(struct vcpu *vcpu);

	/*
	 * Enter and handle exits for ever. Returns only for a trial (vcpu->trial): true if the guest executed its
	 * CPUID, false if the CPU refused to enter or anything else came, with the reason in `failure`.
	 */
	bool (*run)(struct vcpu *vcpu, struct failure *failure);
	/* This CPU, after S3, on the host's tables: into VMX or SVM again, and into the guest. */
	void (*wake)(struct cpu *cpu);

	/* Fill one lazy register (core/regs.h) from the control structure. */
	void (*regs_fetch)(struct vcpu *vcpu, enum reg reg);

	/* MSRs that live in the control structure (EFER, FS/GS base, SYSENTER, ...): false if not such a one. */
	bool (*msr_read)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	bool (*msr_write)(struct vcpu *vcpu, uint32_t msr, uint64_t value);

	/* What INIT does to the parts of the state that only the back end knows; the register cache is done by the caller. */
	void (*vcpu_reset)(struct vcpu *vcpu);
	/* vcpu->activity has changed. */
	void (*activity_changed)(struct vcpu *vcpu);
	/* This CPU: let pending interrupts come, on the host's IDT (core/exception.h). */
	void (*take_interrupts)(void);

	/* Forget translations of the guest-physical map on this CPU before the next entry. */
	void (*flush_tdp)(struct vcpu *vcpu);
	/* Forget the guest's own linear translations on this CPU before the next entry (emulated CR write). */
	void (*flush_linear)(struct vcpu *vcpu);
	/* This vCPU uses another root of the guest-physical map from the next entry on. */
	void (*set_tdp_root)(struct vcpu *vcpu, hpa_t root);
	/* After the next instruction of the guest, EXIT_STEP, with interrupts held back; or no longer. */
	void (*set_single_step)(struct vcpu *vcpu, bool on);
	/*
	 * The loan of the guest's debug registers (core/debug_loan.h) has begun, goes on with others, or has ended: what exits
	 * for it, and DR7 of the hardware. Not behind the last look at the kicks.
	 */
	void (*debug_lent)(struct vcpu *vcpu, uint64_t dr7);

	/* Everything the control structure holds, to the console (panic). */
	void (*dump)(struct vcpu *vcpu);
};

extern const struct vendor_ops vmx_ops;
extern const struct vendor_ops svm_ops;
/* Set once by CORE_PREPARE. */
extern const struct vendor_ops *vendor;

#endif
