/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/kick.c
/*
 * A guest that switches its APIC off, on and elsewhere, on a CPU that does what the manual says, with another CPU that
 * sends a kick at each write of IA32_APIC_BASE: whatever the guest sees, an NMI that is sent arrives.
 */
#include "vmexit/apic_base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/lock.h"
#include "core/panic.h"
#include "mm/host_map.h"
#include "vmexit/nested_fault.h"

#define BASE	  UINT64_C(0xfee00000)
#define OTHER	  UINT64_C(0x12345000)
#define RESERVED  UINT64_C(0x7f800000) /* the hypervisor's */
#define OWN_FRAME (RESERVED + 0x5000)
#define VERSION	  0x50014u
#define REGS	  0x40u

/* --- the CPU ------------------------------------------------------------------------------- */

static struct {
	uint64_t base;
	uint32_t regs[REGS];
	bool page_moves;
	bool has_x2apic;
	bool stays_off;	    /* once off */
	uint64_t mapped;    /* where the host looks for the registers */
	uint32_t ram[REGS]; /* what is there where no APIC is */
	unsigned lost;	    /* NMIs */
} hw;

static struct cpu cpu;
static struct vm the_vm;
static struct vcpu guest;
static int sends_at; /* the how manieth look at the CPU from now; never if negative */
struct hv_caps hv_caps;

static void reset_registers(void)
{
	memset(hw.regs, 0, sizeof(hw.regs));
	hw.regs[APIC_VERSION >> 4] = VERSION;
	hw.regs[APIC_SVR >> 4] = APIC_SVR_RESET;
	for (unsigned reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg += 16)
		hw.regs[reg >> 4] = APIC_LVT_MASKED;
}

/* Another CPU, at the worst moment. */
static void send_kick(void)
{
	if (sends_at-- != 0 || !kick_record(&guest.kick, KICK_TLB_FLUSH, 1))
		return;
	if (apic_mode(hw.base) == APIC_DISABLED)
		hw.lost++;
}

/* SDM: "Local x2APIC State Transitions". */
static bool is_legal(uint64_t value)
{
	enum apic_mode old = apic_mode(hw.base), new = apic_mode(value);

	if ((value & ~(APIC_BASE_ADDRESS | APIC_BASE_BSP | APIC_BASE_EN | APIC_BASE_EXTD)) != 0)
		return false;
	if ((value & APIC_BASE_EXTD) != 0 &&
	    (!hw.has_x2apic || (value & APIC_BASE_EN) == 0 || old == APIC_DISABLED))
		return false;
	return old != APIC_X2APIC || new != APIC_XAPIC;
}

static bool fake_wrmsr_safe(uint32_t msr, uint64_t value)
{
	send_kick();
	assert_int_equal(msr, MSR_APIC_BASE);
	if (hw.stays_off && apic_mode(hw.base) == APIC_DISABLED)
		return true;
	if (!is_legal(value))
		return false;
	if (hw.page_moves && apic_mode(value) == APIC_DISABLED)
		reset_registers();
	hw.base = value;
	send_kick();
	return true;
}

static void fake_wrmsr(uint32_t msr, uint64_t value)
{
	if (msr >= MSR_X2APIC_BASE) {
		assert_int_equal(apic_mode(hw.base), APIC_X2APIC);
		hw.regs[msr - MSR_X2APIC_BASE] = (uint32_t)value;
		return;
	}
	assert_true(fake_wrmsr_safe(msr, value));
}

static uint64_t fake_rdmsr(uint32_t msr)
{
	return msr == MSR_APIC_BASE ? hw.base : hw.regs[msr - MSR_X2APIC_BASE];
}

static uint32_t *registers(void)
{
	if (!hw.page_moves)
		return hw.mapped == BASE ? hw.regs : hw.ram;
	return apic_mode(hw.base) == APIC_XAPIC && (hw.base & APIC_BASE_ADDRESS) == hw.mapped
		       ? hw.regs
		       : hw.ram;
}

uint32_t apic_read(volatile uint8_t *page, uint32_t reg)
{
	(void)page;
	return registers()[reg >> 4];
}

void apic_write(volatile uint8_t *page, uint32_t reg, uint32_t value)
{
	(void)page;
	assert_ptr_equal(registers(), hw.regs); /* never into memory */
	registers()[reg >> 4] = value;
}

