/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/event_info.h"

struct event vmx_event_decode(uint32_t info, uint32_t error_code, uint32_t insn_bytes)
{
	struct event event = { .valid = (info & INTR_INFO_VALID) != 0,
			       .has_error = (info & INTR_INFO_ERROR_CODE) != 0,
			       .vector = (uint8_t)(info & INTR_INFO_VECTOR),
			       .type = (enum event_type)((info & INTR_INFO_TYPE) >>
							 INTR_INFO_TYPE_SHIFT) };

	if (event.has_error)
		event.error_code = error_code;
	if (event.type >= EVENT_SOFT_INTERRUPT)
		event.insn_bytes = (uint8_t)insn_bytes;
	return event;
}

uint32_t vmx_event_encode(const struct event *event, bool protected_mode)
{
	uint32_t info =
		INTR_INFO_VALID | event->vector | (uint32_t)event->type << INTR_INFO_TYPE_SHIFT;

	/* SDM, "Checks on VM-Entry Control Fields": an error code in protected mode only. */
	if (event->has_error && protected_mode)
		info |= INTR_INFO_ERROR_CODE;
	return info;
}
