// SPDX-License-Identifier: BSD-2-Clause
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
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/track_ask.h"

enum { PAGE = 4096, LARGE = 2 << 20, PAGES = 16, WRITE_MAX = 32, LEVEL_MASK = 0xff };
#define AREA_BYTES (PAGES * PAGE)
#define NOTHING	   (~UINT64_C(0))

enum store {
	MOV1,
	MOV2,
	MOV4,
	MOV8,
	STOSB,
	STOSQ,
	CMPXCHG,
	LOCK_CMPXCHG,
	XCHG,
	PUSH,
	SSE,
	AVX,
	STORES
};

static const char *const store_names[STORES] = { "mov1",  "mov2",  "mov4",    "mov8",
						 "stosb", "stosq", "cmpxchg", "lock-cmpxchg",
						 "xchg",  "push",  "sse",     "avx" };

static uint8_t *area;	/* tracked; the first page of a large one */
static uint8_t *shadow; /* what the notifications say is in it */
static struct track_log *logs[PROBE_CPUS_MAX];
static bool is_amd, has_avx;

static uint64_t ask(uint64_t operation, uint64_t address, uint64_t bytes)
{
	return track_ask(is_amd, operation, address, bytes);
}

static uint64_t add(const void *at)
{
	return ask(TRACK_CALL_ADD, (uint64_t)at, 0);
}

static uint64_t take(const void *at)
{
	return ask(TRACK_CALL_REMOVE, (uint64_t)at, 0);
}

static uint64_t lookup(const void *at)
{
	return ask(TRACK_CALL_LOOKUP, (uint64_t)at, 0);
}

static void enable_avx(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	if (!(regs[2] & 1u << 26) || !(regs[2] & 1u << 28))
		return;
	probe_set_cr4(probe_cr4() | 1u << 18);
	__asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
	has_avx = true;
}

static void copy_bytes(uint8_t *to, const uint8_t *from, unsigned count)
{
	while (count-- > 0)
		*to++ = *from++;
}

/* --- stores --- */

static unsigned store_bytes(enum store store, uint64_t *state)
{
	switch (store) {
	case MOV1:
		return 1;
	case MOV2:
		return 2;
	case MOV4:
		return 4;
	case STOSB:
		return 1 + (unsigned)(probe_random(state) % WRITE_MAX);
	case STOSQ:
		return 8 * (1 + (unsigned)(probe_random(state) % (WRITE_MAX / 8)));
	case SSE:
		return 16;
	case AVX:
		return 32;
	default:
		return 8;
	}
}

static uint64_t word(const uint8_t *bytes)
{
	uint64_t value;

	copy_bytes((uint8_t *)&value, bytes, 8);
	return value;
}

/* A string store writes one value over and over: one that differs from all that is there. */
static void fill_string(enum store store, const uint8_t *old, uint8_t *new, unsigned bytes)
{
	const unsigned step = store == STOSB ? 1 : 8;

	for (unsigned i = 0; i < step; i++) {
		uint8_t value = new[i];

		for (unsigned k = i; k < bytes; k += step) {
			if (old[k] == value) {
				value++;
				k = i - step;
			}
		}
		for (unsigned k = i; k < bytes; k += step)
			new[k] = value;
	}
}

static void push(uint8_t *at, uint64_t value)
{
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push %1; mov %%rbx, %%rsp"
			 :
			 : "r"(at + 8), "r"(value)
			 : "rbx", "memory");
}

