/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core's entry point: what each request of the loader does (boot/boot_info.h). Preparing checks and builds
 * everything that can fail, before any CPU changes its mode.
 */
#include "core/start.h"

#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/cpu.h"
#include "core/format.h"
#include "core/log.h"
#include "core/mtrr.h"
#include "core/panic.h"
#include "core/regs_sync.h"
#include "core/vendor.h"
#include "core/wake.h"
#include "mm/guest_copy.h"
#include "mm/gva_fetch.h"
#include "mm/host_map.h"
#include "mm/layout.h"

#define TDP_POOL_PAGES 160u
#define EAGER_MIN      (UINT64_C(4) << 30)
#define EAGER_HUGE     (UINT64_C(512) << 30) /* with 1 GiB pages one table covers as much */

extern const uint8_t core_text_start[], core_text_end[], core_rodata_start[], core_rodata_end[];
extern const uint8_t core_data_start[], core_bss_end[];

struct hv_caps hv_caps;
struct host_values host_values;
const struct vendor_ops *vendor;
uintptr_t __stack_chk_guard;

static struct vm vm;
static struct pool core_pool;
static bool gdb_waits;			   /* (b) stop before the guest's first instruction */
static struct cpu *cpu_pages[VM_MAX_CPUS]; /* as the reservation maps them: valid on both tables */

void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	hv_panic("a stack was overrun");
}

static enum core_status fail(struct boot_info *info, enum core_status status, const char *why)
{
	format_string(info->error, sizeof(info->error), "%s", why);
	return status;
}

/* SDM, APM: "CPUID—CPU Identification". */
static void read_cpu_values(void)
{
	uint32_t max = cpuid(0, 0).eax, extended_max = cpuid(0x80000000, 0).eax;
	struct cpuid_result one = cpuid(1, 0), seven = { 0 }, big = { 0 };

	if (max >= 7)
		seven = cpuid(7, 0);
	if (extended_max >= 0x80000008)
		big = cpuid(0x80000008, 0);
	host_values.cpu_signature = one.eax;
	host_values.xsave = (one.ecx & BIT32(26)) != 0;
	host_values.smep = (seven.ebx & BIT32(7)) != 0;
	host_values.smap = (seven.ebx & BIT32(20)) != 0;
	host_values.umip = (seven.ecx & BIT32(2)) != 0;
	hv_caps.maxphyaddr = big.eax != 0 ? (uint8_t)big.eax : 36;
	hv_caps.host_huge_pages = (cpuid(0x80000001, 0).edx & BIT32(26)) != 0;
	hv_caps.host_levels = (read_cr4() & CR4_LA57) != 0 ? 5 : 4;
}

/* "AuthenticAMD" and "HygonGenuine" have SVM, everybody else who virtualizes has VMX. */
static const struct vendor_ops *choose_vendor(void)
{
	struct cpuid_result r = cpuid(0, 0);

	if (r.ebx == 0x68747541 || r.ebx == 0x6f677948)
		return &svm_ops;
	return &vmx_ops;
}

static bool add_ram(const struct boot_info *info, uint64_t *top)
{
	*top = EAGER_MIN;
	for (uint32_t i = 0; i < info->range_count; i++) {
		const struct boot_range *range = &info->ranges[i];
		uint64_t end = range->base + range->bytes;

		if (range->kind == BOOT_RANGE_RAM && !guest_copy_add_ram(range->base, range->bytes))
			return false;
		/* Windows of devices above RAM are mapped when they are touched. */
		if (range->kind == BOOT_RANGE_RAM && end > *top)
			*top = end;
	}
	return true;
}

static bool build_host_map(void)
{
	const struct host_map_image image = {
		(uint64_t)core_text_start, (uint64_t)core_text_end,   (uint64_t)core_rodata_start,
		(uint64_t)core_rodata_end, (uint64_t)core_data_start, (uint64_t)core_bss_end
	};

	return host_map_init(&core_pool, hv_caps.host_levels, hv_caps.host_huge_pages,
			     hv_caps.maxphyaddr, &image);
}

