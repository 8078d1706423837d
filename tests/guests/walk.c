// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hypervisor's page walker against the CPU. In each paging mode, case after case: random tables and registers, the
 * translation by hypercall, then the access itself, and both must agree on everything: success, address, page size,
 * error code, CR2, and what accessed and dirty bits are left behind.
 *
 *   walk.efi [cases N] [mode M] [first N] [seed N] [qemu|bochs] [bare] [verbose]
 *
 *   mode M    only this one: 0 32-bit, 1 with PSE, 2 PAE, 3 4-level, 4 5-level
 *   first N   begin with this case: with `cases 1` and the mode, one case again
 *   qemu      on QEMU, bochs: on Bochs, whose known quirks are counted then instead of being mismatches
 *   bare      without hypervisor: only what the CPU does
 *   verbose   print that in each case
 */
#include "mm/gva_walk.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/walk/calls.h"
#include "tests/guests/walk/excursion.h"
#include "tests/guests/walk/frames.h"
#include "tests/guests/walk/tables.h"

enum { MISMATCHES_PRINTED = 20, MSR_PKRS = 0x6e1, DIGEST_CASES = 200 };
#define PRESENT	 0x01u /* bits of the page fault's error code */
#define RESERVED 0x08u
#define KEY	 0x20u

/*
 * Differences from the walker that are no mismatch: where the manuals leave it open, and where an emulator contradicts
 * them, as docs/emulators.md shows. The latter hold only where that emulator is named in the options. Each is
 * counted and printed.
 */
enum quirk {
	QUIRK_UPPER_ACCESSED,
	QUIRK_PDPTE_AT_LOAD,
	QUIRK_RESERVED_ALONE,
	QUIRK_HUGE_LEAF,
	QUIRK_PDPTE_MARKED,
	QUIRK_PDPTE_LOW_BITS,
	QUIRK_IMPLICIT_AC,
	QUIRK_IMPLICIT_AC_ANY,
	QUIRKS,
};

enum { OPEN, QEMU, BOCHS, EMULATORS };

struct quirk_name {
	const char *name;
	int whose;
};

static const struct quirk_name quirk_names[QUIRKS] = {
	/* After a fault the tables above may be marked accessed, or not: SDM, "Accessed and Dirty Flags". */
	[QUIRK_UPPER_ACCESSED] = { "upper-accessed", OPEN },
	/* A PDPTE with reserved bits: #GP at MOV CR0 or CR3 (SDM), #PF at the walk (APM, nested paging). */
	[QUIRK_PDPTE_AT_LOAD] = { "pdpte-at-load", OPEN },
	/* The error code of a reserved bit comes without P. */
	[QUIRK_RESERVED_ALONE] = { "reserved-alone", QEMU },
	/* A 1 GiB page is marked accessed although the access to it faults. */
	[QUIRK_HUGE_LEAF] = { "huge-leaf", QEMU },
	/* A PDPTE of PAE paging gets an accessed bit, which it does not have. */
	[QUIRK_PDPTE_MARKED] = { "pdpte-marked", QEMU },
	/* Its bits 2:1 and 8:5 are not reserved. */
	[QUIRK_PDPTE_LOW_BITS] = { "pdpte-low-bits", QEMU },
	/* RFLAGS.AC lifts SMAP from implicit accesses, too. */
	[QUIRK_IMPLICIT_AC] = { "implicit-ac", QEMU },
	/* The same, and also of those from CPL 3. */
	[QUIRK_IMPLICIT_AC_ANY] = { "implicit-ac-any", BOCHS },
};

struct counts {
	uint32_t cases, mismatches;
	uint32_t translated, absent, reserved, rights, key;
	uint32_t by_access[TRIP_KINDS][2]; /* translated, faulted */
	uint32_t by_leaf[LEVELS];	   /* translated */
	uint32_t quirks[QUIRKS];
	uint64_t digest; /* of what the CPU did in the first DIGEST_CASES */
};

