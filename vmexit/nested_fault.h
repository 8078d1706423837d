/* SPDX-License-Identifier: BSD-2-Clause */
/* EPT violations and nested page faults. */
#ifndef VMEXIT_NESTED_FAULT_H
#define VMEXIT_NESTED_FAULT_H

#include "vmexit/exit.h"

enum exit_verdict nested_fault_exit(struct vcpu *vcpu, const struct exit_info *exit);

/*
 * After a change of the guest-physical map: when this returns no CPU uses the old one any more. The map's lock may be
 * held: a CPU that waits for it is not in the guest.
 */
void tdp_flush_all(struct vcpu *vcpu);
/* On this CPU alone. */
void tdp_flush_own(struct vcpu *vcpu);

/* With the map's lock: neither our own memory nor a frame whose rights somebody is going to give back. */
bool tdp_frame_is_plain(struct vcpu *vcpu, gpa_t gpa);

#endif
