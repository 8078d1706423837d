/* SPDX-License-Identifier: BSD-2-Clause */
/* The core's entry point, called by the loader on its transition tables with interrupts off. */
#ifndef CORE_START_H
#define CORE_START_H

#include "boot/boot_info.h"
#include "core/vcpu.h"

uint64_t core_entry(uint64_t request, struct boot_info *info, struct boot_cpu_context *context);

/*
 * Declared here, defined by vmexit: this CPU enters the guest next. `waits`: no instruction of the guest is executed before the
 * debugger says so.
 */
void console_begin(struct vcpu *vcpu, bool waits);

#endif
