// SPDX-License-Identifier: BSD-2-Clause
/*
 * Page tables that are tracked: the CPU's own writes of accessed and dirty bits, its walks that write nothing, stores
 * into the tables, and what the hypervisor writes there in the guest's name. Each instruction must be done, and what is
 * noted is what is in memory.
 *
 *   tables.efi [rounds N] [blind]
 *
 *   blind  the CPU sets accessed and dirty bits in pages that it may not write to (docs/emulators.md): counted, not bad
 *
 * All frames lie in different 2 MiB, so that a CPU needs as many of everything as it can.
 */
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/track_ask.h"
#include "vmexit/test_call.h"

enum { PAGE = 4096, LARGE = 2 << 20, DATA_PAGES = 4, OWN_SLOT = 5 };
/* vmexit/emulate_call.h */
#define HYPERCALL_EMULATE UINT64_C(0x534f4c4f56454d55)
enum { EMULATE_OFF, EMULATE_ON, EMULATE_DONE = 0 };

enum { P_W = 3, P_A = 0x20, P_D = 0x40, P_PS = 0x80, TF = 0x100 };

/* Tables, then data; `low` are the directories of the identity below 4 GiB. */
enum frame {
	ROOT,
	POINTERS,
	LOW0,
	LOW1,
	LOW2,
	LOW3,
	OWN_POINTERS,
	DIRECTORY_A,
	TABLE_A,
	DIRECTORY_B,
	TABLE_B,
	TABLES,
	DATA_A = TABLES,
	DATA_B,
	EMULATED,
	FRAMES
};

static uint64_t *frames[FRAMES];
static uint8_t *shadows[FRAMES];
static struct track_log *logs[PROBE_CPUS_MAX];
static uint64_t seen; /* records of this CPU's log */
static uint64_t old_cr3;
static bool is_amd, is_blind;
static uint64_t unseen; /* marks that nobody was told of */

static uint8_t *const page_a = (uint8_t *)((uint64_t)OWN_SLOT << 39);
static uint8_t *const page_b = (uint8_t *)(((uint64_t)OWN_SLOT << 39) + (1u << 30));

static uint64_t ask(uint64_t operation, const void *address)
{
	return track_ask(is_amd, operation, (uint64_t)address, 0);
}

static void copy(void *to, const void *from, uint64_t count)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	while (count-- > 0)
		*t++ = *f++;
}

/* --- tables --- */

static void build(void)
{
	for (uint32_t f = 0; f < FRAMES; f++) {
		for (uint32_t i = 0; i < PAGE / 8; i++)
			frames[f][i] = 0;
	}
	frames[ROOT][0] = (uint64_t)frames[POINTERS] | P_W;
	frames[ROOT][OWN_SLOT] = (uint64_t)frames[OWN_POINTERS] | P_W;
	for (uint64_t g = 0; g < 4; g++) {
		frames[POINTERS][g] = (uint64_t)frames[LOW0 + g] | P_W;
		for (uint64_t i = 0; i < 512; i++)
			frames[LOW0 + g][i] = (g << 30 | i * LARGE) | P_W | P_PS;
	}
	frames[OWN_POINTERS][0] = (uint64_t)frames[DIRECTORY_A] | P_W;
	frames[OWN_POINTERS][1] = (uint64_t)frames[DIRECTORY_B] | P_W;
	frames[DIRECTORY_A][0] = (uint64_t)frames[TABLE_A] | P_W;
	frames[DIRECTORY_B][0] = (uint64_t)frames[TABLE_B] | P_W;
	for (uint64_t i = 0; i < DATA_PAGES; i++) {
		frames[TABLE_A][i] = ((uint64_t)frames[DATA_A] + i * PAGE) | P_W;
		frames[TABLE_B][i] = ((uint64_t)frames[DATA_B] + i * PAGE) | P_W;
	}
}

static bool get_memory(void)
{
	EFI_PHYSICAL_ADDRESS large = 0xffffffff, pages;
	const UINTN count = FRAMES + PROBE_CPUS_MAX;

	if (EFI_ERROR(BS->AllocatePages(AllocateMaxAddress, EfiLoaderData,
					(FRAMES + 1) * (LARGE / PAGE), &large)) ||
	    EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderData, count, &pages)))
		return false;
	large = (large + LARGE - 1) & ~(uint64_t)(LARGE - 1);
	for (uint32_t i = 0; i < FRAMES; i++) {
		frames[i] = (uint64_t *)(large + (uint64_t)i * LARGE);
		shadows[i] = (uint8_t *)pages + (uint64_t)i * PAGE;
	}
	for (uint32_t i = 0; i < PROBE_CPUS_MAX; i++)
		logs[i] = (struct track_log *)(pages + (uint64_t)(FRAMES + i) * PAGE);
	__asm__ volatile("cli" : : : "memory");
	__asm__ volatile("mov %%cr3, %0" : "=r"(old_cr3));
	return true;
}