/* One case with all that was seen. */
struct trial {
	struct table_case c;
	struct test_call_walk call;
	struct excursion_end end;
	uint64_t walk_entry[LEVELS]; /* left behind by the walker */
	uint64_t cpu_entry[LEVELS];  /* by the CPU */
	uint32_t stored;	     /* what lies at the walker's address after a store */
	uint32_t quirks;	     /* by bits */
};

static struct test_call_walk call_block __attribute__((aligned(64)));
static bool is_bare, is_verbose;
static bool is_emulator[EMULATORS];
static uint64_t seed;
static uint32_t printed;

/* --- the hypercall ------------------------------------------------------------------------ */

static uint32_t walk_access(const struct excursion *trip)
{
	static const uint32_t bits[TRIP_KINDS] = {
		[TRIP_STORE] = ACCESS_WRITE,
		[TRIP_EXCHANGE] = ACCESS_WRITE,
		[TRIP_JUMP] = ACCESS_FETCH,
		[TRIP_LDT] = ACCESS_IMPLICIT,
	};

	return bits[trip->access] | (trip->is_user ? ACCESS_USER : 0);
}

static void fill_block(const struct table_case *c)
{
	const struct excursion *trip = &c->trip;

	call_block = (struct test_call_walk){
		.cr0 = trip->cr0,
		.cr3 = trip->cr3,
		.cr4 = trip->cr4,
		.efer = trip->efer | (trip->efer & EFER_LME ? EFER_LMA : 0),
		.pkru = trip->pkru,
		.pkrs = c->pkrs,
		.gva = trip->linear,
		.access = walk_access(trip),
		.flags = trip->ac ? TEST_CALL_AC : 0,
	};
	for (unsigned i = 0; i < 4; i++)
		call_block.pdptr[i] = c->pdptr[i];
}

static void read_entries(const struct table_case *c, uint64_t entry[LEVELS])
{
	for (unsigned level = c->leaf; level <= c->top; level++)
		entry[level] = tables_entry(c, level);
}

static bool same_entries(const struct table_case *c, const uint64_t a[LEVELS],
			 const uint64_t b[LEVELS])
{
	uint64_t different = 0;

	for (unsigned level = c->leaf; level <= c->top; level++)
		different |= a[level] ^ b[level];
	return !different;
}

static bool same_answer(const struct test_call_walk *a, const struct test_call_walk *b)
{
	if (a->outcome != b->outcome || a->error_code != b->error_code)
		return false;
	return a->outcome != TEST_CALL_TRANSLATED ||
	       (a->gpa == b->gpa && a->page_bytes == b->page_bytes);
}

/* Whether the difference is to be expected here. */
static bool quirk(struct trial *trial, enum quirk which, bool applies)
{
	if (!applies || !is_emulator[quirk_names[which].whose])
		return false;
	trial->quirks |= UINT32_C(1) << which;
	return true;
}

/* What a CPU with the emulator's quirks would be asked. */
static bool relax_block(struct trial *trial)
{
	const struct table_case *c = &trial->c;
	const struct excursion *trip = &c->trip;
	const uint64_t pdpte = c->pdptr[c->index[2]];
	const bool implicit = trip->access == TRIP_LDT && trip->ac && (trip->cr4 & CR4_SMAP);
	bool relaxed = false;

	if (quirk(trial, QUIRK_PDPTE_LOW_BITS,
		  c->mode == MODE_PAE && (pdpte & ENTRY_P) && (pdpte & PDPTE_LOW))) {
		call_block.pdptr[c->index[2]] &= ~PDPTE_LOW;
		relaxed = true;
	}
	if (quirk(trial, QUIRK_IMPLICIT_AC, implicit && !trip->is_user) ||
	    quirk(trial, QUIRK_IMPLICIT_AC_ANY, implicit)) {
		call_block.access &= ~(ACCESS_IMPLICIT | ACCESS_USER);
		relaxed = true;
	}
	return relaxed;
}

/*
 * Where an emulator is more lenient than the manuals, the walker's own answer is a fault, or the same; and the CPU is
 * compared with the lenient one.
 */
