/* SPDX-License-Identifier: BSD-2-Clause */
/* Events in the VMCS's format: pure functions. SDM: "Event Injection". */
#ifndef ARCH_VMX_EVENT_INFO_H
#define ARCH_VMX_EVENT_INFO_H

#include "core/events.h"

/* The format that interruption, IDT-vectoring and VM-entry interruption information share. */
#define INTR_INFO_VECTOR	 UINT32_C(0xff)
#define INTR_INFO_TYPE_SHIFT	 8
#define INTR_INFO_TYPE		 (UINT32_C(7) << INTR_INFO_TYPE_SHIFT)
#define INTR_INFO_ERROR_CODE	 BIT32(11)
#define INTR_INFO_NMI_UNBLOCKING BIT32(12) /* VM-exit interruption information only */
#define INTR_INFO_VALID		 BIT32(31)

/*
 * Pure: IDT-vectoring information as an event, and an event as VM-entry interruption information.
 */
struct event vmx_event_decode(uint32_t info, uint32_t error_code, uint32_t insn_bytes);
uint32_t vmx_event_encode(const struct event *event, bool protected_mode);

#endif