/* Whether it did what such a store does besides. */
static bool make_store(enum store store, uint8_t *at, const uint8_t *old, const uint8_t *new,
		       unsigned bytes)
{
	uint64_t value = word(new), expected = word(old), count = bytes;
	uint8_t *to = at;
	uint8_t equal = 1;

	switch (store) {
	case MOV1:
		*(volatile uint8_t *)at = new[0];
		break;
	case MOV2:
		__asm__ volatile("movw %w1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case MOV4:
		__asm__ volatile("movl %k1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case MOV8:
		__asm__ volatile("movq %1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case STOSB:
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
		return count == 0 && to == at + bytes;
	case STOSQ:
		count /= 8;
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
		return count == 0 && to == at + bytes;
	case CMPXCHG:
		__asm__ volatile("cmpxchg %3, (%2); sete %1"
				 : "+a"(expected), "=q"(equal)
				 : "r"(at), "r"(value)
				 : "memory", "cc");
		break;
	case LOCK_CMPXCHG:
		__asm__ volatile("lock cmpxchg %3, (%2); sete %1"
				 : "+a"(expected), "=q"(equal)
				 : "r"(at), "r"(value)
				 : "memory", "cc");
		break;
	case XCHG:
		__asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(at) : "memory");
		return value == expected;
	case PUSH:
		push(at, value);
		break;
	case SSE:
		__asm__ volatile("movups (%1), %%xmm0; movups %%xmm0, (%0)"
				 :
				 : "r"(at), "r"(new)
				 : "xmm0", "memory");
		break;
	case AVX:
		__asm__ volatile("vmovups (%1), %%ymm0; vmovups %%ymm0, (%0); vzeroupper"
				 :
				 : "r"(at), "r"(new)
				 : "xmm0", "memory");
		break;
	case STORES:
		break;
	}
	return equal;
}

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
static uint32_t waiting;

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
	const struct track_log *log = logs[w->index];
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
			shadow[at + i] = record->bytes[i];
		}
	}
	return covered == (UINT64_C(1) << bytes) - 1;
}

static void write_one(struct writer *w)
{
	uint8_t old[WRITE_MAX], new[WRITE_MAX];
	enum store store = (enum store)(probe_random(&w->random) % STORES);
	unsigned bytes;
	uint64_t offset;

	if (store == AVX && !has_avx)
		store = SSE;
	bytes = store_bytes(store, &w->random);
	offset = choose_place(w, bytes);
	/* On QEMU with several CPUs an unaligned locked instruction loses its flags when it is stepped, bare as well. */
	if (store == LOCK_CMPXCHG)
		offset &= ~UINT64_C(7);
	copy_bytes(old, &area[offset], bytes);
	for (unsigned i = 0; i < bytes; i++)
		new[i] = (uint8_t)(old[i] ^ (1 + probe_random(&w->random) % 255));
	if (store == STOSB || store == STOSQ)
		fill_string(store, old, new, bytes);
	w->counts[store]++;
	if (!make_store(store, &area[offset], old, new, bytes)) {
		w->bad_effects++;
		note_bad(w, store, offset, bytes);
	}
	if (!check_notes(w, offset, new, bytes)) {
		const struct track_log *log = logs[w->index];

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

static void start_together(void)
{
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < probe_cpu_count)
		__asm__ volatile("pause");
}

static void write_much(void *argument)
{
	struct writer *w = argument;

	enable_avx();
	if (ask(TRACK_CALL_LOG, (uint64_t)logs[w->index], 0) != 1)
		w->bad_notes++;
	w->seen = 0;
	start_together();
	for (uint32_t i = 0; i < w->writes; i++)
		write_one(w);
}

/* One after the other, as they share what they are started with; a busy machine takes its time. */
static void start_cpu(uint32_t index, probe_function function, void *argument)
{
	const uint64_t before = probe_entries(index);

	probe_start_cpu(index, function, argument, &probe_startup_usual);
	for (uint32_t i = 0; i < 30000 && probe_entries(index) == before; i++)
		probe_stall(1000);
}

static uint32_t run_on_all(probe_function function, uint32_t milliseconds)
{
	uint32_t back = 1;

	waiting = 0;
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		start_cpu(i, function, &writers[i]);
	function(&writers[0]);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		back += probe_join(i, milliseconds);
	return back;
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
		area[i] = shadow[i] = (uint8_t)probe_random(&random);
	for (uint32_t i = 0; i < PAGES; i++)
		probe_check(add(&area[i * PAGE]) == 1, "add", "page %u", i);
	for (uint32_t i = 0; i < probe_cpu_count; i++)
		writers[i] = (struct writer){ .index = i,
					      .writes = writes / probe_cpu_count,
					      .random = 0x1234567 + i * 7919 };
	probe_check(run_on_all(write_much, 3600000) == probe_cpu_count, "cpus-back", "");
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
		missing += count == 0 && (s != AVX || has_avx);
	}
	for (uint32_t i = 0; i < AREA_BYTES; i++)
		different += area[i] != shadow[i];
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
		closed += (lookup(&area[i * PAGE]) >> TRACK_CALL_RIGHTS_SHIFT & 0xf) == 0xd;
	probe_check(closed == PAGES, "closed", "%u", closed);
	probe_check((lookup(&area[PAGES * PAGE]) >> TRACK_CALL_RIGHTS_SHIFT & 0xf) == 0xf, "next",
		    "0x%lx", lookup(&area[PAGES * PAGE]));
	/* twice is twice */
	probe_check(add(area) == 1 && lookup(area) >> TRACK_CALL_COUNT_SHIFT == 2, "count", "");
	probe_check(take(area) == 0 && lookup(area) >> TRACK_CALL_COUNT_SHIFT == 1, "uncount", "");
	for (uint32_t i = 0; i < PAGES / 2; i++)
		probe_check(take(&area[i * PAGE]) == 1, "remove", "page %u", i);
	probe_check(take(area) == 0, "remove-again", "");
	probe_check(ask(TRACK_CALL_REMOVE_REGION, (uint64_t)area, LARGE) == PAGES / 2,
		    "remove-region", "");
	probe_check(lookup(area) == before, "merged", "0x%lx, before 0x%lx", lookup(area), before);
}

