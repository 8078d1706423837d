/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/io_apic.h"

#include <stddef.h>

#include "arch/x86/io_apic.h"
#include "core/lock.h"
#include "mm/host_map.h"
#include "vmexit/emulate_exit.h"
#include "vmexit/guest_memory.h"

struct kept_pin {
	uint32_t pin;
	uint64_t guest;	   /* the entry as the guest has written it */
	uint64_t hardware; /* and as it is */
	bool is_set;	   /* it is ours by now */
};

/* (b) written by the boot CPU before others run, then constant; (l) under `lock`, over a whole emulation */
static struct {
	volatile uint8_t *page; /* (b) */
	unsigned kept_count;	/* (b) */
	_Atomic(uint32_t) lock;
	uint8_t selected; /* (l) what the guest has selected, and the hardware with it */
	struct kept_pin kept[IO_APIC_KEPT_MAX]; /* (l) */
} io_apic;

uint64_t io_apic_page_end;

static struct kept_pin *find_pin(uint32_t pin)
{
	for (unsigned i = 0; i < io_apic.kept_count; i++) {
		if (io_apic.kept[i].pin == pin)
			return &io_apic.kept[i];
	}
	return NULL;
}

static struct kept_pin *find_index(uint8_t index)
{
	return index < IO_APIC_ENTRY(0) ? NULL : find_pin((index - IO_APIC_ENTRY(0)) / 2);
}

static bool is_high_half(uint8_t index)
{
	return (index & 1) != 0;
}

/* --- the hypervisor's side ------------------------------------------------------------------- */

static bool close_page(struct vm *vm, uint64_t base)
{
	bool changed = false;

	if (!host_map_device(base, (hpa_t){ base }, PAGE_BYTES) ||
	    !tdp_mmu_protect(&vm->tdp, (gpa_t){ base }, PAGE_BYTES, 0, &changed))
		return false;
	/* Nobody has used the map yet. */
	tdp_mmu_flushed(&vm->tdp);
	io_apic.page = (volatile uint8_t *)(uintptr_t)base;
	io_apic_page_end = base + PAGE_BYTES - 1;
	io_apic.selected = (uint8_t)io_apic_load(io_apic.page, IO_APIC_SELECT, 4);
	return true;
}

static void select_again(void)
{
	io_apic_store(io_apic.page, IO_APIC_SELECT, 4, io_apic.selected);
}

bool io_apic_keep(struct vm *vm, uint64_t base, uint32_t pin)
{
	uint8_t index = (uint8_t)IO_APIC_ENTRY(pin);
	struct kept_pin *kept;

	if ((base & (PAGE_BYTES - 1)) != 0 || io_apic.kept_count == IO_APIC_KEPT_MAX)
		return false;
	if (find_pin(pin) != NULL && io_apic_is_page((gpa_t){ base }))
		return true;
	if (io_apic.page == NULL ? !close_page(vm, base) : !io_apic_is_page((gpa_t){ base }))
		return false;
	kept = &io_apic.kept[io_apic.kept_count++];
	kept->pin = pin;
	kept->guest = io_apic_read(io_apic.page, index) |
		      (uint64_t)io_apic_read(io_apic.page, (uint8_t)(index + 1)) << 32;
	kept->guest &= ~(REDIRECT_PENDING | REDIRECT_REMOTE_IRR);
	select_again();
	return true;
}

/* Masked while the halves do not fit together. */
static void write_entry(const struct kept_pin *kept)
{
	uint8_t index = (uint8_t)IO_APIC_ENTRY(kept->pin);

	io_apic_write(io_apic.page, index, (uint32_t)REDIRECT_MASKED);
	io_apic_write(io_apic.page, (uint8_t)(index + 1), (uint32_t)(kept->hardware >> 32));
	io_apic_write(io_apic.page, index, (uint32_t)kept->hardware);
	select_again();
}

void io_apic_set_entry(uint32_t pin, uint64_t entry)
{
	struct kept_pin *kept;

	lock_acquire(&io_apic.lock);
	kept = find_pin(pin);
	if (kept != NULL) {
		kept->hardware = entry;
		kept->is_set = true;
		write_entry(kept);
	}
	lock_release(&io_apic.lock);
}