static const char *ask_leniently(struct trial *trial)
{
	const struct test_call_walk strict = trial->call;

	fill_block(&trial->c);
	if (!relax_block(trial))
		return NULL;
	if (calls_walk(&call_block) != TEST_CALL_DONE)
		return "refused";
	trial->call = call_block;
	fill_block(&trial->c);
	if (same_answer(&strict, &trial->call)) {
		trial->quirks = 0;
		return NULL;
	}
	(void)relax_block(trial);
	return strict.error_code & PRESENT ? NULL : "lenient where it should not be";
}

/*
 * The debugger's way: where the entries lead, whatever the rights, and nothing is marked. trial->call is the answer with
 * rights. One bit of the registers that does not matter here is another, so that the next walk must not take over the
 * rights of this one.
 */
static const char *ask_peeking(const struct trial *trial)
{
	const struct table_case *c = &trial->c;
	static const uint64_t flips[] = { 0, CR4_SMEP, CR4_SMAP, CR4_PKE, CR4_PKS };
	const uint32_t error = trial->call.error_code;
	const uint32_t which = (uint32_t)c->trip.value % (sizeof(flips) / sizeof(flips[0]));
	const bool leads_there = trial->call.outcome == TEST_CALL_TRANSLATED ||
				 ((error & PRESENT) && !(error & RESERVED));

	fill_block(c);
	call_block.access |= ACCESS_PEEK;
	call_block.cr0 ^= which == 0 ? CR0_WP : 0;
	call_block.cr4 ^= flips[which];
	call_block.flags |= TEST_CALL_MARK;
	if (calls_walk(&call_block) != TEST_CALL_DONE)
		return "refused";
	if (call_block.outcome != (leads_there ? TEST_CALL_TRANSLATED : TEST_CALL_PAGE_FAULT))
		return "another outcome without rights";
	if (leads_there && (call_block.gpa != c->target || call_block.page_bytes != c->page_bytes))
		return "another address without rights";
	return NULL;
}

/* Twice: with every short cut and marking the tables, and by the careful walk marking nothing. */
static const char *ask_walker(struct trial *trial)
{
	const struct table_case *c = &trial->c;
	const char *why;

	fill_block(c);
	if (calls_walk(&call_block) != TEST_CALL_DONE)
		return "refused";
	trial->call = call_block;
	why = ask_peeking(trial);
	if (why)
		return why;
	read_entries(c, trial->walk_entry);
	if (!same_entries(c, trial->walk_entry, c->entry))
		return "marked though told not to";
	fill_block(c);
	why = ask_leniently(trial);
	if (why)
		return why;
	call_block.flags |= TEST_CALL_MARK;
	if (table_cpu.amd && !(trial->quirks & UINT32_C(1) << QUIRK_PDPTE_LOW_BITS))
		call_block.flags |= TEST_CALL_PDPTES_IN_MEMORY;
	if (calls_walk(&call_block) != TEST_CALL_DONE)
		return "refused";
	read_entries(c, trial->walk_entry);
	if (!same_answer(&trial->call, &call_block))
		return "two answers";
	return tables_rest_is_untouched(c) ? NULL : "the walker wrote elsewhere";
}

/* --- the comparison ----------------------------------------------------------------------- */

/* What may differ between the entry that the walker left behind and the CPU's. */
static uint64_t open_marks(struct trial *trial, unsigned level, bool fault)
{
	const struct table_case *c = &trial->c;
	const bool marked = (trial->cpu_entry[level] & ~trial->walk_entry[level]) & ENTRY_A;
	const bool is_pdpte = c->mode == MODE_PAE && level == 2;
	const bool is_huge = c->mode >= MODE_4_LEVEL && level == 2 && c->leaf == 2;
	bool open = false;

	if (is_pdpte)
		open = quirk(trial, QUIRK_PDPTE_MARKED, marked);
	else if (fault && level > c->leaf)
		open = quirk(trial, QUIRK_UPPER_ACCESSED, marked);
	else if (fault && is_huge)
		open = quirk(trial, QUIRK_HUGE_LEAF, marked);
	return open ? ENTRY_A : 0;
}

