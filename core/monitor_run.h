/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands of the monitor that stop the guest, let it go on, and watch what it does. */
#ifndef CORE_MONITOR_RUN_H
#define CORE_MONITOR_RUN_H

#include "core/monitor.h"

const char *monitor_command_stop(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_cont(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_step(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_break(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_watch(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_delete(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_track(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_reset(struct monitor *monitor, struct monitor_args *args);
const char *monitor_command_poweroff(struct monitor *monitor, struct monitor_args *args);

#endif
