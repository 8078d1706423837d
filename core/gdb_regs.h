/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers as GDB numbers them, and where each lies in a vCPU's state. One table is the numbering, the layout of
 * the `g` packet and the target description. GDB manual: "Target Descriptions", "i386 Features".
 */
#ifndef CORE_GDB_REGS_H
#define CORE_GDB_REGS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/regs_sync.h"

#define GDB_REG_BYTES_MAX 16u
#define GDB_REG_RBP	  6u
#define GDB_REG_RSP	  7u
#define GDB_REG_RIP	  16u
/* All registers one after the other, as `g` has them, in bytes. */
#define GDB_REGS_BYTES	  1024u

unsigned gdb_regs_count(void);

/* Bytes of a register's value, 0 if there is no such number. */
unsigned gdb_reg_bytes(unsigned number);

/* The value, least significant byte first. False: no such register, or not in this CPU's state (AVX switched off). */
MUST_CHECK bool gdb_reg_read(const struct regs_sync *state, unsigned number,
			     uint8_t value[GDB_REG_BYTES_MAX]);

/*
 * Change it and mark its set dirty; whether the whole state is one that the CPU takes is asked by who loads it. False: no
 * such register, not in this state, or more bits than the register has.
 */
MUST_CHECK bool gdb_reg_write(struct regs_sync *state, unsigned number, const uint8_t *value);

/*
 * The target description (target.xml) from byte `offset` on: at most `bytes` of it. Returns how many; fewer than asked
 * for at its end. `avx`: with the upper halves of YMM.
 */
size_t gdb_regs_describe(bool avx, size_t offset, char *buffer, size_t bytes);

#endif