static bool build_guest_map(const struct boot_info *info, uint64_t top)
{
	static struct mtrr_state mtrr;
	struct page_format format;
	const struct mtrr_state *types = NULL;

	page_format_init(&format, hv_caps.vmx ? PAGE_FORMAT_EPT : PAGE_FORMAT_NPT,
			 hv_caps.tdp_levels, hv_caps.huge_pages ? 2 : 1, hv_caps.maxphyaddr);
	format.exec_only = hv_caps.exec_only_pages;
	if (hv_caps.maps_types) {
		mtrr_read(&mtrr, hv_caps.maxphyaddr);
		types = &mtrr;
	}
	if (hv_caps.huge_pages && top < EAGER_HUGE)
		top = EAGER_HUGE;
	if (!pool_carve(&vm.tdp_pool, "guest map", &core_pool, TDP_POOL_PAGES))
		return false;
	if (!page_track_init(&vm.track, &core_pool))
		return false;
	hv_caps.guest_maxphyaddr =
		hv_caps.tdp_levels == 4 && hv_caps.maxphyaddr > 48 ? 48 : hv_caps.maxphyaddr;
	return tdp_mmu_init(&vm.tdp, &format, &vm.tdp_pool, types, top,
			    UINT64_C(1) << hv_caps.maxphyaddr) &&
	       tdp_mmu_hide(&vm.tdp, (gpa_t){ info->hv_base }, info->hv_bytes);
}

/* What it takes to let the guest execute one instruction on frames that are closed to it (vmexit/step.h). */
static bool alloc_step(struct vcpu *vcpu, uint32_t index)
{
	vcpu->step_scratch = pool_alloc(&core_pool);
	return vcpu->step_scratch != NULL && tdp_view_init(&vcpu->step_view, &core_pool) &&
	       page_track_writer_init(&vcpu->track_writer, &core_pool, index);
}

static bool create_cpus(const struct boot_info *info)
{
	void *apic_frame = pool_alloc(&core_pool);

	if (apic_frame == NULL)
		return false;
	vm.apic_frame = ptr_to_hpa(apic_frame);
	for (uint32_t i = 0; i < info->cpu_count; i++) {
		struct cpu *cpu = cpu_create(&core_pool, i);
		struct vcpu *vcpu;

		if (cpu == NULL)
			return false;
		/* The second address of the structures is not mapped yet: go through the first. */
		vcpu = cpu_page_vcpu(cpu);
		vcpu->vm = &vm;
		cpu_pages[i] = cpu;
		vm.vcpus[i] = cpu->vcpu;
		if (!alloc_step(vcpu, i) || !vendor->vcpu_alloc(vcpu, &core_pool) ||
		    !host_map_device(cpu_device_address(i),
				     (hpa_t){ rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS },
				     PAGE_BYTES))
			return false;
		cpu->apic_page = (volatile uint8_t *)cpu_device_address(i);
	}
	return true;
}

static void report(const struct boot_info *info)
{
	log_info("%s, %u CPUs, %u-level host, %u-level guest map, MAXPHYADDR %u%s%s%s%s",
		 vendor->name, info->cpu_count, hv_caps.host_levels, hv_caps.tdp_levels,
		 hv_caps.maxphyaddr, hv_caps.huge_pages ? ", 1G pages" : "",
		 hv_caps.nrip_save ? ", NRIP" : "",
		 hv_caps.decode_assists ? ", decode assists" : "",
		 hv_caps.virtual_nmi ? ", virtual NMI" : "");
	log_info(
		"memory: %llu KiB at 0x%llx: image %llu, core pool %llu (%llu free), guest map %llu (%llu free)",
		(unsigned long long)info->hv_bytes / 1024, (unsigned long long)info->hv_base,
		(unsigned long long)info->image_bytes / 1024,
		(unsigned long long)core_pool.total_pages * 4,
		(unsigned long long)core_pool.free_pages * 4,
		(unsigned long long)vm.tdp_pool.total_pages * 4,
		(unsigned long long)vm.tdp_pool.free_pages * 4);
}

