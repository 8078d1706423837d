/* SPDX-License-Identifier: BSD-2-Clause */
/* guest = next: whoever started us goes on with what comes next. */
#ifndef BOOT_GUEST_NEXT_H
#define BOOT_GUEST_NEXT_H

#include <efi.h>

/* The status with which our starter goes on. */
EFI_STATUS guest_next_status(void);

#endif