/* All but what is pending. */
void apic_reset(uint64_t apic_base, volatile uint8_t *page)
{
	uint32_t pending = hw.regs[APIC_IRR >> 4];

	(void)page;
	if (apic_mode(apic_base) == APIC_XAPIC)
		assert_ptr_equal(registers(), hw.regs);
	assert_int_equal(apic_base, hw.base);
	reset_registers();
	hw.regs[APIC_IRR >> 4] = pending;
}

void wbinvd(void)
{
}

#define rdmsr			 fake_rdmsr
#define wrmsr			 fake_wrmsr
#define wrmsr_safe		 fake_wrmsr_safe
#define rdtsc()			 1
#define invalidate_page(address) ((void)(address))
#include "vmexit/apic_base.c"

/* --- the rest of the hypervisor ------------------------------------------------------------ */

void hv_panic(const char *format, ...)
{
	fail_msg("hv_panic: %s", format);
	abort();
}

uint64_t cpu_device_address(uint32_t index)
{
	return index * PAGE_BYTES;
}

bool host_map_device(uint64_t address, hpa_t hpa, uint64_t bytes)
{
	(void)address, (void)bytes;
	hw.mapped = hpa.v;
	return true;
}

bool tdp_frame_is_plain(struct vcpu *v, gpa_t gpa)
{
	(void)v;
	return gpa.v >> 21 != RESERVED >> 21;
}

bool tdp_mmu_is_hidden(const struct tdp_mmu *tdp, gpa_t gpa)
{
	(void)tdp;
	return gpa.v >> 21 == RESERVED >> 21;
}

bool tdp_mmu_protect(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, unsigned rights, bool *changed)
{
	(void)tdp, (void)gpa, (void)bytes, (void)rights;
	*changed = true;
	return true;
}

/* It sends kicks: the registers have to be where they are thought to be. */
void tdp_flush_all(struct vcpu *v)
{
	(void)v;
	if (apic_mode(v->apic_base_hardware) == APIC_XAPIC)
		assert_ptr_equal(registers(), hw.regs);
}

void tdp_mmu_flushed(struct tdp_mmu *tdp)
{
	(void)tdp;
}

/* --- what holds whenever the guest runs ----------------------------------------------------- */

static uint64_t guest_base; /* what the guest has successfully written */

static void check(void)
{
	assert_int_equal(guest.apic_base, guest_base);
	assert_int_equal(hw.base, guest.apic_base_hardware);
	assert_int_equal(hw.lost, 0);
	if (hw.page_moves && !hw.stays_off)
		assert_int_not_equal(apic_mode(hw.base), APIC_DISABLED);
	if (apic_mode(hw.base) == APIC_XAPIC)
		assert_ptr_equal(registers(), hw.regs);
	if (apic_mode(guest_base) != APIC_DISABLED)
		assert_int_equal(hw.base, guest_base);
	else if (hw.page_moves && !hw.stays_off)
		assert_int_equal(hw.base & APIC_BASE_ADDRESS,
				 OWN_FRAME); /* not in the guest's way */
}

static void arrive(void)
{
	uint32_t reasons;

	if (atomic_load(&guest.kick.under_way) != 0)
		assert_false(kick_take(&guest.kick, 1, &reasons));
	atomic_store(&guest.kick.reasons, 0);
}

static void writes(uint64_t value, enum apic_base_result expected)
{
	enum apic_base_result result = apic_base_write(&guest, value);

	if (result == APIC_BASE_AGAIN) {
		check();
		arrive();
		result = apic_base_write(&guest, value);
	}
	assert_int_equal(result, expected);
	if (expected == APIC_BASE_WRITTEN)
		guest_base = value;
	check();
	arrive();
}

static void refused(uint64_t value)
{
	writes(value, APIC_BASE_REFUSED);
}

static void written(uint64_t value)
{
	writes(value, APIC_BASE_WRITTEN);
}

