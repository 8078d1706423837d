/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest state that VMRUN refuses although the guest got it past the instruction that should have refused it: some
 * machines check reserved bits at VMRUN only. APM volume 2: "Canonicalization and Consistency Checks".
 */
#ifndef ARCH_SVM_MEND_H
#define ARCH_SVM_MEND_H

#include "arch/svm/vmcb.h"

/* Pure. Take away what is reserved; false: nothing was, the reason is another one. */
MUST_CHECK bool svm_mend(struct vmcb *vmcb, uint64_t cr4_allowed);

#endif
