/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/hypercall.h"

#include "core/caps.h"
#include "core/log.h"
#include "vmexit/check_call.h"
#include "vmexit/emulate_call.h"
#include "vmexit/step.h"
#include "vmexit/sync_call.h"
#include "vmexit/test_call.h"
#include "vmexit/track_call.h"

#define DRAIN_POLLS 20000000u

static bool presence(struct vcpu *vcpu, uint64_t *result)
{
	*result = HYPERCALL_VERSION;
	return cpl_read(vcpu) == 0;
}

/* The only exit that waits for the UART, and only for as long as a ring full of lines takes at 9600 baud. */
static bool drain(struct vcpu *vcpu, uint64_t *result)
{
	*result = 0;
	if (cpl_read(vcpu) != 0)
		return false;
	log_drain(DRAIN_POLLS);
	return true;
}

/* The others go on counting meanwhile: each count is one load, the sum is of no one moment. */
static bool statistics(struct vcpu *vcpu, uint64_t *result)
{
	const struct vm *vm = vcpu->vm;
	uint64_t kind = regs_fixed_read(&vcpu->regs, REG_RCX), sum = 0;

	/* A program must not find out what the kernel cannot. */
	if (kind >= EXIT_KIND_COUNT || (!hv_caps.cpuid_named && cpl_read(vcpu) != 0))
		return false;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		sum += *(const volatile uint64_t *)&vm->vcpus[i]->exit_counts[kind];
	*result = sum;
	return true;
}

enum exit_verdict hypercall_exit(struct vcpu *vcpu)
{
	uint64_t result;
	bool known = false;

	step_drop_frames(vcpu);
	switch (regs_fixed_read(&vcpu->regs, REG_RAX)) {
	case HYPERCALL_PRESENCE:
		known = presence(vcpu, &result);
		break;
	case BOOT_HYPERCALL_DRAIN:
		known = drain(vcpu, &result);
		break;
	case HYPERCALL_STATISTICS:
		known = statistics(vcpu, &result);
		break;
	case HYPERCALL_TRACK:
		known = track_call(vcpu, &result);
		break;
	case HYPERCALL_TEST_WALK:
		known = test_call_walk(vcpu, &result);
		break;
	case HYPERCALL_TEST_SYNC:
		known = sync_call(vcpu, &result);
		break;
	case HYPERCALL_TEST_CHECK:
		known = check_call(vcpu, &result);
		break;
	case HYPERCALL_TEST_EMULATE:
		known = emulate_call(vcpu, &result);
		break;
	default:
		break;
	}
	if (!known) {
		events_raise_ud(vcpu);
		return VERDICT_RESUME;
	}
	regs_fixed_write(&vcpu->regs, REG_RAX, result);
	return VERDICT_NEXT_INSN;
}
