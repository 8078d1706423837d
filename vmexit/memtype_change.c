/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/memtype_change.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/mtrr.h"
#include "vmexit/nested_fault.h"

static uint64_t rebuild_count; /* under vm->lock */

static uint64_t digest(const struct mtrr_state *mtrr)
{
	const uint64_t *words = (const uint64_t *)(const void *)mtrr;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	_Static_assert(sizeof(*mtrr) % sizeof(*words) == 0, "whole words");
	for (unsigned i = 0; i < sizeof(*mtrr) / sizeof(*words); i++)
		sum = (sum ^ words[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* What this CPU's MTRRs were when it last finished a change. The firmware has left all CPUs with the map's. */
static uint64_t *last_digest(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (vm->mtrr_digest == 0)
		vm->mtrr_digest = digest(&vm->tdp.mtrr);
	if (vcpu->mtrr_digest == 0)
		vcpu->mtrr_digest = vm->mtrr_digest;
	return &vcpu->mtrr_digest;
}

/*
 * One map serves all CPUs, and they change one after the other or all at once: the first that has finished makes the
 * difference, the others come to the same. One that has not changed anything itself, but only opened and closed the
 * transient, does not bring back the old map.
 */
static bool rebuild(struct vcpu *vcpu, const struct mtrr_state *mtrr)
{
	struct vm *vm = vcpu->vm;
	uint64_t now = digest(mtrr), *last = last_digest(vcpu);

	if (*last == now)
		return false;
	*last = now;
	if (mtrr_same_map(mtrr, &vm->tdp.mtrr))
		return false;
	rebuild_count++;
	return tdp_mmu_set_types(&vm->tdp, mtrr);
}

/*
 * A change is finished when the MTRRs are enabled and caching is. SDM: "MTRR Considerations in MP Systems": with CR0.CD
 * set or MTRRdefType.E clear the CPU is on its way, and what the registers say meanwhile counts for nobody else.
 */
static void follow(struct vcpu *vcpu)
{
	static struct mtrr_state mtrr; /* under vm->lock */
	struct vm *vm = vcpu->vm;
	bool changed = false;

	lock_acquire(&vm->lock);
	mtrr_read(&mtrr, hv_caps.maxphyaddr);
	if (mtrr_enabled(&mtrr))
		changed = rebuild(vcpu, &mtrr);
	if (changed) {
		tdp_flush_all(vcpu);
		tdp_mmu_flushed(&vm->tdp);
	}
	lock_release(&vm->lock);
	if (!changed)
		return;
	/* The guest wrote its caches back before; what came in since came by the old types. */
	wbinvd();
	log_debug("cpu %u: memory types rebuilt", vcpu->index);
}

void memtype_mtrr_written(struct vcpu *vcpu)
{
	if ((cr0_read(vcpu) & CR0_CD) == 0)
		follow(vcpu);
}

void memtype_caching_enabled(struct vcpu *vcpu)
{
	if (vcpu->vm->tdp.typed)
		follow(vcpu);
}

void memtype_restart(struct vm *vm)
{
	static struct mtrr_state mtrr;

	if (!vm->tdp.typed)
		return;
	mtrr_read(&mtrr, hv_caps.maxphyaddr);
	if (tdp_mmu_set_types(&vm->tdp, &mtrr))
		tdp_mmu_flushed(&vm->tdp);
	vm->mtrr_digest = 0;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vm->vcpus[i]->mtrr_digest = 0;
}

uint64_t memtype_rebuilds(void)
{
	return __atomic_load_n(&rebuild_count, __ATOMIC_RELAXED);
}
