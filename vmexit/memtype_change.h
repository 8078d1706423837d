/* SPDX-License-Identifier: BSD-2-Clause */
/* When the guest changes its MTRRs: EPT types follow once the change is finished. */
#ifndef VMEXIT_MEMTYPE_CHANGE_H
#define VMEXIT_MEMTYPE_CHANGE_H

#include "vmexit/exit.h"

/* The guest has written an MTRR (already executed on the hardware), or cleared CR0.CD. */
void memtype_mtrr_written(struct vcpu *vcpu);
void memtype_caching_enabled(struct vcpu *vcpu);

/* After S3, on the first CPU and while no other runs: the firmware has set the MTRRs, the map starts from those. */
void memtype_restart(struct vm *vm);

/* How often the types were rebuilt since the start. */
uint64_t memtype_rebuilds(void);

#endif
