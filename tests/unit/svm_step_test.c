/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/svm/events.c arch/svm/regs.c arch/svm/step.c arch/svm/step_insn.c arch/svm/step_v86.c core/events.c
// sources: core/regs.c core/pdptr.c arch/x86/cr_rules.c mm/flush_model.c
/* Single steps: what the guest finds in its registers and on its stack. */
#include "fake_vmrun.h"

static void an_nmi_waits_for_the_end_of_a_step(void **state)
{
	(void)state;
	step_begin(&vcpu, STEP_HIDDEN_WRITE, (gpa_t){ 0 });
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(vmcb.event_injection, 0);
	leave();
	step_end();
	enter();
	assert_int_equal(vmcb.event_injection, 2 | 2 << 8 | EVENT_VALID);
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
}

/*
 * A frame goes to memory that is stepped over: the exit interrupts the delivery, and the delivery is what is stepped.
 * The RFLAGS that VMRUN loads are those that it pushes.
 */
static void a_frame_pushed_in_a_step_has_the_guests_tf(void **state)
{
	const uint64_t guest_flags[] = { RFLAGS_FIXED | RFLAGS_IF,
					 RFLAGS_FIXED | RFLAGS_IF | RFLAGS_TF };

	for (unsigned i = 0; i < ARRAY_COUNT(guest_flags); i++) {
		clear(state);
		vmcb.rflags = guest_flags[i];
		vmcb.exit_int_info = info(0x31, 0, false);
		leave();
		step_begin(&vcpu, STEP_HIDDEN_WRITE, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.event_injection & 0xffffffff, 0x31 | EVENT_VALID);
		assert_int_equal(vmcb.rflags, guest_flags[i]);
		assert_int_equal(kicks, 1);
		/* the frame's second page faults as well: once more */
		leave();
		assert_false(svm_step_is_delivered(&vcpu));
		enter();
		assert_int_equal(vmcb.event_injection & 0xffffffff, 0x31 | EVENT_VALID);
		assert_int_equal(vmcb.rflags, guest_flags[i]);
		/* the handler's first instruction: our NMI exits */
		vmcb.exit_int_info = 0;
		vmcb.rflags = RFLAGS_FIXED;
		leave();
		assert_true(svm_step_is_delivered(&vcpu));
		step_end();
		enter();
		assert_int_equal(vmcb.event_injection, 0);
		assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
		assert_false(svm_step_is_delivered(&vcpu));
	}
}

/* The IRET has not been executed, and NMIs are still blocked. */
static void an_event_before_a_stepped_iret_ends_that_step(void **state)
{
	(void)state;
	svm.nmi_blocked = true;
	step_begin(&vcpu, STEP_IRET, (gpa_t){ 0 });
	events_raise_ud(&vcpu);
	enter();
	assert_int_equal(vmcb.event_injection, 6 | 3 << 8 | EVENT_VALID);
	assert_int_equal(vmcb.rflags & RFLAGS_TF, 0);
	assert_true(svm.nmi_blocked);
	assert_int_equal(vmcb.intercept[0], INTERCEPT_IRET);
	assert_int_equal(vcpu.step_kind, STEP_NONE);
}

/* What the IRET loads counts; the trap behind it is due if TF was set before it. SDM: "Single-Step Exception Condition". */
static void an_iret_is_stepped_with_the_guests_own_tf(void **state)
{
	static const struct {
		bool before, loaded;
	} cases[] = { { false, false }, { false, true }, { true, false }, { true, true } };

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		uint64_t before = RFLAGS_FIXED | (cases[i].before ? RFLAGS_TF : 0);
		uint64_t loaded = RFLAGS_FIXED | RFLAGS_IF | (cases[i].loaded ? RFLAGS_TF : 0);
		struct exit_info exit = { .exception.vector = VECTOR_DB };

		clear(state);
		vmcb.rflags = before;
		svm.nmi_blocked = true;
		leave();
		step_begin(&vcpu, STEP_IRET, (gpa_t){ 0 });
		assert_int_equal(rflags_read(&vcpu), before);
		enter();
		assert_int_equal(vmcb.rflags, before | RFLAGS_TF);
		assert_int_equal(vmcb.intercept[0], 0);
		vmcb.rflags = loaded;
		vmcb.dr6 |= DR6_BS;
		leave();
		svm_step_exception(&vcpu, &exit);
		assert_int_equal(exit.kind, EXIT_STEP);
		step_end();
		assert_int_equal(rflags_read(&vcpu), loaded);
		assert_int_equal(dr6_read(&vcpu), DR6_INIT);
		assert_int_equal(vcpu.events.pending.valid, cases[i].before);
		enter();
		assert_int_equal(vmcb.event_injection,
				 cases[i].before ? 1 | 3 << 8 | EVENT_VALID : 0);
		assert_int_equal(vmcb.dr6, DR6_INIT | (cases[i].before ? DR6_BS : 0));
		assert_int_equal(vmcb.rflags, loaded);
		assert_false(svm.nmi_blocked);
	}
}

