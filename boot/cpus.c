/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two phases, so that all CPUs enter or none: first each one is enabled, which can fail and can be
 * undone; the entry afterwards cannot fail. The boot CPU goes first with the one and last with the
 * other, and between the two makes a single blocking call that runs all other CPUs at once: they
 * agree among themselves at a barrier. Their deadline ends well before the firmware's, which resets
 * whoever has not returned.
 */
#include "boot/cpus.h"

#include "boot/acpi.h"
#include "boot/barrier.h"
#include "boot/boot_info.h"
#include "boot/firmware.h"
#include "boot/place.h"
#include "boot/report.h"
#include "boot/trampoline.h"

#define CPUS_CALL_TIMEOUT_US	10000000u
#define CPUS_BARRIER_TIMEOUT_MS 5000u
#define CPUS_MEASURE_US		200u
#define CR4_LA57		(1ull << 12)

enum cpu_state { CPU_ABSENT, CPU_STARTED, CPU_WAITING, CPU_ENTERED, CPU_UNDONE };

/* One CPU's part, written by this CPU only. `info` is a copy, for an error text of its own. */
struct cpu_slot {
	struct boot_info info;
	_Atomic uint32_t state; /* enum cpu_state */
	uint64_t status;	/* what the core said */
};

/* (b) written by the boot CPU before the others start, then constant */
struct cpus {
	struct barrier barrier;
	struct firmware_mp_services *mp; /* (b) */
	uint32_t count;			 /* (b) */
	uint32_t boot_number;		 /* (b) the boot CPU's number for the firmware */
	uint64_t called_at;		 /* (b) the boot CPU's TSC at the call */
	uint64_t wait_ticks;		 /* (b) */
	bool is_five_level;		 /* (b) */
	struct cpu_slot slots[];
};

static uint64_t cpus_tsc(void *context)
{
	(void)context;
	return __builtin_ia32_rdtsc();
}

static bool cpus_is_five_level(void)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	return (cr4 & CR4_LA57) != 0;
}

static uint64_t cpus_bytes(uint32_t count)
{
	return sizeof(struct cpus) + count * sizeof(struct cpu_slot);
}

/* The firmware numbers its CPUs in any order; the core's number 0 is the boot CPU. */
static uint32_t cpus_index(const struct cpus *cpus, UINTN number)
{
	if (number == cpus->boot_number)
		return 0;
	return (uint32_t)number + (number < cpus->boot_number ? 1 : 0);
}

static uint32_t cpus_number(const struct cpus *cpus, uint32_t index)
{
	if (index == 0)
		return cpus->boot_number;
	return index - (index <= cpus->boot_number ? 1 : 0);
}

/* --- what exists ------------------------------------------------------------------------------- */

static EFI_STATUS cpus_refuse_disabled(struct firmware_mp_services *mp, UINTN total, UINTN enabled)
{
	const UINT32 wanted = FIRMWARE_MP_CPU_ENABLED | FIRMWARE_MP_CPU_HEALTHY;
	UINTN number;

	for (number = 0; number < total; number++) {
		struct firmware_cpu_information information;

		if (EFI_ERROR(mp->get_processor_info(mp, number, &information)))
			return report_failure(EFI_UNSUPPORTED, "CPU %lu cannot be asked for",
					      number);
		if ((information.status_flag & wanted) == wanted)
			continue;
		return report_failure(EFI_UNSUPPORTED,
				      "CPU %lu is %s by the firmware: an OS could start it outside",
				      number,
				      (information.status_flag & FIRMWARE_MP_CPU_ENABLED) == 0
					      ? "disabled"
					      : "called unhealthy");
	}
	if (total != enabled)
		return report_failure(EFI_UNSUPPORTED, "only %lu of %lu CPUs are enabled", enabled,
				      total);
	return EFI_SUCCESS;
}

EFI_STATUS cpus_count(uint32_t *count)
{
	struct firmware_mp_services *mp = firmware_locate(&firmware_mp_services_guid);
	uint32_t listed = acpi_count_cpus(place_find_rsdp());
	UINTN total = 1, enabled = 1;
	EFI_STATUS status;

	if (mp != NULL) {
		status = mp->get_number_of_processors(mp, &total, &enabled);
		if (EFI_ERROR(status))
			return report_failure(status, "the firmware does not count its CPUs: %s",
					      firmware_status_name(status));
		status = cpus_refuse_disabled(mp, total, enabled);
		if (EFI_ERROR(status))
			return status;
	}
	if (listed > total)
		return report_failure(EFI_UNSUPPORTED,
				      "ACPI lists %u CPUs, the firmware can start only %lu", listed,
				      total);
	if (total > BOOT_MAX_CPUS)
		return report_failure(EFI_UNSUPPORTED, "%lu CPUs, at most %u are supported", total,
				      BOOT_MAX_CPUS);
	*count = (uint32_t)total;
	return EFI_SUCCESS;
}

