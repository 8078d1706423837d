/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What binutils makes of bytes: a filter around libopcodes of Debian 13, which knows more encodings than Capstone. It is
 * a program of its own because that library wants Debian 13's C library.
 *
 * Records of 16 bytes come in: the mode (2, 4 or 8) and 15 bytes. A line goes out for each: the length, a space, and
 * the text in Intel syntax; the length is -1 where libopcodes gives up.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PACKAGE "solovisor"
#include <dis-asm.h>

static char line[512];
static size_t used;

static int append(const char *format, va_list arguments)
{
	int count = vsnprintf(line + used, sizeof(line) - used, format, arguments);

	if (count > 0)
		used += (size_t)count < sizeof(line) - used ? (size_t)count
							    : sizeof(line) - used - 1;
	return count;
}

static int print_plain(void *stream, const char *format, ...)
{
	va_list arguments;
	int count;

	(void)stream;
	va_start(arguments, format);
	count = append(format, arguments);
	va_end(arguments);
	return count;
}

static int print_styled(void *stream, enum disassembler_style style, const char *format, ...)
{
	va_list arguments;
	int count;

	(void)stream;
	(void)style;
	va_start(arguments, format);
	count = append(format, arguments);
	va_end(arguments);
	return count;
}

static void print_address(bfd_vma address, struct disassemble_info *info)
{
	(void)info;
	print_plain(NULL, "0x%llx", (unsigned long long)address);
}

/* Nothing is reported: the length tells. */
static void memory_error(int status, bfd_vma address, struct disassemble_info *info)
{
	(void)status;
	(void)address;
	(void)info;
}

static void prepare(disassemble_info *info, unsigned code_bytes)
{
	init_disassemble_info(info, NULL, print_plain, print_styled);
	info->arch = bfd_arch_i386;
	info->mach = code_bytes == 8 ? bfd_mach_x86_64 : bfd_mach_i386_i386;
	info->disassembler_options = code_bytes == 2 ? "intel,intel64,i8086" : "intel,intel64";
	info->endian = BFD_ENDIAN_LITTLE;
	info->print_address_func = print_address;
	info->memory_error_func = memory_error;
	disassemble_init_for_target(info);
}

int main(void)
{
	static disassemble_info info[3];
	disassembler_ftype print[3];
	uint8_t record[16];

	for (unsigned mode = 0; mode < 3; mode++) {
		prepare(&info[mode], 2u << mode);
		print[mode] = disassembler(bfd_arch_i386, 0, info[mode].mach, NULL);
	}
	while (fread(record, sizeof(record), 1, stdin) == 1) {
		unsigned mode = record[0] == 8 ? 2 : record[0] / 4;
		int length;

		info[mode].buffer = record + 1;
		info[mode].buffer_length = 15;
		info[mode].buffer_vma = 0;
		used = 0;
		line[0] = '\0';
		length = print[mode](0, &info[mode]);
		printf("%d %s\n", length, line);
	}
	return 0;
}
