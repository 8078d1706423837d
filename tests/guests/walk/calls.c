// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/walk/calls.h"

#include "mm/gva_walk.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/walk/tables.h"

enum { PAGE = 4096, BLOCK = 2 << 20 };
#define ONES UINT64_C(0xffffffffffffffff)

static uint64_t hypercall(uint64_t rcx)
{
	uint64_t rax = HYPERCALL_TEST_WALK;

	if (table_cpu.amd)
		__asm__ volatile("vmmcall" : "+a"(rax) : "c"(rcx) : "memory");
	else
		__asm__ volatile("vmcall" : "+a"(rax) : "c"(rcx) : "memory");
	return rax;
}

uint64_t calls_walk(struct test_call_walk *walk)
{
	return hypercall((uint64_t)walk);
}

static void try_walk(void *argument)
{
	(void)calls_walk(argument);
}

/* The firmware's own tables, as far as the block can say it. */
static struct test_call_walk usual_block(void)
{
	struct test_call_walk walk = { .gva = (uint64_t)hypercall };

	__asm__ volatile("mov %%cr0, %0" : "=r"(walk.cr0));
	__asm__ volatile("mov %%cr3, %0" : "=r"(walk.cr3));
	walk.cr4 = probe_cr4();
	walk.efer = probe_rdmsr(0xc0000080);
	return walk;
}

static void check_usual(void)
{
	struct test_call_walk walk = usual_block();
	const uint64_t status = calls_walk(&walk);

	probe_check(status == TEST_CALL_DONE && walk.outcome == TEST_CALL_TRANSLATED &&
			    walk.gpa == walk.gva,
		    "call-usual", "status %lu outcome %u gpa 0x%lx", status, walk.outcome,
		    walk.gpa);
}

static void check_bad_blocks(void)
{
	struct test_call_walk walk = usual_block();
	uint64_t status;

	walk.gva = UINT64_C(1) << 60;
	status = calls_walk(&walk);
	probe_check(status == TEST_CALL_BAD_BLOCK, "call-not-canonical", "status %lu", status);
	walk = usual_block();
	walk.access = 1u << 31;
	status = calls_walk(&walk);
	probe_check(status == TEST_CALL_BAD_BLOCK, "call-unknown-access", "status %lu", status);
	walk = usual_block();
	walk.efer &= ~EFER_LMA;
	walk.gva = UINT64_C(1) << 32;
	status = calls_walk(&walk);
	probe_check(status == TEST_CALL_BAD_BLOCK, "call-beyond-4g", "status %lu", status);
	walk = usual_block();
	walk.cr4 &= ~CR4_PAE;
	status = calls_walk(&walk);
	probe_check(status == TEST_CALL_BAD_BLOCK, "call-no-mode", "status %lu", status);
}

/* Neither the block nor a table may lie there. */
static bool is_refused(uint64_t at)
{
	struct test_call_walk walk = usual_block();

	if (hypercall(at) != TEST_CALL_NO_BLOCK || hypercall(at - 8) != TEST_CALL_NO_BLOCK)
		return false;
	walk.cr3 = at;
	walk.flags = TEST_CALL_MARK;
	return calls_walk(&walk) == TEST_CALL_DONE && walk.outcome == TEST_CALL_NO_MEMORY;
}

/* What is reserved and reads as all ones: the hypervisor's memory is among it, and there may be none that is more. */
static void check_hidden_memory(void)
{
	EFI_MEMORY_DESCRIPTOR *map;
	uint32_t blocks = 0, bad = 0;
	UINTN count, key, bytes;
	UINT32 version;

	map = LibMemoryMap(&count, &key, &bytes, &version);
	for (UINTN i = 0; map && i < count; i++) {
		const EFI_MEMORY_DESCRIPTOR *range =
			(const EFI_MEMORY_DESCRIPTOR *)(void *)((uint8_t *)map + i * bytes);
		const uint64_t end = range->PhysicalStart + range->NumberOfPages * PAGE;
		uint64_t at = (range->PhysicalStart + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);

		for (; range->Type == EfiReservedMemoryType && at < end; at += BLOCK) {
			if (*(const volatile uint64_t *)at != ONES)
				continue;
			blocks++;
			bad += !is_refused(at);
		}
	}
	probe_check(blocks && !bad, "call-hidden-memory", "%u of %u", bad, blocks);
}

static void check_cpl_3(uint64_t *random)
{
	struct table_case c;
	struct excursion_end end;

	tables_random_case(&c, MODE_4_LEVEL, random);
	c.trip.access = table_cpu.amd ? TRIP_VMMCALL : TRIP_VMCALL;
	c.trip.is_user = true;
	c.trip.value = HYPERCALL_TEST_WALK;
	excursion_run(&c.trip, &end);
	probe_check(end.vector == VECTOR_UD, "call-cpl-3", "vector %u", end.vector);
}

bool calls_check(uint64_t *random)
{
	struct test_call_walk walk = usual_block();

	if (!probe_check(probe_try(try_walk, &walk, NULL), "call", "there is no hypervisor"))
		return false;
	check_usual();
	check_bad_blocks();
	check_hidden_memory();
	check_cpl_3(random);
	return true;
}