static bool marks_agree(struct trial *trial, bool fault)
{
	const struct table_case *c = &trial->c;
	bool agree = true;

	for (unsigned level = c->leaf; level <= c->top; level++) {
		const uint64_t change = trial->cpu_entry[level] ^ trial->walk_entry[level];

		if (change && change != open_marks(trial, level, fault))
			agree = false;
	}
	return agree;
}

/* The walker's error code, as this CPU would say it. */
static uint32_t expected_error(struct trial *trial)
{
	uint32_t error = trial->call.error_code;

	if (quirk(trial, QUIRK_RESERVED_ALONE, error & RESERVED))
		error &= ~PRESENT;
	return error;
}

static const char *compare_fault(struct trial *trial)
{
	const struct table_case *c = &trial->c;

	if (trial->call.outcome != TEST_CALL_PAGE_FAULT)
		return "only the CPU faults";
	if (trial->end.error != expected_error(trial))
		return "error code";
	if (trial->end.cr2 != c->trip.linear)
		return "CR2";
	if (!same_entries(c, trial->walk_entry, c->entry))
		return "the walker marked tables in spite of the fault";
	return marks_agree(trial, true) ? NULL : "marks after a fault";
}

static const char *compare_success(struct trial *trial)
{
	const struct table_case *c = &trial->c;
	uint32_t expected;

	if (trial->call.outcome != TEST_CALL_TRANSLATED)
		return "only the walker faults";
	if (!frames_expect(trial->call.gpa, c->trip.access, &expected))
		return "the walker leads out of the marked frames";
	if (c->trip.access == TRIP_STORE || c->trip.access == TRIP_EXCHANGE) {
		if (trial->stored != (uint32_t)c->trip.value)
			return "the store went elsewhere";
	}
	if (c->trip.access != TRIP_STORE && trial->end.value != expected)
		return "address";
	if (trial->call.page_bytes != c->page_bytes)
		return "page size";
	return marks_agree(trial, false) ? NULL : "marks";
}

static const char *compare(struct trial *trial)
{
	const uint32_t vector = trial->end.vector;

	if (vector == EXCURSION_DONE)
		return compare_success(trial);
	if (vector == VECTOR_PF)
		return compare_fault(trial);
	if (quirk(trial, QUIRK_PDPTE_AT_LOAD, vector == VECTOR_GP && trial->c.bad_pdpte))
		return NULL;
	return "another exception";
}

static void print_entries(const struct table_case *c, const char *name,
			  const uint64_t entry[LEVELS])
{
	probe_print(" %s", name);
	for (unsigned level = c->top + 1; level-- > c->leaf;)
		probe_print(" %lx", entry[level]);
}

static void print_mismatch(const struct trial *trial, uint32_t number, const char *why)
{
	const struct table_case *c = &trial->c;
	const struct excursion *trip = &c->trip;

	if (printed++ >= MISMATCHES_PRINTED)
		return;
	probe_print("PROBE: mismatch mode %u first %u seed %lu (%s): access=%u user=%u ac=%u "
		    "linear=0x%lx target=0x%lx leaf=%u",
		    (uint32_t)c->mode, number, seed, why, (uint32_t)trip->access, trip->is_user,
		    trip->ac, trip->linear, c->target, c->leaf);
	probe_print(" cr0=0x%lx cr3=0x%lx cr4=0x%lx efer=0x%lx pkru=0x%x pkrs=0x%x", trip->cr0,
		    trip->cr3, trip->cr4, trip->efer, trip->pkru, c->pkrs);
	print_entries(c, "entries", c->entry);
	probe_print(" walker: outcome=%u gpa=0x%lx bytes=0x%lx error=0x%x", trial->call.outcome,
		    trial->call.gpa, trial->call.page_bytes, trial->call.error_code);
	print_entries(c, "left", trial->walk_entry);
	probe_print(" cpu: vector=%u error=0x%lx cr2=0x%lx rip=0x%lx value=0x%x stored=0x%x",
		    trial->end.vector, trial->end.error, trial->end.cr2, trial->end.rip,
		    trial->end.value, trial->stored);
	print_entries(c, "left", trial->cpu_entry);
	probe_print("\n");
}

