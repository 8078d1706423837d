/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/startup.c
/*
 * INIT and SIPI carried in software: every order of up to six steps against a model of the architecture, and two real
 * threads against each other.
 */
#include "core/startup.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The architecture: a CPU runs or waits; INIT makes it wait, a SIPI counts only while it waits or an INIT is due. */
struct model {
	bool waiting;
	bool init;
	int sipi; /* vector, -1 for none */
};

enum step { SEND_INIT, SEND_SIPI_A, SEND_SIPI_B, TAKE, STEP_COUNT };

static void model_sipi(struct model *model, uint8_t vector)
{
	if ((model->waiting || model->init) && model->sipi < 0)
		model->sipi = vector;
}

static enum startup_action model_take(struct model *model, uint8_t *vector)
{
	bool reset = model->init, start = model->sipi >= 0;

	if (reset)
		model->waiting = true;
	if (start) {
		model->waiting = false;
		*vector = (uint8_t)model->sipi;
	}
	model->init = false;
	model->sipi = -1;
	if (reset)
		return start ? STARTUP_RESET_AND_START : STARTUP_RESET;
	return start ? STARTUP_START : STARTUP_NOTHING;
}

static void run_sequence(unsigned code, unsigned steps)
{
	_Atomic(uint32_t) word = 0;
	struct model model = { .sipi = -1 };

	for (unsigned i = 0; i < steps; i++, code /= STEP_COUNT) {
		uint8_t vector = 0, expected_vector = 0;
		enum startup_action expected, action;

		switch ((enum step)(code % STEP_COUNT)) {
		case SEND_INIT:
			assert_true(startup_send_init(&word));
			model.init = true;
			model.sipi = -1;
			break;
		case SEND_SIPI_A:
		case SEND_SIPI_B:
			vector = code % STEP_COUNT == SEND_SIPI_A ? 0x9a : 0x10;
			assert_int_equal(startup_send_sipi(&word, vector),
					 (model.waiting || model.init) && model.sipi < 0);
			model_sipi(&model, vector);
			break;
		default:
			expected = model_take(&model, &expected_vector);
			action = startup_take(&word, false, &vector);
			assert_int_equal(action, expected);
			if (expected == STARTUP_START || expected == STARTUP_RESET_AND_START)
				assert_int_equal(vector, expected_vector);
			break;
		}
	}
}

static void every_order_of_six_steps_is_architectural(void **state)
{
	(void)state;
	for (unsigned code = 0; code < 4096; code++)
		run_sequence(code, 6);
}

static void init_resets_the_boot_cpu_and_it_runs_on(void **state)
{
	_Atomic(uint32_t) word = 0;
	uint8_t vector;

	(void)state;
	startup_send_init(&word);
	assert_true(startup_send_sipi(&word, 0x12));
	assert_int_equal(startup_take(&word, true, &vector), STARTUP_RESET);
	assert_int_equal(startup_take(&word, true, &vector), STARTUP_NOTHING);
	assert_false(startup_send_sipi(&word, 0x12));
}

#define ROUNDS 20000u

static _Atomic(uint32_t) shared_word;
static _Atomic(uint32_t) started;

/* The target: starts counted, each with the vector of its round. */
static void *target_thread(void *argument)
{
	unsigned *wrong = argument;
	uint32_t count = 0;
	uint8_t vector;

	while (count < ROUNDS) {
		enum startup_action action = startup_take(&shared_word, false, &vector);

		if (action != STARTUP_START && action != STARTUP_RESET_AND_START)
			continue;
		if (vector != (uint8_t)(count + 1))
			(*wrong)++;
		atomic_store(&started, ++count);
	}
	return NULL;
}

static void no_start_is_lost_or_doubled_between_two_cpus(void **state)
{
	unsigned wrong = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, target_thread, &wrong), 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		startup_send_init(&shared_word);
		startup_send_sipi(&shared_word, (uint8_t)round);
		startup_send_sipi(&shared_word, (uint8_t)round);
		while (atomic_load(&started) < round)
			;
	}
	pthread_join(thread, NULL);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_of_six_steps_is_architectural),
		cmocka_unit_test(init_resets_the_boot_cpu_and_it_runs_on),
		cmocka_unit_test(no_start_is_lost_or_doubled_between_two_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
