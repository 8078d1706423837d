/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/apic_access.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "arch/x86/mmio.h"
#include "core/caps.h"
#include "core/lock.h"
#include "vmexit/decode_store.h"
#include "vmexit/guest_memory.h"
#include "vmexit/init_sipi.h"
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
		if (icr_is_for_hardware(value))
			break;
		icr_carry(vcpu, (uint64_t)(apic_read(page, APIC_ICR_HIGH) >> 24) << 32 | value);
		return;
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

/* A store from a register or immediate: all that operating systems use. */
static bool simple_value(struct vcpu *vcpu, const struct store *store, uint64_t *value)
{
	switch (store->kind) {
	case STORE_REGISTER:
		*value = gpr_read_raw(vcpu, store->reg) >> (store->high_byte ? 8 : 0);
		return true;
	case STORE_IMMEDIATE:
		*value = store->immediate;
		return true;
	case STORE_EXCHANGE:
	case STORE_STRING:
		return false;
	}
	return false;
}

/*
 * What is not an aligned store of 32 bits is undefined, and the APIC's own affair but for the command register. SDM: "Local
 * APIC Register Address Map".
 */
static void write_as_it_is(struct vcpu *vcpu, uint32_t offset, unsigned bytes, uint64_t value)
{
	volatile uint8_t *page = vcpu->cpu->apic_page;

	if (offset + bytes > APIC_ICR_LOW && offset < APIC_ICR_HIGH) {
		if (bytes == 4 && (offset & 3) == 0)
			apic_register_write(vcpu, APIC_ICR_LOW, (uint32_t)value);
		return;
	}
	mmio_store(page + offset, bytes, value);
	vcpu->apic_ldr = apic_read(page, APIC_LDR);
	vcpu->apic_dfr = apic_read(page, APIC_DFR);
	vcpu->apic_id = apic_read(page, APIC_ID) >> 24;
}

static bool write_decoded(struct vcpu *vcpu, uint32_t offset)
{
	struct insn insn;
	struct store store;
	uint64_t value;

	if (!guest_fetch_insn(vcpu, &insn) || !decode_store(&insn, &store) ||
	    !simple_value(vcpu, &store, &value) || offset + store.bytes > PAGE_BYTES)
		return false;
	if (store.bytes == 4 && (offset & 0xf) == 0)
		apic_register_write(vcpu, offset, (uint32_t)value);
	else
		write_as_it_is(vcpu, offset, store.bytes, value);
	vcpu->decoded_bytes = insn.bytes;
	return true;
}

enum exit_verdict apic_write_exit(struct vcpu *vcpu, gpa_t gpa)
{
	uint32_t offset = (uint32_t)(gpa.v & (PAGE_BYTES - 1));

	if (write_decoded(vcpu, offset))
		return VERDICT_NEXT_INSN;
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
