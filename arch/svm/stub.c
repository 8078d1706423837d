/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest of our own, of a few instructions in real mode on a page of its own: for what a CPU does best as a guest. */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "arch/x86/debug.h"
#include "core/panic.h"
#include "mm/layout.h"
#include "vmexit/nmi.h"

#define ASID_STUB 2u

/* Where on the page: HLT; JMP to it. And MOV DR7, ECX; MOV DR7, EAX; VMMCALL. */
#define WAIT_AT	  0u
#define DR7_AT	  16u

/* Of no use to anybody, and written so that DR7 is another one in more than the enables. */
#define DR7_GE	  BIT64(9)

bool svm_stub_build(struct vm *vm, struct pool *pool)
{
	static const uint8_t wait[] = { 0xf4, 0xeb, 0xfd };
	static const uint8_t dr7[] = { 0x0f, 0x23, 0xf9, 0x0f, 0x23, 0xf8, 0x0f, 0x01, 0xd9 };
	struct page_table table;
	bool changed = false;
	uint8_t *page = pool_alloc(pool);

	if (page == NULL || !page_table_init(&table, &vm->tdp.table.format, pool))
		return false;
	__builtin_memcpy(page + WAIT_AT, wait, sizeof(wait));
	__builtin_memcpy(page + DR7_AT, dr7, sizeof(dr7));
	vm->stub_root = ptr_to_hpa(table.root);
	return page_table_map(&table, 0, ptr_to_hpa(page), PAGE_BYTES, RIGHT_READ | RIGHT_EXEC,
			      MEMTYPE_WB, &changed);
}

void svm_stub_init(struct vcpu *vcpu)
{
	struct vmcb *stub = svm_of(vcpu)->stub_vmcb;
	const struct vmcb_segment code = { .attributes = 0x9b, .limit = 0xffff };
	const struct vmcb_segment data = { .attributes = 0x93, .limit = 0xffff };

	stub->intercept[0] = INTERCEPT_NMI | INTERCEPT_INIT | INTERCEPT_SHUTDOWN;
	stub->intercept[1] = INTERCEPT_VMRUN | INTERCEPT_VMMCALL;
	stub->intercept_exceptions = BIT32(VECTOR_SX) | BIT32(VECTOR_DB);
	stub->asid = ASID_STUB;
	stub->tlb_control = TLB_CONTROL_FLUSH_ALL;
	stub->nested_control = NESTED_CONTROL_NP;
	stub->nested_cr3 = vcpu->vm->stub_root.v;
	stub->g_pat = svm_of(vcpu)->vmcb->g_pat;
	stub->cs = code;
	stub->ds = stub->es = stub->ss = stub->fs = stub->gs = data;
	stub->ldtr.attributes = 0x82;
	stub->tr.attributes = 0x8b;
	stub->tr.limit = stub->ldtr.limit = stub->gdtr.limit = stub->idtr.limit = 0xffff;
	stub->efer = EFER_SVME;
	stub->cr0 = CR0_ET;
	stub->rflags = RFLAGS_FIXED;
	stub->dr6 = DR6_INIT;
	stub->dr7 = DR7_INIT;
}

/* False: it has been left for an NMI or an INIT, which have been taken. */
static bool run(struct vcpu *vcpu, uint64_t *gpr)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	(void)svm_enter(gpr, svm->stub_vmcb_hpa, svm->host_vmcb_hpa, svm_stub_exit);
	svm->stub_vmcb->clean = svm->clean;
	svm->stub_vmcb->tlb_control = TLB_CONTROL_NOTHING;
	switch (svm->stub_vmcb->exit_code) {
	case SVM_EXIT_NMI:
	case SVM_EXIT_INIT:
		svm_take_pending();
		return false;
	case SVM_EXIT_EXCEPTION_0 + VECTOR_SX: /* an INIT: the CPU goes on waiting */
		return false;
	default:
		return true;
	}
}

static __attribute__((noreturn)) void give_up(struct vcpu *vcpu)
{
	hv_panic("cpu %u: exit %llx from the hypervisor's own guest", vcpu->index,
		 (unsigned long long)svm_of(vcpu)->stub_vmcb->exit_code);
}

/* In wait-for-SIPI the CPU halts there, which the kick's NMI leaves atomically. */
void svm_stub_wait(struct vcpu *vcpu)
{
	uint64_t gpr[REG_GPR_COUNT] = { 0 };
	bool is_over = run(vcpu, gpr);

	nmi_after_exit(vcpu);
	if (is_over)
		give_up(vcpu);
}

/*
 * First off with all of them, which QEMU does by the kinds that are in DR7 then; on then with the new ones. Those may hold
 * here as well.
 */
void svm_stub_load_dr7(struct vcpu *vcpu, uint64_t from, uint64_t to)
{
	struct vmcb *stub = svm_of(vcpu)->stub_vmcb;
	uint64_t gpr[REG_GPR_COUNT] = { [REG_RCX] = (from & ~DR7_ENABLES) ^ DR7_GE };

	stub->rip = DR7_AT;
	stub->rax = to;
	stub->dr6 = DR6_INIT;
	stub->dr7 = from & ~(DR7_ENABLES | DR7_GD);
	vmcb_touch(stub, CLEAN_DR);
	while (!run(vcpu, gpr))
		;
	if (stub->exit_code != SVM_EXIT_VMMCALL &&
	    stub->exit_code != SVM_EXIT_EXCEPTION_0 + VECTOR_DB)
		give_up(vcpu);
	stub->rip = WAIT_AT;
	stub->dr7 = DR7_INIT;
	vmcb_touch(stub, CLEAN_DR);
}
