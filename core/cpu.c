/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/cpu.h"

#include <stddef.h>

#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/debug_loan.h"
#include "core/exception.h"
#include "mm/host_map.h"
#include "mm/layout.h"

/* UC- for 2 and UC for 3 as after reset; the host uses entries 0 (WB) and 3 (UC) only. */
#define HOST_PAT		 UINT64_C(0x0007040600070406)

#define GDT_CODE64		 UINT64_C(0x00af9b000000ffff)
#define GDT_DATA		 UINT64_C(0x00cf93000000ffff)
#define TSS_BYTES		 104u
#define DESCRIPTOR_TSS_AVAILABLE UINT64_C(0x89)
#define DESCRIPTOR_TYPE_BUSY	 BIT64(41)

/* Where things are in a slot; a guard page lies below each stack. */
#define SLOT_STACK		 PAGE_BYTES
#define SLOT_IST(n)		 (SLOT_STACK + CPU_STACK_BYTES + PAGE_BYTES + (uint64_t)((n)-1) * 2 * PAGE_BYTES)
#define SLOT_CPU		 (SLOT_IST(3) + 2 * PAGE_BYTES)

struct cpu_page {
	struct cpu cpu;
	struct vcpu vcpu;
};

_Static_assert(sizeof(struct cpu_page) <= 2 * PAGE_BYTES,
	       "two pages of the slot are for the structures");
_Static_assert(SLOT_CPU + 2 * PAGE_BYTES <= CPU_SLOT_BYTES, "the slot is large enough");

static uint64_t slot_address(uint32_t index)
{
	return LAYOUT_CPU_SLOTS + index * CPU_SLOT_BYTES;
}

struct cpu *cpu_at(uint32_t index)
{
	struct cpu_page *page = (struct cpu_page *)(slot_address(index) + SLOT_CPU);

	return &page->cpu;
}

struct vcpu *cpu_page_vcpu(struct cpu *cpu)
{
	return &((struct cpu_page *)cpu)->vcpu;
}

uint64_t cpu_device_address(uint32_t index)
{
	return LAYOUT_DEVICES + index * PAGE_BYTES;
}

static void tss_put64(struct cpu *cpu, unsigned offset, uint64_t value)
{
	cpu->tss[offset / 4] = (uint32_t)value;
	cpu->tss[offset / 4 + 1] = (uint32_t)(value >> 32);
}

/* SDM: "64-Bit Task State Segment". `slot` and `cpu_address` are host addresses not yet mapped. */
static void fill_descriptors(struct cpu *cpu, uint64_t slot, uint64_t cpu_address)
{
	uint64_t tss = cpu_address + offsetof(struct cpu, tss);

	tss_put64(cpu, 4, slot + SLOT_STACK + CPU_STACK_BYTES);
	for (unsigned ist = 1; ist <= 3; ist++)
		tss_put64(cpu, 36 + (ist - 1) * 8, slot + SLOT_IST(ist) + PAGE_BYTES);
	cpu->tss[TSS_BYTES / 4 - 1] = TSS_BYTES << 16; /* no I/O bitmap */
	cpu->gdt[HOST_CS / 8] = GDT_CODE64;
	cpu->gdt[HOST_DS / 8] = GDT_DATA;
	cpu->gdt[HOST_TR / 8] = (TSS_BYTES - 1) | field_put(BITS64(39, 16), tss) |
				field_put(BITS64(63, 56), tss >> 24) |
				DESCRIPTOR_TSS_AVAILABLE << 40;
	cpu->gdt[HOST_TR / 8 + 1] = tss >> 32;
}

static bool map_one(struct pool *pool, uint64_t address, uint64_t pages, void **first)
{
	*first = pool_alloc_contiguous(pool, pages);
	return *first != NULL && host_map_pages(address, ptr_to_hpa(*first), pages * PAGE_BYTES);
}

void cpu_init_shared(void)
{
	exception_init();
}

struct cpu *cpu_create(struct pool *pool, uint32_t index)
{
	uint64_t slot = slot_address(index);
	struct cpu_page *page;
	void *memory;

