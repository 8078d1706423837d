// sources: vmexit/attention.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Which way a line gets attention, and whose an NMI is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "arch/x86/io_apic.h"
#include "core/caps.h"
#include "core/exit_watch.h"
#include "core/line.h"
#include "core/log.h"
#include "vmexit/attention.h"
#include "vmexit/console.h"
#include "vmexit/io_apic.h"
#include "vmexit/uart_port.h"

struct hv_caps hv_caps;
struct host_values host_values;
struct line line_serial, line_gdb;
_Atomic(uint32_t) exit_watch;

static struct vm vm;
static struct vcpu boot, other;
static struct uart_share share;
static bool gdb_has_byte, serial_has_byte, listens, may_keep;
static unsigned kept, attended, watched, rested;
static uint64_t entry, called_tsc;
static bool keys_changed;

void log_write(enum boot_log_level level, const char *format, ...)
{
}

void exit_watch_set(uint32_t watcher, bool on)
{
	assert_int_equal(watcher, EXIT_WATCH_LINE);
	watched += on;
}

bool line_has_byte(const struct line *line)
{
	return line == &line_gdb ? gdb_has_byte : serial_has_byte;
}

void uart_share_rest(struct uart_share *of)
{
	rested++;
}

void line_listen(const struct line *line, bool on)
{
	listens = on;
}

void line_wake(const struct line *line)
{
}

void line_share(struct line *line, void (*interrupt)(void))
{
	line->share = &share;
}

bool io_apic_keep(struct vm *of, uint64_t io_apic, uint32_t pin)
{
	assert_int_equal(io_apic, 0xfec00000);
	kept++;
	return may_keep;
}

void io_apic_set_entry(uint32_t pin, uint64_t value)
{
	entry = value;
}

void io_apic_wake(void)
{
}

void uart_port_interrupt(void)
{
}

void uart_share_look(struct uart_share *of)
{
}

uint64_t uart_share_called(const struct uart_share *of)
{
	return called_tsc;
}

bool uart_share_keys_changed(struct uart_share *of, bool *are_ours)
{
	*are_ours = true;
	return keys_changed;
}

/* No interrupt tells of what is read here. */
void console_attend(struct vcpu *vcpu)
{
	assert_false(listens);
	gdb_has_byte = false;
	attended++;
}

static void begin(bool timer, uint32_t pin)
{
	memset(&line_serial, 0, sizeof(line_serial));
	line_gdb = (struct line){
		.pin = pin, .io_apic = 0xfec00000, .is_open = true, .is_hidden = true
	};
	hv_caps.input_timer = timer;
	host_values.tsc_khz = 1;
	other.index = 1;
	gdb_has_byte = serial_has_byte = listens = false;
	may_keep = true;
	kept = attended = watched = rested = 0;
	entry = called_tsc = 0;
}

static void start(void)
{
	attention_prepare(&vm);
	attention_begin(&other);
	assert_int_equal(entry, 0); /* the boot CPU's firmware would get the NMI */
	attention_begin(&boot);
}

static void nothing_without_a_line(void **state)
{
	(void)state;
	begin(true, 3);
	line_gdb = (struct line){ 0 };
	start();
	assert_false(attention_by_timer());
	assert_int_equal(kept + watched, 0);
	assert_false(attention_take_nmi(&boot));
	assert_int_equal(attended, 0);
	/* The log's line alone is none for input. */
	line_serial.is_open = true;
	start();
	assert_false(attention_by_timer());
	assert_int_equal(kept, 0);
}

static void timer_where_there_is_one(void **state)
{
	(void)state;
	begin(true, 3);
	start();
	assert_true(attention_by_timer());
	assert_int_equal(kept, 0);
	assert_int_equal(entry, 0);
	attention_look(&other);
	assert_int_equal(attended, 1);
	gdb_has_byte = true;
	assert_false(attention_take_nmi(&boot)); /* the guest's */
}

static void exits_where_nothing_else_is(void **state)
{
	(void)state;
	begin(false, BOOT_NO_PIN);
	start();
	assert_int_equal(kept, 0);
	assert_true(watched > 0);
	begin(false, 3);
	may_keep = false;
	start();
	assert_int_equal(entry, 0);
	assert_true(watched > 0);
}

/* Waits longer than an NMI may be late. TSC cycles here are a thousandth of a second. */
static void pass_time(void)
{
	uint64_t until = rdtsc() + 1000;

	while (rdtsc() < until)
		;
}

static void whose_nmi(void **state)
{
	(void)state;
	begin(false, 3);
	start();
	assert_int_equal(entry & 0xffffffff, REDIRECT_MODE_NMI);
	assert_true(listens);
	pass_time();
	assert_false(attention_take_nmi(&boot));
	assert_true(listens);
	pass_time();
	gdb_has_byte = true;
	assert_false(attention_take_nmi(&other)); /* they go to the boot CPU */
	assert_true(attention_take_nmi(&boot));
	assert_true(listens);
	assert_int_equal(attended, 2);
	/* What is on its way for a byte that was read meanwhile; the clock is made slow enough. */
	host_values.tsc_khz = 1u << 30;
	assert_true(attention_take_nmi(&boot));
	host_values.tsc_khz = 1;
	pass_time();
	assert_false(attention_take_nmi(&boot));
}

static void nested_holds(void **state)
{
	(void)state;
	begin(false, 3);
	start();
	attention_hold();
	assert_false(listens);
	attention_hold();
	attention_release();
	assert_false(listens);
	assert_false(attention_take_nmi(&other));
	assert_false(listens);
	attention_release();
	assert_true(listens);
}

/* Also where there is a timer: the UART's interrupt has to be ours. */
static void shared_line(void **state)
{
	(void)state;
	begin(true, 3);
	line_serial = (struct line){
		.pin = 4, .io_apic = 0xfec00000, .is_open = true, .mode = BOOT_SERIAL_SHARE
	};
	start();
	assert_false(attention_by_timer());
	assert_ptr_equal(line_serial.share, &share);
	assert_int_equal(kept, 2);
	pass_time();
	assert_false(attention_take_nmi(&boot));
	pass_time();
	host_values.tsc_khz = 1u << 30;
	called_tsc = rdtsc();
	assert_true(attention_take_nmi(&boot));
	/* Not while the log is in the middle of a line. */
	assert_true(rested > 0);
	rested = 0;
	atomic_store(&exit_watch, EXIT_WATCH_LOG);
	attention_take_nmi(&boot);
	assert_int_equal(rested, 0);
	atomic_store(&exit_watch, 0);
	/* Without the pin it is the guest's, and the other line stays. */
	begin(true, 3);
	line_serial =
		(struct line){ .pin = BOOT_NO_PIN, .is_open = true, .mode = BOOT_SERIAL_SHARE };
	start();
	assert_null(line_serial.share);
	assert_true(attention_by_timer());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_without_a_line),
		cmocka_unit_test(timer_where_there_is_one),
		cmocka_unit_test(exits_where_nothing_else_is),
		cmocka_unit_test(whose_nmi),
		cmocka_unit_test(nested_holds),
		cmocka_unit_test(shared_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
