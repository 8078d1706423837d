/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write tracking as the guest sees it: all CPUs write into the same tracked pages with all kinds of stores, and what the
 * hypervisor notes of each store must be exactly its bytes; pages are tracked and released under a CPU that writes to
 * them without a pause and without interrupts; large pages are split and come back.
 *
 *   track.efi [writes N] [toggles N] [cost] [types]
 *
 *   types  only how memory types follow what all CPUs write into their MTRRs (VT-x)
 *   cost   only how long tracking one page takes while all other CPUs are halted, in TSC ticks
 */
#include "tests/guests/track/area.h"
#include "tests/guests/track/stores.h"
#include "tests/guests/track/together.h"
#include "tests/guests/track/types.h"

#define NOTHING (~UINT64_C(0))

/* --- random stores on all CPUs --- */

struct writer {
	uint32_t index;
	uint32_t writes;
	uint64_t random;
	uint64_t seen; /* records of its log */
	uint32_t bad_notes, bad_memory, bad_effects;
	uint32_t first_bad; /* enum store + 1 */
	uint64_t first_bad_at, first_bad_note;
	uint32_t counts[STORES], crossing;
	uint64_t records;
};

static struct writer writers[PROBE_CPUS_MAX];

/*
 * Each page is cut into as many slices as there are CPUs, and who owns a slice moves on from page to page, so that the
 * last of one page and the first of the next belong to the same CPU.
 */
static uint64_t slice_start(uint32_t page, uint32_t slice)
{
	return page * (uint64_t)PAGE + slice * (uint64_t)PAGE / probe_cpu_count;
}

static uint32_t slice_of(uint32_t cpu, uint32_t page)
{
	return (cpu + probe_cpu_count * PAGES - page * (probe_cpu_count - 1)) % probe_cpu_count;
}

static uint64_t choose_place(struct writer *w, unsigned bytes)
{
	const uint32_t page = (uint32_t)(probe_random(&w->random) % PAGES);
	const uint32_t slice = slice_of(w->index, page);
	const uint64_t start = slice_start(page, slice), end = slice_start(page, slice + 1);

	/* one in four across the boundary, where this CPU owns both sides */
	if (slice + 1 == probe_cpu_count && page + 1 < PAGES && bytes > 1 &&
	    probe_random(&w->random) % 2 == 0) {
		w->crossing++;
		return end - 1 - probe_random(&w->random) % (bytes - 1);
	}
	return start + probe_random(&w->random) % (end - start - bytes + 1);
}

static void note_bad(struct writer *w, enum store store, uint64_t at, uint64_t note)
{
	if (w->first_bad == 0) {
		w->first_bad = store + 1;
		w->first_bad_at = at;
		w->first_bad_note = note;
	}
}

/* What was noted since the last store: each of its bytes once, and no other. */
static bool check_notes(struct writer *w, uint64_t offset, const uint8_t *new, unsigned bytes)
{
	const struct track_log *log = area_logs[w->index];
	const uint64_t written = *(volatile uint64_t *)&log->written;
	uint64_t covered = 0;

	if (written - w->seen > TRACK_LOG_RECORDS)
		return false;
	for (; w->seen < written; w->seen++, w->records++) {
		const struct track_record *record = &log->records[w->seen % TRACK_LOG_RECORDS];
		const uint64_t at = record->gpa - (uint64_t)area;
		const uint64_t mask = record->count < 64 ? (UINT64_C(1) << record->count) - 1 : 0;

		if (record->kind != TRACK_RECORD_WRITTEN || record->count == 0 || at < offset ||
		    at + record->count > offset + bytes || (covered & mask << (at - offset)) != 0)
			return false;
		covered |= mask << (at - offset);
		for (uint32_t i = 0; i < record->count; i++) {
			if (record->bytes[i] != new[at - offset + i])
				return false;
			area_shadow[at + i] = record->bytes[i];
		}
	}
	return covered == (UINT64_C(1) << bytes) - 1;
}

