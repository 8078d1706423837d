/* SPDX-License-Identifier: BSD-2-Clause */
/* Physical memory whoever it belongs to, for the monitor. */
#ifndef VMEXIT_MONITOR_READ_H
#define VMEXIT_MONITOR_READ_H

#include <stddef.h>
#include <stdint.h>

/* RAM of the guest's, and of the hypervisor's what it has mapped. Returns how many bytes are there from the first on. */
size_t monitor_read(uint64_t hpa, void *to, size_t bytes);

#endif