/* Not protected itself: it sets the guard. */
__attribute__((noinline, no_stack_protector)) static void set_stack_guard(void)
{
	/* A zero byte stops string functions that run over. */
	__stack_chk_guard = (uintptr_t)((rdtsc() * UINT64_C(0x9e3779b97f4a7c15)) << 8);
}

/* Of a UART in memory. The registers may cross a page. */
static bool map_line(const struct line *line)
{
	uint64_t first = (uint64_t)(uintptr_t)line->uart.registers;
	uint64_t last = first + (uint64_t)UART_REGISTERS * line->uart.stride - 1;

	if (!line->is_open || first == 0)
		return true;
	first = ALIGN_DOWN(first, PAGE_BYTES);
	return host_map_device(first, (hpa_t){ first },
			       ALIGN_DOWN(last, PAGE_BYTES) - first + PAGE_BYTES);
}

static void open_lines(const struct boot_info *info)
{
	if (info->serial_mode != BOOT_SERIAL_PASS)
		(void)line_open_boot(&line_serial, &info->serial);
	line_serial.mode = (enum boot_serial_mode)info->serial_mode;
	if (info->serial_mode == BOOT_SERIAL_OWN)
		line_hide(&line_serial);
	log_init(&line_serial, (enum boot_log_level)info->log_level, info->debugcon != 0);
	gdb_waits = info->gdb_waits != 0;
	if (info->gdb.address == 0)
		return;
	if (!line_open_boot(&line_gdb, &info->gdb))
		log_error("gdb: no UART answers at port 0x%x", (unsigned)info->gdb.address);
	line_hide(&line_gdb);
}

static enum core_status prepare(struct boot_info *info)
{
	struct failure failure = { "" };
	enum core_status status;
	struct x86_limits limits;
	uint64_t top;

	if (info->magic != BOOT_INFO_MAGIC || info->info_bytes != sizeof(*info) ||
	    info->cpu_count == 0 || info->cpu_count > VM_MAX_CPUS)
		return fail(info, CORE_FAILED, "loader and core do not fit together");
	open_lines(info);
	read_cpu_values();
	host_values.tsc_khz = info->tsc_khz;
	if ((cpuid(0x80000001, 0).edx & BIT32(20)) == 0)
		return fail(info, CORE_FAILED,
			    "this CPU has no NX, or the firmware has switched it off");
	vendor = choose_vendor();
	hv_caps.cpuid_named = info->cpuid_named != 0;
	hv_caps.cpuid_basic_max = cpuid(0, 0).eax;
	hv_caps.cpuid_extended_max = cpuid(0x80000000, 0).eax;
	status = vendor->probe(&hv_caps, &failure);
	if (status != CORE_OK)
		return fail(info, status, failure.text);
	x86_limits_read(&limits);
	regs_sync_init(&limits);

	layout_init((hpa_t){ info->hv_base }, info->hv_bytes);
	pool_init(&core_pool, "core", hpa_to_ptr((hpa_t){ info->hv_base + info->image_bytes }),
		  (info->hv_bytes - info->image_bytes) / PAGE_BYTES);
	guest_copy_use_smap(host_values.smap);
	gva_fetch_init(hv_caps.maxphyaddr, host_values.smap);
	cpu_init_shared();
	vm.vcpu_count = info->cpu_count;
	vm.reset_register = info->reset_register;
	vm.reset_value = (uint8_t)info->reset_value;
	vm.sleep_machine = info->sleep;
	vm.power_off = info->power_off;
	if (!add_ram(info, &top))
		return fail(info, CORE_FAILED, "the memory map has too many pieces");
	if (!build_host_map() || !map_line(&line_serial) || !wake_prepare(&vm) ||
	    !build_guest_map(info, top) || !vendor->vm_init(&vm, &core_pool) || !create_cpus(info))
		return fail(info, CORE_NO_MEMORY,
			    "the memory reserved for the hypervisor is too small");
	info->uses_vmmcall = !hv_caps.vmx;
	report(info);
	return CORE_OK;
}

