/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/wake.h"

#include <stddef.h>

#include "arch/x86/cr.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/vendor.h"
#include "mm/host_map.h"
#include "mm/layout.h"

/* What is where from LAYOUT_WAKE on. */
#define WAKE_CODE    (LAYOUT_WAKE)
#define WAKE_ROOT    (LAYOUT_WAKE + PAGE_BYTES)
#define WAKE_FACS(n) (LAYOUT_WAKE + (2 + (uint64_t)(n)) * PAGE_BYTES)

/* At the trampoline's end. */
struct wake_words {
	uint64_t entry;
	uint32_t cr3, cr4;
	uint32_t protected_offset, protected_selector;
	uint32_t long_offset, long_selector;
	uint16_t gdt_limit;
	uint32_t gdt_base;
	uint16_t pad;
} __attribute__((packed));

_Static_assert(2 * PAGE_BYTES == BOOT_SLEEP_LOW_BYTES, "code, and a top table that 32 bits reach");
_Static_assert(sizeof(struct wake_words) == 40, "core/wake_entry.asm knows it");

extern const uint8_t wake_trampoline[], wake_trampoline_segment[], wake_trampoline_words[],
	wake_trampoline_end[];

/* For core/wake_entry.asm. Not static: it knows their names. */
struct wake_slot wake_cpus[VM_MAX_CPUS];
uint32_t wake_cpu_count;
uint64_t wake_host_cr3;

static struct facs facs_before[BOOT_FACS_MAX];
static struct facs_wake target;
static bool is_armed;

static volatile struct facs *facs_at(const struct vm *vm, uint32_t n)
{
	return (volatile struct facs *)(WAKE_FACS(n) +
					(vm->sleep_machine.facs[n] & (PAGE_BYTES - 1)));
}

bool wake_prepare(struct vm *vm)
{
	const struct boot_sleep *machine = &vm->sleep_machine;

	if (machine->register_count == 0)
		return true;
	for (uint32_t i = 0; i < machine->facs_count; i++) {
		hpa_t page = { ALIGN_DOWN(machine->facs[i], PAGE_BYTES) };

		if (!host_map_pages(WAKE_FACS(i), page, PAGE_BYTES))
			return false;
	}
	return host_map_pages(WAKE_CODE, (hpa_t){ machine->low_base }, BOOT_SLEEP_LOW_BYTES) &&
	       host_map_identity((hpa_t){ machine->low_base });
}

static void fill_slots(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct cpu *cpu = vm->vcpus[i]->cpu;

		wake_cpus[i] = (struct wake_slot){ cpu->apic_id, 0, cpu->stack_top, cpu };
	}
	wake_cpu_count = vm->vcpu_count;
	wake_host_cr3 = host_map_cr3();
}

/* The guest may have been there meanwhile: all of it is written each time. */
static void place_trampoline(const struct vm *vm)
{
	uint32_t base = (uint32_t)vm->sleep_machine.low_base;
	uint16_t segment = (uint16_t)(base >> 4);
	uint8_t *code = (uint8_t *)WAKE_CODE, *root = (uint8_t *)WAKE_ROOT;
	struct wake_words *words =
		(struct wake_words *)(code + (wake_trampoline_words - wake_trampoline));

	__builtin_memcpy(code, wake_trampoline, (size_t)(wake_trampoline_end - wake_trampoline));
	__builtin_memcpy(code + (wake_trampoline_segment - wake_trampoline), &segment,
			 sizeof(segment));
	words->cr3 = base + (uint32_t)PAGE_BYTES;
	words->cr4 = (uint32_t)(CR4_PAE | (hv_caps.host_levels == 5 ? CR4_LA57 : 0));
	words->protected_offset += base;
	words->long_offset += base;
	words->gdt_base += base;
	/* The host's own top table may lie above 4 GiB, where 32-bit code cannot point CR3 to. */
	__builtin_memcpy(root, hpa_to_ptr((hpa_t){ host_map_cr3() }), PAGE_BYTES);
}

void wake_arm(struct vm *vm)
{
	const struct boot_sleep *machine = &vm->sleep_machine;
	bool is_found = false;

	wake_disarm(vm);
	fill_slots(vm);
	place_trampoline(vm);
	for (uint32_t i = 0; i < machine->facs_count && !is_found; i++)
		is_found = facs_read(facs_at(vm, i), &target);
	for (uint32_t i = 0; i < machine->facs_count; i++)
		facs_divert(facs_at(vm, i), (uint32_t)machine->low_base, &facs_before[i]);
	is_armed = true;
}

void wake_disarm(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->sleep_machine.facs_count && is_armed; i++)
		facs_restore(facs_at(vm, i), (uint32_t)vm->sleep_machine.low_base, &facs_before[i]);
	is_armed = false;
}

struct facs_wake wake_target(const struct vm *vm)
{
	(void)vm;
	return target;
}

uint8_t wake_sipi_vector(const struct vm *vm)
{
	return (uint8_t)(vm->sleep_machine.low_base >> 12);
}

void wake_arrive(struct cpu *cpu)
{
	vendor->wake(cpu);
}
