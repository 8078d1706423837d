/* SPDX-License-Identifier: BSD-2-Clause */
/* Is AMD-V there and allowed, and switching it on and off. */
#ifndef ARCH_SVM_ENABLE_H
#define ARCH_SVM_ENABLE_H

#include "core/vendor.h"

enum core_status svm_probe(struct hv_caps *caps, struct failure *failure);
enum core_status svm_cpu_enable(struct cpu *cpu, struct failure *failure);
void svm_cpu_disable(struct cpu *cpu);

#endif