/* --- on the other CPUs ------------------------------------------------------------------------- */

/*
 * Each CPU's clock is its own: the limit counts from where it began. Where its clock agrees with the
 * boot CPU's, so that the call's beginning can be told, it counts from there.
 */
static uint64_t cpus_deadline(const struct cpus *cpus)
{
	uint64_t now = cpus_tsc(NULL);
	uint64_t since = now - cpus->called_at;

	if (since < 2 * cpus->wait_ticks)
		return cpus->called_at + cpus->wait_ticks;
	return now + cpus->wait_ticks;
}

static void cpus_take_part(struct cpus *cpus, uint32_t index)
{
	struct cpu_slot *slot = &cpus->slots[index];
	struct boot_cpu_context context = { .cpu_index = index };
	uint64_t deadline = cpus_deadline(cpus);

	atomic_store(&slot->state, (uint32_t)CPU_STARTED);
	slot->status = core_call(CORE_CPU_ENABLE, &slot->info, &context);
	if (slot->status != CORE_OK) {
		barrier_abort(&cpus->barrier, index, BARRIER_FAILED);
		atomic_store(&slot->state, (uint32_t)CPU_UNDONE);
		return;
	}
	atomic_store(&slot->state, (uint32_t)CPU_WAITING);
	if (barrier_arrive(&cpus->barrier, index, deadline, cpus_tsc, NULL) == BARRIER_COMMIT) {
		slot->status = core_call(CORE_CPU_ENTER, &slot->info, &context);
		atomic_store(&slot->state, (uint32_t)CPU_ENTERED);
	} else {
		slot->status = core_call(CORE_CPU_DISABLE, &slot->info, &context);
		atomic_store(&slot->state, (uint32_t)CPU_UNDONE);
	}
}

static void EFIAPI cpus_ap_main(void *argument)
{
	struct cpus *cpus = argument;
	UINTN number = 0;

	if (EFI_ERROR(cpus->mp->who_am_i(cpus->mp, &number)) || number >= cpus->count ||
	    number == cpus->boot_number || cpus_is_five_level() != cpus->is_five_level) {
		barrier_abort(&cpus->barrier, 0, BARRIER_FAILED);
		return;
	}
	cpus_take_part(cpus, cpus_index(cpus, number));
}

/* --- on the boot CPU --------------------------------------------------------------------------- */

static uint32_t cpus_measure_tsc_khz(void)
{
	uint64_t start = __builtin_ia32_rdtsc();

	firmware_boot->Stall(CPUS_MEASURE_US);
	return (uint32_t)((__builtin_ia32_rdtsc() - start) * 1000 / CPUS_MEASURE_US);
}

static const char *cpus_status_text(uint64_t status, const struct boot_info *info)
{
	if (info->error[0] != '\0')
		return info->error;
	switch (status) {
	case CORE_NO_VIRTUALIZATION:
		return "the CPU has neither VT-x nor AMD-V";
	case CORE_LOCKED_OFF:
		return "virtualization is locked off in the firmware's setup";
	case CORE_NO_PAGING:
		return "the CPU has no nested paging or no unrestricted guest";
	case CORE_NO_MEMORY:
		return "the reserved memory is too small";
	default:
		return "the core does not say why";
	}
}

static EFI_STATUS cpus_efi_status(uint64_t status)
{
	switch (status) {
	case CORE_NO_MEMORY:
		return EFI_OUT_OF_RESOURCES;
	case CORE_FAILED:
		return EFI_DEVICE_ERROR;
	default:
		return EFI_UNSUPPORTED;
	}
}

/* The core may have named the CPU itself. */
static EFI_STATUS cpus_report_refusal(uint32_t number, uint64_t status,
				      const struct boot_info *info)
{
	const char *text = cpus_status_text(status, info);
	EFI_STATUS result = cpus_efi_status(status);

	if (__builtin_memcmp(text, "CPU ", 4) == 0)
		return report_failure(result, "%s", text);
	return report_failure(result, "CPU %u: %s", number, text);
}

static struct cpus *cpus_prepare(struct boot_info *info)
{
	struct cpus *cpus = firmware_allocate(cpus_bytes(info->cpu_count));
	UINTN number = 0;
	uint32_t i;

