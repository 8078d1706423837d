/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/apic_access.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/lock.h"
#include "core/panic.h"
#include "mm/host_map.h"
#include "vmexit/decode_store.h"
#include "vmexit/guest_memory.h"
#include "vmexit/init_sipi.h"
#include "vmexit/nested_fault.h"
#include "vmexit/nmi.h"
#include "vmexit/step.h"
#include "vmexit/store_quick.h"

bool apic_was_page(struct vcpu *vcpu, gpa_t gpa)
{
	struct page_mapping mapping;
	bool found;

	if (!hv_caps.traps_apic)
		return false;
	lock_acquire(&vcpu->vm->lock);
	found = page_table_lookup(&vcpu->vm->tdp.table, gpa.v, &mapping);
	lock_release(&vcpu->vm->lock);
	return found && mapping.level == 0 && (mapping.rights & RIGHT_WRITE) == 0;
}

void apic_register_write(struct vcpu *vcpu, uint32_t reg, uint32_t value)
{
	volatile uint8_t *page = vcpu->cpu->apic_page;

	switch (reg) {
	case APIC_ICR_LOW:
		if (!icr_write_trapped(
			    vcpu, (uint64_t)(apic_read(page, APIC_ICR_HIGH) >> 24) << 32 | value))
			return;
		break;
	case APIC_LDR:
		vcpu->apic_ldr = value;
		break;
	case APIC_DFR:
		vcpu->apic_dfr = value;
		break;
	default:
		break;
	}
	apic_write(page, reg, value);
	if (UNLIKELY(reg == APIC_ID)) /* on some CPUs it can be written */
		vcpu->apic_id = apic_read(page, APIC_ID) >> 24;
}

/* A store of 32 bits from a register or immediate: all that operating systems use. */
static bool simple_value(struct vcpu *vcpu, const struct store *store, uint32_t *value)
{
	if (store->bytes != 4)
		return false;
	switch (store->kind) {
	case STORE_REGISTER:
		*value = (uint32_t)gpr_read_raw(vcpu, store->reg);
		return true;
	case STORE_IMMEDIATE:
		*value = (uint32_t)store->immediate;
		return true;
	case STORE_EXCHANGE:
	case STORE_STRING:
		return false;
	}
	return false;
}

static bool decode_write(struct vcpu *vcpu, uint32_t *value)
{
	struct insn insn;
	struct store store;

	if (!guest_fetch_insn(vcpu, &insn) || !decode_store(&insn, &store) ||
	    !simple_value(vcpu, &store, value))
		return false;
	vcpu->decoded_bytes = insn.bytes;
	return true;
}

enum exit_verdict apic_write_exit(struct vcpu *vcpu, gpa_t gpa)
{
	uint32_t offset = (uint32_t)(gpa.v & (PAGE_BYTES - 1)), value;

	if ((offset & 0xf) == 0 && decode_write(vcpu, &value)) {
		apic_register_write(vcpu, offset, value);
		return VERDICT_NEXT_INSN;
	}
	step_begin(vcpu, STEP_APIC_WRITE, gpa);
	return VERDICT_RESUME;
}

unsigned apic_write_quick(struct vcpu *vcpu, gpa_t gpa, struct gva_code code)
{
	struct store_quick store = store_quick_decode(code.low, code.high);
	uint32_t offset = (uint32_t)(gpa.v & (PAGE_BYTES - 1));

	if (UNLIKELY(store.bytes == 0 || (offset & 0xf) != 0 || store.reg == REG_RSP))
		return 0;
	nmi_after_exit(vcpu);
	vcpu->exit_counts[EXIT_NESTED_PAGE_FAULT]++;
	apic_register_write(vcpu, offset,
			    store.is_immediate ? store.immediate
					       : (uint32_t)regs_fixed_read(&vcpu->regs, store.reg));
	return store.bytes;
}

/* Tables above the eager part may have been taken back for it: the lock is kept until all CPUs have forgotten them. */
static bool protect(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	bool changed = false, ok;

	lock_acquire(&vm->lock);
	ok = tdp_frame_is_plain(vcpu, gpa);
	/* Fetches from the page are as little our business as reads. */
	if (ok && hv_caps.traps_apic)
		ok = tdp_mmu_protect(&vm->tdp, gpa, PAGE_BYTES, RIGHT_READ | RIGHT_EXEC, &changed);
	if (changed) {
		tdp_flush_all(vcpu);
		tdp_mmu_flushed(&vm->tdp);
	}
	lock_release(&vm->lock);
	return ok;
}

/* The guest's map first: its flush sends kicks, and they go through the page where the APIC still is. */
static bool follow(struct vcpu *vcpu, uint64_t apic_base)
{
	uint64_t address = cpu_device_address(vcpu->index);
	gpa_t gpa = { apic_base & APIC_BASE_ADDRESS };

	/* An APIC that is off is switched on where it is for a kick. */
	if (apic_mode(apic_base) != APIC_X2APIC && !protect(vcpu, gpa))
		return false;
	if (!host_map_device(address, gpa_to_hpa(gpa), PAGE_BYTES))
		return false;
	invalidate_page(address);
	return true;
}

/*
 * The page of another CPU's APIC may be the same: it stays read-only once it was, which costs an exit and a decoding
 * where it is memory, and nothing else.
 */
bool apic_base_follow(struct vcpu *vcpu, uint64_t apic_base)
{
	if (apic_base == vcpu->apic_base && vcpu->apic_followed)
		return true;
	if (!follow(vcpu, apic_base)) {
		HV_ASSERT(follow(vcpu, vcpu->apic_base)); /* where it was before */
		return false;
	}
	vcpu->apic_base = apic_base;
	vcpu->apic_page_end = hv_caps.traps_apic && apic_mode(apic_base) == APIC_XAPIC
				      ? (apic_base & APIC_BASE_ADDRESS) | (PAGE_BYTES - 1)
				      : 0;
	if (!vcpu->apic_followed && apic_mode(apic_base) == APIC_XAPIC) {
		vcpu->apic_ldr = apic_read(vcpu->cpu->apic_page, APIC_LDR);
		vcpu->apic_dfr = apic_read(vcpu->cpu->apic_page, APIC_DFR);
	}
	vcpu->apic_followed = true;
	return true;
}
