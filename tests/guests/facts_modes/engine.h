/* SPDX-License-Identifier: BSD-2-Clause */
/* A piece of code in a mode without the firmware's long mode, and what came of it. */
#ifndef TESTS_GUESTS_FACTS_MODES_ENGINE_H
#define TESTS_GUESTS_FACTS_MODES_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

/* snippets.asm has the same numbers. */
enum engine_mode {
	ENGINE_REAL,
	ENGINE_UNREAL, /* real mode with limits of 4 GiB in DS, ES, FS and GS */
	ENGINE_16,
	ENGINE_32,
	ENGINE_16_USER,
	ENGINE_32_USER,
	ENGINE_VM86,	  /* IOPL 0 */
	ENGINE_VM86_IOPL, /* IOPL 3 */
	ENGINE_VME,	  /* CR4.VME, IOPL 0 */
	ENGINE_VME_IOPL,  /* CR4.VME, IOPL 3 */
	ENGINE_32_PAGED,  /* 4 MiB pages */
	ENGINE_32_PAE,
	ENGINE_VM86_PAGED,
	ENGINE_MODES
};

/* The code at `from` runs on the current CPU; prints one fact with this key. False (once): no memory there. */
bool engine_init(void);
void engine_run(const char *key, enum engine_mode mode, const uint8_t *from, uint32_t bytes);
const char *engine_mode_name(enum engine_mode mode);

#endif
