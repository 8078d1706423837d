/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/guest_memory.h"

#include "arch/x86/insn.h"
#include "arch/x86/pkru.h"
#include "core/caps.h"
#include "mm/gva_fetch.h"
#include "mm/guest_copy.h"
#include "mm/page_entry.h"
#include "vmexit/guest_physical.h"

#define MSR_PKRS 0x6e1u

static bool is_pae(const struct paging_role *role)
{
	return (role->cr0 & CR0_PG) != 0 && (role->cr4 & CR4_PAE) != 0 &&
	       (role->efer & EFER_LMA) == 0;
}

/* What decides which entry translates an address, but not the rights: enough for a fetch. */
static void role_for_translation(struct vcpu *vcpu, struct paging_role *role)
{
	const uint64_t *pdptr;
	unsigned i;

	role->cr0 = cr0_read(vcpu);
	role->cr3 = cr3_read(vcpu);
	role->cr4 = cr4_read(vcpu);
	role->efer = efer_read(vcpu);
	role->maxphyaddr = hv_caps.maxphyaddr;
	role->huge_pages = hv_caps.host_huge_pages;
	role->upper_bit8 = hv_caps.upper_bit8;
	role->pkru = 0;
	role->pkrs = 0;
	role->ac = false;
	role->pdptr_in_memory = false;
	page_role_update(&vcpu->gva_format, role);
	role->format = &vcpu->gva_format;
	if (!is_pae(role))
		return;
	pdptr = pdptr_read(vcpu);
	for (i = 0; i < 4; i++)
		role->pdptr[i] = pdptr[i];
}

void guest_paging_role(struct vcpu *vcpu, struct paging_role *role)
{
	role_for_translation(vcpu, role);
	role->ac = (rflags_read(vcpu) & RFLAGS_AC) != 0;
	if ((role->efer & EFER_LMA) == 0)
		return;
	if ((role->cr4 & CR4_PKE) != 0)
		role->pkru = read_pkru();
	if ((role->cr4 & CR4_PKS) != 0)
		role->pkrs = (uint32_t)rdmsr(MSR_PKRS);
}

bool guest_peek(struct vcpu *vcpu, gva_t gva, gpa_t *gpa)
{
	struct paging_role role;
	struct gva_result result;

	guest_paging_role(vcpu, &role);
	if (!gva_walk(&role, &guest_copy_reader, gva, ACCESS_PEEK, &result))
		return false;
	*gpa = result.gpa;
	return true;
}

/* --- data ---------------------------------------------------------------------------------- */

static bool fail(struct guest_fault *fault, enum guest_fault_kind kind, uint64_t address,
		 uint32_t error_code)
{
	*fault = (struct guest_fault){ kind, error_code, { address } };
	return false;
}

static uint64_t wrap(const struct paging_role *role, uint64_t address)
{
	return (role->efer & EFER_LMA) != 0 ? address : (uint32_t)address;
}

static bool translate(const struct paging_role *role, const struct gva_reader *reader,
		      uint64_t address, unsigned access, gpa_t *gpa, struct guest_fault *fault)
{
	unsigned bits = (role->cr4 & CR4_LA57) != 0 ? 57 : 48;
	struct gva_result result;

	if (!is_canonical(address, bits))
		return fail(fault, GUEST_FAULT_NOT_CANONICAL, address, 0);
	if (!gva_walk(role, reader, (gva_t){ address }, access, &result))
		return fail(fault, result.no_memory ? GUEST_FAULT_NOT_MEMORY : GUEST_FAULT_PAGE,
			    address, result.error_code);
	*gpa = result.gpa;
	return true;
}

bool guest_translate(struct vcpu *vcpu, gva_t gva, unsigned bytes, unsigned access,
		     struct guest_span *span, struct guest_fault *fault)
{
	const struct gva_reader reader = guest_physical_reader(vcpu);
	struct paging_role role;
	uint64_t address;
	unsigned i;

	*span = (struct guest_span){ 0 };
	guest_paging_role(vcpu, &role);
	if ((access & ACCESS_IMPLICIT) == 0 && cpl_read(vcpu) == 3)
		access |= ACCESS_USER;
	address = wrap(&role, gva.v);
	span->bytes[0] = (unsigned)(PAGE_BYTES - address % PAGE_BYTES);
	if (span->bytes[0] > bytes)
		span->bytes[0] = bytes;
	span->bytes[1] = bytes - span->bytes[0];
	for (i = 0; i < 2 && span->bytes[i] != 0; i++) {
		if (!translate(&role, &reader, address, access, &span->gpa[i], fault))
			return false;
		address = wrap(&role, address + span->bytes[i]);
	}
	return true;
}

