/* SPDX-License-Identifier: BSD-2-Clause */
// sources: mm/flush_model.c mm/layout.c
/*
 * The model against CPUs that cache translations for good: with the protocol kept it never complains and nobody uses an
 * old right; with any step of it left out it complains before anybody can.
 */
#include "tests/unit/mm_test.h"

#include "mm/flush_model.h"

#define CPUS	      4u
#define PAGES	      6u
#define STEPS	      4000u
#define PATIENT_STEPS (50 * STEPS) /* a mistake takes time to show */

static struct flush_model model;

/* --- single rules --- */

static void a_cpu_outside_the_guest_is_not_waited_for(void **state)
{
	(void)state;
	model = (struct flush_model){ 0 };
	flush_model_changed(&model, 0x1000, 0x1fff);
	flush_model_rely(&model, 0, ~UINT64_C(0));
	flush_model_flushed(&model, 1);
	flush_model_entered(&model, 1);
	/* but one that enters without having flushed is caught */
	expect_assert_failure(flush_model_entered(&model, 2));
}

static void a_cpu_in_the_guest_must_have_flushed(void **state)
{
	(void)state;
	model = (struct flush_model){ 0 };
	flush_model_entered(&model, 3);
	flush_model_changed(&model, 0x1000, 0x2fff);
	flush_model_rely(&model, 0x3000, 0x3fff); /* nothing has changed there */
	expect_assert_failure(flush_model_rely(&model, 0x2000, 0x2fff));
	flush_model_left(&model, 3);
	flush_model_flushed(&model, 3);
	flush_model_entered(&model, 3);
	flush_model_rely(&model, 0, ~UINT64_C(0));
}

static void old_changes_count_for_every_address(void **state)
{
	(void)state;
	model = (struct flush_model){ 0 };
	flush_model_entered(&model, 0);
	flush_model_changed(&model, 0, 0xfff);
	for (unsigned i = 0; i < FLUSH_MODEL_CHANGES - 1; i++)
		flush_model_changed(&model, 0x100000, 0x100fff);
	flush_model_rely(&model, 0x5000, 0x5fff);
	flush_model_changed(&model, 0x100000, 0x100fff);
	expect_assert_failure(flush_model_rely(&model, 0x5000, 0x5fff));
}

static void cpus_beyond_the_last_panic(void **state)
{
	(void)state;
	model = (struct flush_model){ 0 };
	expect_assert_failure(flush_model_entered(&model, FLUSH_MODEL_CPUS));
}

/* --- the protocol of vmexit/nested_fault.c and vmexit/nmi.h, step by step in any order --- */

enum mistake {
	NO_MISTAKE,
	NO_KICK,	  /* one CPU is not told */
	NO_WAIT,	  /* the sender does not wait */
	NO_FLUSH,	  /* the target takes the kick and forgets to flush */
	LOOKS_TOO_EARLY,  /* the target looks for kicks before it says that it is in the guest */
	RELIES_TOO_EARLY, /* the change comes after the kicks */
	MISTAKES,
};

enum target_step { TARGET_HOST, TARGET_SAID, TARGET_LOOKED, TARGET_GUEST };

struct cpu_model {
	enum target_step step;
	bool in_guest, kicked;
	unsigned cached[PAGES]; /* version + 1; 0: nothing */
};

enum sender_step { SENDER_IDLE, SENDER_CHANGED, SENDER_KICKED, SENDER_WAITED };

static struct cpu_model cpus[CPUS];
static unsigned version[PAGES], relied[PAGES];
static enum sender_step sender_step;
static unsigned sender_page, sender_at;
static bool used_an_old_right;

static void change(void)
{
	version[sender_page]++;
	flush_model_changed(&model, sender_page * PAGE_BYTES,
			    sender_page * PAGE_BYTES + PAGE_BYTES - 1);
}