/* A nested fault, an INIT: nothing of ours stays behind. */
static void an_abandoned_step_leaves_no_tf(void **state)
{
	(void)state;
	vmcb.dr6 = DR6_INIT | DR6_BS | 1;
	step_begin(&vcpu, STEP_SHADOW, (gpa_t){ 0 });
	enter();
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED | RFLAGS_TF);
	leave();
	step_end();
	enter();
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
	assert_int_equal(vmcb.dr6, DR6_INIT | DR6_BS | 1);
	assert_int_equal(vmcb.virtual_interrupt, 0);
}

static void a_fault_in_a_step_saves_the_guests_flags(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_GP };

	(void)state;
	step_begin(&vcpu, STEP_HIDDEN_WRITE, (gpa_t){ 0 });
	enter();
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_EXCEPTION);
	step_end();
	events_raise_gp(&vcpu, 0);
	enter();
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED | RFLAGS_RF);
}

/* DR6 names what matched, DR7 whether that is an exception. SDM: "Debug Status Register (DR6)". */
static void breakpoints_hit_in_a_step_are_the_guests(void **state)
{
	static const struct {
		uint64_t dr7, hit, payload;
	} cases[] = {
		{ DR7_INIT, 0, 0 },
		{ DR7_INIT, 5, 0 },
		{ DR7_INIT | 2, 5, 1 },
		{ DR7_INIT | 0x11, 5, 5 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct exit_info exit = { .exception.vector = VECTOR_DB };

		clear(state);
		vmcb.dr7 = cases[i].dr7;
		vmcb.dr6 = DR6_INIT | 3; /* of an earlier one */
		step_begin(&vcpu, STEP_HIDDEN_WRITE, (gpa_t){ 0 });
		enter();
		vmcb.dr6 |= DR6_BS | cases[i].hit;
		leave();
		svm_step_exception(&vcpu, &exit);
		step_end();
		assert_int_equal(vcpu.events.pending.valid, cases[i].payload != 0);
		assert_int_equal(vcpu.events.pending.payload, cases[i].payload);
		enter();
		assert_int_equal(vmcb.dr6,
				 DR6_INIT | (cases[i].payload != 0 ? cases[i].payload : 3));
	}
}

/* A breakpoint of the guest's own in a step: its handler finds it in DR6, with what was there before. */
static void a_debug_exception_delivered_in_a_step_is_in_dr6(void **state)
{
	(void)state;
	vmcb.dr6 = DR6_INIT | DR6_BS;
	events_raise_db(&vcpu, 2);
	step_begin(&vcpu, STEP_DEBUG, (gpa_t){ 0 });
	enter();
	assert_int_equal(vmcb.event_injection & UINT32_MAX, 1 | 3 << 8 | EVENT_VALID);
	leave();
	assert_true(svm_step_is_delivered(&vcpu));
	step_end();
	enter();
	assert_int_equal(vmcb.dr6, DR6_INIT | DR6_BS | 2);
}

/* It pushes what the VMCB holds: TF is ours, unless the guest has it, too. */
static void flags_pushed_in_a_step_are_the_guests(void **state)
{
	for (unsigned tf = 0; tf < 2; tf++) {
		struct exit_info exit = { .exception.vector = VECTOR_DB };

		clear(state);
		opcode = 0x9c;
		vmcb.rflags = RFLAGS_FIXED | RFLAGS_IF | (tf != 0 ? RFLAGS_TF : 0);
		vmcb.rsp = 0x1ff8;
		step_begin(&vcpu, STEP_PLAIN, (gpa_t){ 0 });
		enter();
		pushed = (uint8_t)(vmcb.rflags >> 8);
		vmcb.rsp = 0x1ff0;
		vmcb.dr6 |= DR6_BS;
		leave();
		svm_step_exception(&vcpu, &exit);
		step_end();
		assert_int_equal(pushed, (RFLAGS_IF | (tf != 0 ? RFLAGS_TF : 0)) >> 8);
	}
}

/* What the CPU leaves behind the stepped instruction, and the exit. */
static void trap(uint64_t rip, uint64_t rflags)
{
	struct exit_info exit = { .exception.vector = VECTOR_DB };

	vmcb.rip = rip;
	vmcb.rflags = rflags;
	vmcb.dr6 |= DR6_BS;
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_STEP);
	step_end();
}