uint64_t io_apic_guest_entry(uint32_t pin)
{
	const struct kept_pin *kept;
	uint64_t entry = REDIRECT_MASKED;

	lock_acquire(&io_apic.lock);
	kept = find_pin(pin);
	if (kept != NULL)
		entry = kept->guest;
	lock_release(&io_apic.lock);
	return entry;
}

void io_apic_wake(void)
{
	lock_release(&io_apic.lock); /* whoever held it is gone */
	if (io_apic.page == NULL)
		return;
	io_apic.selected = 0;
	for (unsigned i = 0; i < io_apic.kept_count; i++) {
		/* After a reset. */
		io_apic.kept[i].guest = REDIRECT_MASKED;
		if (io_apic.kept[i].is_set)
			write_entry(&io_apic.kept[i]);
	}
}

/* --- the guest's side ------------------------------------------------------------------------ */

uint64_t io_apic_guest_load(uint32_t offset, unsigned bytes)
{
	const struct kept_pin *kept = find_index(io_apic.selected);
	uint64_t half;

	if (offset != IO_APIC_WINDOW || kept == NULL)
		return io_apic_load(io_apic.page, offset, bytes);
	half = is_high_half(io_apic.selected) ? kept->guest >> 32 : (uint32_t)kept->guest;
	return bytes >= 4 ? half : half & (BIT64(8 * bytes) - 1);
}

static void store_half(struct kept_pin *kept, uint32_t value)
{
	if (is_high_half(io_apic.selected))
		kept->guest = (uint64_t)value << 32 | (uint32_t)kept->guest;
	else
		kept->guest = (kept->guest & ~(uint64_t)UINT32_MAX) |
			      (value & ~(REDIRECT_PENDING | REDIRECT_REMOTE_IRR));
}

void io_apic_guest_store(uint32_t offset, unsigned bytes, uint64_t value)
{
	struct kept_pin *kept = find_index(io_apic.selected);

	if (offset == IO_APIC_WINDOW && kept != NULL) {
		store_half(kept, (uint32_t)value);
		return;
	}
	io_apic_store(io_apic.page, offset, bytes, value);
	if (offset == IO_APIC_SELECT)
		io_apic.selected = (uint8_t)value;
}

static bool covers(void *context, gpa_t gpa)
{
	(void)context;
	return io_apic_is_page(gpa);
}

static bool read(void *context, gpa_t gpa, void *to, unsigned bytes)
{
	uint64_t value;

	(void)context;
	if (bytes > sizeof(value))
		return false;
	value = io_apic_guest_load((uint32_t)(gpa.v & (PAGE_BYTES - 1)), bytes);
	__builtin_memcpy(to, &value, bytes);
	return true;
}

static void write(void *context, gpa_t gpa, const void *from, unsigned bytes)
{
	uint64_t value = 0;

	(void)context;
	__builtin_memcpy(&value, from, bytes < sizeof(value) ? bytes : sizeof(value));
	io_apic_guest_store((uint32_t)(gpa.v & (PAGE_BYTES - 1)), bytes, value);
}

static const struct emulate_target target = { .covers = covers, .read = read, .write = write };

static enum emulate_result emulate(struct vcpu *vcpu)
{
	enum emulate_result result;
	struct insn insn;

	if (!guest_fetch_insn(vcpu, &insn))
		return EMULATE_RESUME; /* another CPU has just taken it away */
	lock_acquire(&io_apic.lock);
	result = emulate_insn(vcpu, &insn, &target);
	lock_release(&io_apic.lock);
	return result;
}

/*
 * What the emulator does not know (vector instructions, code in the page, data breakpoints) the CPU does itself, on the
 * hardware's registers.
 */
enum exit_verdict io_apic_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	enum emulate_result result = EMULATE_NATIVE;

	if (!exit->fault.fetch && !exit->fault.during_walk && vcpu->step_kind == STEP_NONE)
		result = emulate(vcpu);
	return emulate_exit_or_step(vcpu, result, STEP_PLAIN, exit->fault.gpa);
}
