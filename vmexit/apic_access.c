/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/apic_access.h"

#include "arch/x86/apic.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "mm/host_map.h"
#include "vmexit/guest_memory.h"
#include "vmexit/init_sipi.h"
#include "vmexit/nested_fault.h"
#include "vmexit/step.h"
#include "vmexit/store_quick.h"

bool apic_is_page(const struct vcpu *vcpu, gpa_t gpa)
{
	return !hv_caps.vmx && apic_mode(vcpu->apic_base) == APIC_XAPIC &&
	       (gpa.v & ~(PAGE_BYTES - 1)) == (vcpu->apic_base & APIC_BASE_ADDRESS);
}

bool apic_was_page(const struct vcpu *vcpu, gpa_t gpa)
{
	struct page_mapping mapping;

	return !hv_caps.vmx && page_table_lookup(&vcpu->vm->tdp.table, gpa.v, &mapping) &&
	       mapping.level == 0 && (mapping.rights & RIGHT_WRITE) == 0;
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

/* The usual store, in a few dozen instructions. */
static bool quick_store(struct vcpu *vcpu, uint32_t *value)
{
	uint64_t words[GVA_FETCH_WORDS];
	struct store_quick store;

	if (!mode_is_64bit(vcpu) || !guest_fetch_words(vcpu, words) ||
	    !store_quick_decode((const uint8_t *)words, INSN_MAX_BYTES, 8, &store))
		return false;
	vcpu->decoded_bytes = store.bytes;
	*value = store.is_immediate ? store.immediate : (uint32_t)gpr_read_raw(vcpu, store.reg);
	return true;
}

static bool other_store(struct vcpu *vcpu, uint32_t *value)
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

	if ((offset & 0xf) == 0 && (quick_store(vcpu, &value) || other_store(vcpu, &value))) {
		apic_register_write(vcpu, offset, value);
		return VERDICT_NEXT_INSN;
	}
	step_begin(vcpu, STEP_APIC_WRITE, gpa);
	return VERDICT_RESUME;
}

static bool protect(struct vcpu *vcpu, uint64_t apic_base, unsigned rights)
{
	struct vm *vm = vcpu->vm;
	bool changed = false, ok;

	lock_acquire(&vm->lock);
	ok = tdp_mmu_protect(&vm->tdp, (gpa_t){ apic_base & APIC_BASE_ADDRESS }, PAGE_BYTES, rights,
			     &changed);
	lock_release(&vm->lock);
	if (changed)
		tdp_flush_all(vcpu);
	return ok;
}

/*
 * The page of another CPU's APIC may be the same: it stays read-only once it was, which costs an exit and a decoding
 * where it is memory, and nothing else.
 */
void apic_base_changed(struct vcpu *vcpu, uint64_t apic_base)
{
	uint64_t old = vcpu->apic_base;

	if (apic_base == old && vcpu->apic_followed)
		return;
	vcpu->apic_followed = true;
	vcpu->apic_base = apic_base;
	if (((old ^ apic_base) & APIC_BASE_ADDRESS) != 0 &&
	    !host_map_device(cpu_device_address(vcpu->index),
			     (hpa_t){ apic_base & APIC_BASE_ADDRESS }, PAGE_BYTES))
		hv_panic("no memory to follow the APIC to 0x%llx", (unsigned long long)apic_base);
	if (hv_caps.vmx)
		return;
	if (apic_mode(apic_base) == APIC_XAPIC && !protect(vcpu, apic_base, RIGHT_READ))
		hv_panic("no memory to protect the APIC at 0x%llx", (unsigned long long)apic_base);
}
