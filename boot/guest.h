/* SPDX-License-Identifier: BSD-2-Clause */
/* What is started under the hypervisor. Everything that can fail is done while the machine is bare. */
#ifndef BOOT_GUEST_H
#define BOOT_GUEST_H

#include <efi.h>
#include <stdbool.h>

struct config;

struct guest {
	const char *path; /* NULL: guest = next */
	EFI_HANDLE image; /* loaded, not yet started */
	CHAR16 *options;  /* pool memory */
	bool has_initrd;  /* see guest_linux.h */
};

/* Load what the configuration asks for. Reports its failure, after which nothing is left loaded. */
EFI_STATUS guest_prepare(struct guest *guest, const struct config *config);

/* Where it is loaded and begins, in one line: for whoever wants to stop there. Nothing for guest = next. */
void guest_report(const struct guest *guest);

/* Start it and return what it returns; for guest = next, what makes our starter go on. */
EFI_STATUS guest_start(struct guest *guest);

/* Instead of guest_start. */
void guest_discard(struct guest *guest);

#endif
