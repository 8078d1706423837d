/* SPDX-License-Identifier: BSD-2-Clause */
/* NMIs, the guest's and our kicks. */
#ifndef VMEXIT_NMI_H
#define VMEXIT_NMI_H

#include "vmexit/exit.h"

/* An NMI made the guest exit, or came while the host ran (the back end has taken it). */
enum exit_verdict nmi_exit(struct vcpu *vcpu);
/* SVM without vNMI: the guest is about to execute the IRET that ends its NMI handler. */
enum exit_verdict iret_exit(struct vcpu *vcpu);

/*
 * Before each entry: act upon kicks and on NMIs that the host's handler has counted. Cheap when there is nothing.
 */
void nmi_before_entry(struct vcpu *vcpu);

#endif