/* --- the cases ---------------------------------------------------------------------------- */

static const char *run_cpu(struct trial *trial)
{
	struct table_case *c = &trial->c;
	uint32_t any;

	if (table_cpu.pks)
		probe_wrmsr(MSR_PKRS, c->pkrs);
	excursion_run(&c->trip, &trial->end);
	read_entries(c, trial->cpu_entry);
	if (!tables_rest_is_untouched(c))
		return "the CPU wrote elsewhere";
	if (trial->call.outcome == TEST_CALL_TRANSLATED &&
	    frames_expect(trial->call.gpa, TRIP_READ, &any))
		trial->stored = *(const volatile uint32_t *)trial->call.gpa;
	return NULL;
}

/* Whatever was stored, right or wrong, does not disturb the next case. */
static void mend_frames(const struct trial *trial)
{
	uint64_t at;

	if (trial->end.vector != EXCURSION_DONE ||
	    (trial->c.trip.access != TRIP_STORE && trial->c.trip.access != TRIP_EXCHANGE))
		return;
	at = trial->c.target;
	if (*(const volatile uint32_t *)at != (uint32_t)trial->c.trip.value)
		at = frames_find((uint32_t)trial->c.trip.value);
	if (at)
		frames_mend(at);
}

static void count(struct counts *counts, const struct trial *trial)
{
	const uint64_t error = trial->end.error;
	const bool translated = trial->end.vector == EXCURSION_DONE;

	for (unsigned i = 0; i < QUIRKS; i++)
		counts->quirks[i] += trial->quirks >> i & 1;
	counts->by_access[trial->c.trip.access][!translated]++;
	if (translated) {
		counts->translated++;
		counts->by_leaf[trial->c.leaf]++;
	} else if (error & RESERVED) {
		counts->reserved++;
	} else if (!(error & PRESENT)) {
		counts->absent++;
	} else if (error & KEY) {
		counts->key++;
	} else {
		counts->rights++;
	}
}

/*
 * What the CPU did, without addresses: a bare run gives the same, so that nothing which contradicts the manuals is the
 * hypervisor's doing. A bad PDPTE alone depends on whether there is nested paging.
 */
static uint64_t digest_case(uint64_t digest, const struct trial *trial)
{
	const struct table_case *c = &trial->c;
	const bool translated = trial->end.vector == EXCURSION_DONE;
	uint32_t value;
	uint64_t seen[LEVELS + 1] = { 0 };

	if (c->bad_pdpte)
		return digest;
	(void)frames_expect(c->target, c->trip.access, &value);
	seen[0] = trial->end.vector | trial->end.error << 8;
	if (translated && c->trip.access != TRIP_STORE)
		seen[0] |= (uint64_t)(trial->end.value == value) << 62;
	else if (trial->end.vector == VECTOR_PF)
		seen[0] |= (uint64_t)(trial->end.cr2 == c->trip.linear) << 63;
	for (unsigned level = c->leaf; level <= c->top; level++)
		seen[level + 1] = trial->cpu_entry[level] ^ c->entry[level];
	for (unsigned i = 0; i <= LEVELS; i++)
		digest = (digest ^ seen[i]) * 0x100000001b3 ^ digest >> 47;
	return digest;
}

static void print_bare(const struct trial *trial, uint32_t number)
{
	probe_print("PROBE: case %u vector %u error 0x%lx cr2 0x%lx value 0x%x", number,
		    trial->end.vector, trial->end.error, trial->end.cr2, trial->end.value);
	print_entries(&trial->c, "entries", trial->c.entry);
	print_entries(&trial->c, "left", trial->cpu_entry);
	probe_print("\n");
}

/* The first case with it, to be run again. */
static void print_quirks(const struct counts *counts, const struct trial *trial, uint32_t number)
{
	for (unsigned i = 0; i < QUIRKS; i++) {
		if (!(trial->quirks >> i & 1) || counts->quirks[i])
			continue;
		probe_print(
			"PROBE: quirk %s: mode %u first %u walker %u error 0x%x cpu %u error 0x%lx",
			quirk_names[i].name, (uint32_t)trial->c.mode, number, trial->call.outcome,
			trial->call.error_code, trial->end.vector, trial->end.error);
		print_entries(&trial->c, "entries", trial->c.entry);
		print_entries(&trial->c, "left", trial->cpu_entry);
		probe_print("\n");
	}
}