static void check_refusals(void)
{
	uint64_t hidden = NOTHING;
	struct probe_fault fault;

	(void)fault;
	probe_check(add((void *)UINT64_C(0xfee00000)) == 0, "no-ram", "");
	probe_check(add((void *)hidden) == 0, "no-address", "");
	probe_check(ask(TRACK_CALL_LOG, 0xfee00000, 0) == 0, "no-log", "");
	probe_check(ask(TRACK_CALL_LOG, (uint64_t)area + 8, 0) == 0, "no-log-page", "");
}

/* --- a silent store, and the guest's own single step --- */

static uint64_t written_of(uint32_t cpu)
{
	return *(volatile uint64_t *)&logs[cpu]->written;
}

/* The trap's handler ends the guest's stepping, so each of these is one trap, wherever the store goes. */
static void step_over_store(volatile uint64_t *at, uint64_t value)
{
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; movq %1, (%0)"
			 :
			 : "r"(at), "r"(value)
			 : "memory", "cc");
}

static uint64_t pushed_flags(uint8_t *at)
{
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; pushfq; mov %%rbx, %%rsp"
			 :
			 : "r"(at + 8)
			 : "rbx", "memory");
	return word(at);
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
	seen = written_of(0);
	count = cpu->counts[VECTOR_DB];
	for (uint64_t i = 1; i <= 5; i++)
		step_over_store(&tracked[i % 2], i);
	on_tracked = cpu->counts[VECTOR_DB] - count;
	probe_check(on_plain == on_tracked && on_plain == 5, "guest-steps", "%lu, tracked %lu",
		    on_plain, on_tracked);
	probe_check(on_plain_at != 0 && (cpu->dr6 & 0x4000) != 0, "guest-dr6", "0x%lx", cpu->dr6);
	probe_check(written_of(0) - seen == 5 && tracked[0] == 4 && tracked[1] == 5, "steps-noted",
		    "%lu notes", written_of(0) - seen);
	/* what is pushed has no TF in it that the guest has not */
	on_tracked = pushed_flags(area + 64);
	on_plain = pushed_flags((uint8_t *)plain);
	probe_check(on_plain == on_tracked, "pushed-flags", "0x%lx, tracked 0x%lx", on_plain,
		    on_tracked);
	/* the same value again: something was written is all that can be known */
	seen = written_of(0);
	tracked[1] = 2;
	probe_check(written_of(0) - seen == 1, "silent-store", "%lu notes", written_of(0) - seen);
	seen = written_of(0);
	(void)tracked[1];
	probe_check(written_of(0) == seen, "read", "%lu notes", written_of(0) - seen);
}

/* --- a page that comes and goes under CPUs that write to it all the time --- */

static uint64_t epoch; /* odd: tracked, and all CPUs know */
static uint32_t stop;

struct spinner {
	uint64_t stores, noted, lost, wrong;
};

static struct spinner spinners[PROBE_CPUS_MAX];

/* Interrupts are off, nothing exits but the store itself while the page is tracked. */
static void spin(void *argument)
{
	const uint32_t index = ((struct writer *)argument)->index;
	struct spinner *s = &spinners[index];
	volatile uint64_t *at = (volatile uint64_t *)area + 8 * index;
	uint64_t value = (uint64_t)index << 32, seen = 0;

	if (ask(TRACK_CALL_LOG, (uint64_t)logs[index], 0) != 1)
		s->wrong++;
	start_together();
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		const uint64_t before = __atomic_load_n(&epoch, __ATOMIC_SEQ_CST);
		uint64_t after, written;

		*at = ++value;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		written = written_of(index);
		after = __atomic_load_n(&epoch, __ATOMIC_SEQ_CST);
		s->stores++;
		s->noted += written - seen;
		s->lost += before == after && before % 2 == 1 && written == seen;
		s->wrong += written - seen > 1;
		if (written > seen) {
			const struct track_record *record =
				&logs[index]->records[seen % TRACK_LOG_RECORDS];

			s->wrong +=
				record->gpa != (uint64_t)at || record->bytes[0] != (uint8_t)value;
		}
		seen = written;
	}
}