static void step_sender(enum mistake mistake)
{
	switch (sender_step) {
	case SENDER_IDLE:
		sender_page = (unsigned)random_below(PAGES);
		sender_at = 0;
		if (mistake != RELIES_TOO_EARLY)
			change();
		sender_step = SENDER_CHANGED;
		break;
	case SENDER_CHANGED:
		if (mistake != NO_KICK || sender_at != 2)
			cpus[sender_at].kicked = true;
		if (++sender_at == CPUS) {
			sender_step = SENDER_KICKED;
			sender_at = 0;
		}
		break;
	case SENDER_KICKED:
		if (mistake != NO_WAIT && cpus[sender_at].in_guest && cpus[sender_at].kicked)
			break;
		if (++sender_at == CPUS)
			sender_step = SENDER_WAITED;
		break;
	case SENDER_WAITED:
		if (mistake == RELIES_TOO_EARLY)
			change();
		flush_model_rely(&model, sender_page * PAGE_BYTES,
				 sender_page * PAGE_BYTES + PAGE_BYTES - 1);
		relied[sender_page] = version[sender_page];
		sender_step = SENDER_IDLE;
		break;
	}
}

static void act_on_kick(unsigned at, enum mistake mistake)
{
	struct cpu_model *cpu = &cpus[at];

	if (!cpu->kicked)
		return;
	cpu->in_guest = false;
	cpu->kicked = false;
	if (mistake == NO_FLUSH && at == 1)
		return;
	flush_model_flushed(&model, at);
	memset(cpu->cached, 0, sizeof(cpu->cached));
}

static void access_page(struct cpu_model *cpu, unsigned page)
{
	if (cpu->cached[page] == 0)
		cpu->cached[page] = version[page] + 1;
	if (cpu->cached[page] - 1 < relied[page])
		used_an_old_right = true;
}

static void step_target(unsigned at, enum mistake mistake)
{
	struct cpu_model *cpu = &cpus[at];

	switch (cpu->step) {
	case TARGET_HOST:
		if (mistake == LOOKS_TOO_EARLY)
			act_on_kick(at, mistake);
		else
			cpu->in_guest = true;
		cpu->step = TARGET_SAID;
		break;
	case TARGET_SAID:
		if (mistake != LOOKS_TOO_EARLY && cpu->kicked) {
			act_on_kick(at, mistake);
			cpu->in_guest = true;
			break; /* and looks again */
		}
		cpu->in_guest = true;
		cpu->step = TARGET_LOOKED;
		break;
	case TARGET_LOOKED:
		flush_model_entered(&model, at);
		cpu->step = TARGET_GUEST;
		break;
	case TARGET_GUEST:
		if (!cpu->kicked && random_below(4) != 0) {
			access_page(cpu, (unsigned)random_below(PAGES));
			break;
		}
		/* the kick's NMI, which may come late, or an exit of its own */
		if (cpu->kicked && random_below(3) != 0) {
			access_page(cpu, (unsigned)random_below(PAGES));
			break;
		}
		flush_model_left(&model, at);
		cpu->in_guest = false;
		cpu->step = TARGET_HOST;
		break;
	}
}

static void run(enum mistake mistake, unsigned steps)
{
	model = (struct flush_model){ 0 };
	memset(cpus, 0, sizeof(cpus));
	memset(version, 0, sizeof(version));
	memset(relied, 0, sizeof(relied));
	sender_step = SENDER_IDLE;
	used_an_old_right = false;
	for (unsigned i = 0; i < steps; i++) {
		unsigned at = (unsigned)random_below(CPUS + 2);

		if (at >= CPUS)
			step_sender(mistake);
		else
			step_target(at, mistake);
		/* never before the complaint */
		assert_false(used_an_old_right);
	}
}

static void the_protocol_is_enough(void **state)
{
	(void)state;
	for (unsigned i = 0; i < test_rounds(200); i++)
		run(NO_MISTAKE, STEPS);
}

static void each_mistake_is_found(void **state)
{
	(void)state;
	/* kept over longjmp() */
	for (volatile unsigned mistake = NO_MISTAKE + 1; mistake < MISTAKES; mistake++) {
		for (volatile unsigned i = 0; i < 20; i++)
			expect_assert_failure(run((enum mistake)mistake, PATIENT_STEPS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cpu_outside_the_guest_is_not_waited_for),
		cmocka_unit_test(a_cpu_in_the_guest_must_have_flushed),
		cmocka_unit_test(old_changes_count_for_every_address),
		cmocka_unit_test(cpus_beyond_the_last_panic),
		cmocka_unit_test(the_protocol_is_enough),
		cmocka_unit_test(each_mistake_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
