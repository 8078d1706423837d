/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/apic_access.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
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
