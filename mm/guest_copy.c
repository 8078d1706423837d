/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/guest_copy.h"

#include <stddef.h>

#include "arch/x86/insn.h"
#include "mm/layout.h"

struct ram_range {
	uint64_t base, end;
};

/* Sorted, apart from each other, without the reservation. Written at start, then constant. */
static struct ram_range ranges[GUEST_COPY_RANGES];
static unsigned range_count;

/* Where the last address was found: any CPU's guess is good enough for all, as it is always checked. */
static unsigned last_hit;

static bool use_smap;

uint8_t *guest_copy_window = (uint8_t *)LAYOUT_GUEST;

/* The largest ranges. */
static struct gva_window walk_window = { .virt = &guest_copy_window };

void guest_copy_use_smap(bool use)
{
	use_smap = use;
	walk_window.smap = use;
}

/* Keep the list of the largest ranges, the largest first. */
static void offer_to_window(struct ram_range range)
{
	for (unsigned i = 0; i < GVA_WINDOW_RANGES; i++) {
		struct ram_range old = { walk_window.base[i],
					 walk_window.base[i] + walk_window.bytes[i] };

		if (range.end - range.base <= walk_window.bytes[i])
			continue;
		walk_window.base[i] = range.base;
		walk_window.bytes[i] = range.end - range.base;
		range = old;
	}
}

static void update_walk_window(void)
{
	for (unsigned i = 0; i < GVA_WINDOW_RANGES; i++)
		walk_window.base[i] = walk_window.bytes[i] = 0;
	for (unsigned i = 0; i < range_count; i++)
		offer_to_window(ranges[i]);
}

void guest_copy_reset(void)
{
	range_count = 0;
	last_hit = 0;
	update_walk_window();
}

bool guest_copy_range(unsigned index, uint64_t *base, uint64_t *end)
{
	if (index >= range_count)
		return false;
	*base = ranges[index].base;
	*end = ranges[index].end;
	return true;
}

static void replace_ranges(unsigned first, unsigned count, struct ram_range by)
{
	unsigned tail = range_count - first - count;

	__builtin_memmove(&ranges[first + 1], &ranges[first + count], tail * sizeof(ranges[0]));
	ranges[first] = by;
	range_count = range_count - count + 1;
}

static bool insert_range(uint64_t base, uint64_t end)
{
	unsigned first = 0, count = 0;

	if (base >= end)
		return true;
	while (first < range_count && ranges[first].end < base)
		first++;
	while (first + count < range_count && ranges[first + count].base <= end) {
		struct ram_range *merged = &ranges[first + count++];

		base = merged->base < base ? merged->base : base;
		end = merged->end > end ? merged->end : end;
	}
	if (count == 0 && range_count == GUEST_COPY_RANGES)
		return false;
	replace_ranges(first, count, (struct ram_range){ base, end });
	return true;
}

static uint64_t lower_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t higher_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

bool guest_copy_add_ram(uint64_t base, uint64_t bytes)
{
	uint64_t hv_base = layout_reservation().v;
	uint64_t hv_end = hv_base + layout_reservation_bytes();
	uint64_t end;
	bool ok;

	if (base >= LAYOUT_GUEST_MAX)
		return true;
	end = base + lower_of(bytes, LAYOUT_GUEST_MAX - base);
	ok = insert_range(base, lower_of(end, hv_base)) &&
	     insert_range(higher_of(base, hv_end), end);
	update_walk_window();
	return ok;
}

static bool is_in(unsigned index, uint64_t address, uint64_t bytes)
{
	const struct ram_range *range = &ranges[index];

	return address >= range->base && address < range->end && bytes <= range->end - address;
}

/* The last range that starts at or below the address is the only candidate. */
static bool find_range(uint64_t address, uint64_t bytes)
{
	unsigned low = 0, high = range_count;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (ranges[middle].base <= address)
			low = middle;
		else
			high = middle;
	}
	if (range_count == 0 || !is_in(low, address, bytes))
		return false;
	__atomic_store_n(&last_hit, low, __ATOMIC_RELAXED);
	return true;
}

static inline bool is_ram(uint64_t address, uint64_t bytes)
{
	if (LIKELY(is_in(__atomic_load_n(&last_hit, __ATOMIC_RELAXED), address, bytes)))
		return true;
	return find_range(address, bytes);
}

bool guest_copy_is_ram(gpa_t gpa, uint64_t bytes)
{
	return is_ram(gpa.v, bytes);
}

static inline void window_open(void)
{
	if (LIKELY(use_smap))
		stac();
}

static inline void window_close(void)
{
	if (LIKELY(use_smap))
		clac();
}

bool guest_copy_in(void *to, gpa_t from, uint64_t bytes)
{
	if (!is_ram(from.v, bytes))
		return false;
	window_open();
	__builtin_memcpy(to, guest_copy_window + from.v, bytes);
	window_close();
	return true;
}

bool guest_copy_out(gpa_t to, const void *from, uint64_t bytes)
{
	if (!is_ram(to.v, bytes))
		return false;
	window_open();
	__builtin_memcpy(guest_copy_window + to.v, from, bytes);
	window_close();
	return true;
}

/* A table entry is one load, 8 or 4 bytes, naturally aligned: another CPU may be writing it. */
static bool read_entry(void *context, gpa_t gpa, unsigned bytes, uint64_t *value)
{
	const uint8_t *at = guest_copy_window + gpa.v;

	(void)context;
	if (UNLIKELY(!is_ram(gpa.v, bytes)))
		return false;
	window_open();
	if (LIKELY(bytes == 8))
		*value = *(const volatile uint64_t *)(const void *)at;
	else
		*value = *(const volatile uint32_t *)(const void *)at;
	window_close();
	return true;
}

bool guest_copy_exchange(gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new, bool *same)
{
	void *at = guest_copy_window + gpa.v;
	uint32_t old32 = (uint32_t)old;

	if (!is_ram(gpa.v, bytes))
		return false;
	window_open();
	if (bytes == 8)
		*same = __atomic_compare_exchange_n((uint64_t *)at, &old, new, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		*same = __atomic_compare_exchange_n((uint32_t *)at, &old32, (uint32_t) new, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	window_close();
	return true;
}

/* The entry stays as it is. */
static bool mark_nothing(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
			 bool *same)
{
	(void)context, (void)old, (void)new;
	*same = true;
	return is_ram(gpa.v, bytes);
}

const struct gva_reader guest_copy_reader = {
	.read = read_entry,
	.exchange = mark_nothing,
	.window = &walk_window,
};
