// sources: vmexit/io_apic.c vmexit/emulate_exit.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Pins that are kept from the guest, over a model of the I/O APIC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/io_apic.h"
#include "mm/host_map.h"
#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/io_apic.h"
#include "vmexit/step.h"

#define PAGE  UINT64_C(0xfec00000)
#define PIN   3u
#define OTHER 4u

/* --- the model ------------------------------------------------------------------------------- */

static uint32_t registers[64];
static uint8_t selected;
static unsigned closed; /* times that the page was protected */
static struct vm vm;

uint32_t io_apic_read(volatile uint8_t *page, uint8_t index)
{
	assert_int_equal((uintptr_t)page, PAGE);
	selected = index;
	return registers[index];
}

void io_apic_write(volatile uint8_t *page, uint8_t index, uint32_t value)
{
	assert_int_equal((uintptr_t)page, PAGE);
	selected = index;
	registers[index] = value;
}

uint64_t io_apic_load(volatile uint8_t *page, uint32_t offset, unsigned bytes)
{
	if (offset == IO_APIC_SELECT)
		return selected;
	return offset == IO_APIC_WINDOW ? registers[selected] : 0;
}

void io_apic_store(volatile uint8_t *page, uint32_t offset, unsigned bytes, uint64_t value)
{
	if (offset == IO_APIC_SELECT)
		selected = (uint8_t)value;
	else if (offset == IO_APIC_WINDOW)
		registers[selected] = (uint32_t)value;
}

bool host_map_device(uint64_t address, hpa_t hpa, uint64_t bytes)
{
	assert_int_equal(address, PAGE);
	assert_int_equal(hpa.v, PAGE);
	return true;
}

bool tdp_mmu_protect(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, unsigned rights, bool *changed)
{
	assert_int_equal(gpa.v, PAGE);
	assert_int_equal(rights, 0);
	closed++;
	*changed = true;
	return true;
}

void tdp_mmu_flushed(struct tdp_mmu *tdp)
{
}

bool guest_fetch_insn(struct vcpu *vcpu, struct insn *insn)
{
	return false;
}

enum emulate_result emulate_insn(struct vcpu *vcpu, const struct insn *insn,
				 const struct emulate_target *target)
{
	return EMULATE_NATIVE;
}

void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
}

/* --- as a guest does ------------------------------------------------------------------------- */

static uint32_t window_read(uint8_t index)
{
	io_apic_guest_store(IO_APIC_SELECT, 4, index);
	return (uint32_t)io_apic_guest_load(IO_APIC_WINDOW, 4);
}

static void window_write(uint8_t index, uint32_t value)
{
	io_apic_guest_store(IO_APIC_SELECT, 4, index);
	io_apic_guest_store(IO_APIC_WINDOW, 4, value);
}

#define LOW(pin)  ((uint8_t)IO_APIC_ENTRY(pin))
#define HIGH(pin) ((uint8_t)(IO_APIC_ENTRY(pin) + 1))

/* The first one in the list: nothing is trapped before. */
static void page_is_trapped_when_needed(void **state)
{
	(void)state;
	assert_false(io_apic_is_page((gpa_t){ PAGE }));
	assert_false(io_apic_is_page((gpa_t){ 0 }));
	registers[LOW(PIN)] = 0x10000;
	registers[HIGH(PIN)] = 0x02000000;
	selected = 7;
	assert_false(io_apic_keep(&vm, PAGE + 0x10, PIN));
	assert_true(io_apic_keep(&vm, PAGE, PIN));
	assert_true(io_apic_keep(&vm, PAGE, PIN)); /* once more is the same */
	assert_int_equal(closed, 1);
	assert_int_equal(selected, 7);
	assert_true(io_apic_is_page((gpa_t){ PAGE }));
	assert_true(io_apic_is_page((gpa_t){ PAGE + 0xfff }));
	assert_false(io_apic_is_page((gpa_t){ PAGE + 0x1000 }));
	assert_false(io_apic_keep(&vm, PAGE + 0x1000, PIN));
	assert_int_equal(io_apic_guest_entry(PIN), UINT64_C(0x0200000000010000));
}

static void entry_is_the_guests_to_see(void **state)
{
	(void)state;
	io_apic_set_entry(PIN, REDIRECT_MODE_NMI | UINT64_C(1) << REDIRECT_ID_SHIFT);
	assert_int_equal(registers[LOW(PIN)], 0x400);
	assert_int_equal(registers[HIGH(PIN)], 0x01000000);
	window_write(LOW(PIN), 0x931 | REDIRECT_PENDING | REDIRECT_REMOTE_IRR);
	window_write(HIGH(PIN), 0x0f000000);
	assert_int_equal(window_read(LOW(PIN)), 0x931);
	assert_int_equal(window_read(HIGH(PIN)), 0x0f000000);
	assert_int_equal(io_apic_guest_load(IO_APIC_WINDOW, 1), 0);
	assert_int_equal(io_apic_guest_entry(PIN), UINT64_C(0x0f00000000000931));
	assert_int_equal(registers[LOW(PIN)], 0x400);
	assert_int_equal(registers[HIGH(PIN)], 0x01000000);
}

static void others_are_as_they_were(void **state)
{
	(void)state;
	window_write(LOW(OTHER), 0x42);
	window_write(HIGH(OTHER), 0x03000000);
	assert_int_equal(registers[LOW(OTHER)], 0x42);
	assert_int_equal(registers[HIGH(OTHER)], 0x03000000);
	assert_int_equal(window_read(LOW(OTHER)), 0x42);
	registers[1] = 0x170020;
	assert_int_equal(window_read(1), 0x170020);
}

/* The guest has selected a register, then the hypervisor writes its own. */
static void selection_is_kept(void **state)
{
	(void)state;
	io_apic_guest_store(IO_APIC_SELECT, 4, LOW(OTHER));
	io_apic_set_entry(PIN, REDIRECT_MODE_NMI);
	assert_int_equal(registers[HIGH(PIN)], 0);
	io_apic_guest_store(IO_APIC_WINDOW, 4, 0x43);
	assert_int_equal(registers[LOW(OTHER)], 0x43);
	assert_int_equal(io_apic_guest_load(IO_APIC_WINDOW, 4), 0x43);
}

static void after_sleep(void **state)
{
	(void)state;
	io_apic_guest_store(IO_APIC_SELECT, 4, LOW(PIN));
	memset(registers, 0, sizeof(registers));
	selected = 0;
	io_apic_wake();
	assert_int_equal(registers[LOW(PIN)], 0x400);
	assert_int_equal(selected, 0);
	assert_int_equal(io_apic_guest_entry(PIN), REDIRECT_MASKED);
	io_apic_guest_store(IO_APIC_WINDOW, 4, 0x5000000); /* its ID: index 0 is selected */
	assert_int_equal(registers[0], 0x5000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_is_trapped_when_needed),
		cmocka_unit_test(entry_is_the_guests_to_see),
		cmocka_unit_test(others_are_as_they_were),
		cmocka_unit_test(selection_is_kept),
		cmocka_unit_test(after_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
