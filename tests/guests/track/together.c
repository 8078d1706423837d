/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/track/together.h"

static uint32_t waiting;

uint32_t together_run(probe_function here, probe_function there, uint32_t milliseconds)
{
	uint32_t back = 1;

	waiting = 0;
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_start_and_wait(i, there, NULL);
	here(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		back += probe_join(i, milliseconds);
	return back;
}

void together_start(void)
{
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < probe_cpu_count)
		__asm__ volatile("pause");
}