	if (cpus == NULL)
		return NULL;
	cpus->mp = firmware_locate(&firmware_mp_services_guid);
	cpus->count = info->cpu_count;
	cpus->is_five_level = cpus_is_five_level();
	cpus->wait_ticks = (uint64_t)info->tsc_khz * CPUS_BARRIER_TIMEOUT_MS;
	if (cpus->mp != NULL && !EFI_ERROR(cpus->mp->who_am_i(cpus->mp, &number)))
		cpus->boot_number = (uint32_t)number;
	for (i = 1; i < cpus->count; i++)
		firmware_copy(&cpus->slots[i].info, info, sizeof(*info));
	barrier_init(&cpus->barrier, cpus->count - 1);
	return cpus;
}

/* Why the others did not come, in one line. */
static EFI_STATUS cpus_report_abort(struct cpus *cpus)
{
	uint32_t decider = barrier_decider(&cpus->barrier), i;
	const struct cpu_slot *slot = &cpus->slots[decider];

	if (barrier_verdict(&cpus->barrier) == BARRIER_FAILED && decider != 0)
		return cpus_report_refusal(cpus_number(cpus, decider), slot->status, &slot->info);
	if (barrier_verdict(&cpus->barrier) == BARRIER_FAILED)
		return report_failure(
			EFI_UNSUPPORTED,
			"a CPU has another number or paging mode than the firmware says");
	for (i = 1; i < cpus->count; i++) {
		uint32_t state = atomic_load(&cpus->slots[i].state);

		if (state == CPU_ABSENT || state == CPU_STARTED)
			return report_failure(EFI_TIMEOUT, "CPU %u %s in time, none is virtualized",
					      cpus_number(cpus, i),
					      state == CPU_ABSENT ? "did not start"
								  : "did not finish");
	}
	return report_failure(EFI_TIMEOUT, "the CPUs did not meet in time, none is virtualized");
}

/* Run all others through the agreement. EFI_SUCCESS: each of them is in the guest. */
static EFI_STATUS cpus_start_others(struct cpus *cpus)
{
	UINTN *failed = NULL;
	EFI_STATUS status;

	if (cpus->count == 1)
		return EFI_SUCCESS;
	cpus->called_at = cpus_tsc(NULL);
	status = cpus->mp->startup_all_aps(cpus->mp, cpus_ap_main, FALSE, NULL,
					   CPUS_CALL_TIMEOUT_US, cpus, &failed);
	if (failed != NULL)
		firmware_boot->FreePool(failed);
	/* Whoever may still come finds the door closed; a commit, however, stands for all. */
	if (barrier_abort(&cpus->barrier, 0, BARRIER_TIMEOUT) == BARRIER_COMMIT)
		return EFI_SUCCESS;
	if (EFI_ERROR(status) && status != EFI_TIMEOUT)
		return report_failure(status, "the firmware does not start the other CPUs: %s",
				      firmware_status_name(status));
	return cpus_report_abort(cpus);
}

static EFI_STATUS cpus_start_all(struct cpus *cpus, struct boot_info *info)
{
	struct boot_cpu_context context = { .cpu_index = 0 };
	uint64_t core_status = core_call(CORE_CPU_ENABLE, info, &context);
	EFI_STATUS status;

	if (core_status != CORE_OK)
		return cpus_report_refusal(cpus->boot_number, core_status, info);
	status = cpus_start_others(cpus);
	if (EFI_ERROR(status)) {
		core_call(CORE_CPU_DISABLE, info, &context);
		return status;
	}
	core_status = core_call(CORE_CPU_ENTER, info, &context);
	if (core_status == CORE_OK)
		return EFI_SUCCESS;
	report_line("CPU %u did not enter the guest: %s", cpus->boot_number,
		    cpus_status_text(core_status, info));
	/* With others in the guest there is no way back, and half a hypervisor must not go on. */
	while (cpus->count > 1)
		__asm__ volatile("cli; hlt");
	core_call(CORE_CPU_DISABLE, info, &context);
	return EFI_DEVICE_ERROR;
}

EFI_STATUS cpus_start(struct boot_info *info)
{
	uint64_t core_status;
	struct cpus *cpus;
	EFI_STATUS status;

	info->tsc_khz = cpus_measure_tsc_khz();
	core_status = core_call(CORE_PREPARE, info, NULL);
	if (core_status != CORE_OK)
		return report_failure(cpus_efi_status(core_status), "%s",
				      cpus_status_text(core_status, info));
	cpus = cpus_prepare(info);
	if (cpus == NULL)
		return report_failure(EFI_OUT_OF_RESOURCES, "too little memory for %u CPUs",
				      info->cpu_count);
	status = cpus_start_all(cpus, info);
	firmware_free(cpus, cpus_bytes(info->cpu_count));
	return status;
}
