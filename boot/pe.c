/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/pe.h"

#define DOS_MAGIC	  0x5a4du /* MZ */
#define DOS_PE_AT	  0x3cu
#define PE_MAGIC	  0x00004550u /* PE, and two zeroes */
#define PE_OPTIONAL	  24u	      /* behind the magic and the COFF header */
#define PE_ENTRY	  16u	      /* AddressOfEntryPoint, in the optional header */
#define OPTIONAL_MAGIC_64 0x020bu
#define PE_BYTES	  (PE_OPTIONAL + PE_ENTRY + 4u) /* as far as we look */

static uint32_t read16(const uint8_t *from)
{
	return from[0] | (uint32_t)from[1] << 8;
}

static uint32_t read32(const uint8_t *from)
{
	return read16(from) | read16(from + 2) << 16;
}

uint32_t pe_entry_offset(const void *image, size_t bytes)
{
	const uint8_t *header = image;
	uint32_t at, entry;

	if (bytes < DOS_PE_AT + 4 || read16(header) != DOS_MAGIC)
		return 0;
	at = read32(header + DOS_PE_AT);
	if (at > bytes || bytes - at < PE_BYTES)
		return 0;
	header += at;
	if (read32(header) != PE_MAGIC || read16(header + PE_OPTIONAL) != OPTIONAL_MAGIC_64)
		return 0;
	entry = read32(header + PE_OPTIONAL + PE_ENTRY);
	return entry < bytes ? entry : 0;
}
