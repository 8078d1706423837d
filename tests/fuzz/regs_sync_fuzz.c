// sources: core/regs_sync.c core/regs_check.c core/regs.c core/pdptr.c
// sources: arch/x86/cr_rules.c arch/x86/xsave.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as what a user wants a vCPU to be: what is refused changes nothing, what is accepted reads back as it was
 * given. The first bytes choose sets and vendor; the rest are changes of a good state, as random ones are never good.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct regs_sync user, given, again;
static struct fake_cpu cpu_before;

void hv_panic(const char *format, ...)
{
	(void)format;
	abort();
}

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_equal(const void *a, const void *b, size_t bytes)
{
	check(memcmp(a, b, bytes) == 0);
}

/* Offset, then a value, of eight bytes or of one. */
static void change(const uint8_t *data, size_t size)
{
	const size_t hot = offsetof(struct regs_sync, xsave.area) + XSAVE_LEGACY_BYTES;

	while (size >= 3) {
		size_t offset = (size_t)(data[0] | data[1] << 8), bytes = (data[1] & 0x80) != 0;

		offset = (offset & 0x7fff) % (hot - 8);
		bytes = bytes && size >= 10 ? 8 : 1;
		memcpy((uint8_t *)&user + offset, data + 2, bytes);
		data += 2 + bytes;
		size -= 2 + bytes;
	}
}

static bool is_same_segment(const struct segment *a, const struct segment *b)
{
	return a->base == b->base && a->limit == b->limit && a->rights == b->rights &&
	       a->selector == b->selector;
}

static void check_sregs(const struct regs_sync_sregs *a, const struct regs_sync_sregs *b)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		check(is_same_segment(&a->segments[i], &b->segments[i]));
	check(a->gdtr.base == b->gdtr.base && a->gdtr.limit == b->gdtr.limit);
	check(a->idtr.base == b->idtr.base && a->idtr.limit == b->idtr.limit);
	check(a->cr0 == b->cr0 && a->cr2 == b->cr2 && a->cr3 == b->cr3 && a->cr4 == b->cr4);
	check(a->cr8 == b->cr8 && a->efer == b->efer);
	if (b->pdptr_valid != 0)
		check_equal(a->pdptr, b->pdptr, sizeof(a->pdptr));
}

/* Without an event, the fields that describe one have no meaning. */
static void check_events(const struct regs_sync_events *a, const struct regs_sync_events *b)
{
	check(a->nmi_pending == b->nmi_pending && a->nmi_blocked == b->nmi_blocked);
	check(a->interrupt_shadow == b->interrupt_shadow && a->valid == b->valid);
	if (a->valid != 0)
		check_equal(a, b, sizeof(*a));
}

static void check_round_trip(void)
{
	again.valid = REGS_SYNC_ALL;
	regs_sync_to_user(&cpu.vcpu, &again);
	if ((given.dirty & REGS_SYNC_REGS) != 0)
		check_equal(&again.regs, &given.regs, sizeof(given.regs));
	if ((given.dirty & REGS_SYNC_SREGS) != 0)
		check_sregs(&again.sregs, &given.sregs);
	if ((given.dirty & REGS_SYNC_EVENTS) != 0)
		check_events(&again.events, &given.events);
	if ((given.dirty & REGS_SYNC_DEBUG) != 0)
		check_equal(&again.debug, &given.debug, sizeof(given.debug));
	if ((given.dirty & REGS_SYNC_XSAVE) != 0) {
		check(again.xsave.xcr0 == given.xsave.xcr0);
		memcpy(given.xsave.area + XSAVE_MXCSR_MASK, again.xsave.area + XSAVE_MXCSR_MASK, 4);
		check_equal(again.xsave.area, given.xsave.area, given.xsave.bytes);
	}
	/* What was accepted once is accepted unchanged. */
	again.dirty = REGS_SYNC_ALL;
	check(regs_sync_from_user(&cpu.vcpu, &again) == REGS_SYNC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum regs_sync_reason reason;

	if (size < 2)
		return 0;
	fake_cpu_reset((data[0] & 0x80) != 0);
	memset(&user, 0, sizeof(user));
	user.valid = REGS_SYNC_ALL;
	regs_sync_to_user(&cpu.vcpu, &user);
	user.dirty = data[0] & 0x3f;
	change(data + 1, size - 1);
	given = user;
	cpu_before = cpu;
	reason = regs_sync_from_user(&cpu.vcpu, &user);
	check(regs_sync_reason_text(reason) != NULL);
	check((cpu.vcpu.regs.dirty & ~cpu.vcpu.regs.available) == 0);
	if (reason == REGS_SYNC_OK) {
		check(user.dirty == 0);
		check_round_trip();
	} else {
		check_equal(&cpu, &cpu_before, sizeof(cpu));
		check_equal(&user, &given, sizeof(user));
	}
	return 0;
}