/* After a failure no exits send what waits, bit by bit: a second or so at most. */
#define UNDO_DRAIN_POLLS 1000000u

static uint64_t enable_on_host(struct cpu *cpu)
{
	struct vcpu *vcpu = cpu->vcpu;
	enum core_status status;

	cpu_load_host(cpu);
	cpu->apic_id = cpuid_apic_id();
	vcpu->apic_id = cpu->apic_id;
	vcpu->apic_base = vcpu->apic_base_hardware = rdmsr(MSR_APIC_BASE);
	status = vendor->cpu_enable(cpu, &cpu->failure);
	if (status == CORE_OK) {
		cpu->enabled = true;
		cpu_capture_guest(cpu);
		vendor->vcpu_init(vcpu);
		vcpu->trial = true;
		if (!vendor->run(vcpu, &cpu->failure)) {
			vendor->cpu_disable(cpu);
			cpu->enabled = false;
			status = CORE_FAILED;
		}
		vcpu->trial = false;
	}
	if (status != CORE_OK)
		log_drain(UNDO_DRAIN_POLLS);
	cpu_unload_host(cpu);
	return status;
}

static uint64_t disable_on_host(struct cpu *cpu)
{
	cpu_load_host(cpu);
	if (cpu->enabled)
		vendor->cpu_disable(cpu);
	cpu->enabled = false;
	log_drain(UNDO_DRAIN_POLLS);
	cpu_unload_host(cpu);
	return CORE_OK;
}

static uint64_t enter_on_host(struct cpu *cpu)
{
	struct vcpu *vcpu = cpu->vcpu;

	cpu_load_host(cpu);
	/* This call's registers, not those of the trial; the guest goes on behind the loader's call. */
	cpu_capture_guest(cpu);
	gpr_write_raw(vcpu, REG_RAX, CORE_OK);
	rip_write(vcpu, cpu->context.rip);
	panic_guest_runs();
	/* From here on kicks come; what changed since the trial is flushed. */
	atomic_store(&vcpu->online, 1);
	vendor->flush_tdp(vcpu);
	console_begin(vcpu, gdb_waits);
	log_info("cpu %u: APIC ID 0x%x, guest starts at 0x%llx", cpu->index, cpu->apic_id,
		 (unsigned long long)cpu->context.rip);
	vendor->run(vcpu, &cpu->failure);
	hv_panic("the run loop of CPU %u came back", cpu->index);
}

static uint64_t run_on_host(struct cpu *page, struct boot_info *info,
			    const struct boot_cpu_context *context,
			    uint64_t (*function)(struct cpu *))
{
	uint64_t status;

	page->failure.text[0] = '\0';
	cpu_save_firmware(page, context);
	status = cpu_call_on_host(cpu_at(page->index), function, host_map_cr3(), page->stack_top);
	cpu_restore_firmware(page);
	if (status != CORE_OK)
		format_string(info->error, sizeof(info->error), "%s", page->failure.text);
	return status;
}

/* The only symbol that the loader knows: see boot/boot_info.h. */
__attribute__((no_stack_protector)) uint64_t core_entry(uint64_t request, struct boot_info *info,
							struct boot_cpu_context *context)
{
	struct cpu *page;

	if (request == CORE_PREPARE) {
		set_stack_guard();
		return prepare(info);
	}
	if (context == NULL || context->cpu_index >= vm.vcpu_count ||
	    cpu_pages[context->cpu_index] == NULL)
		return fail(info, CORE_FAILED, "the loader named a CPU that was not prepared");
	page = cpu_pages[context->cpu_index];
	switch (request) {
	case CORE_CPU_ENABLE:
		return run_on_host(page, info, context, enable_on_host);
	case CORE_CPU_ENTER:
		return run_on_host(page, info, context, enter_on_host);
	case CORE_CPU_DISABLE:
		return run_on_host(page, info, context, disable_on_host);
	default:
		return fail(info, CORE_FAILED, "unknown request");
	}
}
