/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_GUESTS_EMULATE_MODRM_H
#define TESTS_GUESTS_EMULATE_MODRM_H

#include "tests/guests/emulate/maker.h"

/* False: these registers cannot lead to that address. */
bool put_modrm(struct maker *make, uint32_t reg, uint64_t address);

#endif