/* --- what is noted --- */

static uint32_t frame_of(uint64_t gpa)
{
	for (uint32_t f = 0; f < FRAMES; f++) {
		if (gpa - (uint64_t)frames[f] < PAGE)
			return f;
	}
	return FRAMES;
}

/* Bring the shadows up to date. How many bytes were noted. */
static uint64_t drain(void)
{
	const struct track_log *log = logs[0];
	const uint64_t written = *(volatile uint64_t *)&log->written;
	uint64_t bytes = 0, outside = 0;

	if (written - seen > TRACK_LOG_RECORDS)
		probe_check(false, "log", "%lu records", written - seen);
	for (; seen < written; seen++) {
		const struct track_record *record = &log->records[seen % TRACK_LOG_RECORDS];
		const uint32_t f = frame_of(record->gpa);

		if (record->kind != TRACK_RECORD_WRITTEN)
			continue;
		outside += f == FRAMES;
		if (f == FRAMES)
			continue;
		copy(shadows[f] + record->gpa % PAGE, record->bytes, record->count);
		bytes += record->count;
	}
	if (outside != 0)
		probe_check(false, "inside", "%lu", outside);
	return bytes;
}

/* What differs in nothing but marks. */
static void accept_marks(void)
{
	for (uint32_t f = 0; f < TABLES; f++) {
		for (uint32_t i = 0; i < 512; i++) {
			uint64_t *shadow = &((uint64_t *)shadows[f])[i];

			if (((frames[f][i] ^ *shadow) & ~(uint64_t)(P_A | P_D)) != 0)
				continue;
			unseen += frames[f][i] != *shadow;
			*shadow = frames[f][i];
		}
	}
}

static void check_shadows(const char *name)
{
	if (is_blind)
		accept_marks();
	for (uint32_t f = 0; f < DATA_B; f++) {
		const uint8_t *now = (const uint8_t *)frames[f];
		uint32_t different = 0, first = 0;

		for (uint32_t i = PAGE; i-- > 0;) {
			if (now[i] != shadows[f][i]) {
				different++;
				first = i;
			}
		}
		if (different != 0)
			probe_check(false, name, "frame %u: %u bytes, first 0x%x", f, different,
				    first);
	}
	probe_check(true, name, "");
}

static void track_all(bool on)
{
	/* data of B is not: stores to it are told by nobody */
	for (uint32_t f = 0; f < DATA_B; f++) {
		if (on)
			copy(shadows[f], frames[f], PAGE);
		probe_check(ask(on ? TRACK_CALL_ADD : TRACK_CALL_REMOVE, frames[f]) == 1,
			    on ? "add" : "remove", "%u", f);
	}
}

/* --- instructions under these tables --- */

#define UNDER(text) "mov %[tables], %%cr3; " text "; mov %[old], %%cr3"
#define TABLES_IN   [tables] "r"(frames[ROOT]), [old] "r"(old_cr3)

static uint64_t load(const uint8_t *at)
{
	uint64_t value;

	__asm__ volatile(UNDER("mov (%[at]), %[value]")
			 : [value] "=&r"(value)
			 : [at] "r"(at), TABLES_IN
			 : "memory");
	return value;
}

static void store(uint8_t *at, uint64_t value)
{
	__asm__ volatile(UNDER("mov %[value], (%[at])")
			 :
			 : [at] "r"(at), [value] "r"(value), TABLES_IN
			 : "memory");
}

static uint64_t move(uint8_t *to, const uint8_t *from, uint64_t count)
{
	__asm__ volatile(UNDER("rep movsb")
			 : "+D"(to), "+S"(from), "+c"(count)
			 : TABLES_IN
			 : "memory");
	return count;
}

static void move_one(uint8_t *to, const uint8_t *from)
{
	__asm__ volatile(UNDER("movsq") : "+D"(to), "+S"(from) : TABLES_IN : "memory");
}

static void push_flags(uint8_t *top)
{
	__asm__ volatile("mov %%rsp, %%rbx; mov %[tables], %%cr3; mov %[top], %%rsp; pushfq;"
			 "mov %%rbx, %%rsp; mov %[old], %%cr3"
			 :
			 : [top] "r"(top), TABLES_IN
			 : "rbx", "memory");
}

static uint32_t identify(void)
{
	uint32_t eax = 0;

	__asm__ volatile(UNDER("cpuid") : "+a"(eax) : TABLES_IN : "rbx", "rcx", "rdx", "memory");
	return eax;
}

