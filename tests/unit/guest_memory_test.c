// sources: vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c core/regs.c core/events.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c
// sources: mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to guest memory and fetches of instructions as the guest itself would do them. */
#include "tests/unit/track_test.h"
#include "vmexit/guest_memory.h"

static int set_up(void **state)
{
	struct regs *regs = &vcpu.regs;

	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(memory, 0, MEMORY_BYTES);
	regs->available = ~UINT64_C(0);
	regs->rflags = RFLAGS_FIXED;
	regs->cr0 = CR0_PE | CR0_NE | CR0_ET;
	regs->cr3 = PAGE_DIRECTORY;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		regs->segments[i] = flat(0x10, 0xc093);
	regs->segments[SEGMENT_CS] = flat(0x08, 0xc09b);
	hv_caps.maxphyaddr = 40;
	track_set_up();
	return 0;
}

static void set_rip(uint64_t rip)
{
	vcpu.regs.rip = rip;
	vcpu.regs.segments[SEGMENT_CS].base = 0;
}

static void fetch_stops_at_the_page(void **state)
{
	static const uint8_t cpuid[] = { 0x66, 0x66, 0x0f, 0xa2 };
	uint8_t buffer[INSN_MAX_BYTES];
	struct insn insn;

	(void)state;
	page_32bit();
	store(PAGE_TABLE + 4 * 5, 4, 0x9003);
	store(PAGE_TABLE + 4 * 6, 4, 0xf003);
	memcpy(memory + 0x9ffd, cpuid, 3);
	memory[0xf000] = 0xa2;
	set_rip(0x5ffd);
	assert_int_equal(guest_fetch(&vcpu, buffer), 3);
	assert_int_equal(guest_fetch_more(&vcpu, buffer, 3), 15);
	assert_memory_equal(buffer, cpuid, 4);
	assert_int_equal(guest_system_length(&vcpu, SYSTEM_CPUID), 4);
	assert_int_equal(guest_system_length(&vcpu, SYSTEM_RDMSR), 0);
	assert_true(guest_fetch_insn(&vcpu, &insn));
	assert_int_equal(insn.bytes, 4);
	/* Without the second page there is no instruction; without the first there is nothing. */
	store(PAGE_TABLE + 4 * 6, 4, 0);
	assert_int_equal(guest_fetch_more(&vcpu, buffer, 3), 3);
	assert_int_equal(guest_system_length(&vcpu, SYSTEM_CPUID), 0);
	assert_false(guest_fetch_insn(&vcpu, &insn));
	store(PAGE_TABLE + 4 * 5, 4, 0);
	assert_int_equal(guest_fetch(&vcpu, buffer), 0);
	assert_int_equal(guest_fetch_more(&vcpu, buffer, 0), 0);
	assert_int_equal(guest_system_length(&vcpu, SYSTEM_CPUID), 0);
	assert_false(vcpu.events.pending.valid);
}

static void fetch_adds_the_base(void **state)
{
	uint8_t buffer[INSN_MAX_BYTES];

	(void)state;
	memory[0x12345] = 0xcf;
	vcpu.regs.cr0 = CR0_NE;
	vcpu.regs.rip = 0x2345;
	vcpu.regs.segments[SEGMENT_CS] =
		(struct segment){ .selector = 0x1000, .base = 0x10000, .limit = 0xffff };
	assert_int_equal(guest_fetch(&vcpu, buffer), 15);
	assert_int_equal(buffer[0], 0xcf);
	assert_int_equal(guest_system_length(&vcpu, SYSTEM_IRET), 1);
	/* The sum wraps at 4 GiB. */
	vcpu.regs.segments[SEGMENT_CS].base = 0xffff0000;
	vcpu.regs.rip = 0x22345;
	assert_int_equal(guest_fetch(&vcpu, buffer), 15);
	assert_int_equal(buffer[0], 0xcf);
}

/* Long mode: four levels of one entry each, and the user's page at 0x200000. */
static void page_long(void)
{
	store(PAGE_DIRECTORY, 8, PAGE_TABLE | 7);
	store(PAGE_TABLE, 8, OTHER_DIRECTORY | 7);
	store(OTHER_DIRECTORY, 8, 0x83);
	store(OTHER_DIRECTORY + 8, 8, 0x87);
	vcpu.regs.cr0 |= CR0_PG | CR0_WP;
	vcpu.regs.cr4 |= CR4_PAE;
	vcpu.regs.efer = EFER_LME | EFER_LMA;
	vcpu.regs.segments[SEGMENT_CS].rights = 0xa09b;
	/* PDPTRs are not for this mode: fetching them would call the missing vendor function. */
	vcpu.regs.available &= ~REG_BIT(REG_PDPTR);
}