	if (!map_one(pool, slot + SLOT_STACK, CPU_STACK_BYTES / PAGE_BYTES, &memory))
		return NULL;
	for (unsigned ist = 1; ist <= 3; ist++) {
		if (!map_one(pool, slot + SLOT_IST(ist), 1, &memory))
			return NULL;
	}
	if (!map_one(pool, slot + SLOT_CPU, 2, &memory))
		return NULL;
	/* The slot's address works only on the host's tables: fill through the pool's. */
	page = memory;
	page->cpu.index = index;
	page->cpu.self = cpu_at(index);
	page->cpu.stack_top = slot + SLOT_STACK + CPU_STACK_BYTES;
	page->cpu.vcpu = (struct vcpu *)(slot + SLOT_CPU + offsetof(struct cpu_page, vcpu));
	page->vcpu.cpu = page->cpu.self;
	page->vcpu.index = index;
	fill_descriptors(&page->cpu, slot, slot + SLOT_CPU);
	return &page->cpu;
}

static void load_segments(struct cpu *cpu)
{
	struct table_register gdt = { (uint64_t)cpu->gdt, sizeof(cpu->gdt) - 1 };

	cpu->gdt[HOST_TR / 8] &= ~DESCRIPTOR_TYPE_BUSY;
	load_gdt(gdt);
	load_selectors(HOST_CS, HOST_DS, HOST_DS, HOST_DS, 0, 0);
	load_tr(HOST_TR);
	load_ldt(0);
	wrmsr(MSR_GS_BASE, (uint64_t)cpu);
}

static struct table_register context_table(const struct boot_table_register *stored)
{
	struct table_register table = { .limit = stored->limit };

	__builtin_memcpy(&table.base, stored->base, sizeof(table.base));
	return table;
}

/*
 * What a selector loads, from the firmware's GDT at its linear address: on the firmware's tables it can be read wherever
 * it lies, in memory that is called reserved or in ROM as well.
 */
static struct segment firmware_segment(struct table_register gdt, enum segment_index index,
				       uint16_t selector)
{
	bool system = index == SEGMENT_LDTR || index == SEGMENT_TR;
	struct segment unusable = { .selector = selector, .rights = SEGMENT_UNUSABLE };
	uint32_t offset = selector & ~(uint32_t)(SELECTOR_RPL | SELECTOR_TI);
	uint32_t bytes = system ? 16 : 8;
	uint64_t descriptor[2] = { 0, 0 };

	/* No instruction loads it so, and the firmware need not load it: it is as a reset leaves it. */
	if (offset == 0 && index == SEGMENT_TR)
		return (struct segment){ .limit = 0xffff,
					 .rights = SEGMENT_P | SEGMENT_TYPE_TSS_BUSY,
					 .selector = selector };
	if (offset == 0 || offset + bytes - 1 > gdt.limit)
		return unusable;
	__builtin_memcpy(descriptor, (const void *)(gdt.base + offset), bytes);
	return segment_from_descriptor(selector, descriptor, system);
}

static void save_segments(struct cpu *cpu)
{
	const struct boot_cpu_context *c = &cpu->context;
	const uint16_t selector[SEGMENT_COUNT] = { c->es, c->cs, c->ss,	  c->ds,
						   c->fs, c->gs, c->ldtr, c->tr };
	struct cpu_saved_state *saved = &cpu->saved;

	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		saved->segments[i] = firmware_segment(context_table(&c->gdtr),
						      (enum segment_index)i, selector[i]);
	saved->segments[SEGMENT_FS].base = saved->fs_base;
	saved->segments[SEGMENT_GS].base = saved->gs_base;
}

void cpu_save_firmware(struct cpu *cpu, const struct boot_cpu_context *context)
{
	struct cpu_saved_state *saved = &cpu->saved;

	uint16_t tr = cpu->context.tr, ldtr = cpu->context.ldtr;

	cpu->context = *context;
	if (cpu->enabled) { /* what the trial has left there is ours */
		cpu->context.tr = tr;
		cpu->context.ldtr = ldtr;
	} else {
		saved->cr0 = read_cr0();
		saved->cr4 = read_cr4();
		saved->efer = rdmsr(MSR_EFER);
		saved->pat = rdmsr(MSR_PAT);
		saved->dr7 = read_dr7();
	}
	saved->fs_base = rdmsr(MSR_FS_BASE);
	saved->gs_base = rdmsr(MSR_GS_BASE);
	save_segments(cpu);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
}

