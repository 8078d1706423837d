/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/sync_call.h"

#include "arch/x86/xsave.h"
#include "core/lock.h"
#include "core/regs_sync.h"
#include "core/string.h"
#include "core/vcpu.h"

#define R11	    11u
#define XSAVE_XMM5  (160u + 5u * 16u) /* SDM: "Layout of the 64-bit Mode FXSAVE Map" */
#define AREA_XMM    2u		      /* component 1 of XSTATE_BV */
#define UNKNOWN_BIT BIT64(63)

/* Too large for a stack. */
static struct regs_sync state;
static _Atomic(uint32_t) lock;

static void change(void)
{
	const uint64_t value = SYNC_CALL_VALUE;

	state.regs.gpr[R11] = value;
	state.debug.dr[2] = value;
	memcpy(state.xsave.area + XSAVE_XMM5, &value, sizeof(value));
	if ((state.xsave.xcr0 & XCR0_SSE) != 0)
		state.xsave.area[XSAVE_XSTATE_BV] |= AREA_XMM;
}

static void prepare(enum sync_call_deed deed)
{
	if (deed != SYNC_CALL_SAME)
		change();
	if (deed == SYNC_CALL_BAD_RIP)
		state.regs.rip ^= UNKNOWN_BIT;
	if (deed == SYNC_CALL_BAD_CR4)
		state.sregs.cr4 |= UNKNOWN_BIT;
	if (deed == SYNC_CALL_BAD_XSAVE)
		state.xsave.area[XSAVE_XCOMP_BV] = 1;
}

bool sync_call(struct vcpu *vcpu, uint64_t *result)
{
	uint64_t deed = regs_fixed_read(&vcpu->regs, REG_RCX);

	if (cpl_read(vcpu) != 0 || deed >= SYNC_CALL_DEED_COUNT)
		return false;
	lock_acquire(&lock);
	state.valid = REGS_SYNC_ALL;
	regs_sync_to_user(vcpu, &state);
	prepare((enum sync_call_deed)deed);
	state.dirty = state.valid;
	*result = regs_sync_from_user(vcpu, &state);
	lock_release(&lock);
	return true;
}