/*
 * They push RFLAGS and clear TF, and nothing traps: what they raise is injected, with the guest's RFLAGS, and returns to
 * the next instruction; our NMI ends the step.
 */
static void what_an_instruction_raises_is_the_step(void **state)
{
	static const struct {
		uint8_t opcode, bytes;
		uint64_t rflags, injection;
	} cases[] = {
		{ 0xcc, 1, 0, 0x403 },	       { 0xcd, 2, 0, 0x480 },
		{ 0xce, 1, RFLAGS_OF, 0x404 }, { 0xf1, 1, 0, 0x301 },
		{ 0xcc, 1, RFLAGS_VM, 0x303 }, { 0xcd, 2, RFLAGS_VM | RFLAGS_IOPL, 0x480 },
		{ 0xcd, 2, RFLAGS_TF, 0x480 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		opcode = cases[i].opcode;
		vmcb.rflags = RFLAGS_FIXED | cases[i].rflags;
		vmcb.dr7 |= DR7_GD;
		step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.event_injection, cases[i].injection | EVENT_VALID);
		assert_int_equal(vmcb.rip, 0x1000 + cases[i].bytes);
		assert_int_equal(vmcb.next_rip, 0x1000 + cases[i].bytes);
		assert_int_equal(vmcb.rflags, RFLAGS_FIXED | cases[i].rflags);
		assert_int_equal(kicks, 1);
		/* the frame is in another page */
		vmcb.exit_int_info = vmcb.event_injection;
		leave();
		assert_int_equal(rip_read(&vcpu), 0x1000);
		assert_false(svm_step_is_delivered(&vcpu));
		enter();
		assert_int_equal(vmcb.event_injection, cases[i].injection | EVENT_VALID);
		assert_int_equal(vmcb.rip, 0x1000 + cases[i].bytes);
		/* the handler's first instruction */
		vmcb.exit_int_info = 0;
		vmcb.rip = 0x5000;
		vmcb.rflags = RFLAGS_FIXED;
		leave();
		assert_true(svm_step_is_delivered(&vcpu));
		step_end();
		enter();
		assert_int_equal(vmcb.event_injection, 0);
		assert_int_equal(vmcb.rip, 0x5000);
		assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
		assert_int_equal(vmcb.dr6, DR6_INIT);
		assert_int_equal(vmcb.dr7, DR7_INIT | (cases[i].opcode == 0xf1 ? 0 : DR7_GD));
	}
}

/* The gate forbids INT n: a fault, and the instruction is where it was. Or the step is given up. */
static void what_is_raised_may_fault(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_GP };

	(void)state;
	opcode = 0xcd;
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
	enter();
	vmcb.exit_int_info = vmcb.event_injection;
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_EXCEPTION);
	step_end();
	events_raise_gp(&vcpu, 0x402);
	enter();
	assert_int_equal(vmcb.event_injection & UINT32_MAX,
			 13 | 3 << 8 | EVENT_ERROR_VALID | EVENT_VALID);
	assert_int_equal(vmcb.rip, 0x1000);
	clear(state);
	opcode = 0xcc;
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
	step_cancel(&vcpu);
	enter();
	assert_int_equal(vmcb.event_injection, 0);
	assert_int_equal(vmcb.rip, 0x1000);
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
}

