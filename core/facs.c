/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/facs.h"

#include <stddef.h>

/* ACPI 1.0 has version 0 and reserved bytes in the place of the second vector. */
static bool has_x_vector(const volatile struct facs *facs)
{
	return facs->version >= 1 && facs->length >= offsetof(struct facs, version) + 1;
}

bool facs_read(const volatile struct facs *facs, struct facs_wake *wake)
{
	*wake = (struct facs_wake){ .address = facs->waking_vector };
	if (has_x_vector(facs) && facs->x_waking_vector != 0)
		*wake = (struct facs_wake){ facs->x_waking_vector, true };
	return wake->address != 0;
}

void facs_divert(volatile struct facs *facs, uint32_t vector, struct facs *old)
{
	old->waking_vector = facs->waking_vector;
	facs->waking_vector = vector;
	if (!has_x_vector(facs))
		return;
	old->x_waking_vector = facs->x_waking_vector;
	facs->x_waking_vector = 0;
}

void facs_restore(volatile struct facs *facs, uint32_t vector, const struct facs *old)
{
	if (facs->waking_vector != vector)
		return;
	facs->waking_vector = old->waking_vector;
	if (has_x_vector(facs) && facs->x_waking_vector == 0)
		facs->x_waking_vector = old->x_waking_vector;
}