static void clear_marks(void)
{
	for (uint64_t i = 0; i < DATA_PAGES; i++) {
		frames[TABLE_A][i] &= ~(uint64_t)(P_A | P_D);
		frames[TABLE_B][i] &= ~(uint64_t)(P_A | P_D);
	}
	frames[DIRECTORY_A][0] &= ~(uint64_t)P_A;
	frames[DIRECTORY_B][0] &= ~(uint64_t)P_A;
	frames[OWN_POINTERS][0] &= ~(uint64_t)P_A;
	frames[OWN_POINTERS][1] &= ~(uint64_t)P_A;
	frames[ROOT][OWN_SLOT] &= ~(uint64_t)P_A;
}

/* What a load or a store leaves behind on the way to the first page of A. */
static void check_marks(const char *name, uint64_t leaf)
{
	probe_check((frames[ROOT][OWN_SLOT] & P_A) != 0 && (frames[OWN_POINTERS][0] & P_A) != 0 &&
			    (frames[DIRECTORY_A][0] & P_A) != 0 &&
			    (frames[TABLE_A][0] & (P_A | P_D)) == leaf,
		    name, "0x%lx 0x%lx 0x%lx 0x%lx", frames[ROOT][OWN_SLOT],
		    frames[OWN_POINTERS][0], frames[DIRECTORY_A][0], frames[TABLE_A][0]);
}

static uint64_t word_at(const void *at)
{
	uint64_t value;

	copy(&value, at, 8);
	return value;
}

static void check_instructions(void)
{
	uint64_t noted;

	frames[DATA_A][0] = 0x1122334455667788;
	noted = drain();
	probe_check(noted >= 8, "plain-store", "%lu", noted);
	probe_check(load(page_a) == 0x1122334455667788, "load", "");
	check_marks("load-marks", P_A);
	noted = drain();
	probe_check(is_blind || noted >= 4, "load-noted", "%lu bytes", noted);
	check_shadows("load-shadow");
	(void)load(page_a);
	noted = drain();
	probe_check(noted == 0, "nothing-to-mark", "%lu bytes", noted);
	store(page_a, 42);
	check_marks("store-marks", P_A | P_D);
	drain();
	check_shadows("store-shadow");
	clear_marks();
	drain();
	check_shadows("clear-shadow");
	/* both operands, first each in a page, then across two; data of B is not tracked */
	move_one(page_b, page_a);
	probe_check(frames[DATA_B][0] == 42, "movs", "0x%lx", frames[DATA_B][0]);
	drain();
	check_shadows("movs-shadow");
	clear_marks();
	move_one(page_a + 2 * PAGE - 3, page_b + PAGE - 5);
	move_one(page_b + 2 * PAGE - 3, page_a + PAGE - 5);
	probe_check((frames[TABLE_A][2] & (P_A | P_D)) == (P_A | P_D) &&
			    (frames[TABLE_B][2] & (P_A | P_D)) == (P_A | P_D),
		    "movs-across", "0x%lx 0x%lx", frames[TABLE_A][2], frames[TABLE_B][2]);
	drain();
	check_shadows("movs-across-shadow");
	for (uint32_t i = 0; i < 24; i++)
		((uint8_t *)frames[DATA_A])[PAGE - 12 + i] = (uint8_t)(i + 1);
	drain();
	clear_marks();
	probe_check(move(page_b + PAGE - 7, page_a + PAGE - 12, 24) == 0 &&
			    word_at((uint8_t *)frames[DATA_B] + PAGE - 7) == 0x0807060504030201,
		    "rep-movs", "0x%lx", word_at((uint8_t *)frames[DATA_B] + PAGE - 7));
	drain();
	check_shadows("rep-movs-shadow");
	clear_marks();
	push_flags(page_a + 64);
	probe_check((frames[DATA_A][7] & TF) == 0 && (frames[DATA_A][7] & 2) != 0, "pushf", "0x%lx",
		    frames[DATA_A][7]);
	drain();
	check_shadows("pushf-shadow");
	probe_check(identify() != 0, "cpuid", "");
	/* into a table that the walk goes through: a leaf, through the identity */
	store((uint8_t *)&frames[TABLE_A][3], ((uint64_t)frames[DATA_A] + PAGE) | P_W);
	drain();
	check_shadows("table-store-shadow");
	probe_check(load(page_a + 3 * PAGE) == frames[DATA_A][PAGE / 8], "remapped", "");
	drain();
	check_shadows("remapped-shadow");
	store((uint8_t *)&frames[TABLE_A][3], ((uint64_t)frames[DATA_A] + 3 * PAGE) | P_W);
	drain();
}

/* --- what the hypervisor writes --- */

