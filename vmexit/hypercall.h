/* SPDX-License-Identifier: BSD-2-Clause */
/* VMCALL and VMMCALL from the guest's kernel: is a Solovisor there, and which one? */
#ifndef VMEXIT_HYPERCALL_H
#define VMEXIT_HYPERCALL_H

#include "vmexit/exit.h"

/* RAX on input; CPL 0. On output RAX is HYPERCALL_VERSION. Anything else is #UD, as on a machine without us. */
#define HYPERCALL_PRESENCE UINT64_C(0x534f4c4f56495352) /* "SOLOVISR" */
#define HYPERCALL_VERSION  UINT64_C(0x00000001)

enum exit_verdict hypercall_exit(struct vcpu *vcpu);

#endif