static bool translate_ram(struct vcpu *vcpu, gva_t gva, unsigned bytes, unsigned access,
			  struct guest_span *span, struct guest_fault *fault)
{
	if (!guest_translate(vcpu, gva, bytes, access, span, fault))
		return false;
	for (unsigned i = 0; i < 2 && span->bytes[i] != 0; i++) {
		if (!guest_copy_is_ram(span->gpa[i], span->bytes[i]))
			return fail(fault, GUEST_FAULT_NOT_MEMORY,
				    gva.v + (i == 0 ? 0 : span->bytes[0]), 0);
	}
	return true;
}

bool guest_read(struct vcpu *vcpu, gva_t gva, void *to, unsigned bytes, unsigned access,
		struct guest_fault *fault)
{
	struct guest_span span;

	if (!translate_ram(vcpu, gva, bytes, access, &span, fault))
		return false;
	if (guest_copy_in(to, span.gpa[0], span.bytes[0]) &&
	    (span.bytes[1] == 0 ||
	     guest_copy_in((uint8_t *)to + span.bytes[0], span.gpa[1], span.bytes[1])))
		return true;
	return fail(fault, GUEST_FAULT_NOT_MEMORY, gva.v, 0);
}

bool guest_write(struct vcpu *vcpu, gva_t gva, const void *from, unsigned bytes, unsigned access,
		 struct guest_fault *fault)
{
	struct guest_span span;

	if (!translate_ram(vcpu, gva, bytes, access | ACCESS_WRITE, &span, fault))
		return false;
	if (guest_physical_write(vcpu, span.gpa[0], from, span.bytes[0]) &&
	    (span.bytes[1] == 0 ||
	     guest_physical_write(vcpu, span.gpa[1], (const uint8_t *)from + span.bytes[0],
				  span.bytes[1])))
		return true;
	return fail(fault, GUEST_FAULT_NOT_MEMORY, gva.v, 0);
}

bool guest_write_probe(struct vcpu *vcpu, gva_t gva, unsigned bytes, unsigned access,
		       struct guest_fault *fault)
{
	struct guest_span span;

	return translate_ram(vcpu, gva, bytes, access | ACCESS_WRITE, &span, fault);
}

/* --- instructions -------------------------------------------------------------------------- */

/* Outside 64-bit mode CS has a base, and the sum wraps at 4 GiB. */
static uint64_t instruction_address(struct vcpu *vcpu, bool is_64bit)
{
	uint64_t rip = rip_read(vcpu);

	if (LIKELY(is_64bit))
		return rip;
	return (uint32_t)(segment_read(vcpu, SEGMENT_CS)->base + (uint32_t)rip);
}

gva_t guest_linear_rip(struct vcpu *vcpu)
{
	return (gva_t){ instruction_address(vcpu, mode_is_64bit(vcpu)) };
}

/* The CPU has fetched through them whatever is reserved: QEMU marks them as accessed. */
static void accept_pdptrs(struct paging_role *role)
{
	if (!is_pae(role))
		return;
	for (unsigned i = 0; i < 4; i++)
		role->pdptr[i] &= role->format->address | ENTRY_P;
}

/*
 * The CPU has just fetched these bytes: it has set the accessed bits and found the rights right. Nothing is marked here.
 * Another CPU may have changed tables or code since, but then nothing can be fetched, or the
 * decoder finds no instruction of the expected kind.
 */
static unsigned fetch_page(struct vcpu *vcpu, uint64_t address, uint8_t *to, unsigned bytes)
{
	unsigned left = (unsigned)(PAGE_BYTES - address % PAGE_BYTES);
	unsigned access = cpl_read(vcpu) == 3 ? ACCESS_FETCH | ACCESS_USER : ACCESS_FETCH;
	struct paging_role role;
	struct gva_result result;

	if (bytes > left)
		bytes = left;
	role_for_translation(vcpu, &role);
	accept_pdptrs(&role);
	if (!gva_walk(&role, &guest_copy_reader, (gva_t){ address }, access, &result))
		return 0;
	return guest_copy_in(to, result.gpa, bytes) ? bytes : 0;
}

static __attribute__((noinline)) void fill_for_fetch(struct vcpu *vcpu)
{
	(void)cr3_read(vcpu);
	(void)cr4_read(vcpu);
	(void)rip_read(vcpu);
}

