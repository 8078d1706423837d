/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/svm/svm.h"

#include "core/log.h"

typedef unsigned long long ull;

void svm_dump(struct vcpu *vcpu)
{
	const struct vmcb *v = svm_of(vcpu)->vmcb;

	log_error("VMCB %llx: exit %llx info %llx %llx int %llx", (ull)svm_of(vcpu)->vmcb_hpa.v,
		  (ull)v->exit_code, (ull)v->exit_info1, (ull)v->exit_info2, (ull)v->exit_int_info);
	log_error("intercepts cr %08x dr %08x exc %08x %08x %08x %08x", v->intercept_cr,
		  v->intercept_dr, v->intercept_exceptions, v->intercept[0], v->intercept[1],
		  v->intercept[2]);
	log_error("asid %u tlb %u vintr %llx shadow %llx inject %llx clean %x", v->asid,
		  v->tlb_control, (ull)v->virtual_interrupt, (ull)v->interrupt_shadow,
		  (ull)v->event_injection, v->clean);
	log_error("nested control %llx cr3 %llx msrpm %llx next rip %llx", (ull)v->nested_control,
		  (ull)v->nested_cr3, (ull)v->msrpm_base, (ull)v->next_rip);
	log_error("efer %llx cr0 %llx cr3 %llx cr4 %llx cpl %u", (ull)v->efer, (ull)v->cr0,
		  (ull)v->cr3, (ull)v->cr4, v->cpl);
	log_error("rip %llx rflags %llx rsp %llx rax %llx cr2 %llx dr6 %llx dr7 %llx pat %llx",
		  (ull)v->rip, (ull)v->rflags, (ull)v->rsp, (ull)v->rax, (ull)v->cr2, (ull)v->dr6,
		  (ull)v->dr7, (ull)v->g_pat);
}