static void access_as_the_guest(void **state)
{
	struct guest_fault fault;
	uint32_t value = 0x11223344;

	(void)state;
	page_long();
	assert_true(guest_write(&vcpu, (gva_t){ 0x200800 }, &value, 4, 0, &fault));
	assert_int_equal(load(0x800, 4), 0x11223344);
	vcpu.regs.segments[SEGMENT_SS].rights |= SEGMENT_DPL;
	assert_true(guest_read(&vcpu, (gva_t){ 0x200800 }, &value, 4, 0, &fault));
	assert_false(guest_read(&vcpu, (gva_t){ 0x800 }, &value, 4, 0, &fault));
	assert_int_equal(fault.kind, GUEST_FAULT_PAGE);
	assert_int_equal(fault.error_code, PFERR_PRESENT | PFERR_USER);
	assert_int_equal(fault.address.v, 0x800);
	assert_true(guest_read(&vcpu, (gva_t){ 0x800 }, &value, 4, ACCESS_IMPLICIT, &fault));
	assert_false(guest_read(&vcpu, (gva_t){ UINT64_C(1) << 47 }, &value, 4, 0, &fault));
	assert_int_equal(fault.kind, GUEST_FAULT_NOT_CANONICAL);
	assert_false(guest_read(&vcpu, (gva_t){ 0x200000 + MEMORY_BYTES }, &value, 4, 0, &fault));
	assert_int_equal(fault.kind, GUEST_FAULT_NOT_MEMORY);
}

/* What is reserved in a PDPTE has not kept the CPU from fetching; data is another matter. */
static void fetch_accepts_the_pdptrs(void **state)
{
	uint8_t buffer[INSN_MAX_BYTES];
	struct guest_fault fault;
	uint32_t value;

	(void)state;
	page_long();
	vcpu.regs.efer = 0;
	vcpu.regs.segments[SEGMENT_CS].rights = 0xc09b;
	vcpu.regs.available |= REG_BIT(REG_PDPTR);
	vcpu.regs.pdptr[0] = OTHER_DIRECTORY | 0x21;
	vcpu.regs.rip = 0x200000;
	assert_int_equal(guest_fetch(&vcpu, buffer), 15);
	assert_false(guest_read(&vcpu, (gva_t){ 0x200800 }, &value, 4, 0, &fault));
	assert_int_equal(fault.kind, GUEST_FAULT_PAGE);
	/* one that is not present is none */
	vcpu.regs.pdptr[0] = OTHER_DIRECTORY | 0x20;
	assert_int_equal(guest_fetch(&vcpu, buffer), 0);
}

/* A fault on the quick way would leave its own address: CR2 is stored again. */
static void fetch_leaves_cr2_as_it_was(void **state)
{
	uint8_t buffer[INSN_MAX_BYTES];

	(void)state;
	page_long();
	vcpu.regs.rip = 0x200000;
	vcpu.regs.cr2 = 0x77;
	vcpu.regs.dirty = 0;
	(void)guest_fetch(&vcpu, buffer);
	assert_int_equal(vcpu.regs.cr2, 0x77);
	assert_int_equal(vcpu.regs.dirty, REG_BIT(REG_CR2));
}

/* The CPU has fetched, and the guest may have cleared what that marked: not our affair, nor a write in its name. */
static void fetch_marks_nothing(void **state)
{
	uint8_t buffer[INSN_MAX_BYTES];
	struct guest_fault fault;
	uint32_t value = 5;

	(void)state;
	page_long();
	vcpu.regs.rip = 0x200000;
	vcpu.regs.segments[SEGMENT_SS].rights |= SEGMENT_DPL;
	track_frames(PAGE_DIRECTORY, 3);
	assert_int_equal(guest_fetch(&vcpu, buffer), 15);
	assert_int_equal(load(OTHER_DIRECTORY + 8, 4), 0x87);
	assert_int_equal(told_count, 0);
	/* data is marked, entry by entry, and that is told */
	assert_true(guest_read(&vcpu, (gva_t){ 0x200800 }, &value, 4, 0, &fault));
	assert_int_equal(told_count, 3);
	assert_int_equal(told_writes[2].gpa, OTHER_DIRECTORY + 8);
	assert_int_equal(told_writes[2].count, 8);
	assert_true(guest_write(&vcpu, (gva_t){ 0x200800 }, &value, 4, 0, &fault));
	assert_int_equal(told_count, 4);
	assert_int_equal(load(OTHER_DIRECTORY + 8, 4), 0xe7);
	assert_true(guest_write(&vcpu, (gva_t){ 0x200800 }, &value, 4, 0, &fault));
	assert_int_equal(told_count, 4);
	expect_told_is_memory(PAGE_DIRECTORY, 3);
}

