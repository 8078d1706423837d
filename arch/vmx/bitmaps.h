/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MSRs and ports exit, as the CPU wants to have it: from the tables in vmexit. */
#ifndef ARCH_VMX_BITMAPS_H
#define ARCH_VMX_BITMAPS_H

#include "core/vcpu.h"

/* Boot CPU: fills vm->msr_bitmap and vm->io_bitmap. False: the pool is empty. */
MUST_CHECK bool vmx_bitmaps_init(struct vm *vm, struct pool *pool);

#endif
