/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits as records of the trace (core/trace.h): what is worth knowing of each kind, and the same in words. */
#ifndef VMEXIT_EXIT_TRACE_H
#define VMEXIT_EXIT_TRACE_H

#include <stddef.h>

#include "core/trace.h"
#include "vmexit/exit.h"

/* Before an exit is handled. It is this CPU's newest record from now on. */
void exit_trace_begin(struct vcpu *vcpu, const struct exit_info *exit);
/* It has been: the time that took, and what was read. */
void exit_trace_end(struct vcpu *vcpu);

void exit_trace_describe(const struct trace_record *record, char *text, size_t bytes);

#endif
