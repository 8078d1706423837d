/* SPDX-License-Identifier: BSD-2-Clause */
/* The executable sections of an ELF file, instruction by instruction. */
#ifndef TESTS_ORACLE_ELF_CODE_H
#define TESTS_ORACLE_ELF_CODE_H

#include <stdbool.h>
#include <stdint.h>

struct elf_code;

/* NULL: no such file, or no ELF file. A name that ends in "-m16.o" holds 16-bit code. */
struct elf_code *elf_code_open(const char *path);
void elf_code_close(struct elf_code *code);

/* The 15 bytes at the current place, zeros behind the section's end. False: there is no more code. */
bool elf_code_next(struct elf_code *code, uint8_t bytes[15], unsigned *code_bytes);
void elf_code_skip(struct elf_code *code, unsigned bytes);

#endif
