/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done at each exit while somebody watches them (core/exit_watch.h). */
#ifndef VMEXIT_WATCHED_H
#define VMEXIT_WATCHED_H

#include "core/exit_watch.h"
#include "vmexit/exit.h"

/* Before the exit is handled, and behind that, before its verdict is applied. */
void watched_before(struct vcpu *vcpu, const struct exit_info *exit);
void watched_after(struct vcpu *vcpu);

#endif
