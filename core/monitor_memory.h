/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the monitor about memory and how it is mapped. */
#ifndef CORE_MONITOR_MEMORY_H
#define CORE_MONITOR_MEMORY_H

#include "core/monitor.h"

const char *monitor_command_examine(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_walk(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_maps(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_bt(struct monitor *monitor, struct monitor_args *args);

#endif
