/* SPDX-License-Identifier: BSD-2-Clause */
/* The initrd for Linux's EFI stub, which asks for it through a LoadFile2 protocol. */
#ifndef BOOT_GUEST_LINUX_H
#define BOOT_GUEST_LINUX_H

#include <efi.h>
#include <stdbool.h>

struct config;

/* `is_offered` stays false if there is none. Reports its failure. */
EFI_STATUS guest_linux_offer_initrd(const struct config *config, bool *is_offered);
void guest_linux_withdraw_initrd(void);

#endif