void cpu_load_host(struct cpu *cpu)
{
	uint64_t old = read_cr4();
	uint64_t cr4 = CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR;

	load_segments(cpu);
	exception_load_idt();
	/* The firmware's CD would make the host crawl: ours is off. */
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
	cr4 |= old & (CR4_LA57 |
		      CR4_VMXE); /* LA57 cannot change in long mode, VMXE not in VMX operation */
	if (host_values.xsave)
		cr4 |= CR4_OSXSAVE;
	if (host_values.smep)
		cr4 |= CR4_SMEP;
	if (host_values.smap)
		cr4 |= CR4_SMAP;
	if (host_values.umip)
		cr4 |= CR4_UMIP;
	write_cr4(cr4);
	if (host_values.smap)
		clac();
	wrmsr(MSR_PAT, HOST_PAT);
	debug_loan_init();
}

void cpu_load_after_reset(struct cpu *cpu)
{
	cpu->enabled = false;
	cpu->saved = (struct cpu_saved_state){ .pat = rdmsr(MSR_PAT) };
	cpu->context.ssp = 0;
	cpu_load_host(cpu);
}

void cpu_unload_host(struct cpu *cpu)
{
	write_dr7(cpu->saved.dr7);
	wrmsr(MSR_PAT, cpu->saved.pat);
	write_cr4(cpu->saved.cr4 | (read_cr4() & CR4_VMXE));
	/* VMX operation insists on NE. */
	write_cr0(cpu->saved.cr0 | ((read_cr4() & CR4_VMXE) != 0 ? CR0_NE : 0));
}

void cpu_restore_firmware(struct cpu *cpu)
{
	const struct boot_cpu_context *context = &cpu->context;
	struct table_register gdt = context_table(&context->gdtr);
	uint64_t tr = context->tr & 0xfff8u;
	uint64_t *descriptor = (uint64_t *)(gdt.base + tr);

	load_gdt(gdt);
	load_idt(context_table(&context->idtr));
	load_selectors(context->cs, context->ss, context->ds, context->es, context->fs,
		       context->gs);
	load_ldt(context->ldtr);
	/* Firmware may have no TSS: then TR shows ours after an attempt that failed. */
	if (tr != 0 && tr + 15 <= gdt.limit) {
		/* Not written if there is no need: it may be in ROM. */
		if ((*descriptor & DESCRIPTOR_TYPE_BUSY) != 0)
			*descriptor &= ~DESCRIPTOR_TYPE_BUSY;
		load_tr(context->tr);
	}
	wrmsr(MSR_FS_BASE, cpu->saved.fs_base);
	wrmsr(MSR_GS_BASE, cpu->saved.gs_base);
	wrmsr(MSR_EFER, cpu->saved.efer | (rdmsr(MSR_EFER) & EFER_SVME));
}

void cpu_capture_guest(struct cpu *cpu)
{
	static const uint8_t gpr_index[6] = { REG_RBX, REG_RBP, 12, 13, 14, 15 };
	const struct boot_cpu_context *c = &cpu->context;
	const uint64_t gpr[6] = { c->rbx, c->rbp, c->r12, c->r13, c->r14, c->r15 };
	struct vcpu *vcpu = cpu->vcpu;

	for (unsigned i = 0; i < REG_GPR_COUNT; i++)
		gpr_write_raw(vcpu, i, 0);
	for (unsigned i = 0; i < 6; i++)
		gpr_write_raw(vcpu, gpr_index[i], gpr[i]);
	gpr_write_raw(vcpu, REG_RSP, c->rsp);
	rip_write(vcpu, c->trial_rip);
	rflags_write(vcpu, (c->rflags & ~RFLAGS_IF) | RFLAGS_FIXED);
	cr0_write(vcpu, cpu->saved.cr0);
	cr2_write(vcpu, 0);
	cr3_write(vcpu, c->cr3);
	/* boot/trampoline.asm has taken CET away for the call. */
	cr4_write(vcpu, (cpu->saved.cr4 & ~CR4_VMXE) | (c->cr4 & CR4_CET));
	efer_write(vcpu, cpu->saved.efer);
	dr7_write(vcpu, cpu->saved.dr7);
	ssp_write(vcpu, c->ssp);
	interrupt_shadow_write(vcpu, 0);
	gdtr_write(vcpu, context_table(&c->gdtr));
	idtr_write(vcpu, context_table(&c->idtr));
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		segment_write(vcpu, (enum segment_index)i, &cpu->saved.segments[i]);
}
