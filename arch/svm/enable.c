/* SPDX-License-Identifier: BSD-2-Clause */
/* Is AMD-V there and allowed, and switching it on and off. APM volume 2: "Enabling SVM". */
#include "arch/svm/enable.h"

#include "arch/svm/svm.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/format.h"
#include "mm/layout.h"

#define LEAF_EXTENDED	       0x80000001u
#define LEAF_SVM	       0x8000000au
#define LEAF_EXTENDED_2	       0x80000021u
#define EXTENDED_2_EAX_ERAPS   BIT32(24)
#define EXTENDED_ECX_SVM       BIT32(2)
#define SVM_EDX_NP	       BIT32(0)
#define SVM_EDX_NRIP	       BIT32(3)
#define SVM_EDX_CLEAN	       BIT32(5)
#define SVM_EDX_FLUSH_BY_ASID  BIT32(6)
#define SVM_EDX_DECODE_ASSISTS BIT32(7)
#define ASIDS_NEEDED	       3u

static enum core_status fail(struct failure *failure, enum core_status status, const char *why)
{
	format_string(failure->text, sizeof(failure->text), "%s", why);
	return status;
}

enum core_status svm_probe(struct hv_caps *caps, struct failure *failure)
{
	struct cpuid_result svm;
	uint64_t vm_cr, syscfg;

	if (cpuid(0x80000000, 0).eax < LEAF_SVM ||
	    (cpuid(LEAF_EXTENDED, 0).ecx & EXTENDED_ECX_SVM) == 0)
		return fail(failure, CORE_NO_VIRTUALIZATION, "this CPU has no AMD-V (SVM)");
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS) != 0)
		return fail(failure, CORE_LOCKED_OFF,
			    "AMD-V is switched off in the firmware (VM_CR.SVMDIS)");
	svm = cpuid(LEAF_SVM, 0);
	if ((svm.edx & SVM_EDX_NP) == 0)
		return fail(failure, CORE_NO_PAGING, "this CPU has no nested paging (NPT)");
	if (svm.ebx < ASIDS_NEEDED)
		return fail(failure, CORE_FAILED, "this CPU has too few ASIDs");
	if (rdmsr_safe(MSR_SYSCFG, &syscfg) && (syscfg & SYSCFG_MEMORY_ENCRYPTION) != 0)
		return fail(failure, CORE_FAILED,
			    "memory encryption (SME) is on in the firmware: switch it off");
	caps->vmx = false;
	caps->traps_apic = true;
	caps->hides_svm = true;
	caps->nrip_save = (svm.edx & SVM_EDX_NRIP) != 0;
	caps->vmcb_clean = (svm.edx & SVM_EDX_CLEAN) != 0;
	caps->flush_by_asid = (svm.edx & SVM_EDX_FLUSH_BY_ASID) != 0;
	caps->eraps = cpuid(0x80000000, 0).eax >= LEAF_EXTENDED_2 &&
		      (cpuid(LEAF_EXTENDED_2, 0).eax & EXTENDED_2_EAX_ERAPS) != 0;
	caps->decode_assists = (svm.edx & SVM_EDX_DECODE_ASSISTS) != 0;
	/* NPT runs in the host's own paging mode and with its page sizes. */
	caps->tdp_levels = caps->host_levels;
	caps->huge_pages = caps->host_huge_pages;
	caps->upper_bit8 = true;
	return CORE_OK;
}

enum core_status svm_cpu_enable(struct cpu *cpu, struct failure *failure)
{
	uint64_t vm_cr;

	if (cpuid(0x80000000, 0).eax < LEAF_SVM ||
	    (cpuid(LEAF_EXTENDED, 0).ecx & EXTENDED_ECX_SVM) == 0 ||
	    (cpuid(LEAF_SVM, 0).edx & SVM_EDX_NP) == 0) {
		format_string(failure->text, sizeof(failure->text),
			      "CPU %u has no AMD-V with nested paging", cpu->index);
		return CORE_NO_VIRTUALIZATION;
	}
	if (rdmsr_safe(MSR_VM_CR, &vm_cr)) {
		if ((vm_cr & VM_CR_SVMDIS) != 0) {
			format_string(failure->text, sizeof(failure->text),
				      "CPU %u has AMD-V switched off (VM_CR.SVMDIS)", cpu->index);
			return CORE_LOCKED_OFF;
		}
		/* An INIT from elsewhere becomes #SX instead of a reset outside our control. */
		if (!wrmsr_safe(MSR_VM_CR, vm_cr | VM_CR_R_INIT))
			vm_cr = 0;
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, ptr_to_hpa(svm_of(cpu->vcpu)->host_save_area).v);
	return CORE_OK;
}

void svm_cpu_disable(struct cpu *cpu)
{
	uint64_t vm_cr;

	(void)cpu;
	/* With GIF = 0 it is not said what switching SVM off does. */
	svm_stgi();
	wrmsr(MSR_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) && !wrmsr_safe(MSR_VM_CR, vm_cr & ~VM_CR_R_INIT))
		return;
}
