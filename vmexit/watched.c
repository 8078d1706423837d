/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/watched.h"

#include "core/exit_watch.h"
#include "core/log.h"
#include "vmexit/console.h"
#include "vmexit/debug_step.h"
#include "vmexit/step.h"

#define DRAIN_POLLS 0u /* one look: what the UART takes now goes, nothing is waited for */

void watched_before(struct vcpu *vcpu)
{
	(void)vcpu;
	log_drain(DRAIN_POLLS);
}

void watched_after(struct vcpu *vcpu)
{
	if (vcpu->step_kind == STEP_DEBUG)
		debug_step_exited(vcpu);
	if ((exit_watchers() & EXIT_WATCH_LINE) != 0)
		console_attend(vcpu);
}