static void write_one(struct writer *w)
{
	uint8_t old[STORE_BYTES_MAX], new[STORE_BYTES_MAX];
	enum store store = (enum store)(probe_random(&w->random) % STORES);
	unsigned bytes;
	uint64_t offset;

	if (store == AVX && !stores_have_avx())
		store = SSE;
	bytes = store_bytes(store, &w->random);
	offset = choose_place(w, bytes);
	/* On QEMU with several CPUs an unaligned locked instruction loses its flags when it is stepped, bare as well. */
	if (store == LOCK_CMPXCHG)
		offset &= ~UINT64_C(7);
	store_copy(old, &area[offset], bytes);
	store_choose(store, &w->random, old, new, bytes);
	w->counts[store]++;
	if (!store_make(store, &area[offset], old, new, bytes)) {
		w->bad_effects++;
		note_bad(w, store, offset, bytes);
	}
	if (!check_notes(w, offset, new, bytes)) {
		const struct track_log *log = area_logs[w->index];

		w->bad_notes++;
		note_bad(w, store, offset,
			 log->written == 0
				 ? NOTHING
				 : log->records[(log->written - 1) % TRACK_LOG_RECORDS].gpa -
					   (uint64_t)area);
		w->seen = log->written;
	}
	for (unsigned i = 0; i < bytes; i++)
		w->bad_memory += area[offset + i] != new[i];
}

static void write_much(void *argument)
{
	struct writer *w = &writers[probe_this_cpu()->index];

	(void)argument;
	stores_enable_avx();
	if (area_ask(TRACK_CALL_LOG, (uint64_t)area_logs[w->index], 0) != 1)
		w->bad_notes++;
	w->seen = 0;
	together_start();
	for (uint32_t i = 0; i < w->writes; i++)
		write_one(w);
}

static void report_writer(const struct writer *w)
{
	const char *bad = w->first_bad ? store_names[w->first_bad - 1] : "";

	probe_check(!w->bad_notes && !w->bad_memory && !w->bad_effects, "writer",
		    "cpu %u: notes %u memory %u effects %u, first %s at 0x%lx, note at 0x%lx",
		    w->index, w->bad_notes, w->bad_memory, w->bad_effects, bad, w->first_bad_at,
		    w->first_bad_note);
}

static void check_writes(uint32_t writes)
{
	uint32_t done = 0, crossing = 0, different = 0, missing = 0;
	uint64_t random = 12345;

	for (uint32_t i = 0; i < AREA_BYTES; i++)
		area[i] = area_shadow[i] = (uint8_t)probe_random(&random);
	for (uint32_t i = 0; i < PAGES; i++)
		probe_check(area_add(&area[i * PAGE]) == 1, "add", "page %u", i);
	for (uint32_t i = 0; i < probe_cpu_count; i++)
		writers[i] = (struct writer){ .index = i,
					      .writes = writes / probe_cpu_count,
					      .random = 0x1234567 + i * 7919 };
	probe_check(together_run(write_much, write_much, 3600000) == probe_cpu_count, "cpus-back",
		    "");
	for (uint32_t i = 0; i < probe_cpu_count; i++) {
		report_writer(&writers[i]);
		done += writers[i].writes;
		crossing += writers[i].crossing;
	}
	for (uint32_t s = 0; s < STORES; s++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < probe_cpu_count; i++)
			count += writers[i].counts[s];
		probe_print("PROBE: stores %s %u\n", store_names[s], count);
		missing += count == 0 && (s != AVX || stores_have_avx());
	}
	for (uint32_t i = 0; i < AREA_BYTES; i++)
		different += area[i] != area_shadow[i];
	probe_check(!different, "notified-equals-memory", "%u bytes differ", different);
	probe_check(!missing && crossing > done / 100, "all-kinds", "%u missing, %u crossing",
		    missing, crossing);
	probe_print("PROBE: writes=%u crossing=%u\n", done, crossing);
}

/* --- splitting and merging --- */

