/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/elf_code.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct elf_code {
	uint8_t *file;
	size_t bytes;
	unsigned code_bytes;
	unsigned section; /* the next to look at */
	size_t at, end;
};

static bool read_file(const char *path, struct elf_code *code)
{
	FILE *file = fopen(path, "rb");
	long bytes;
	bool ok;

	if (file == NULL)
		return false;
	ok = fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) > 0 &&
	     fseek(file, 0, SEEK_SET) == 0;
	if (ok) {
		code->bytes = (size_t)bytes;
		code->file = malloc(code->bytes);
		ok = code->file != NULL && fread(code->file, code->bytes, 1, file) == 1;
	}
	fclose(file);
	return ok;
}

static bool ends(const char *path, const char *with)
{
	size_t length = strlen(path), tail = strlen(with);

	return length >= tail && strcmp(path + length - tail, with) == 0;
}

struct elf_code *elf_code_open(const char *path)
{
	struct elf_code *code = calloc(1, sizeof(*code));

	if (code == NULL)
		return NULL;
	if (!read_file(path, code) || code->bytes < sizeof(Elf64_Ehdr) ||
	    memcmp(code->file, ELFMAG, SELFMAG) != 0) {
		elf_code_close(code);
		return NULL;
	}
	code->code_bytes = code->file[EI_CLASS] == ELFCLASS64 ? 8 : ends(path, "-m16.o") ? 2 : 4;
	return code;
}

void elf_code_close(struct elf_code *code)
{
	free(code->file);
	free(code);
}

struct section {
	uint32_t type;
	uint64_t flags, offset, bytes;
};

static bool section64(const struct elf_code *code, unsigned index, struct section *out)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)code->file;
	const Elf64_Shdr *section;
	uint64_t offset = header->e_shoff + (uint64_t)index * sizeof(*section);

	if (index >= header->e_shnum || offset + sizeof(*section) > code->bytes)
		return false;
	section = (const Elf64_Shdr *)(code->file + offset);
	*out = (struct section){ section->sh_type, section->sh_flags, section->sh_offset,
				 section->sh_size };
	return true;
}

static bool section32(const struct elf_code *code, unsigned index, struct section *out)
{
	const Elf32_Ehdr *header = (const Elf32_Ehdr *)code->file;
	const Elf32_Shdr *section;
	uint64_t offset = header->e_shoff + (uint64_t)index * sizeof(*section);

	if (index >= header->e_shnum || offset + sizeof(*section) > code->bytes)
		return false;
	section = (const Elf32_Shdr *)(code->file + offset);
	*out = (struct section){ section->sh_type, section->sh_flags, section->sh_offset,
				 section->sh_size };
	return true;
}

static bool next_section(struct elf_code *code)
{
	struct section section;

	while (code->code_bytes == 8 ? section64(code, code->section, &section)
				     : section32(code, code->section, &section)) {
		code->section++;
		if (section.type != SHT_PROGBITS || (section.flags & SHF_EXECINSTR) == 0 ||
		    section.bytes == 0 || section.offset + section.bytes > code->bytes)
			continue;
		code->at = section.offset;
		code->end = section.offset + section.bytes;
		return true;
	}
	return false;
}

bool elf_code_next(struct elf_code *code, uint8_t bytes[15], unsigned *code_bytes)
{
	size_t left;

	if (code->at >= code->end && !next_section(code))
		return false;
	left = code->end - code->at < 15 ? code->end - code->at : 15;
	memset(bytes, 0, 15);
	memcpy(bytes, code->file + code->at, left);
	*code_bytes = code->code_bytes;
	return true;
}

void elf_code_skip(struct elf_code *code, unsigned bytes)
{
	code->at += bytes;
}
