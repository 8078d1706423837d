// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whether every CPU's timer interrupt keeps coming: one process on each CPU sleeps for 20 ms again and again, before all
 * others in priority, and says how often it woke and what its longest sleep was.
 *
 *   pulse SECONDS CPUS     GUEST: pulse cpu=0 wakes=950 longest=31      (milliseconds), one line a CPU
 *
 * While its CPU is off, a process sleeps on another one.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLEEP_NS = 20 * 1000 * 1000 };

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void watch(int cpu, long long end)
{
	const struct timespec sleep = { .tv_nsec = SLEEP_NS };
	const struct sched_param priority = { .sched_priority = 50 };
	long long last = now_ns(), longest = 0;
	unsigned int wakes = 0;
	char line[80];
	cpu_set_t set;
	int bytes;

	sched_setscheduler(0, SCHED_FIFO, &priority);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	while (last < end) {
		/* Refused while the CPU is off. */
		(void)!sched_setaffinity(0, sizeof(set), &set);
		nanosleep(&sleep, NULL);
		const long long now = now_ns();

		longest = now - last > longest ? now - last : longest;
		last = now;
		wakes++;
	}
	bytes = snprintf(line, sizeof(line), "GUEST: pulse cpu=%d wakes=%u longest=%lld\n", cpu,
			 wakes, longest / 1000000);
	(void)!write(STDOUT_FILENO, line, (size_t)bytes);
}

int main(int argc, char **argv)
{
	const int seconds = argc == 3 ? atoi(argv[1]) : 0, cpus = argc == 3 ? atoi(argv[2]) : 0;
	const long long end = now_ns() + seconds * 1000000000LL;
	int status;

	if (seconds <= 0 || cpus <= 0)
		return 2;
	for (int cpu = 0; cpu < cpus; cpu++) {
		if (fork() != 0)
			continue;
		watch(cpu, end);
		return 0;
	}
	while (wait(&status) > 0) {
		if (status != 0)
			return 1;
	}
	return 0;
}
