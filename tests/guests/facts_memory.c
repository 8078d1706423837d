// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory: MTRRs and PAT, every memory type on a scratch page, caches, code that changes, accessed and dirty bits, and
 * rights of pages by protection keys, SMEP, SMAP and NX.
 *
 *   facts_memory.efi
 *
 * facts_memory/types.c: MTRRs, PAT and types; rights.c: page tables; code.c: caches and code.
 */
#include "tests/guests/facts_memory/memory.h"

static void on_each_cpu(void *argument)
{
	(void)argument;
	memory_mtrrs();
	memory_pat();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	probe_begin(image, table);
	fact_begin("memory");
	memory_map();
	on_each_cpu(NULL);
	memory_types();
	memory_caches();
	memory_code();
	memory_bits();
	memory_rights();
	memory_devices();
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, on_each_cpu, NULL), "start", "CPU %u", i);
		probe_check(probe_join(i, 20000), "join", "CPU %u", i);
	}
	if (probe_cpu_count > 1)
		memory_types_of_all();
	if (probe_cpu_count > 1)
		memory_code_of_another();
	memory_unmap();
	fact_end();
	return probe_end();
}
