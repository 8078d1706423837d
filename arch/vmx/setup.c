/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/setup.h"

#include <stddef.h>

#include "arch/vmx/bitmaps.h"
#include "arch/vmx/enable.h"
#include "arch/vmx/entry.h"
#include "arch/vmx/pebs.h"
#include "arch/vmx/regs.h"
#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/cpu.h"
#include "core/exception.h"
#include "core/panic.h"
#include "mm/layout.h"

bool vmx_vm_init(struct vm *vm, struct pool *pool)
{
	vmx_prepare_attention(vm);
	return vmx_bitmaps_init(vm, pool);
}

/* Every region begins with the revision identifier. */
static uint64_t alloc_region(struct pool *pool)
{
	uint32_t *region = pool_alloc(pool);

	if (region == NULL)
		return 0;
	region[0] = vmx_revision();
	return ptr_to_hpa(region).v;
}

bool vmx_vcpu_alloc(struct vcpu *vcpu, struct pool *pool)
{
	struct vmx_vcpu *vmx;

	_Static_assert(sizeof(struct vmx_vcpu) <= PAGE_BYTES, "one page");
	vmx = pool_alloc(pool);
	if (vmx == NULL)
		return false;
	vmx->vmcs = alloc_region(pool);
	vmx->vmxon_region = alloc_region(pool);
	vcpu->backend = vmx;
	return vmx->vmcs != 0 && vmx->vmxon_region != 0;
}

static bool has(const struct vmx_vcpu *vmx, enum vmx_word word, uint32_t bits)
{
	return (vmx->controls.word[word] & bits) != 0;
}