/* On the way of each EOI, so one look at the cache for all three. */
bool guest_fetch_words(struct vcpu *vcpu, uint64_t words[GVA_FETCH_WORDS])
{
	const uint64_t wanted = REG_BIT(REG_CR3) | REG_BIT(REG_CR4) | REG_BIT(REG_RIP);
	const struct regs *regs = &vcpu->regs;

	if (UNLIKELY((regs->available & wanted) != wanted))
		fill_for_fetch(vcpu);
	return gva_fetch(regs->cr3, (regs->cr4 & CR4_LA57) != 0 ? 5 : 4, (gva_t){ regs->rip },
			 words);
}

/*
 * The quick way may fault on memory that is not in the window, and leaves its address in CR2: where the guest's is not
 * stored elsewhere by an exit, that is the guest's.
 */
static unsigned fetch_first(struct vcpu *vcpu, unsigned code_bytes, uint8_t buffer[INSN_MAX_BYTES])
{
	uint64_t words[GVA_FETCH_WORDS];

	cr2_write(vcpu, cr2_read(vcpu));
	if (LIKELY(code_bytes == 8) && LIKELY(guest_fetch_words(vcpu, words))) {
		__builtin_memcpy(buffer, words, INSN_MAX_BYTES);
		return INSN_MAX_BYTES;
	}
	return fetch_page(vcpu, instruction_address(vcpu, code_bytes == 8), buffer, INSN_MAX_BYTES);
}

unsigned guest_fetch(struct vcpu *vcpu, uint8_t buffer[INSN_MAX_BYTES])
{
	return fetch_first(vcpu, mode_code_bytes(vcpu), buffer);
}

unsigned guest_fetch_more(struct vcpu *vcpu, uint8_t buffer[INSN_MAX_BYTES], unsigned count)
{
	bool is_64bit = mode_is_64bit(vcpu);
	uint64_t address = instruction_address(vcpu, is_64bit) + count;

	if (count == 0 || count >= INSN_MAX_BYTES)
		return count;
	if (!is_64bit)
		address = (uint32_t)address;
	return count + fetch_page(vcpu, address, buffer + count, INSN_MAX_BYTES - count);
}

bool guest_fetch_insn(struct vcpu *vcpu, struct insn *out)
{
	uint8_t buffer[INSN_MAX_BYTES];
	unsigned code_bytes = mode_code_bytes(vcpu);
	unsigned count = fetch_first(vcpu, code_bytes, buffer), all;

	if (LIKELY(decode_insn(buffer, count, code_bytes, out)))
		return true;
	all = guest_fetch_more(vcpu, buffer, count);
	return all != count && decode_insn(buffer, all, code_bytes, out);
}

static __attribute__((noinline)) unsigned system_length_across(struct vcpu *vcpu,
							       uint8_t buffer[INSN_MAX_BYTES],
							       unsigned count, unsigned code_bytes,
							       enum system_insn which)
{
	unsigned all = guest_fetch_more(vcpu, buffer, count);

	return all != count ? decode_system_length(buffer, all, code_bytes, which) : 0;
}

unsigned guest_system_length(struct vcpu *vcpu, enum system_insn which)
{
	uint8_t buffer[INSN_MAX_BYTES];
	unsigned code_bytes = mode_code_bytes(vcpu);
	unsigned count = fetch_first(vcpu, code_bytes, buffer);
	unsigned length = decode_system_length(buffer, count, code_bytes, which);

	if (LIKELY(length != 0))
		return length;
	return system_length_across(vcpu, buffer, count, code_bytes, which);
}

static uint64_t cut(uint64_t value, unsigned bytes)
{
	return bytes == 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

gva_t guest_operand_address(struct vcpu *vcpu, const struct insn *insn)
{
	const struct insn_memory *memory = &insn->memory;
	uint64_t offset = (uint64_t)memory->displacement;

	if (memory->rip_relative)
		offset += rip_read(vcpu) + insn->bytes;
	if (memory->base != INSN_NO_REGISTER)
		offset += gpr_read_raw(vcpu, memory->base);
	if (memory->index != INSN_NO_REGISTER)
		offset += gpr_read_raw(vcpu, memory->index) << memory->scale;
	offset = cut(offset, insn->address_bytes);
	if (insn->code_bytes != 8)
		return (gva_t){ (uint32_t)(segment_read(vcpu, memory->segment)->base + offset) };
	if (memory->segment >= SEGMENT_FS)
		offset += segment_read(vcpu, memory->segment)->base;
	return (gva_t){ offset };
}
