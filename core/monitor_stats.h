/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the monitor about the hypervisor itself: exits counted and recorded, the log, the version. */
#ifndef CORE_MONITOR_STATS_H
#define CORE_MONITOR_STATS_H

#include "core/monitor.h"

const char *monitor_command_stats(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_trace(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_log(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_version(struct monitor *monitor, struct monitor_args *args);

#endif