static void fetch_has_the_rights_of_the_task(void **state)
{
	uint8_t buffer[INSN_MAX_BYTES];

	(void)state;
	page_long();
	vcpu.regs.cr4 |= CR4_SMEP;
	vcpu.regs.rip = 0x200000;
	assert_int_equal(guest_fetch(&vcpu, buffer), 0);
	vcpu.regs.segments[SEGMENT_SS].rights |= SEGMENT_DPL;
	assert_int_equal(guest_fetch(&vcpu, buffer), 15);
	vcpu.regs.rip = 0;
	assert_int_equal(guest_fetch(&vcpu, buffer), 0);
}

/* The second page refuses: the first must not have changed. */
static void write_all_or_nothing(void **state)
{
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct guest_fault fault;

	(void)state;
	page_32bit();
	store(PAGE_TABLE + 4 * 6, 4, 0x6001);
	assert_false(guest_write(&vcpu, (gva_t){ 0x5ffc }, bytes, 8, 0, &fault));
	assert_int_equal(fault.error_code, PFERR_PRESENT | PFERR_WRITE);
	assert_int_equal(fault.address.v, 0x6000);
	assert_int_equal(load(0x5ffc, 4), 0);
	assert_false(guest_write_probe(&vcpu, (gva_t){ 0x5ffc }, 8, 0, &fault));
	store(PAGE_TABLE + 4 * 6, 4, 0x6003);
	assert_true(guest_write_probe(&vcpu, (gva_t){ 0x5ffc }, 8, 0, &fault));
	assert_int_equal(load(0x5ffc, 4), 0);
	assert_true(guest_write(&vcpu, (gva_t){ 0x5ffc }, bytes, 8, 0, &fault));
	assert_memory_equal(memory + 0x5ffc, bytes, 8);
}

static uint64_t operand_address(const void *bytes, unsigned count)
{
	struct insn insn;

	assert_true(decode_insn(bytes, count, mode_code_bytes(&vcpu), &insn));
	return guest_operand_address(&vcpu, &insn).v;
}

static void operand_addresses(void **state)
{
	(void)state;
	vcpu.regs.gpr[REG_RBX] = 0x1234fffe;
	vcpu.regs.gpr[REG_RSI] = 0x10;
	vcpu.regs.segments[SEGMENT_DS].base = 0x50000;
	vcpu.regs.segments[SEGMENT_FS].base = 0xf0000000;
	assert_int_equal(operand_address("\x67\x89\x00", 3), 0x5000e); /* [BX+SI] */
	/* FS:[EBX+ESI*4] wraps at 4 GiB. */
	assert_int_equal(operand_address("\x64\x89\x04\xb3", 4), 0x0235003e);
	page_long();
	vcpu.regs.rip = UINT64_C(0x7fff00000000);
	vcpu.regs.segments[SEGMENT_FS].base = UINT64_C(0xffff800000000000);
	assert_int_equal(operand_address("\x89\x05\xff\xff\xff\xff", 6), UINT64_C(0x7fff00000005));
	assert_int_equal(operand_address("\x64\x89\x03", 3), UINT64_C(0xffff80001234fffe));
	assert_int_equal(operand_address("\x89\x03", 2), 0x1234fffe); /* DS has no base */
	vcpu.regs.gpr[REG_RBX] = UINT64_C(0xffffffff00000001);
	assert_int_equal(operand_address("\x67\x89\x43\xfe", 4), 0xffffffff);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fetch_stops_at_the_page),	TEST(fetch_adds_the_base),
		TEST(access_as_the_guest),	TEST(fetch_leaves_cr2_as_it_was),
		TEST(fetch_accepts_the_pdptrs), TEST(fetch_has_the_rights_of_the_task),
		TEST(fetch_marks_nothing),	TEST(write_all_or_nothing),
		TEST(operand_addresses),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
