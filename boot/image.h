/* SPDX-License-Identifier: BSD-2-Clause */
/* The core's ELF image: checked and put where it belongs. Pure. */
#ifndef BOOT_IMAGE_H
#define BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
	uint64_t entry;	     /* virtual address, inside an executable segment */
	uint64_t used_bytes; /* from CORE_VIRT_BASE to the end of the last segment, page aligned */
};

/* Returns NULL and fills `image`, or says in a few words what is wrong with it. */
const char *image_check(const void *elf, size_t elf_bytes, struct image *image);

typedef void (*image_copy_t)(void *to, const void *from, uint64_t bytes);

/* Copy the segments of a checked image to `target`, which holds `image.used_bytes` zero bytes. */
void image_place(const void *elf, void *target, image_copy_t copy);

#endif
