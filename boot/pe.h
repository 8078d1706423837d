/* SPDX-License-Identifier: BSD-2-Clause */
/* EFI programs in memory. Microsoft Portable Executable and Common Object File Format Specification: "PE32+ optional header". */
#ifndef BOOT_PE_H
#define BOOT_PE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Pure. Where a loaded 64-bit program begins: bytes from its first byte, which is that of its headers, to the first
 * instruction; 0 if the headers are not those of one.
 */
uint32_t pe_entry_offset(const void *image, size_t bytes);

#endif
