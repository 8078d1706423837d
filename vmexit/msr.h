/* SPDX-License-Identifier: BSD-2-Clause */
/* RDMSR and WRMSR. One table says what is trapped; the bitmaps are made from it. */
#ifndef VMEXIT_MSR_H
#define VMEXIT_MSR_H

#include "vmexit/exit.h"

enum exit_verdict msr_read_exit(struct vcpu *vcpu);
enum exit_verdict msr_write_exit(struct vcpu *vcpu);

/* Whether the bitmap must trap this index; those outside the bitmaps' ranges trap anyway. */
bool msr_traps_read(uint32_t msr);
bool msr_traps_write(uint32_t msr);

#endif