static void init_controls(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmcs_write32(VMCS_PIN_CONTROLS, vmx->controls.word[VMX_WORD_PIN]);
	vmcs_write32(VMCS_PRIMARY_CONTROLS, vmx->controls.word[VMX_WORD_PRIMARY]);
	vmcs_write32(VMCS_SECONDARY_CONTROLS, vmx->controls.word[VMX_WORD_SECONDARY]);
	vmcs_write32(VMCS_EXIT_CONTROLS, vmx->controls.word[VMX_WORD_EXIT]);
	vmcs_write32(VMCS_ENTRY_CONTROLS, vmx->controls.word[VMX_WORD_ENTRY]);
	/* No exception exits, but in a step. With mask and match 0, bit 14 of the bitmap alone decides for #PF. */
	vmcs_write32(VMCS_EXCEPTION_BITMAP, 0);
	vmcs_write32(VMCS_PAGE_FAULT_MASK, 0);
	vmcs_write32(VMCS_PAGE_FAULT_MATCH, 0);
	vmcs_write32(VMCS_CR3_TARGET_COUNT, 0);
	vmcs_write32(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write32(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write32(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write32(VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write64(VMCS_IO_BITMAP_A, ptr_to_hpa(vcpu->vm->io_bitmap).v);
	vmcs_write64(VMCS_IO_BITMAP_B, ptr_to_hpa(vcpu->vm->io_bitmap).v + PAGE_BYTES);
	vmcs_write64(VMCS_MSR_BITMAP, ptr_to_hpa(vcpu->vm->msr_bitmap).v);
	vmcs_write64(VMCS_EPTP, vmx->eptp);
	if (has(vmx, VMX_WORD_SECONDARY, SECONDARY_VPID))
		vmcs_write16(VMCS_VPID, vmx->vpid);
	if (has(vmx, VMX_WORD_SECONDARY, SECONDARY_XSAVES))
		vmcs_write64(VMCS_XSS_EXITING_BITMAP, 0);
	if (has(vmx, VMX_WORD_SECONDARY, SECONDARY_PCONFIG))
		vmcs_write64(VMCS_PCONFIG_EXITING_BITMAP, 0);
	if (has(vmx, VMX_WORD_PIN, PIN_PREEMPTION_TIMER))
		vmcs_write32(VMCS_GUEST_PREEMPTION_TIMER, vmx_timer_period());
	vmcs_write(VMCS_CR0_MASK, vmx->cr0_mask);
	vmcs_write(VMCS_CR4_MASK, vmx->cr4_mask);
}

static void init_host_descriptors(struct cpu *cpu)
{
	struct packed_table_register gdtr, idtr;
	struct segment tr;

	asm volatile("sgdt %0" : "=m"(gdtr));
	asm volatile("sidt %0" : "=m"(idtr));
	tr = segment_from_descriptor(HOST_TR, (const uint64_t *)(gdtr.base + HOST_TR), true);
	vmcs_write16(VMCS_HOST_ES_SELECTOR, HOST_DS);
	vmcs_write16(VMCS_HOST_CS_SELECTOR, HOST_CS);
	vmcs_write16(VMCS_HOST_SS_SELECTOR, HOST_DS);
	vmcs_write16(VMCS_HOST_DS_SELECTOR, HOST_DS);
	vmcs_write16(VMCS_HOST_FS_SELECTOR, 0);
	vmcs_write16(VMCS_HOST_GS_SELECTOR, 0);
	vmcs_write16(VMCS_HOST_TR_SELECTOR, HOST_TR);
	vmcs_write(VMCS_HOST_FS_BASE, 0);
	vmcs_write(VMCS_HOST_GS_BASE, (uint64_t)cpu);
	vmcs_write(VMCS_HOST_TR_BASE, tr.base);
	vmcs_write(VMCS_HOST_GDTR_BASE, gdtr.base);
	vmcs_write(VMCS_HOST_IDTR_BASE, idtr.base);
}

static uint64_t rdmsr_or_zero(uint32_t msr)
{
	uint64_t value;

	return rdmsr_safe(msr, &value) ? value : 0;
}

/* What this CPU runs with now. HOST_RSP follows at the first entry. */
static void init_host(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmcs_write(VMCS_HOST_CR0, read_cr0());
	vmcs_write(VMCS_HOST_CR3, read_cr3());
	vmcs_write(VMCS_HOST_CR4, read_cr4());
	vmcs_write64(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmcs_write64(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	/* Unused by the host: what the firmware has, which runs on after the trial. */
	vmcs_write32(VMCS_HOST_SYSENTER_CS, (uint32_t)rdmsr(MSR_SYSENTER_CS));
	vmcs_write(VMCS_HOST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmcs_write(VMCS_HOST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
	vmcs_write(VMCS_HOST_RIP, (uint64_t)vmx_exit_point);
	if (has(vmx, VMX_WORD_EXIT, EXIT_LOAD_CET)) {
		/* Likewise; the host runs with CR4.CET = 0. */
		vmcs_write(VMCS_HOST_S_CET, rdmsr_or_zero(MSR_S_CET));
		vmcs_write(VMCS_HOST_SSP, vcpu->cpu->context.ssp);
		vmcs_write(VMCS_HOST_INTERRUPT_SSP_TABLE, rdmsr_or_zero(MSR_INTERRUPT_SSP_TABLE));
	}
	init_host_descriptors(vcpu->cpu);
	vmx->host_rsp = 0;
}

/* MSRs that the VMCS keeps; the rest of the guest's state comes from the register cache. */
static void init_guest(struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmcs_write64(VMCS_LINK_POINTER, ~UINT64_C(0));
	vmcs_write64(VMCS_GUEST_DEBUGCTL, rdmsr_or_zero(MSR_DEBUGCTL));
	vmcs_write64(VMCS_GUEST_PAT, vcpu->cpu->saved.pat);
	vmcs_write32(VMCS_GUEST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	vmcs_write(VMCS_GUEST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmcs_write(VMCS_GUEST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
	vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write32(VMCS_GUEST_ACTIVITY, VMCS_ACTIVITY_ACTIVE);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmcs_write64(VMCS_GUEST_PDPTE0, 0);
	vmcs_write64(VMCS_GUEST_PDPTE1, 0);
	vmcs_write64(VMCS_GUEST_PDPTE2, 0);
	vmcs_write64(VMCS_GUEST_PDPTE3, 0);
	vmcs_write(VMCS_CR0_SHADOW, 0);
	vmcs_write(VMCS_CR4_SHADOW, 0);
	if (has(vmx, VMX_WORD_ENTRY, ENTRY_LOAD_BNDCFGS))
		vmcs_write64(VMCS_GUEST_BNDCFGS, rdmsr_or_zero(MSR_BNDCFGS));
	if (has(vmx, VMX_WORD_ENTRY, ENTRY_LOAD_LBR_CTL))
		vmcs_write64(VMCS_GUEST_LBR_CTL, rdmsr_or_zero(MSR_LBR_CTL));
	if (has(vmx, VMX_WORD_ENTRY, ENTRY_LOAD_CET)) {
		vmcs_write(VMCS_GUEST_S_CET, rdmsr_or_zero(MSR_S_CET));
		vmcs_write(VMCS_GUEST_INTERRUPT_SSP_TABLE, rdmsr_or_zero(MSR_INTERRUPT_SSP_TABLE));
	}
}

static uint64_t main_eptp(const struct vcpu *vcpu)
{
	const struct page_table *table = &vcpu->vm->tdp.table;

	return vmx_eptp(ptr_to_hpa(table->root).v, table->format.levels);
}

static void flush_eptp(const struct vmx_vcpu *vmx, uint64_t eptp)
{
	bool single = (vmx->ept_vpid & EPT_CAP_INVEPT_SINGLE) != 0;

	if (!invept(single ? INVALIDATE_SINGLE_CONTEXT : INVALIDATE_ALL_CONTEXTS, eptp))
		hv_panic("INVEPT failed on CPU %u", cpu_self()->index);
}

static void flush_everything(const struct vmx_vcpu *vmx)
{
	enum invalidation_type type = (vmx->ept_vpid & EPT_CAP_INVEPT_ALL) != 0
					      ? INVALIDATE_ALL_CONTEXTS
					      : INVALIDATE_SINGLE_CONTEXT;

	if (!invept(type, vmx->eptp))
		hv_panic("INVEPT type %u failed", (unsigned)type);
	if ((vmx->ept_vpid & VPID_CAP_INVVPID) != 0 &&
	    (vmx->ept_vpid & VPID_CAP_INVVPID_ALL) != 0 && !invvpid(INVALIDATE_ALL_CONTEXTS, 0))
		hv_panic("INVVPID of all contexts failed");
}

void vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	const uint64_t gprs = BITS64(REG_R15, REG_RAX) & ~REG_BIT(REG_RSP);

	exception_set_nmi_window((uint64_t)vmx_entry_window_start, (uint64_t)vmx_entry_window_end,
				 (uint64_t)vmx_entry_window_abort);
	vmx->controls = *vmx_chosen_controls();
	vmx->eptp = main_eptp(vcpu);
	vmx->vpid = has(vmx, VMX_WORD_SECONDARY, SECONDARY_VPID) ? (uint16_t)(vcpu->index + 1) : 0;
	vmx->cr0_mask = CR0_NE | CR0_NW | CR0_CD | (vmx->cr0_fixed0 & ~(CR0_PE | CR0_PG));
	/* FRED would need event data that is not handled: reserved to the guest, as CPUID says. */
	vmx->cr4_mask = CR4_VMXE | CR4_FRED | vmx->cr4_fixed0;
	vcpu->regs.cr0_guest_owned = ~vmx->cr0_mask;
	vcpu->regs.cr4_guest_owned = ~vmx->cr4_mask;
	vmx->launched = false;
	vmx->stepping = false;
	vmx->injected.valid = false;
	vmx_pebs_init(vcpu);
	if (!vmcs_clear(vmx->vmcs) || !vmcs_load(vmx->vmcs))
		hv_panic("VMCLEAR or VMPTRLD failed on CPU %u", vcpu->index);
	init_controls(vcpu);
	init_host(vcpu);
	init_guest(vcpu);
	flush_everything(vmx);
	/* General registers are stored by each exit; at the start their values do not matter. */
	vcpu->regs.available |= gprs;
}

/* VMCLEAR has written everything back. */
void vmx_vcpu_reload(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->launched = false;
	if (!vmcs_load(vmx->vmcs))
		hv_panic("VMPTRLD failed on CPU %u", vcpu->index);
	/* VMXON may have fixed other bits. */
	vmcs_write(VMCS_HOST_CR0, read_cr0());
	vmcs_write(VMCS_HOST_CR4, read_cr4());
	flush_everything(vmx);
}

void vmx_vcpu_reset(struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx_set_single_step(vcpu, false);
	vmcs_write64(VMCS_GUEST_DEBUGCTL, 0);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write32(VMCS_GUEST_ACTIVITY, VMCS_ACTIVITY_ACTIVE);
	vmcs_write32(VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write32(VMCS_ENTRY_CONTROLS, vmx->controls.word[VMX_WORD_ENTRY]);
	if (has(vmx, VMX_WORD_ENTRY, ENTRY_LOAD_CET)) {
		vmcs_write(VMCS_GUEST_S_CET, 0);
		vmcs_write(VMCS_GUEST_INTERRUPT_SSP_TABLE, 0);
	}
	vmx_flush_linear(vcpu);
}

void vmx_take_interrupts(void)
{
	interrupts_take();
}

void vmx_activity_changed(struct vcpu *vcpu)
{
	if (vcpu->activity == ACTIVITY_RUNNING) {
		vmcs_write32(VMCS_GUEST_ACTIVITY, VMCS_ACTIVITY_ACTIVE);
		return;
	}
	/*
	 * SDM, "Checks on Guest Non-Register State": nothing may be blocked or pending in
	 * wait-for-SIPI.
	 */
	vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmcs_write32(VMCS_ENTRY_INTR_INFO, 0);
	vmcs_write32(VMCS_GUEST_ACTIVITY, VMCS_ACTIVITY_WAIT_SIPI);
}

void vmx_flush_tdp(struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	flush_eptp(vmx, main_eptp(vcpu));
	if (vmx->eptp != main_eptp(vcpu))
		flush_eptp(vmx, vmx->eptp);
}

/*
 * Translations are kept for each root: another one has none of ours, but its own from when it was
 * used last.
 */
void vmx_set_tdp_root(struct vcpu *vcpu, hpa_t root)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->eptp = vmx_eptp(root.v, vcpu->vm->tdp.table.format.levels);
	vmcs_write64(VMCS_EPTP, vmx->eptp);
	if (vmx->eptp != main_eptp(vcpu))
		flush_eptp(vmx, vmx->eptp);
}

/*
 * Without VPIDs each entry and each exit flushes. SDM: "Operations that Invalidate Cached
 * Mappings".
 */
void vmx_flush_linear(struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->vpid == 0)
		return;
	if ((vmx->ept_vpid & VPID_CAP_INVVPID_SINGLE) != 0 &&
	    invvpid(INVALIDATE_SINGLE_CONTEXT, vmx->vpid))
		return;
	if ((vmx->ept_vpid & VPID_CAP_INVVPID_ALL) != 0 && invvpid(INVALIDATE_ALL_CONTEXTS, 0))
		return;
	/* Combined mappings go with those of the EPT. */
	vmx_flush_tdp(vcpu);
}

/*
 * An exception of the stepped instruction exits, so that the step is known not to be done; else the monitor trap flag would
 * exit only behind its delivery. Not the traps of INT3 and INTO, which are what those do. SDM: "Monitor Trap Flag".
 */
#define STEP_EXCEPTIONS \
	(UINT32_MAX & ~(BIT32(VECTOR_NMI) | BIT32(VECTOR_BP) | BIT32(VECTOR_OF) | BIT32(VECTOR_MC)))

static uint32_t exception_bitmap(const struct vcpu *vcpu)
{
	return (vmx_of(vcpu)->stepping ? STEP_EXCEPTIONS : 0) |
	       (vcpu->loan.is_lent ? BIT32(VECTOR_DB) : 0);
}

/*
 * Interrupts that come meanwhile exit and stay pending: the step gives way to them. Only where the guest could take them:
 * otherwise a pending one would make it exit for ever (the exit does not look at RFLAGS.IF).
 */
void vmx_set_single_step(struct vcpu *vcpu, bool on)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t *pin = &vmx->controls.word[VMX_WORD_PIN],
		 *primary = &vmx->controls.word[VMX_WORD_PRIMARY];

	if (vmx->stepping == on)
		return;
	vmx->stepping = on;
	*pin &= ~PIN_EXTERNAL_INTERRUPT_EXITING;
	if (on && (rflags_read(vcpu) & RFLAGS_IF) != 0 && interrupt_shadow_read(vcpu) == 0)
		*pin |= PIN_EXTERNAL_INTERRUPT_EXITING;
	*primary ^= PRIMARY_MONITOR_TRAP_FLAG;
	vmcs_write32(VMCS_PIN_CONTROLS, *pin);
	vmcs_write32(VMCS_PRIMARY_CONTROLS, *primary);
	vmcs_write32(VMCS_EXCEPTION_BITMAP, exception_bitmap(vcpu));
}

void vmx_debug_lent(struct vcpu *vcpu, uint64_t dr7)
{
	uint32_t *primary = &vmx_of(vcpu)->controls.word[VMX_WORD_PRIMARY];

	*primary &= ~PRIMARY_MOV_DR_EXITING;
	if (vcpu->loan.is_lent)
		*primary |= PRIMARY_MOV_DR_EXITING;
	vmcs_write32(VMCS_PRIMARY_CONTROLS, *primary);
	vmcs_write32(VMCS_EXCEPTION_BITMAP, exception_bitmap(vcpu));
	vmcs_write(VMCS_GUEST_DR7, dr7);
}
