/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/watched.h"

#include "core/log.h"
#include "vmexit/console.h"
#include "vmexit/debug_break.h"
#include "vmexit/debug_step.h"
#include "vmexit/exit_trace.h"
#include "vmexit/step.h"

#define DRAIN_POLLS 0u /* one look: what the UART takes now goes, nothing is waited for */

void watched_before(struct vcpu *vcpu, const struct exit_info *exit)
{
	log_drain(DRAIN_POLLS);
	if (trace_is_on())
		exit_trace_begin(vcpu, exit);
}

void watched_after(struct vcpu *vcpu)
{
	if (trace_is_on())
		exit_trace_end(vcpu);
	if (vcpu->step_kind == STEP_DEBUG)
		debug_step_exited(vcpu);
	if ((exit_watchers() & EXIT_WATCH_DEBUG) != 0)
		debug_break_resolve(vcpu);
	if ((exit_watchers() & (EXIT_WATCH_LINE | EXIT_WATCH_LIVE)) != 0)
		console_attend(vcpu);
}