static void toggle(void *argument)
{
	const uint64_t toggles = *(const uint64_t *)argument;
	uint64_t seen = 0;

	start_together();
	for (uint64_t i = 0; i < toggles; i++) {
		probe_check(add(area) == 1, "toggle-add", "%lu", i);
		__atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
		/* until somebody has written, so that each round counts */
		for (uint32_t k = 0; k < 100000; k++) {
			uint64_t now = 0;

			for (uint32_t cpu = 1; cpu < probe_cpu_count; cpu++)
				now += written_of(cpu);
			if (now > seen + 2) {
				seen = now;
				break;
			}
			__asm__ volatile("pause");
		}
		__atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
		probe_check(take(area) == 1, "toggle-remove", "%lu", i);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
}

static void check_toggles(uint64_t toggles)
{
	uint32_t back = 1;

	waiting = 0;
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		writers[i].index = i;
		start_cpu(i, spin, &writers[i]);
	}
	toggle(&toggles);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		const struct spinner *s = &spinners[i];

		back += probe_join(i, 600000);
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

	for (uint32_t i = 1; i < probe_cpu_count; i++)
		start_cpu(i, nothing, NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_join(i, 10000), "halted", "cpu %u", i);
	for (uint32_t i = 0; i < 20; i++) {
		/* far apart and close together: with and without a split */
		const uint8_t *at = area + (i % 2) * PAGE;
		uint64_t start = probe_rdtsc(), end;
		uint64_t added = add(at);

		end = probe_rdtsc();
		add_worst = end - start > add_worst ? end - start : add_worst;
		start = probe_rdtsc();
		added += take(at);
		end = probe_rdtsc();
		take_worst = end - start > take_worst ? end - start : take_worst;
		probe_check(added == 2, "cost", "");
	}
	probe_print("PROBE: cost add=%lu remove=%lu\n", add_worst, take_worst);
}

/* --- memory types (VT-x) --- */

enum { MSR_MTRRCAP = 0xfe, MSR_MTRR_BASE0 = 0x200, MSR_MTRR_DEF_TYPE = 0x2ff };
enum { TYPE_WC = 1, TYPE_WT = 4, TYPE_WB = 6, MTRR_VALID = 0x800, MTRR_E = 0x800 };

struct type_change {
	uint32_t msr; /* the base of a free pair */
	uint64_t base, mask;
	bool with_cd; /* by the manual's procedure; else MTRRdefType.E alone */
};

static struct type_change type_change;

