/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the monitor about CPUs. */
#ifndef CORE_MONITOR_CPU_H
#define CORE_MONITOR_CPU_H

#include "core/monitor.h"

const char *monitor_command_cpus(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_cpu(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_regs(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_sregs(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_msr(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_inject(struct monitor *monitor, struct monitor_args *args);

#endif
