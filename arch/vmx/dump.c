/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/dump.h"

#include "arch/vmx/exit_decode.h"
#include "arch/vmx/vmcs.h"
#include "core/log.h"
#include "core/panic.h"

#define VMCS_NAME(name, encoding) { #name, encoding },
static const struct {
	char name[26];
	uint16_t field;
} fields[] = { VMCS_FIELDS(VMCS_NAME) };
#undef VMCS_NAME

void vmcs_access_failed(unsigned field, bool write)
{
	const char *name = "unknown";
	uint64_t error = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
		if (fields[i].field == field)
			name = fields[i].name;
	}
	if (!vmcs_read_raw(VMCS_INSTRUCTION_ERROR, &error))
		hv_panic("%s of VMCS field %s (0x%x): no VMCS is current",
			 write ? "VMWRITE" : "VMREAD", name, field);
	hv_panic("%s of VMCS field %s (0x%x) failed: error %u", write ? "VMWRITE" : "VMREAD", name,
		 field, (unsigned)error);
}

/* SDM: "VM-Instruction Error Numbers", those of VM entries. */
static const char *instruction_error(unsigned error)
{
	switch (error) {
	case 4:
		return "VMLAUNCH with non-clear VMCS";
	case 5:
		return "VMRESUME with non-launched VMCS";
	case 7:
		return "entry with invalid control fields";
	case 8:
		return "entry with invalid host-state fields";
	case 26:
		return "entry with events blocked by MOV SS";
	default:
		return "no entry error";
	}
}

void vmx_dump(struct vcpu *vcpu)
{
	uint64_t reason = 0, error = 0, value;

	(void)vcpu;
	if (!vmcs_read_raw(VMCS_EXIT_REASON, &reason) ||
	    !vmcs_read_raw(VMCS_INSTRUCTION_ERROR, &error)) {
		log_error("no VMCS is current");
		return;
	}
	log_error("exit reason 0x%x: %s; VM-instruction error %u: %s", (unsigned)reason,
		  vmx_exit_reason_name((uint32_t)reason), (unsigned)error,
		  instruction_error((unsigned)error));
	for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
		if (vmcs_read_raw(fields[i].field, &value))
			log_error("  %s 0x%lx", fields[i].name, (unsigned long)value);
	}
}
