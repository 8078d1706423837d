/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/enable.h"

#include "arch/vmx/pebs.h"
#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/format.h"
#include "core/log.h"
#include "vmexit/attention.h"

#define CPUID_1_ECX_VMX	   BIT32(5)
#define CPUID_7_EBX_TRACE  BIT32(25)
#define LEAF_ADDRESS_SIZES 0x80000008u

/* (b) written by the boot CPU in vmx_probe(), then constant */
static struct vmx_controls chosen;
static uint32_t revision;
static unsigned timer_shift; /* of the TSC */

const struct vmx_controls *vmx_chosen_controls(void)
{
	return &chosen;
}

/* SDM: "VM-Exit Controls": with its value saved, the timer runs on from exit to exit. */
static bool has_timer(const struct vmx_capability *capability)
{
	return (capability->control[VMX_WORD_PIN] >> 32 & PIN_PREEMPTION_TIMER) != 0 &&
	       (capability->control[VMX_WORD_EXIT] >> 32 & EXIT_SAVE_PREEMPTION_TIMER) != 0;
}

void vmx_prepare_attention(struct vm *vm)
{
	attention_prepare(vm);
	if (!attention_by_timer())
		return;
	chosen.word[VMX_WORD_PIN] |= PIN_PREEMPTION_TIMER;
	chosen.word[VMX_WORD_EXIT] |= EXIT_SAVE_PREEMPTION_TIMER;
}

