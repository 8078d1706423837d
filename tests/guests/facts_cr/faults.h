/* SPDX-License-Identifier: BSD-2-Clause */
/* Which fault comes first: privileged and system instructions in each mode and at CPL 3, and the FPU's with CR0.TS, EM, MP. */
#ifndef TESTS_GUESTS_FACTS_CR_FAULTS_H
#define TESTS_GUESTS_FACTS_CR_FAULTS_H

void faults_print(void);

#endif