static void run_case(struct counts *counts, enum table_mode mode, uint32_t number)
{
	/* Each case has its own state, so that one of them can be run again. */
	uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15 ^
			  ((uint64_t)mode << 40 | number) * 0xd1342543de82ef95;
	struct trial trial = { .quirks = 0 };
	const char *why = NULL, *cpu_why;

	for (unsigned i = 0; i < 4; i++)
		probe_random(&random);
	tables_random_case(&trial.c, mode, &random);
	tables_put(&trial.c);
	if (!is_bare)
		why = ask_walker(&trial);
	tables_put(&trial.c);
	cpu_why = run_cpu(&trial);
	why = why ? why : cpu_why;
	tables_remove(&trial.c);
	if (is_verbose)
		print_bare(&trial, number);
	if (!is_bare && !why)
		why = compare(&trial);
	print_quirks(counts, &trial, number);
	mend_frames(&trial);
	if (counts->cases++ < DIGEST_CASES)
		counts->digest = digest_case(counts->digest, &trial);
	counts->mismatches += why != NULL;
	count(counts, &trial);
	if (why)
		print_mismatch(&trial, number, why);
}

static void print_counts(enum table_mode mode, const struct counts *counts)
{
	probe_print("PROBE: mode=%s cases=%u translated=%u absent=%u reserved=%u rights=%u key=%u",
		    tables_mode_name(mode), counts->cases, counts->translated, counts->absent,
		    counts->reserved, counts->rights, counts->key);
	for (unsigned i = 0; i < QUIRKS; i++) {
		if (counts->quirks[i])
			probe_print(" %s=%u", quirk_names[i].name, counts->quirks[i]);
	}
	probe_print(" leaf");
	for (unsigned i = 0; i < 3; i++)
		probe_print(" %u", counts->by_leaf[i]);
	probe_print(" access");
	for (unsigned i = 0; i < TRIP_KINDS; i++)
		probe_print(" %u/%u", counts->by_access[i][0], counts->by_access[i][1]);
	probe_print("\n");
}

static void run_mode(enum table_mode mode, uint32_t first, uint32_t cases)
{
	struct counts counts = { 0 };

	for (uint32_t i = first; i < first + cases; i++)
		run_case(&counts, mode, i);
	print_counts(mode, &counts);
	probe_print("PROBE: digest %s %lx\n", tables_mode_name(mode), counts.digest);
	probe_check(!counts.mismatches, tables_mode_name(mode), "%u mismatches in %u cases",
		    counts.mismatches, counts.cases);
}

static void run_modes(const char *options)
{
	const uint32_t cases = (uint32_t)probe_number(options, "cases", 1000);
	const uint32_t first = (uint32_t)probe_number(options, "first", 0);
	const uint64_t only = probe_number(options, "mode", MODES);

	for (enum table_mode mode = MODE_32; mode < MODES; mode++) {
		if ((only == MODES || only == mode) && tables_mode_exists(mode))
			run_mode(mode, first, cases);
	}
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint64_t random = 0x2545f4914f6cdd1d;

	seed = probe_number(options, "seed", 1);
	is_bare = probe_has_word(options, "bare");
	is_verbose = probe_has_word(options, "verbose");
	is_emulator[OPEN] = true;
	is_emulator[QEMU] = probe_has_word(options, "qemu");
	is_emulator[BOCHS] = probe_has_word(options, "bochs");
	if (!probe_check(excursion_init() && frames_init(&random) && tables_init(&random), "memory",
			 ""))
		return probe_end();
	probe_print("PROBE: frames=%u above-4g=%u physical-bits=%u\n", frames_count(),
		    frames_high_count(), table_cpu.physical_bits);
	if (is_bare || calls_check(&random))
		run_modes(options);
	excursion_leave();
	return probe_end();
}
