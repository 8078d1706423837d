/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/bitmaps.h"

#include <stddef.h>

#include "vmexit/io.h"
#include "vmexit/msr.h"

/*
 * The bitmap's four quarters: reads of low and high indices, then writes. SDM: "MSR-Bitmap
 * Address".
 */
#define MSR_BITMAP_INDICES    0x2000u
#define MSR_BITMAP_HIGH_FIRST 0xc0000000u
#define MSR_BITMAP_READ_HIGH  0x400u
#define MSR_BITMAP_WRITE_LOW  0x800u
#define MSR_BITMAP_WRITE_HIGH 0xc00u

static void bitmap_set(uint8_t *quarter, uint32_t index)
{
	quarter[index / 8] |= (uint8_t)(1u << index % 8);
}

/* One bit a port, in two pages. SDM: "I/O-Bitmap Addresses". */
#define IO_BITMAP_PAGES 2u
#define IO_PORTS	0x10000u

bool vmx_bitmaps_init(struct vm *vm, struct pool *pool)
{
	uint8_t *bitmap = pool_alloc(pool);

	vm->io_bitmap = pool_alloc_contiguous(pool, IO_BITMAP_PAGES);
	if (bitmap == NULL || vm->io_bitmap == NULL)
		return false;
	for (uint32_t port = 0; port < IO_PORTS; port++) {
		if (io_traps_port(vm, (uint16_t)port))
			bitmap_set(vm->io_bitmap, port);
	}
	for (uint32_t i = 0; i < MSR_BITMAP_INDICES; i++) {
		if (msr_traps_read(i))
			bitmap_set(bitmap, i);
		if (msr_traps_read(MSR_BITMAP_HIGH_FIRST + i))
			bitmap_set(bitmap + MSR_BITMAP_READ_HIGH, i);
		if (msr_traps_write(i))
			bitmap_set(bitmap + MSR_BITMAP_WRITE_LOW, i);
		if (msr_traps_write(MSR_BITMAP_HIGH_FIRST + i))
			bitmap_set(bitmap + MSR_BITMAP_WRITE_HIGH, i);
	}
	vm->msr_bitmap = bitmap;
	return true;
}