static void check_levels(uint64_t before)
{
	uint32_t closed = 0;

	for (uint32_t i = 0; i < PAGES; i++)
		closed += (area_lookup(&area[i * PAGE]) >> TRACK_CALL_RIGHTS_SHIFT & 0xf) == 0xd;
	probe_check(closed == PAGES, "closed", "%u", closed);
	probe_check((area_lookup(&area[PAGES * PAGE]) >> TRACK_CALL_RIGHTS_SHIFT & 0xf) == 0xf,
		    "next", "0x%lx", area_lookup(&area[PAGES * PAGE]));
	/* twice is twice */
	probe_check(area_add(area) == 1 && area_lookup(area) >> TRACK_CALL_COUNT_SHIFT == 2,
		    "count", "");
	probe_check(area_take(area) == 0 && area_lookup(area) >> TRACK_CALL_COUNT_SHIFT == 1,
		    "uncount", "");
	for (uint32_t i = 0; i < PAGES / 2; i++)
		probe_check(area_take(&area[i * PAGE]) == 1, "remove", "page %u", i);
	probe_check(area_take(area) == 0, "remove-again", "");
	probe_check(area_ask(TRACK_CALL_REMOVE_REGION, (uint64_t)area, LARGE) == PAGES / 2,
		    "remove-region", "");
	probe_check(area_lookup(area) == before, "merged", "0x%lx, before 0x%lx", area_lookup(area),
		    before);
}

static void check_refusals(void)
{
	probe_check(area_add((void *)UINT64_C(0xfee00000)) == 0, "no-ram", "");
	probe_check(area_add((void *)NOTHING) == 0, "no-address", "");
	probe_check(area_ask(TRACK_CALL_LOG, 0xfee00000, 0) == 0, "no-log", "");
	probe_check(area_ask(TRACK_CALL_LOG, (uint64_t)area + 8, 0) == 0, "no-log-page", "");
}

/* --- a silent store, and the guest's own single step --- */

/* The trap's handler ends the guest's stepping, so each of these is one trap, wherever the store goes. */
static void step_over_store(volatile uint64_t *at, uint64_t value)
{
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; movq %1, (%0)"
			 :
			 : "r"(at), "r"(value)
			 : "memory", "cc");
}

static void check_single_steps(void)
{
	static volatile uint64_t plain[2] __attribute__((aligned(64)));
	volatile uint64_t *tracked = (volatile uint64_t *)area;
	struct probe_cpu *cpu = probe_this_cpu();
	uint64_t count = cpu->counts[VECTOR_DB], on_plain, on_plain_at, on_tracked, seen;

	for (uint64_t i = 1; i <= 5; i++)
		step_over_store(&plain[i % 2], i);
	on_plain = cpu->counts[VECTOR_DB] - count;
	on_plain_at = cpu->last_rip[VECTOR_DB];
	seen = area_written(0);
	count = cpu->counts[VECTOR_DB];
	for (uint64_t i = 1; i <= 5; i++)
		step_over_store(&tracked[i % 2], i);
	on_tracked = cpu->counts[VECTOR_DB] - count;
	probe_check(on_plain == on_tracked && on_plain == 5, "guest-steps", "%lu, tracked %lu",
		    on_plain, on_tracked);
	probe_check(on_plain_at != 0 && (cpu->dr6 & 0x4000) != 0, "guest-dr6", "0x%lx", cpu->dr6);
	probe_check(area_written(0) - seen == 5 && tracked[0] == 4 && tracked[1] == 5,
		    "steps-noted", "%lu notes", area_written(0) - seen);
	/* what is pushed has no TF in it that the guest has not */
	on_tracked = store_flags(area + 64);
	on_plain = store_flags((uint8_t *)plain);
	probe_check(on_plain == on_tracked, "pushed-flags", "0x%lx, tracked 0x%lx", on_plain,
		    on_tracked);
	/* the same value again: something was written is all that can be known */
	seen = area_written(0);
	tracked[1] = 2;
	probe_check(area_written(0) - seen == 1, "silent-store", "%lu notes",
		    area_written(0) - seen);
	seen = area_written(0);
	(void)tracked[1];
	probe_check(area_written(0) == seen, "read", "%lu notes", area_written(0) - seen);
}

/* --- a page that comes and goes under CPUs that write to it all the time --- */

static uint64_t epoch; /* odd: tracked, and all CPUs know */
static uint32_t stop;
static uint64_t toggles;

struct spinner {
	uint64_t stores, noted, lost, wrong;
};

static struct spinner spinners[PROBE_CPUS_MAX];