/* Another CPU has made an INT3 of it. The step is given up with the map's lock, by a CPU that is out of the guest. */
static void an_instruction_that_changed_begins_again(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_BP };

	(void)state;
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
	enter();
	atomic_store(&vcpu.in_guest, 1);
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_KICKED);
	assert_int_equal(vcpu.step_kind, STEP_NONE);
	assert_int_equal(given_up_in_guest, 0);
}

/* INTO without an overflow, INT n where the CPU may have it otherwise, and what comes before the instruction. */
static void what_raises_nothing_traps(void **state)
{
	static const struct {
		uint8_t opcode;
		uint64_t rflags, cr4;
	} cases[] = { { 0xce, 0, 0 },
		      { 0xcd, RFLAGS_VM, 0 },
		      { 0xcd, RFLAGS_VM | RFLAGS_IOPL, CR4_VME } };

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		opcode = cases[i].opcode;
		vmcb.cr4 = cases[i].cr4;
		vmcb.rflags = RFLAGS_FIXED | cases[i].rflags;
		step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.event_injection, 0);
		assert_int_equal(vmcb.rflags, RFLAGS_FIXED | RFLAGS_TF | cases[i].rflags);
	}
	clear(state);
	opcode = 0xcc;
	vmcb.exit_int_info = info(0x31, 0, false);
	leave();
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
	enter();
	assert_int_equal(vmcb.event_injection & UINT32_MAX, 0x31 | EVENT_VALID);
	assert_int_equal(vmcb.rip, 0x1000);
}

/* POPF and IRET on a tracked frame; NMIs are no longer blocked behind the IRET. */
static void flags_loaded_in_a_step_stay(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		bool before = (i & 1) != 0, loaded = (i & 2) != 0, iret = (i & 4) != 0;
		uint64_t flags = RFLAGS_FIXED | (loaded ? RFLAGS_TF : 0);

		clear(state);
		opcode = iret ? 0xcf : 0x9d;
		svm.nmi_blocked = true;
		vmcb.rflags = RFLAGS_FIXED | (before ? RFLAGS_TF : 0);
		step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.rflags, RFLAGS_FIXED | RFLAGS_TF);
		trap(0x1001, flags);
		enter();
		assert_int_equal(vmcb.rflags, flags);
		assert_int_equal(vmcb.event_injection, before ? 1 | 3 << 8 | EVENT_VALID : 0);
		assert_int_equal(svm.nmi_blocked, !iret);
	}
}

/* On a machine that does not exit at a task switch: ours is taken out of the old task, the new one's is its own. */
static void a_task_switch_in_a_step_saves_the_guests_tf(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		uint64_t tf = (i & 1) != 0 ? RFLAGS_TF : 0, new_tf = (i & 2) != 0 ? RFLAGS_TF : 0;

		clear(state);
		opcode = (i & 4) != 0 ? 0xcf : 0xea;
		vmcb.rflags = RFLAGS_FIXED | tf;
		vmcb.tr.attributes = (i & 8) != 0 ? 0x83 : 0x8b;
		vmcb.tr.base = 0x1ff1 - ((i & 8) != 0 ? 0x11 : 0x25);
		step_begin(&vcpu, STEP_PLAIN, (gpa_t){ 0 });
		enter();
		pushed = (uint8_t)(vmcb.rflags >> 8);
		assert_int_equal(pushed, RFLAGS_TF >> 8);
		vmcb.tr.base = 0x3000;
		trap(0x2000, RFLAGS_FIXED | new_tf);
		assert_int_equal(pushed, tf >> 8);
		assert_int_equal(rflags_read(&vcpu), RFLAGS_FIXED | new_tf);
		assert_int_equal(vcpu.events.pending.valid, tf != 0);
	}
}

