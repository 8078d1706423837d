// sources: boot/image.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/image.h"

#include "boot/boot_info.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_BYTES 0x400u
#define CODE_AT	   0x100u
#define DATA_AT	   0x200u

struct file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
};

static uint8_t bytes[FILE_BYTES];
static struct file file;
static struct image image;

/* Code, a note that is not loaded, and data with .bss behind it. */
static void file_make(void)
{
	memset(&file, 0, sizeof(file));
	memset(bytes, 0, sizeof(bytes));
	memcpy(file.header.e_ident,
	       "\x7f"
	       "ELF\x02\x01\x01",
	       7);
	file.header.e_type = ET_EXEC;
	file.header.e_machine = EM_X86_64;
	file.header.e_version = 1;
	file.header.e_entry = CORE_VIRT_BASE + 0x10;
	file.header.e_phoff = sizeof(Elf64_Ehdr);
	file.header.e_ehsize = sizeof(Elf64_Ehdr);
	file.header.e_phentsize = sizeof(Elf64_Phdr);
	file.header.e_phnum = 3;
	file.segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
					 .p_flags = PF_R | PF_X,
					 .p_offset = CODE_AT,
					 .p_vaddr = CORE_VIRT_BASE,
					 .p_filesz = 0x80,
					 .p_memsz = 0x80 };
	file.segments[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = ~0ull };
	file.segments[2] = (Elf64_Phdr){ .p_type = PT_LOAD,
					 .p_flags = PF_R | PF_W,
					 .p_offset = DATA_AT,
					 .p_vaddr = CORE_VIRT_BASE + 0x1000,
					 .p_filesz = 0x40,
					 .p_memsz = 0x1041 };
	memset(bytes + CODE_AT, 'c', 0x80);
	memset(bytes + DATA_AT, 'd', 0x40);
}

static void copy_bytes(void *to, const void *from, uint64_t count)
{
	memcpy(to, from, count);
}

static const char *check(size_t file_bytes)
{
	uint8_t *copy = malloc(file_bytes + 1);
	const char *mistake;

	assert_non_null(copy);
	memcpy(bytes, &file, sizeof(file));
	/* At an odd address: nothing promises alignment. */
	memcpy(copy + 1, bytes, file_bytes);
	mistake = image_check(copy + 1, file_bytes, &image);
	free(copy);
	return mistake;
}

static void assert_refused(const char *reason)
{
	const char *mistake = check(FILE_BYTES);

	assert_non_null(mistake);
	assert_string_equal(mistake, reason);
	file_make();
}

static void good_image_is_placed(void **state)
{
	uint8_t *target;

	(void)state;
	file_make();
	assert_null(check(FILE_BYTES));
	assert_int_equal(image.entry, CORE_VIRT_BASE + 0x10);
	assert_int_equal(image.used_bytes, 0x3000);
	target = calloc(1, image.used_bytes);
	assert_non_null(target);
	image_place(bytes, target, copy_bytes);
	for (size_t i = 0; i < image.used_bytes; i++)
		assert_int_equal(target[i], i < 0x80 ? 'c' : i >= 0x1000 && i < 0x1040 ? 'd' : 0);
	free(target);
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	file_make();
	for (size_t cut = 0; cut < DATA_AT + 0x40; cut++)
		assert_non_null(check(cut));
	assert_null(check(DATA_AT + 0x40));
}

static void bad_headers(void **state)
{
	(void)state;
	file_make();
	file.header.e_ident[0] = 0;
	assert_refused("no ELF file");
	file.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_refused("no 64-bit little-endian ELF file");
	file.header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_refused("no 64-bit little-endian ELF file");
	file.header.e_type = ET_DYN;
	assert_refused("no x86-64 executable");
	file.header.e_machine = EM_AARCH64;
	assert_refused("no x86-64 executable");
	file.header.e_phentsize = 32;
	assert_refused("no program headers");
	file.header.e_phnum = 0;
	assert_refused("no program headers");
	file.header.e_phoff = FILE_BYTES - 1;
	assert_refused("program headers outside the file");
	file.header.e_phoff = ~0ull - 10;
	assert_refused("program headers outside the file");
	file.header.e_phnum = 0xffff;
	assert_refused("program headers outside the file");
}

static void bad_segments(void **state)
{
	(void)state;
	file_make();
	file.segments[2].p_offset = FILE_BYTES - 0x3f;
	assert_refused("segment outside the file");
	file.segments[2].p_offset = ~0ull;
	assert_refused("segment outside the file");
	file.segments[2].p_filesz = ~0ull;
	assert_refused("segment outside the file");
	file.segments[2].p_memsz = 0x3f;
	assert_refused("segment larger in the file than in memory");
	file.segments[2].p_vaddr = CORE_VIRT_BASE - 0x1000;
	assert_refused("segment outside the image's place");
	file.segments[2].p_vaddr = 0x100000;
	assert_refused("segment outside the image's place");
	file.segments[2].p_vaddr = CORE_VIRT_BASE + CORE_IMAGE_MAX - 0x1000;
	assert_refused("segment outside the image's place");
	file.segments[2].p_memsz = ~0ull;
	assert_refused("segment outside the image's place");
	file.segments[2].p_vaddr = CORE_VIRT_BASE + 0x7f;
	assert_refused("segments overlap or are not in order");
	file.segments[1].p_type = PT_INTERP;
	assert_refused("not statically linked");
	file.segments[1].p_type = PT_DYNAMIC;
	assert_refused("not statically linked");
	file.segments[2].p_vaddr = CORE_VIRT_BASE + CORE_IMAGE_MAX - 0x1041;
	assert_null(check(FILE_BYTES));
	assert_int_equal(image.used_bytes, CORE_IMAGE_MAX);
}

static void bad_entry_points(void **state)
{
	static const uint64_t entries[] = { 0, CORE_VIRT_BASE - 1, CORE_VIRT_BASE + 0x80,
					    CORE_VIRT_BASE + 0x1000, ~0ull };

	(void)state;
	file_make();
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		file.header.e_entry = entries[i];
		assert_refused("entry point outside the code");
	}
}

/* Whatever a damaged header says: no read outside, and what is accepted can be placed. */
static void random_damage(void **state)
{
	static uint8_t target[CORE_IMAGE_MAX];
	uint32_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		uint8_t *copy;

		file_make();
		for (unsigned i = 0; i < 3; i++) {
			seed = seed * 1664525u + 1013904223u;
			((uint8_t *)&file)[(seed >> 16) % sizeof(file)] = (uint8_t)(seed >> 8);
		}
		memcpy(bytes, &file, sizeof(file));
		copy = malloc(FILE_BYTES);
		assert_non_null(copy);
		memcpy(copy, bytes, FILE_BYTES);
		if (image_check(copy, FILE_BYTES, &image) == NULL) {
			assert_true(image.used_bytes <= CORE_IMAGE_MAX);
			image_place(copy, target, copy_bytes);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_image_is_placed), cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(bad_headers),		cmocka_unit_test(bad_segments),
		cmocka_unit_test(bad_entry_points),	cmocka_unit_test(random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