static int set_up(void **state)
{
	(void)state;
	memset(&hw, 0, sizeof(hw));
	hw.base = guest_base = BASE | APIC_BASE_EN;
	hw.page_moves = hw.has_x2apic = true;
	reset_registers();
	cpu = (struct cpu){ 0 };
	the_vm = (struct vm){ .apic_frame = { OWN_FRAME } };
	guest = (struct vcpu){ .vm = &the_vm, .cpu = &cpu, .apic_id = 1 };
	guest.apic_base = guest.apic_base_hardware = hw.base;
	hv_caps = (struct hv_caps){ .maxphyaddr = 40, .traps_apic = true };
	atomic_store(&page_kind, PAGE_UNKNOWN);
	sends_at = 0;
	apic_base_begin(&guest);
	check();
	return 0;
}

static void off_and_on(void **state)
{
	(void)state;
	hw.regs[APIC_TPR >> 4] = 0x20;
	written(BASE);
	assert_true(apic_is_borrowed(&guest));
	assert_int_equal(guest.apic_page_end, 0);
	assert_int_equal(hw.regs[APIC_SVR >> 4], 0x1ff);
	assert_int_equal(hw.regs[APIC_LVT_LINT0 >> 4], 0x700);
	assert_int_equal(hw.regs[APIC_LVT_LINT1 >> 4], 0x400);
	written(BASE | APIC_BASE_EN);
	assert_false(apic_is_borrowed(&guest));
	assert_int_equal(guest.apic_page_end, BASE | 0xfff);
	/* Its registers are those of an APIC that was off. */
	assert_int_equal(hw.regs[APIC_SVR >> 4], APIC_SVR_RESET);
	assert_int_equal(hw.regs[APIC_LVT_LINT0 >> 4], APIC_LVT_MASKED);
	assert_int_equal(hw.regs[APIC_TPR >> 4], 0);
}

static void transitions_are_refused_as_the_cpu_does(void **state)
{
	const uint64_t x2apic = BASE | APIC_BASE_EN | APIC_BASE_EXTD;

	(void)state;
	refused(BASE | APIC_BASE_EXTD);
	refused(BASE | APIC_BASE_EN | BIT64(9));
	refused(BASE | BIT64(0));
	refused(BASE | APIC_BASE_EN | BIT64(45));
	written(BASE);
	refused(x2apic);
	refused(BASE | APIC_BASE_EXTD);
	refused(BASE | BIT64(1));
	written(OTHER); /* still off */
	written(BASE | APIC_BASE_EN);
	written(x2apic);
	refused(BASE | APIC_BASE_EN);
	refused(BASE | APIC_BASE_EXTD);
	written(BASE);
	refused(x2apic);
	written(BASE | APIC_BASE_EN);
	hw.has_x2apic = false;
	refused(x2apic);
}

static void off_at_the_start(void **state)
{
	(void)state;
	hw.base = guest_base = BASE;
	guest.apic_base = guest.apic_base_hardware = BASE;
	guest.apic_followed = false;
	apic_base_begin(&guest);
	check();
	written(BASE | APIC_BASE_EN);
}

static void what_is_pending_is_forgotten(void **state)
{
	(void)state;
	hw.regs[APIC_IRR >> 4] = 0x100;
	written(BASE);
	assert_int_equal(hw.regs[APIC_IRR >> 4], 0);
	assert_int_equal(hw.regs[APIC_SVR >> 4], 0x1ff);
	hw.regs[APIC_IRR >> 4] = 0x100;
	written(BASE | APIC_BASE_EN);
	assert_int_equal(hw.regs[APIC_IRR >> 4], 0);
	assert_int_equal(hw.regs[APIC_SVR >> 4], APIC_SVR_RESET);
}

/* An emulated machine on which nothing but a reset brings it back: nothing is switched off that need not be. */
static void an_apic_that_stays_off(void **state)
{
	(void)state;
	hw.stays_off = true;
	written(BASE);
	assert_int_not_equal(apic_mode(hw.base), APIC_DISABLED);
	written(BASE | APIC_BASE_EN);
	written(BASE | APIC_BASE_EN | APIC_BASE_EXTD);
	written(BASE);
	assert_int_equal(hw.base, BASE);
	/* The CPU takes the value and ignores it. */
	assert_int_equal(apic_base_write(&guest, BASE | APIC_BASE_EN), APIC_BASE_WRITTEN);
	check();
}