/* Behind a task gate: the delivery is done, and the trap of the T bit is the guest's. */
static void a_trap_behind_a_delivery_is_the_guests(void **state)
{
	struct exit_info exit = { .exception.vector = VECTOR_DB };

	(void)state;
	vmcb.exit_int_info = info(0x31, 0, false);
	leave();
	vmcb.exit_int_info = 0;
	step_begin(&vcpu, STEP_PLAIN, (gpa_t){ 0 });
	enter();
	vmcb.rip = 0x2000;
	vmcb.rflags = RFLAGS_FIXED | RFLAGS_TF; /* the new task's */
	vmcb.dr6 |= DR6_BT;
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_STEP);
	step_end();
	assert_true(vcpu.events.pending.valid);
	assert_int_equal(vcpu.events.pending.payload, DR6_BT);
	assert_int_equal(rflags_read(&vcpu), RFLAGS_FIXED | RFLAGS_TF);
}

/* R11 has the guest's TF; SFMASK takes it away, and with it the trap. In legacy mode neither is used. */
static void syscall_is_stepped_with_the_guests_own_tf(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		bool before = (i & 1) != 0, masked = (i & 2) != 0, is_long = (i & 4) != 0;
		bool after = before && !(masked && is_long);
		uint64_t tf = before ? RFLAGS_TF : 0;

		clear(state);
		map = INSN_MAP_0F;
		opcode = 0x05;
		vmcb.efer = is_long ? EFER_LMA : 0;
		vmcb.sfmask = masked ? RFLAGS_TF | RFLAGS_IF : RFLAGS_IF;
		vmcb.rflags = RFLAGS_FIXED | RFLAGS_IF | tf;
		vcpu.regs.gpr[11] = RFLAGS_TF;
		step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.sfmask & RFLAGS_TF, is_long ? 0 : masked ? RFLAGS_TF : 0);
		if (is_long)
			vcpu.regs.gpr[11] = vmcb.rflags;
		trap(0x8000, vmcb.rflags & ~RFLAGS_IF);
		enter();
		assert_int_equal(vcpu.regs.gpr[11],
				 is_long ? RFLAGS_FIXED | RFLAGS_IF | tf : RFLAGS_TF);
		assert_int_equal(vmcb.rflags, RFLAGS_FIXED | (after ? RFLAGS_TF : 0));
		assert_int_equal(vmcb.sfmask, masked ? RFLAGS_TF | RFLAGS_IF : RFLAGS_IF);
		assert_int_equal(vmcb.event_injection, after ? 1 | 3 << 8 | EVENT_VALID : 0);
	}
}

static void sysret_is_stepped_with_the_tf_that_it_loads(void **state)
{
	/* outside 64-bit mode it leaves TF alone */
	map = INSN_MAP_0F;
	opcode = 0x07;
	vmcb.efer = EFER_LMA;
	vmcb.cs.attributes = 0xc9b;
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
	enter();
	assert_int_equal(vcpu.regs.gpr[11], 0);
	for (unsigned i = 0; i < 8; i++) {
		bool before = (i & 1) != 0, loaded = (i & 2) != 0, is_done = (i & 4) != 0;
		uint64_t r11 = RFLAGS_FIXED | (loaded ? RFLAGS_TF : 0);

		clear(state);
		map = INSN_MAP_0F;
		opcode = 0x07;
		vmcb.efer = EFER_LMA;
		vmcb.cs.attributes = 0xa9b;
		vmcb.rflags = RFLAGS_FIXED | (before ? RFLAGS_TF : 0);
		vcpu.regs.gpr[11] = r11;
		step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
		enter();
		assert_int_equal(vcpu.regs.gpr[11], r11 | RFLAGS_TF);
		if (is_done) {
			trap(0x8000, vcpu.regs.gpr[11]);
		} else {
			leave();
			step_end();
		}
		enter();
		assert_int_equal(vcpu.regs.gpr[11], r11);
		assert_int_equal(vmcb.rflags,
				 is_done ? r11 : RFLAGS_FIXED | (before ? RFLAGS_TF : 0));
		assert_int_equal(vmcb.event_injection,
				 is_done && loaded ? 1 | 3 << 8 | EVENT_VALID : 0);
	}
}

