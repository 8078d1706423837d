/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/apic_base.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/kick.h"
#include "core/lock.h"
#include "core/panic.h"
#include "mm/host_map.h"
#include "vmexit/nested_fault.h"

/* In xAPIC mode a CPU with a larger ID gets no interrupts that are sent to it. */
#define XAPIC_ID_MAX 0xfeu

/* Whether the registers follow IA32_APIC_BASE: they do, but not on every emulated machine. */
enum page_kind { PAGE_UNKNOWN, PAGE_MOVES, PAGE_STAYS };

static _Atomic(uint8_t) page_kind;

static bool page_stays(void)
{
	return atomic_load(&page_kind) == PAGE_STAYS;
}

static bool is_on(uint64_t apic_base)
{
	return apic_mode(apic_base) != APIC_DISABLED;
}

static bool map_page(const struct vcpu *vcpu, hpa_t frame)
{
	uint64_t address = cpu_device_address(vcpu->index);

	if (!host_map_device(address, frame, PAGE_BYTES))
		return false;
	invalidate_page(address);
	return true;
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

/*
 * To our own frame, in xAPIC mode, from there or from off. Whether the registers are there: the frame itself holds zeros.
 * An emulated machine may leave them where they were, or an APIC off that was switched off once.
 */
static bool move_to_own_frame(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (atomic_load(&page_kind) == PAGE_UNKNOWN)
		wbinvd(); /* nothing of the frame is left in a cache */
	wrmsr(MSR_APIC_BASE, vm->apic_frame.v | (vcpu->apic_base & APIC_BASE_BSP) | APIC_BASE_EN);
	vcpu->apic_base_hardware = rdmsr(MSR_APIC_BASE);
	if (!is_on(vcpu->apic_base_hardware))
		return false;
	HV_ASSERT(map_page(vcpu, vm->apic_frame));
	atomic_store(&page_kind,
		     apic_read(vcpu->cpu->apic_page, APIC_VERSION) != 0 ? PAGE_MOVES : PAGE_STAYS);
	return !page_stays();
}

static void move_back(struct vcpu *vcpu)
{
	wrmsr(MSR_APIC_BASE, vcpu->apic_base);
	vcpu->apic_base_hardware = vcpu->apic_base;
	HV_ASSERT(map_page(vcpu, gpa_to_hpa(vcpu->apic_gpa)));
}

/* SDM: "Relocating the Local APIC Registers": nothing else of the APIC's state changes. */
static void find_out_kind(struct vcpu *vcpu)
{
	if (atomic_load(&page_kind) != PAGE_UNKNOWN ||
	    apic_mode(vcpu->apic_base_hardware) != APIC_XAPIC)
		return;
	(void)move_to_own_frame(vcpu);
	move_back(vcpu);
}

static gpa_t page_of(const struct vcpu *vcpu, uint64_t apic_base)
{
	return page_stays() ? vcpu->apic_gpa : (gpa_t){ apic_base & APIC_BASE_ADDRESS };
}

/* The page whose writes are trapped from now on. */
static void set_trapped_page(struct vcpu *vcpu)
{
	bool has_page = apic_mode(vcpu->apic_base) == APIC_XAPIC || page_stays();

	vcpu->apic_page_end =
		hv_caps.traps_apic && has_page ? vcpu->apic_gpa.v | (PAGE_BYTES - 1) : 0;
}

/* --- while the guest's APIC is off --- */

static void reg_write(const struct vcpu *vcpu, uint32_t reg, uint32_t value)
{
	if (apic_mode(vcpu->apic_base_hardware) == APIC_X2APIC)
		wrmsr(MSR_X2APIC_BASE + (reg >> 4), value);
	else
		apic_write(vcpu->cpu->apic_page, reg, value);
}

/* An interrupt that is pending is forgotten by an APIC that is switched off, and by nothing else. */
static bool is_pending(const struct vcpu *vcpu)
{
	for (unsigned word = 0; word < 8; word++) {
		if (apic_read(vcpu->cpu->apic_page, APIC_IRR + 16 * word) != 0)
			return true;
	}
	return false;
}

/*
 * The guest's APIC is off now. Where the registers stay, or the hardware's does not come on again, it is the machine's
 * own affair.
 */
static void borrow(struct vcpu *vcpu)
{
	if (page_stays())
		return;
	if (!move_to_own_frame(vcpu)) {
		move_back(vcpu);
		return;
	}
	if (vcpu->apic_id > XAPIC_ID_MAX) {
		vcpu->apic_base_hardware |= APIC_BASE_EXTD;
		wrmsr(MSR_APIC_BASE, vcpu->apic_base_hardware);
	}
	apic_reset(vcpu->apic_base_hardware, vcpu->cpu->apic_page);
	reg_write(vcpu, APIC_SVR, APIC_SVR_RESET | APIC_SVR_ENABLE);
	reg_write(vcpu, APIC_LVT_LINT0, ICR_MODE_EXTINT);
	reg_write(vcpu, APIC_LVT_LINT1, ICR_MODE_NMI);
}

/* Nothing that was sent before arrives: it has been off. */
static void borrow_at_start(struct vcpu *vcpu)
{
	bool is_closed = kick_close(&vcpu->kick, rdtsc());

	borrow(vcpu);
	if (is_closed)
		kick_open(&vcpu->kick);
}

/* The CPU is the judge of a value, and takes it whole: with EN, unless nothing else will do. */
static bool write_off(struct vcpu *vcpu, uint64_t value, bool really)
{
	bool ok = wrmsr_safe(MSR_APIC_BASE, really ? value : value | APIC_BASE_EN);

	if (!ok)
		return false;
	vcpu->apic_base_hardware = rdmsr(MSR_APIC_BASE);
	vcpu->apic_base = vcpu->apic_base_hardware & ~APIC_BASE_EN;
	return true;
}

static enum apic_base_result turn_off(struct vcpu *vcpu, uint64_t value)
{
	bool really, ok;

	if ((value & APIC_BASE_EXTD) != 0)
		return APIC_BASE_REFUSED;
	find_out_kind(vcpu);
	really = page_stays() || apic_mode(vcpu->apic_base_hardware) != APIC_XAPIC ||
		 is_pending(vcpu);
	/* An NMI that is sent here while it is off would be lost, and waited for. */
	if (really && !kick_close(&vcpu->kick, rdtsc()))
		return APIC_BASE_AGAIN;
	ok = write_off(vcpu, value, really);
	if (ok)
		borrow(vcpu);
	if (really)
		kick_open(&vcpu->kick);
	set_trapped_page(vcpu);
	return ok ? APIC_BASE_WRITTEN : APIC_BASE_REFUSED;
}

/* As it is after having been off. SDM: "Enabling or Disabling the Local APIC". */
static bool write_on(struct vcpu *vcpu, uint64_t value, bool really)
{
	if (apic_is_borrowed(vcpu))
		apic_reset(vcpu->apic_base_hardware, vcpu->cpu->apic_page);
	if (really)
		wrmsr(MSR_APIC_BASE, vcpu->apic_base);
	if (!wrmsr_safe(MSR_APIC_BASE, value)) {
		borrow(vcpu);
		return false;
	}
	vcpu->apic_base = vcpu->apic_base_hardware = rdmsr(MSR_APIC_BASE);
	return true;
}

static enum apic_base_result turn_on(struct vcpu *vcpu, uint64_t value)
{
	gpa_t page = page_of(vcpu, value);
	bool is_borrowed = apic_is_borrowed(vcpu), really, ok;

	if (is_borrowed && (value & APIC_BASE_EXTD) != 0)
		return APIC_BASE_REFUSED;
	if (!protect(vcpu, page))
		return APIC_BASE_REFUSED;
	really = is_borrowed &&
		 (apic_mode(vcpu->apic_base_hardware) != APIC_XAPIC || is_pending(vcpu));
	if (really && !kick_close(&vcpu->kick, rdtsc()))
		return APIC_BASE_AGAIN;
	ok = write_on(vcpu, value, really);
	if (ok) {
		vcpu->apic_gpa = page;
		HV_ASSERT(map_page(vcpu, gpa_to_hpa(page)));
	}
	if (really)
		kick_open(&vcpu->kick);
	set_trapped_page(vcpu);
	return ok ? APIC_BASE_WRITTEN : APIC_BASE_REFUSED;
}

/* --- while it is on --- */

/* It was on and stays on. The guest's map first: its flush sends kicks, and they go through the page as it is. */
static bool follow(struct vcpu *vcpu, uint64_t value)
{
	gpa_t old = vcpu->apic_gpa, page = old;
	bool has_page = apic_mode(value) == APIC_XAPIC, ok;

	if (has_page && (value & APIC_BASE_ADDRESS) != old.v) {
		find_out_kind(vcpu);
		page = page_of(vcpu, value);
	}
	if (has_page && !protect(vcpu, page))
		return false;
	if (!map_page(vcpu, gpa_to_hpa(page))) {
		HV_ASSERT(map_page(vcpu, gpa_to_hpa(old)));
		return false;
	}
	ok = wrmsr_safe(MSR_APIC_BASE, value);
	vcpu->apic_base = vcpu->apic_base_hardware = rdmsr(MSR_APIC_BASE);
	if (ok)
		vcpu->apic_gpa = page;
	else
		HV_ASSERT(map_page(vcpu, gpa_to_hpa(old)));
	set_trapped_page(vcpu);
	return ok;
}

/* In every mode: no APIC over our own memory, also one that is off. */
static bool is_place(struct vcpu *vcpu, uint64_t value)
{
	gpa_t gpa = { value & APIC_BASE_ADDRESS };

	if (gpa.v >> hv_caps.maxphyaddr != 0)
		return false;
	return gpa.v == (vcpu->apic_base & APIC_BASE_ADDRESS) ||
	       !tdp_mmu_is_hidden(&vcpu->vm->tdp, gpa);
}

enum apic_base_result apic_base_write(struct vcpu *vcpu, uint64_t value)
{
	if (!is_place(vcpu, value))
		return APIC_BASE_REFUSED;
	if (!is_on(value))
		return turn_off(vcpu, value);
	if (!is_on(vcpu->apic_base))
		return turn_on(vcpu, value);
	return follow(vcpu, value) ? APIC_BASE_WRITTEN : APIC_BASE_REFUSED;
}

/*
 * The page of another CPU's APIC may be the same: it stays read-only once it was, which costs an exit and a decoding
 * where it is memory, and nothing else.
 */
void apic_base_begin(struct vcpu *vcpu)
{
	uint64_t apic_base = vcpu->apic_base;
	gpa_t page = { apic_base & APIC_BASE_ADDRESS };

	if (vcpu->apic_followed)
		return;
	HV_ASSERT(map_page(vcpu, gpa_to_hpa(page)));
	HV_ASSERT(apic_mode(apic_base) != APIC_XAPIC || protect(vcpu, page));
	vcpu->apic_base_hardware = apic_base;
	vcpu->apic_gpa = page;
	if (!is_on(apic_base))
		borrow_at_start(vcpu);
	set_trapped_page(vcpu);
	if (apic_mode(apic_base) == APIC_XAPIC) {
		vcpu->apic_ldr = apic_read(vcpu->cpu->apic_page, APIC_LDR);
		vcpu->apic_dfr = apic_read(vcpu->cpu->apic_page, APIC_DFR);
	}
	vcpu->apic_followed = true;
}