static void set_cr0(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

/* SDM: "MTRR Considerations in MP Systems". */
static void change_types(void *argument)
{
	const struct type_change *change = &type_change;
	const uint64_t def_type = probe_rdmsr(MSR_MTRR_DEF_TYPE);
	uint64_t cr0, cr3;

	(void)argument;
	start_together();
	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1" : "=r"(cr0), "=r"(cr3));
	if (change->with_cd) {
		set_cr0((cr0 | 1u << 30) & ~UINT64_C(0x20000000));
		__asm__ volatile("wbinvd; mov %0, %%cr3" : : "r"(cr3) : "memory");
	}
	probe_wrmsr(MSR_MTRR_DEF_TYPE, def_type & ~(uint64_t)MTRR_E);
	probe_wrmsr(change->msr, change->base);
	probe_wrmsr(change->msr + 1, change->mask);
	probe_wrmsr(MSR_MTRR_DEF_TYPE, def_type);
	if (change->with_cd) {
		__asm__ volatile("wbinvd; mov %0, %%cr3" : : "r"(cr3) : "memory");
		set_cr0(cr0);
	}
}

static uint64_t type_at(const uint8_t *at)
{
	return lookup(at) >> TRACK_CALL_TYPE_SHIFT & 0xff;
}

static uint64_t rebuilds(void)
{
	return ask(TRACK_CALL_REBUILDS, 0, 0);
}

static uint32_t free_pair(void)
{
	const uint32_t count = (uint32_t)probe_rdmsr(MSR_MTRRCAP) & 0xff;

	for (uint32_t i = 0; i < count; i++) {
		if (!(probe_rdmsr(MSR_MTRR_BASE0 + 2 * i + 1) & MTRR_VALID))
			return MSR_MTRR_BASE0 + 2 * i;
	}
	return 0;
}

/* All CPUs at once, or this one alone and then the others with the same. */
static void check_change(const char *name, bool all, uint64_t expected_type,
			 uint64_t expected_rebuilds)
{
	const uint64_t before = rebuilds();
	const uint32_t cpus = probe_cpu_count;

	if (!all) {
		probe_cpu_count = 1; /* nobody to start together with */
		waiting = 0;
		change_types(NULL);
		probe_cpu_count = cpus;
		probe_check(rebuilds() - before == expected_rebuilds, name,
			    "%lu rebuilds by one CPU", rebuilds() - before);
	}
	probe_check(run_on_all(change_types, 20000) == cpus, name, "a CPU has not come back");
	probe_check(rebuilds() - before == expected_rebuilds, name, "%lu rebuilds",
		    rebuilds() - before);
	probe_check(type_at(area) == expected_type, name, "type %lu", type_at(area));
	probe_check(type_at(area + LARGE) == TYPE_WB && type_at(area - PAGE) == TYPE_WB, name,
		    "the neighbours are %lu and %lu", type_at(area + LARGE), type_at(area - PAGE));
}

static void check_types(void)
{
	const uint64_t before = lookup(area);
	uint32_t regs[4];
	uint64_t reach;

	probe_cpuid(0x80000008, 0, regs);
	reach = (UINT64_C(1) << (regs[0] & 0xff)) - 1;
	type_change.msr = free_pair();
	if (!probe_check(type_change.msr != 0 && type_at(area) == TYPE_WB, "types-start",
			 "type %lu", type_at(area)))
		return;
	for (uint32_t i = 0; i < 2; i++) {
		type_change.with_cd = i == 0;
		type_change.mask = (~(uint64_t)(LARGE - 1) & reach) | MTRR_VALID;
		type_change.base = (uint64_t)area | TYPE_WT;
		check_change("write-through", i == 0, TYPE_WT, 1);
		check_change("write-through-again", true, TYPE_WT, 0);
		type_change.base = (uint64_t)area | TYPE_WC;
		check_change("write-combining", i != 0, TYPE_WC, 1);
		/* says what the default says: another register, the same map, once the range is back */
		type_change.base = (uint64_t)area | TYPE_WB;
		check_change("write-back", true, TYPE_WB, 1);
		type_change.base = 0;
		type_change.mask = 0;
		check_change("nothing-new", false, TYPE_WB, 0);
	}
	probe_check(lookup(area) == before, "types-merged", "0x%lx, before 0x%lx", lookup(area),
		    before);
}

static bool get_memory(void)
{
	EFI_PHYSICAL_ADDRESS large, pages;
	const UINTN count = PROBE_CPUS_MAX + PAGES;

	if (EFI_ERROR(
		    BS->AllocatePages(AllocateAnyPages, EfiLoaderData, 3 * LARGE / PAGE, &large)) ||
	    EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderData, count, &pages)))
		return false;
	area = (uint8_t *)((large + LARGE) & ~(uint64_t)(LARGE - 1));
	shadow = (uint8_t *)pages;
	for (uint32_t i = 0; i < PROBE_CPUS_MAX; i++)
		logs[i] = (struct track_log *)(pages + (PAGES + i) * PAGE);
	/* The firmware has allowed interrupts again, and one would push onto what is a stack just now. */
	__asm__ volatile("cli" : : : "memory");
	return true;
}

static void check_all(const char *options)
{
	const uint64_t before = lookup(area);

	check_refusals();
	check_writes((uint32_t)probe_number(options, "writes", 2000));
	check_levels(before);
	probe_check(add(area) == 1, "add-again", "");
	check_single_steps();
	probe_check(take(area) == 1, "remove-after", "");
	if (probe_cpu_count > 1)
		check_toggles(probe_number(options, "toggles", 20));
	probe_check(lookup(area) == before, "merged-after", "0x%lx, before 0x%lx", lookup(area),
		    before);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	if (!probe_check(get_memory(), "memory", ""))
		return probe_end();
	if (probe_has_word(options, "cost"))
		measure_cost();
	else if (probe_has_word(options, "types"))
		check_types();
	else
		check_all(options);
	return probe_end();
}