/* With BTF our TF would trap branches only. The guest's own does, and its trap ends that. */
static void branch_traps_wait_for_the_end_of_a_step(void **state)
{
	static const struct {
		bool tf, btf, branch, trap;
	} cases[] = {
		{ false, false, true, false }, { false, true, true, false },
		{ true, false, false, true },  { true, true, false, false },
		{ true, true, true, true },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		debugctl = 0x40 | (cases[i].btf ? DEBUGCTL_BTF : 0);
		vmcb.rflags = RFLAGS_FIXED | (cases[i].tf ? RFLAGS_TF : 0);
		step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
		enter();
		assert_int_equal(debugctl, 0x40);
		trap(cases[i].branch ? 0x800 : 0x1001, RFLAGS_FIXED | RFLAGS_TF);
		assert_int_equal(vcpu.events.pending.valid, cases[i].trap);
		assert_int_equal(debugctl,
				 0x40 | (cases[i].btf && !cases[i].trap ? DEBUGCTL_BTF : 0));
	}
}

static void debugctl_in_a_step_is_the_guests(void **state)
{
	/* read, with the rest of RAX as it is */
	(void)state;
	map = INSN_MAP_0F;
	opcode = 0x32;
	debugctl = DEBUGCTL_BTF | 1;
	vcpu.regs.gpr[REG_RCX] = MSR_DEBUGCTL;
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
	enter();
	vcpu.regs.gpr[REG_RAX] = debugctl;
	trap(0x1002, RFLAGS_FIXED | RFLAGS_TF);
	assert_int_equal(vcpu.regs.gpr[REG_RAX], DEBUGCTL_BTF | 1);
	/* another MSR */
	vcpu.regs.gpr[REG_RCX] = 0x10;
	vcpu.regs.gpr[REG_RAX] = 0;
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
	enter();
	trap(0x1004, RFLAGS_FIXED | RFLAGS_TF);
	assert_int_equal(vcpu.regs.gpr[REG_RAX], 0);
	/* written */
	opcode = 0x30;
	vcpu.regs.gpr[REG_RCX] = MSR_DEBUGCTL;
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
	enter();
	debugctl = 1;
	trap(0x1006, RFLAGS_FIXED | RFLAGS_TF);
	assert_int_equal(debugctl, 1);
	/* refused */
	debugctl = DEBUGCTL_BTF;
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
	enter();
	assert_int_equal(debugctl, 0);
	leave();
	step_end();
	assert_int_equal(debugctl, DEBUGCTL_BTF);
}

static void dr6_in_a_step_is_the_guests(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t written = DR6_INIT | 2 | ((i & 1) != 0 ? DR6_BS : 0);
		bool writes = (i & 2) != 0;

		clear(state);
		map = INSN_MAP_0F;
		opcode = writes ? 0x23 : 0x21;
		vmcb.dr6 = DR6_INIT | DR6_BS | 1;
		vmcb.dr7 |= 3; /* of which bit 0 is not news */
		vcpu.regs.gpr[REG_RBX] = written;
		step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.dr6, DR6_INIT | DR6_BS | 1);
		if (writes)
			vmcb.dr6 = written;
		trap(0x1003, RFLAGS_FIXED | RFLAGS_TF);
		enter();
		assert_int_equal(vmcb.dr6, writes ? written : DR6_INIT | DR6_BS | 1);
		assert_int_equal(vmcb.event_injection, 0);
	}
}

/* It comes before the instruction, which is not done; the trap comes behind it. */
static void an_instruction_breakpoint_is_no_step(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_DB };

	(void)state;
	vmcb.dr7 |= 1;
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
	enter();
	vmcb.dr6 |= 1;
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_EXCEPTION);
	assert_int_equal(exit.exception.payload, 1);
	assert_int_equal(rflags_read(&vcpu), RFLAGS_FIXED);
}

/* RIP is the same: an iteration of a string instruction, a branch to itself; or the machine means a fault. */
static void a_debug_exception_of_which_nothing_is_told(void **state)
{
	static const struct {
		uint64_t dr7, rf, met;
		bool is_step;
		uint64_t payload;
	} cases[] = {
		{ 0, 0, 0, true, 0 },	      { 1, 0, 0, true, 0 },	  { 1, 0, 1, false, 1 },
		{ 1, RFLAGS_RF, 1, true, 0 }, { DR7_GD, 0, 0, false, 0 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_DB };

		clear(state);
		vmcb.dr7 |= cases[i].dr7;
		vmcb.rflags |= cases[i].rf;
		leave();
		step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
		enter();
		leave();
		fake_met = cases[i].met;
		svm_step_exception(&vcpu, &exit);
		fake_met = 0;
		assert_int_equal(exit.kind, cases[i].is_step ? EXIT_STEP : EXIT_EXCEPTION);
		assert_int_equal(exit.exception.payload, cases[i].payload);
		assert_int_equal(rflags_read(&vcpu) & RFLAGS_TF, 0);
		assert_false(vcpu.events.pending.valid);
		step_end();
	}
}

