/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/host_map.h"

#include "mm/guest_copy.h"
#include "mm/layout.h"

static struct page_table host;

static bool map(uint64_t address, uint64_t hpa, uint64_t bytes, unsigned rights, enum memtype type)
{
	bool changed = false;

	return page_table_map(&host, address, (hpa_t){ hpa }, bytes, rights, type, &changed);
}

static bool map_image_part(uint64_t start, uint64_t end, unsigned rights)
{
	uint64_t hpa = layout_reservation().v + (start - LAYOUT_IMAGE);

	return map(start, hpa, end - start, rights, MEMTYPE_WB);
}

static bool map_reservation(const struct host_map_image *image)
{
	uint64_t end = LAYOUT_IMAGE + layout_reservation_bytes();

	return map_image_part(image->text_start, image->text_end, RIGHT_READ | RIGHT_EXEC) &&
	       map_image_part(image->rodata_start, image->rodata_end, RIGHT_READ) &&
	       map_image_part(image->data_start, image->data_end, RIGHT_READ | RIGHT_WRITE) &&
	       map_image_part(image->data_end, end, RIGHT_READ | RIGHT_WRITE);
}

static bool map_window(uint64_t base, uint64_t end)
{
	return map(LAYOUT_GUEST + base, base, end - base, RIGHT_READ | RIGHT_WRITE | RIGHT_USER,
		   MEMTYPE_WB);
}

static bool map_window_large(uint64_t base, uint64_t end)
{
	uint64_t half = HUGE_PAGE_BYTES / 2;

	/* In pieces of less than 1 GiB: device memory between the ranges must not get into a huge page. */
	while (base < end) {
		uint64_t next = ALIGN_DOWN(base, half) + half;

		next = next < end ? next : end;
		if (!map_window(base, next))
			return false;
		base = next;
	}
	return true;
}

/* A piece made of whole 2 MiB pages without the reservation; `base` to `end` of it is surely RAM. */
static bool map_piece(uint64_t start, uint64_t base, uint64_t end, uint64_t stop)
{
	uint64_t huge_base = ALIGN_UP(base, HUGE_PAGE_BYTES);
	uint64_t huge_end = ALIGN_DOWN(end, HUGE_PAGE_BYTES);

	if (huge_base >= huge_end || host.format.max_leaf_level < 2)
		return map_window_large(start, stop);
	return map_window_large(start, huge_base) && map_window(huge_base, huge_end) &&
	       map_window_large(huge_end, stop);
}

static uint64_t bounded(uint64_t value, uint64_t low, uint64_t high)
{
	if (value < low)
		return low;
	return value < high ? value : high;
}

/* One range of RAM, rounded out to 2 MiB pages, from `done` on. The ranges are free of the reservation. */
static bool map_ram(uint64_t base, uint64_t end, uint64_t *done)
{
	uint64_t hv_base = layout_reservation().v;
	uint64_t hv_end = hv_base + layout_reservation_bytes();
	uint64_t start = ALIGN_DOWN(base, LARGE_PAGE_BYTES);
	uint64_t stop = ALIGN_UP(end, LARGE_PAGE_BYTES);

	start = start > *done ? start : *done;
	if (start >= hv_base && start < hv_end)
		start = hv_end;
	if (stop > hv_base && stop <= hv_end)
		stop = hv_base;
	if (start >= stop)
		return true;
	*done = stop;
	return map_piece(start, bounded(base, start, stop), bounded(end, start, stop), stop);
}

static bool map_guest(void)
{
	uint64_t base, end, done = 0;

	for (unsigned i = 0; guest_copy_range(i, &base, &end); i++) {
		if (!map_ram(base, end, &done))
			return false;
	}
	return true;
}

bool host_map_init(struct pool *pool, unsigned levels, bool huge_pages, unsigned maxphyaddr,
		   const struct host_map_image *image)
{
	struct page_format format;

	page_format_init(&format, PAGE_FORMAT_HOST, levels, huge_pages ? 2 : 1, maxphyaddr);
	return page_table_init(&host, &format, pool) && map_reservation(image) && map_guest();
}

bool host_map_pages(uint64_t address, hpa_t hpa, uint64_t bytes)
{
	return map(address, hpa.v, bytes, RIGHT_READ | RIGHT_WRITE, MEMTYPE_WB);
}

bool host_map_device(uint64_t address, hpa_t hpa, uint64_t bytes)
{
	return map(address, hpa.v, bytes, RIGHT_READ | RIGHT_WRITE, MEMTYPE_UC);
}

bool host_map_identity(hpa_t hpa)
{
	return map(hpa.v, hpa.v, PAGE_BYTES, RIGHT_READ | RIGHT_EXEC, MEMTYPE_WB);
}

uint64_t host_map_cr3(void)
{
	return ptr_to_hpa(host.root).v;
}

const struct page_table *host_map_table(void)
{
	return &host;
}
