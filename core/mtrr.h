/* SPDX-License-Identifier: BSD-2-Clause */
/* This CPU's MTRRs, copied for mm/memtype.h. */
#ifndef CORE_MTRR_H
#define CORE_MTRR_H

#include "mm/memtype.h"

void mtrr_read(struct mtrr_state *mtrr, unsigned maxphyaddr);

#endif
