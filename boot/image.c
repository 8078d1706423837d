/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/image.h"

#include "boot/boot_info.h"

#define ELF_CLASS_DATA_VERSION 0x00010102u /* 64-bit, little endian, version 1, System V */
#define ELF_TYPE_EXEC	       2u
#define ELF_MACHINE_X86_64     62u
#define ELF_SEGMENT_LOAD       1u
#define ELF_SEGMENT_DYNAMIC    2u
#define ELF_SEGMENT_INTERP     3u
#define ELF_FLAG_EXECUTE       1u

#define IMAGE_PAGE_BYTES       4096u

struct elf_header {
	uint8_t magic[4];
	uint32_t class_data_version;
	uint64_t padding;
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, segments_at, sections_at;
	uint32_t flags;
	uint16_t header_bytes, segment_bytes, segment_count;
	uint16_t section_bytes, section_count, names_section;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, virtual_address, physical_address, file_bytes, memory_bytes, alignment;
};

_Static_assert(sizeof(struct elf_header) == 64, "the ELF header has 64 bytes");
_Static_assert(sizeof(struct elf_segment) == 56, "an ELF program header has 56 bytes");

static void image_copy(void *to, const void *from, size_t bytes)
{
	__builtin_memcpy(to, from, bytes);
}

/* Copied out: nothing says that the file is aligned in memory. */
static struct elf_header image_header(const void *elf)
{
	struct elf_header header;

	image_copy(&header, elf, sizeof(header));
	return header;
}

static struct elf_segment image_segment(const void *elf, const struct elf_header *header,
					unsigned index)
{
	struct elf_segment segment;

	image_copy(&segment, (const uint8_t *)elf + header->segments_at + index * sizeof(segment),
		   sizeof(segment));
	return segment;
}

static const char *image_check_header(const struct elf_header *header, size_t elf_bytes)
{
	static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };
	size_t i;

	for (i = 0; i < sizeof(magic); i++)
		if (header->magic[i] != magic[i])
			return "no ELF file";
	if (header->class_data_version != ELF_CLASS_DATA_VERSION || header->version != 1)
		return "no 64-bit little-endian ELF file";
	if (header->type != ELF_TYPE_EXEC || header->machine != ELF_MACHINE_X86_64)
		return "no x86-64 executable";
	if (header->segment_bytes != sizeof(struct elf_segment) || header->segment_count == 0)
		return "no program headers";
	if (header->segments_at > elf_bytes ||
	    header->segment_count * sizeof(struct elf_segment) > elf_bytes - header->segments_at)
		return "program headers outside the file";
	return NULL;
}

static const char *image_check_segment(const struct elf_segment *segment, size_t elf_bytes,
				       uint64_t previous_end)
{
	uint64_t at = segment->virtual_address - CORE_VIRT_BASE;

	if (segment->offset > elf_bytes || segment->file_bytes > elf_bytes - segment->offset)
		return "segment outside the file";
	if (segment->file_bytes > segment->memory_bytes)
		return "segment larger in the file than in memory";
	if (segment->virtual_address < CORE_VIRT_BASE || at > CORE_IMAGE_MAX ||
	    segment->memory_bytes > CORE_IMAGE_MAX - at)
		return "segment outside the image's place";
	if (at < previous_end)
		return "segments overlap or are not in order";
	return NULL;
}

static bool image_has_entry(const struct elf_segment *segment, uint64_t entry)
{
	return (segment->flags & ELF_FLAG_EXECUTE) != 0 && entry >= segment->virtual_address &&
	       entry - segment->virtual_address < segment->file_bytes;
}

const char *image_check(const void *elf, size_t elf_bytes, struct image *image)
{
	struct elf_header header;
	const char *mistake;
	bool has_entry = false;
	uint64_t end = 0;
	unsigned i;

	if (elf_bytes < sizeof(header))
		return "shorter than an ELF header";
	header = image_header(elf);
	mistake = image_check_header(&header, elf_bytes);
	for (i = 0; mistake == NULL && i < header.segment_count; i++) {
		struct elf_segment segment = image_segment(elf, &header, i);

		if (segment.type == ELF_SEGMENT_DYNAMIC || segment.type == ELF_SEGMENT_INTERP)
			return "not statically linked";
		if (segment.type != ELF_SEGMENT_LOAD)
			continue;
		mistake = image_check_segment(&segment, elf_bytes, end);
		end = segment.virtual_address - CORE_VIRT_BASE + segment.memory_bytes;
		has_entry = has_entry || image_has_entry(&segment, header.entry);
	}
	if (mistake != NULL)
		return mistake;
	if (!has_entry)
		return "entry point outside the code";
	image->entry = header.entry;
	image->used_bytes = (end + IMAGE_PAGE_BYTES - 1) & ~(uint64_t)(IMAGE_PAGE_BYTES - 1);
	return NULL;
}

void image_place(const void *elf, void *target, image_copy_t copy)
{
	struct elf_header header = image_header(elf);
	unsigned i;

	for (i = 0; i < header.segment_count; i++) {
		struct elf_segment segment = image_segment(elf, &header, i);

		if (segment.type != ELF_SEGMENT_LOAD)
			continue;
		copy((uint8_t *)target + (segment.virtual_address - CORE_VIRT_BASE),
		     (const uint8_t *)elf + segment.offset, segment.file_bytes);
	}
}