/* SDM: "VMX-Preemption Timer". */
uint32_t vmx_timer_period(void)
{
	uint64_t ticks = (uint64_t)ATTENTION_MS * host_values.tsc_khz >> timer_shift;

	return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

uint32_t vmx_revision(void)
{
	return revision;
}

/*
 * SDM: "Enabling and Entering VMX Operation". Locked without VMX, only a reset and the firmware can
 * help.
 */
static bool feature_control_allows(void)
{
	const uint64_t both = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
	uint64_t value = rdmsr(MSR_FEATURE_CONTROL);

	return (value & FEATURE_CONTROL_LOCK) == 0 || (value & both) == both;
}

static void feature_control_lock(void)
{
	uint64_t value = rdmsr(MSR_FEATURE_CONTROL);

	if ((value & FEATURE_CONTROL_LOCK) == 0)
		wrmsr(MSR_FEATURE_CONTROL,
		      value | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
}

static void read_capability(struct vmx_capability *capability)
{
	bool true_controls;

	*capability = (struct vmx_capability){ .basic = rdmsr(MSR_VMX_BASIC) };
	true_controls = (capability->basic & VMX_BASIC_TRUE_CONTROLS) != 0;
	capability->control[VMX_WORD_PIN] =
		rdmsr(true_controls ? MSR_VMX_TRUE_PINBASED_CTLS : MSR_VMX_PINBASED_CTLS);
	capability->control[VMX_WORD_PRIMARY] =
		rdmsr(true_controls ? MSR_VMX_TRUE_PROCBASED_CTLS : MSR_VMX_PROCBASED_CTLS);
	capability->control[VMX_WORD_EXIT] =
		rdmsr(true_controls ? MSR_VMX_TRUE_EXIT_CTLS : MSR_VMX_EXIT_CTLS);
	capability->control[VMX_WORD_ENTRY] =
		rdmsr(true_controls ? MSR_VMX_TRUE_ENTRY_CTLS : MSR_VMX_ENTRY_CTLS);
	capability->misc = rdmsr(MSR_VMX_MISC);
	capability->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	capability->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	capability->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	capability->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	/* The others exist only where the primary controls say so. */
	if ((capability->control[VMX_WORD_PRIMARY] >> 32 & PRIMARY_SECONDARY_CONTROLS) == 0)
		return;
	capability->control[VMX_WORD_SECONDARY] = rdmsr(MSR_VMX_PROCBASED_CTLS2);
	if ((capability->control[VMX_WORD_SECONDARY] >> 32 & (SECONDARY_EPT | SECONDARY_VPID)) != 0)
		capability->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
}

static void explain_refusal(struct failure *failure, const struct vmx_refusal *why)
{
	format_string(failure->text, sizeof(failure->text),
		      why->forced ? "VT-x: this CPU forces %s controls 0x%x on us"
				  : "VT-x: this CPU lacks %s controls 0x%x",
		      vmx_word_name(why->word), why->bits);
}

static enum core_status refuse(struct failure *failure, enum core_status status, const char *text)
{
	format_string(failure->text, sizeof(failure->text), "VT-x: %s", text);
	return status;
}

/* What does not depend on the choice of controls, for any CPU. */
static enum core_status check_cpu(const struct vmx_capability *capability, struct failure *failure)
{
	const char *missing;

	if ((capability->control[VMX_WORD_SECONDARY] >> 32 & SECONDARY_EPT) == 0)
		return refuse(failure, CORE_NO_PAGING,
			      "this CPU has no extended page tables (EPT)");
	if ((capability->control[VMX_WORD_SECONDARY] >> 32 & SECONDARY_UNRESTRICTED_GUEST) == 0)
		return refuse(failure, CORE_NO_PAGING, "this CPU has no unrestricted guest mode");
	missing = vmx_ept_missing(capability->ept_vpid);
	if (missing != NULL) {
		format_string(failure->text, sizeof(failure->text),
			      "VT-x: EPT of this CPU lacks %s", missing);
		return CORE_NO_PAGING;
	}
	if ((capability->misc & VMX_MISC_ACTIVITY_WAIT_SIPI) == 0)
		return refuse(failure, CORE_FAILED,
			      "this CPU has no wait-for-SIPI state for guests");
	return CORE_OK;
}

enum core_status vmx_probe(struct hv_caps *caps, struct failure *failure)
{
	struct vmx_capability capability;
	struct vmx_refusal why;
	enum core_status status;

	if ((cpuid(1, 0).ecx & CPUID_1_ECX_VMX) == 0)
		return refuse(failure, CORE_NO_VIRTUALIZATION, "this CPU has no VMX");
	if (!feature_control_allows())
		return refuse(failure, CORE_LOCKED_OFF,
			      "the firmware has locked VMX off (IA32_FEATURE_CONTROL): enable it "
			      "in the setup");
	read_capability(&capability);
	status = check_cpu(&capability, failure);
	if (status != CORE_OK)
		return status;
	if (!vmx_controls_choose(&capability, &chosen, &why)) {
		explain_refusal(failure, &why);
		return CORE_FAILED;
	}
	revision = (uint32_t)(capability.basic & VMX_BASIC_REVISION);
	timer_shift = (unsigned)(capability.misc & VMX_MISC_TIMER_SHIFT);
	caps->input_timer = has_timer(&capability);
	caps->vmx = true;
	caps->hides_vmx = true;
	caps->maps_types = true;
	caps->hides_trace = (cpuid(7, 0).ebx & CPUID_7_EBX_TRACE) != 0;
	caps->virtual_nmi = true;
	caps->exec_only_pages = (capability.ept_vpid & EPT_CAP_EXEC_ONLY) != 0;
	caps->huge_pages = (capability.ept_vpid & EPT_CAP_1G_PAGES) != 0;
	caps->tdp_levels = (uint8_t)vmx_ept_levels(capability.ept_vpid,
						   cpuid(LEAF_ADDRESS_SIZES, 0).eax & 0xff);
	return CORE_OK;
}

/*
 * Another CPU than the boot CPU may be of another kind (hybrid) or set up differently by the
 * firmware.
 */
static enum core_status check_same(const struct vmx_capability *capability, struct failure *failure)
{
	struct vmx_refusal why;

	if (!vmx_controls_allowed(capability, &chosen, &why)) {
		format_string(failure->text, sizeof(failure->text),
			      "VT-x: this CPU differs from the boot CPU in %s controls 0x%x",
			      vmx_word_name(why.word), why.bits);
		return CORE_FAILED;
	}
	if ((uint32_t)(capability->basic & VMX_BASIC_REVISION) != revision)
		return refuse(failure, CORE_FAILED,
			      "this CPU has another VMCS revision than the boot CPU");
	return CORE_OK;
}

static void remember_fixed_bits(struct vmx_vcpu *vmx, const struct vmx_capability *capability)
{
	vmx->cr0_fixed0 = capability->cr0_fixed0;
	vmx->cr0_fixed1 = capability->cr0_fixed1;
	vmx->cr4_fixed0 = capability->cr4_fixed0;
	vmx->cr4_fixed1 = capability->cr4_fixed1;
	vmx->ept_vpid = capability->ept_vpid;
}

enum core_status vmx_cpu_enable(struct cpu *cpu, struct failure *failure)
{
	struct vmx_vcpu *vmx = vmx_of(cpu->vcpu);
	struct vmx_capability capability;
	enum core_status status;

	if ((cpuid(1, 0).ecx & CPUID_1_ECX_VMX) == 0)
		return refuse(failure, CORE_NO_VIRTUALIZATION, "this CPU has no VMX");
	if (!feature_control_allows())
		return refuse(failure, CORE_LOCKED_OFF,
			      "the firmware has locked VMX off on this CPU");
	read_capability(&capability);
	status = check_cpu(&capability, failure);
	if (status == CORE_OK)
		status = check_same(&capability, failure);
	if (status != CORE_OK)
		return status;
	feature_control_lock();
	remember_fixed_bits(vmx, &capability);
	vmx->firmware_cr0 = read_cr0();
	vmx->firmware_cr4 = read_cr4();
	write_cr0(vmx_cr_fix(vmx->firmware_cr0, capability.cr0_fixed0, capability.cr0_fixed1, 0));
	write_cr4(vmx_cr_fix(vmx->firmware_cr4, capability.cr4_fixed0, capability.cr4_fixed1, 0));
	if (!vmx_on(vmx->vmxon_region)) {
		write_cr4(vmx->firmware_cr4);
		write_cr0(vmx->firmware_cr0);
		return refuse(failure, CORE_FAILED, "VMXON failed");
	}
	cpu->enabled = true;
	return CORE_OK;
}

void vmx_cpu_disable(struct cpu *cpu)
{
	struct vmx_vcpu *vmx = vmx_of(cpu->vcpu);

	if (!cpu->enabled)
		return;
	vmx_pebs_end(cpu->vcpu);
	/*
	 * VMCLEAR writes the CPU's copy back, so that nothing reaches the page after it was given
	 * away.
	 */
	if (!vmcs_clear(vmx->vmcs))
		log_warn("VT-x: VMCLEAR failed on CPU %u", cpu->index);
	vmx_off();
	write_cr4(vmx->firmware_cr4);
	write_cr0(vmx->firmware_cr0);
	vmx->launched = false;
	cpu->enabled = false;
}