static void moves(void **state)
{
	(void)state;
	written(OTHER | APIC_BASE_EN);
	assert_int_equal(hw.mapped, OTHER);
	assert_int_equal(guest.apic_page_end, OTHER | 0xfff);
	refused(RESERVED | APIC_BASE_EN);
	assert_int_equal(hw.mapped, OTHER);
	refused(RESERVED);
	refused(RESERVED | APIC_BASE_EN | APIC_BASE_EXTD);
	written(BASE | APIC_BASE_EN);
	assert_int_equal(hw.mapped, BASE);
}

static void an_id_beyond_xapic_is_reached_as_well(void **state)
{
	(void)state;
	guest.apic_id = 0x123;
	written(BASE | APIC_BASE_EN | APIC_BASE_EXTD);
	written(BASE);
	assert_int_equal(apic_mode(hw.base), APIC_X2APIC);
	assert_int_equal(hw.regs[APIC_LVT_LINT0 >> 4], 0x700);
	written(BASE | APIC_BASE_EN);
}

/* A machine whose registers stay where they are, whatever IA32_APIC_BASE says, and whose NMIs come all the same. */
static void registers_that_stay_are_found(void **state)
{
	(void)state;
	hw.page_moves = false;
	sends_at = -1;
	hw.regs[APIC_LVT_LINT0 >> 4] = 0x12345;
	written(OTHER | APIC_BASE_EN);
	assert_int_equal(hw.mapped, BASE);
	assert_int_equal(guest.apic_page_end, BASE | 0xfff);
	written(OTHER);
	assert_int_equal(hw.mapped, BASE);
	assert_int_equal(guest.apic_page_end, BASE | 0xfff);
	assert_int_equal(hw.regs[APIC_LVT_LINT0 >> 4], 0x12345);
	written(OTHER | APIC_BASE_EN);
}

static void registers_that_stay_are_found_off(void **state)
{
	(void)state;
	hw.page_moves = false;
	sends_at = -1;
	written(BASE);
	assert_false(apic_is_borrowed(&guest));
	assert_int_equal(guest.apic_page_end, BASE | 0xfff);
	written(BASE | APIC_BASE_EN);
}

static void a_kick_under_way_comes_first(void **state)
{
	(void)state;
	sends_at = -1;
	hw.regs[APIC_IRR >> 4] = 0x100;
	assert_true(kick_record(&guest.kick, KICK_TLB_FLUSH, rdtsc()));
	assert_int_equal(apic_base_write(&guest, BASE), APIC_BASE_AGAIN);
	check();
	arrive();
	written(BASE);
	/* One that was recorded meanwhile would have been left for the look before the entry. */
	assert_int_equal(atomic_load(&guest.kick.under_way), 0);
}

static void anything_at_random(void **state)
{
	static const uint64_t addresses[] = { BASE, OTHER, RESERVED, OTHER + 0x1000 };
	uint32_t random = 4711;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t value, mode;
		bool plain, legal;

		random = random * 1664525 + 1013904223;
		mode = (uint64_t)(random >> 28 & 3) << 10;
		value = addresses[random >> 26 & 3] | mode;
		plain = (value & APIC_BASE_ADDRESS) != RESERVED;
		sends_at = (int)(random >> 20 & 7);
		if ((random >> 18 & 3) == 0 && apic_mode(hw.base) != APIC_X2APIC)
			hw.regs[APIC_IRR >> 4] = 0x100;
		hw.base = guest_base; /* what the CPU would say to the guest's own value */
		legal = is_legal(value) && plain;
		hw.base = guest.apic_base_hardware;
		writes(value, legal ? APIC_BASE_WRITTEN : APIC_BASE_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(off_and_on, set_up),
		cmocka_unit_test_setup(transitions_are_refused_as_the_cpu_does, set_up),
		cmocka_unit_test_setup(off_at_the_start, set_up),
		cmocka_unit_test_setup(what_is_pending_is_forgotten, set_up),
		cmocka_unit_test_setup(an_apic_that_stays_off, set_up),
		cmocka_unit_test_setup(moves, set_up),
		cmocka_unit_test_setup(an_id_beyond_xapic_is_reached_as_well, set_up),
		cmocka_unit_test_setup(registers_that_stay_are_found, set_up),
		cmocka_unit_test_setup(registers_that_stay_are_found_off, set_up),
		cmocka_unit_test_setup(a_kick_under_way_comes_first, set_up),
		cmocka_unit_test_setup(anything_at_random, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
