/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/layout.h"

static uint8_t *virtual_base;
static uint64_t physical_base;
static uint64_t reservation_bytes;

void layout_init_at(void *virt, hpa_t reservation, uint64_t bytes)
{
	virtual_base = virt;
	physical_base = reservation.v;
	reservation_bytes = bytes;
}

void layout_init(hpa_t reservation, uint64_t bytes)
{
	layout_init_at((void *)LAYOUT_IMAGE, reservation, bytes);
}

hpa_t layout_reservation(void)
{
	return (hpa_t){ physical_base };
}

uint64_t layout_reservation_bytes(void)
{
	return reservation_bytes;
}

void *hpa_to_ptr(hpa_t hpa)
{
	uint64_t offset = hpa.v - physical_base;

	if (offset >= reservation_bytes)
		mm_panic("hpa_to_ptr: not in the reservation");
	return virtual_base + offset;
}

hpa_t ptr_to_hpa(const void *ptr)
{
	uint64_t offset = (uint64_t)ptr - (uint64_t)virtual_base;

	if (offset >= reservation_bytes)
		mm_panic("ptr_to_hpa: not in the reservation");
	return (hpa_t){ physical_base + offset };
}