/* Interrupts are off, nothing exits but the store itself while the page is tracked. */
static void spin(void *argument)
{
	const uint32_t index = probe_this_cpu()->index;
	struct spinner *s = &spinners[index];
	volatile uint64_t *at = (volatile uint64_t *)area + 8 * index;
	uint64_t value = (uint64_t)index << 32, seen = 0;

	(void)argument;
	if (area_ask(TRACK_CALL_LOG, (uint64_t)area_logs[index], 0) != 1)
		s->wrong++;
	together_start();
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		const uint64_t before = __atomic_load_n(&epoch, __ATOMIC_SEQ_CST);
		uint64_t after, written;

		*at = ++value;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		written = area_written(index);
		after = __atomic_load_n(&epoch, __ATOMIC_SEQ_CST);
		s->stores++;
		s->noted += written - seen;
		s->lost += before == after && before % 2 == 1 && written == seen;
		s->wrong += written - seen > 1;
		if (written > seen) {
			const struct track_record *record =
				&area_logs[index]->records[seen % TRACK_LOG_RECORDS];

			s->wrong +=
				record->gpa != (uint64_t)at || record->bytes[0] != (uint8_t)value;
		}
		seen = written;
	}
}

static void toggle(void *argument)
{
	uint64_t seen = 0;

	(void)argument;
	together_start();
	for (uint64_t i = 0; i < toggles; i++) {
		probe_check(area_add(area) == 1, "toggle-add", "%lu", i);
		__atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
		/* until somebody has written, so that each round counts */
		for (uint32_t k = 0; k < 100000; k++) {
			uint64_t now = 0;

			for (uint32_t cpu = 1; cpu < probe_cpu_count; cpu++)
				now += area_written(cpu);
			if (now > seen + 2) {
				seen = now;
				break;
			}
			__asm__ volatile("pause");
		}
		__atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
		probe_check(area_take(area) == 1, "toggle-remove", "%lu", i);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
}

static void check_toggles(void)
{
	uint32_t back = together_run(toggle, spin, 600000);

	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		const struct spinner *s = &spinners[i];

		probe_check(!s->lost && !s->wrong && s->noted >= 1, "spinner",
			    "cpu %u: %lu stores, %lu noted, %lu lost, %lu wrong", i, s->stores,
			    s->noted, s->lost, s->wrong);
		probe_print("PROBE: spinner stores=%lu noted=%lu\n", s->stores, s->noted);
	}
	probe_check(back == probe_cpu_count, "spinners-back", "%u", back);
}

/* --- the cost --- */

static void nothing(void *argument)
{
	(void)argument;
}

static void measure_cost(void)
{
	uint64_t add_worst = 0, take_worst = 0;

	probe_check(together_run(nothing, nothing, 10000) == probe_cpu_count, "halted", "");
	for (uint32_t i = 0; i < 20; i++) {
		/* far apart and close together: with and without a split */
		const uint8_t *at = area + (i % 2) * PAGE;
		uint64_t start = probe_rdtsc(), end;
		uint64_t added = area_add(at);

		end = probe_rdtsc();
		add_worst = end - start > add_worst ? end - start : add_worst;
		start = probe_rdtsc();
		added += area_take(at);
		end = probe_rdtsc();
		take_worst = end - start > take_worst ? end - start : take_worst;
		probe_check(added == 2, "cost", "");
	}
	probe_print("PROBE: cost add=%lu remove=%lu\n", add_worst, take_worst);
}

static void check_all(const char *options)
{
	const uint64_t before = area_lookup(area);

	check_refusals();
	check_writes((uint32_t)probe_number(options, "writes", 2000));
	check_levels(before);
	probe_check(area_add(area) == 1, "add-again", "");
	check_single_steps();
	probe_check(area_take(area) == 1, "remove-after", "");
	if (probe_cpu_count > 1) {
		toggles = probe_number(options, "toggles", 20);
		check_toggles();
	}
	probe_check(area_lookup(area) == before, "merged-after", "0x%lx, before 0x%lx",
		    area_lookup(area), before);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	if (!probe_check(area_init(), "memory", ""))
		return probe_end();
	if (probe_has_word(options, "cost"))
		measure_cost();
	else if (probe_has_word(options, "types"))
		types_check();
	else
		check_all(options);
	return probe_end();
}
