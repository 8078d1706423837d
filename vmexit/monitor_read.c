/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/monitor_read.h"

#include "core/string.h"
#include "mm/guest_copy.h"
#include "mm/host_map.h"
#include "mm/layout.h"

static bool is_ours(uint64_t hpa)
{
	return hpa >= layout_reservation().v &&
	       hpa - layout_reservation().v < layout_reservation_bytes();
}

/* Our own memory where it is mapped; what lies behind a page is another question. */
static bool read_part(uint64_t hpa, void *to, size_t bytes)
{
	struct page_mapping mapping;
	const void *from;

	if (!is_ours(hpa))
		return guest_copy_in(to, (gpa_t){ hpa }, bytes);
	from = hpa_to_ptr((hpa_t){ hpa });
	if (!page_table_lookup(host_map_table(), (uint64_t)(uintptr_t)from, &mapping))
		return false;
	memcpy(to, from, bytes);
	return true;
}

size_t monitor_read(uint64_t hpa, void *to, size_t bytes)
{
	size_t done = 0, part;

	for (; done < bytes; done += part) {
		part = PAGE_BYTES - (hpa + done) % PAGE_BYTES;
		if (part > bytes - done)
			part = bytes - done;
		if (!read_part(hpa + done, (uint8_t *)to + done, part))
			break;
	}
	return done;
}
