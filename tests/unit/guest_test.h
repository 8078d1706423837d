/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU with one MiB of guest memory, on a vendor that is a fake; a test's set-up gives it its state. */
#ifndef TESTS_UNIT_GUEST_TEST_H
#define TESTS_UNIT_GUEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/caps.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"

#define MEMORY_BYTES	0x100000u
#define PAGE_DIRECTORY	0x10000u
#define PAGE_TABLE	0x11000u
#define OTHER_DIRECTORY 0x12000u

static uint8_t *memory;
static struct vcpu vcpu;
static unsigned flushes;

struct hv_caps hv_caps;
struct host_values host_values;

static void fake_flush(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	flushes++;
}

static const struct vendor_ops fake_ops = { .name = "fake", .flush_linear = fake_flush };
const struct vendor_ops *vendor = &fake_ops;

void hv_panic(const char *format, ...)
{
	fail_msg("hv_panic: %s", format);
	abort();
}

void mm_panic(const char *what)
{
	fail_msg("mm_panic: %s", what);
	abort();
}

/* --- guest memory -------------------------------------------------------------------------- */

static inline uint32_t load(uint32_t address, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, memory + address, bytes);
	return value;
}

static inline void store(uint32_t address, unsigned bytes, uint64_t value)
{
	memcpy(memory + address, &value, bytes);
}

static inline int make_memory(void **state)
{
	(void)state;
	memory = calloc(1, MEMORY_BYTES);
	guest_copy_reset();
	guest_copy_window = memory;
	return guest_copy_add_ram(0, MEMORY_BYTES) ? 0 : -1;
}

static inline int free_memory(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static inline struct segment flat(uint16_t selector, uint32_t rights)
{
	return (struct segment){ .selector = selector, .limit = UINT32_MAX, .rights = rights };
}

/* 32-bit paging, the first 4 MiB on themselves; another directory has the same table. */
static inline void page_32bit(void)
{
	for (unsigned i = 0; i < 1024; i++)
		store(PAGE_TABLE + 4 * i, 4, i << 12 | 3);
	store(PAGE_DIRECTORY, 4, PAGE_TABLE | 3);
	store(OTHER_DIRECTORY, 4, PAGE_TABLE | 3);
	vcpu.regs.cr0 |= CR0_PG | CR0_WP;
}

#endif