/* Marks by its walker, and the answer, which lies in a tracked frame as well. */
static void check_walker(void)
{
	struct test_call_walk *walk = (struct test_call_walk *)((uint8_t *)frames[DATA_A] + 2048);
	uint64_t cr0, noted;

	clear_marks();
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	*walk = (struct test_call_walk){
		.cr0 = cr0,
		.cr3 = (uint64_t)frames[ROOT],
		.cr4 = probe_cr4(),
		.efer = probe_rdmsr(0xc0000080),
		.gva = (uint64_t)page_a,
		.access = 1, /* a write */
		.flags = TEST_CALL_MARK,
	};
	drain();
	check_shadows("before-walk-shadow");
	probe_check(hypercall(is_amd, HYPERCALL_TEST_WALK, (uint64_t)walk, 0, 0) ==
				    TEST_CALL_DONE &&
			    walk->outcome == TEST_CALL_TRANSLATED &&
			    walk->gpa == (uint64_t)frames[DATA_A],
		    "walk", "0x%lx", walk->gpa);
	noted = drain();
	probe_check(noted == 4 * 8 + sizeof(*walk), "walk-noted", "%lu bytes", noted);
	check_shadows("walk-shadow");
}

/* Emulated instructions whose other operand is tracked: each byte once. */
static void check_emulation(void)
{
	uint8_t *from = (uint8_t *)frames[EMULATED], *to = (uint8_t *)frames[DATA_A] + 512;
	uint64_t noted, count = 40;

	for (uint32_t i = 0; i < 64; i++)
		from[i] = (uint8_t)(i + 77);
	probe_check(hypercall(is_amd, HYPERCALL_EMULATE, (uint64_t)from, EMULATE_ON, 0) ==
			    EMULATE_DONE,
		    "emulate", "");
	probe_check(ask(TRACK_CALL_ADD, from) == 0, "emulated-is-refused", "");
	drain();
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	noted = drain();
	probe_check(noted == 40, "emulated-movs", "%lu bytes", noted);
	check_shadows("emulated-movs-shadow");
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push (%1); mov %%rbx, %%rsp"
			 :
			 : "r"(to), "r"(frames[EMULATED])
			 : "rbx", "memory");
	noted = drain();
	probe_check(noted == 8, "emulated-push", "%lu bytes", noted);
	check_shadows("emulated-push-shadow");
	probe_check(hypercall(is_amd, HYPERCALL_EMULATE, (uint64_t)frames[EMULATED], EMULATE_OFF,
			      0) == EMULATE_DONE,
		    "emulate-off", "");
}

/* --- all CPUs at once --- */

static uint32_t rounds, waiting;
static uint64_t bad_values;

/* Every CPU has a word of each page to itself. */
static void use_pages(void *argument)
{
	const uint32_t index = *(const uint32_t *)argument;
	uint64_t random = 1000 + index;

	(void)ask(TRACK_CALL_LOG, logs[index]);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < probe_cpu_count)
		__asm__ volatile("pause");
	for (uint32_t i = 0; i < rounds; i++) {
		uint8_t *at = (probe_random(&random) % 2 ? page_a : page_b) +
			      probe_random(&random) % DATA_PAGES * PAGE + 128 + 64 * index;

		store(at, i);
		__atomic_add_fetch(&bad_values, load(at) != i, __ATOMIC_SEQ_CST);
	}
}

static void check_all_cpus(void)
{
	static uint32_t indices[PROBE_CPUS_MAX];
	uint32_t back = 1, first;

	clear_marks();
	drain();
	seen = 0;
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		indices[i] = i;
		probe_check(probe_start_and_wait(i, use_pages, &indices[i]), "start", "cpu %u", i);
	}
	use_pages(&indices[0]);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		back += probe_join(i, 120000);
	probe_check(back == probe_cpu_count && bad_values == 0, "all-cpus", "%u back, %lu bad",
		    back, bad_values);
	/* Accessed and dirty bits are only set meanwhile: whoever has set one, some CPU has noted it. */
	first = 0;
	for (uint32_t f = 0; f < TABLES; f++) {
		for (uint32_t i = 0; i < 512; i++)
			first += (frames[f][i] & ~(uint64_t)(P_A | P_D)) !=
				 (((uint64_t *)shadows[f])[i] & ~(uint64_t)(P_A | P_D));
	}
	probe_check(first == 0, "tables-whole", "%u entries", first);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	is_blind = probe_has_word(options, "blind");
	rounds = (uint32_t)probe_number(options, "rounds", 20);
	if (!probe_check(get_memory(), "memory", "") ||
	    !probe_check((probe_cr4() & 1u << 12) == 0, "levels", ""))
		return probe_end();
	build();
	probe_check(ask(TRACK_CALL_LOG, logs[0]) == 1, "log", "");
	track_all(true);
	drain();
	check_instructions();
	check_walker();
	check_emulation();
	check_all_cpus();
	track_all(false);
	probe_print("PROBE: unseen=%lu\n", unseen);
	return probe_end();
}
