/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts: what a probe sees, printed bare and hosted and compared line by line by scripts/transparency.
 *
 *   probe_begin(image, table);
 *   fact_begin("cpuid");
 *   fact("cpu0.cpuid.0x0.eax", "0x%x", eax);	FACT: cpu0.cpuid.0x0.eax = 0x16 #31
 *   fact_end();
 *   return probe_end();
 *
 * A key is dotted words in lower case and comes once in a run.  What a fact says must be the same on every run of the
 * same machine: no time, no address, no order that chance decides.
 */
#ifndef TESTS_GUESTS_LIB_FACT_H
#define TESTS_GUESTS_LIB_FACT_H

#include <stdint.h>

/*
 * One fact, as a whole line. On any CPU, also in a handler that interrupts another fact() of its CPU: no boot services,
 * and CPUID's APIC ID says which CPU it is. The format is that of probe_print(); a line ends after 511 characters.
 */
void fact(const char *key, const char *format, ...);
/* The same with a key that is made here: fact_line("%scr%u = 0x%lx", fact_cpu(), 4, cr4). */
void fact_line(const char *format, ...);

/* Print "FACT: begin NAME" and "FACT: end NAME lines=N", where N counts the facts between. */
void fact_begin(const char *name);
void fact_end(void);

/* "cpuN." of this CPU. */
const char *fact_cpu(void);

#endif