static void an_iret_that_faults_in_a_step_unblocks_nmis(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_GP };

	(void)state;
	opcode = 0xcf;
	svm.nmi_blocked = true;
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ 0 });
	enter();
	leave();
	svm_step_exception(&vcpu, &exit);
	step_end();
	enter();
	assert_false(svm.nmi_blocked);
}

static void a_forbidden_mov_dr_is_no_step(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION, .exception.vector = VECTOR_DB };

	(void)state;
	vmcb.dr7 |= DR7_GD;
	step_begin(&vcpu, STEP_SHADOW, (gpa_t){ 0 });
	enter();
	vmcb.dr6 |= DR6_BD;
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_EXCEPTION);
	assert_int_equal(exit.exception.payload, DR6_BD);
}

/* While interrupts are masked for a step the guest's CR8 is a field of the VMCB. */
static void cr8_in_a_step_is_the_guests(void **state)
{
	(void)state;
	cr8 = 5;
	step_begin(&vcpu, STEP_SHADOW, (gpa_t){ 0 });
	assert_int_equal(vmcb.virtual_interrupt & V_TPR, 5);
	vmcb.virtual_interrupt ^= 5 ^ 9; /* MOV CR8 */
	step_end();
	assert_int_equal(cr8, 9);
	assert_int_equal(vmcb.virtual_interrupt & V_INTR_MASKING, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_nmi_waits_for_the_end_of_a_step, clear),
		cmocka_unit_test_setup(a_frame_pushed_in_a_step_has_the_guests_tf, clear),
		cmocka_unit_test_setup(an_event_before_a_stepped_iret_ends_that_step, clear),
		cmocka_unit_test_setup(an_iret_is_stepped_with_the_guests_own_tf, clear),
		cmocka_unit_test_setup(an_abandoned_step_leaves_no_tf, clear),
		cmocka_unit_test_setup(a_fault_in_a_step_saves_the_guests_flags, clear),
		cmocka_unit_test_setup(breakpoints_hit_in_a_step_are_the_guests, clear),
		cmocka_unit_test_setup(a_debug_exception_delivered_in_a_step_is_in_dr6, clear),
		cmocka_unit_test_setup(flags_pushed_in_a_step_are_the_guests, clear),
		cmocka_unit_test_setup(what_an_instruction_raises_is_the_step, clear),
		cmocka_unit_test_setup(what_is_raised_may_fault, clear),
		cmocka_unit_test_setup(what_raises_nothing_traps, clear),
		cmocka_unit_test_setup(flags_loaded_in_a_step_stay, clear),
		cmocka_unit_test_setup(a_task_switch_in_a_step_saves_the_guests_tf, clear),
		cmocka_unit_test_setup(a_trap_behind_a_delivery_is_the_guests, clear),
		cmocka_unit_test_setup(syscall_is_stepped_with_the_guests_own_tf, clear),
		cmocka_unit_test_setup(sysret_is_stepped_with_the_tf_that_it_loads, clear),
		cmocka_unit_test_setup(branch_traps_wait_for_the_end_of_a_step, clear),
		cmocka_unit_test_setup(debugctl_in_a_step_is_the_guests, clear),
		cmocka_unit_test_setup(dr6_in_a_step_is_the_guests, clear),
		cmocka_unit_test_setup(an_instruction_breakpoint_is_no_step, clear),
		cmocka_unit_test_setup(a_debug_exception_of_which_nothing_is_told, clear),
		cmocka_unit_test_setup(an_iret_that_faults_in_a_step_unblocks_nmis, clear),
		cmocka_unit_test_setup(an_instruction_that_changed_begins_again, clear),
		cmocka_unit_test_setup(a_forbidden_mov_dr_is_no_step, clear),
		cmocka_unit_test_setup(cr8_in_a_step_is_the_guests, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
