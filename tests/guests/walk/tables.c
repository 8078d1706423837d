// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/walk/tables.h"

#include "tests/guests/lib/probe.h"
#include "tests/guests/walk/frames.h"

enum { PAGE = 4096, WORDS = PAGE / 8, CHOICES = 2, PAGE_SHIFT = 12 };
/* The key of the four pages that must be reachable whatever PKRU and PKRS say. */
enum { OWN_KEY = 15, KEY_SHIFT = 59, PDPTES = 4 };
#define CR0_BASE       UINT64_C(0x80000031) /* PG, NE, ET, PE */
#define CR4_OWN	       (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_PKS)
#define EFER_OWN       (EFER_LME | EFER_LMA | EFER_NXE)
#define GIB	       (UINT64_C(1) << 30)
#define PSE36_RESERVED (UINT64_C(1) << 21)

struct mode {
	const char *name;
	unsigned top, index_bits, entry_bytes;
	bool is_64;
};

static const struct mode modes[MODES] = {
	[MODE_32] = { "32-bit", 1, 10, 4, false },
	[MODE_32_PSE] = { "32-bit-pse", 1, 10, 4, false },
	[MODE_PAE] = { "pae", 2, 9, 8, false },
	[MODE_4_LEVEL] = { "4-level", 3, 9, 8, true },
	[MODE_5_LEVEL] = { "5-level", 4, 9, 8, true },
};

struct table_cpu table_cpu;
static uint64_t home_cr4, home_efer;

/* Each table full of entries that are not present, and what it was filled with. */
struct table {
	uint64_t *page, *pristine;
};

static struct table roots[MODES];
static struct table tables[LEVELS][CHOICES];
static unsigned area_index[MODES]; /* of the root's entry that leads to the excursion's pages */

/* --- set-up ------------------------------------------------------------------------------- */

static void look_at_cpu(void)
{
	uint32_t one[4], regs[4], seven[4];

	probe_cpuid(0, 0, one);
	probe_cpuid(7, 0, seven);
	table_cpu.amd = one[1] == 0x68747541; /* "Auth" */
	table_cpu.smep = seven[1] >> 7 & 1;
	table_cpu.smap = seven[1] >> 20 & 1;
	table_cpu.pke = seven[2] >> 3 & 1;
	table_cpu.la57 = seven[2] >> 16 & 1;
	table_cpu.pks = seven[2] >> 31 & 1;
	probe_cpuid(0x80000001, 0, regs);
	table_cpu.nx = regs[3] >> 20 & 1;
	table_cpu.huge_pages = regs[3] >> 26 & 1;
	probe_cpuid(0x80000008, 0, regs);
	table_cpu.physical_bits = (uint8_t)regs[0];
	home_cr4 = probe_cr4();
	home_efer = probe_rdmsr(0xc0000080);
}

bool tables_mode_exists(enum table_mode mode)
{
	return mode != MODE_5_LEVEL || table_cpu.la57;
}

const char *tables_mode_name(enum table_mode mode)
{
	return modes[mode].name;
}

static bool new_table(struct table *table, bool high, uint64_t *random)
{
	table->page = frames_new_page(high);
	table->pristine = frames_new_page(high);
	if (!table->page || !table->pristine)
		return false;
	for (uint32_t i = 0; i < WORDS; i++)
		table->page[i] = probe_random(random) & ~(ENTRY_P << 32 | ENTRY_P);
	return true;
}

static void write_entry(uint64_t *page, unsigned bytes, unsigned index, uint64_t entry)
{
	if (bytes == 4)
		((uint32_t *)page)[index] = (uint32_t)entry;
	else
		page[index] = entry;
}

static uint64_t read_entry(const uint64_t *page, unsigned bytes, unsigned index)
{
	return bytes == 4 ? ((const volatile uint32_t *)page)[index]
			  : ((const volatile uint64_t *)page)[index];
}

static unsigned index_at(const struct mode *mode, uint64_t linear, unsigned level)
{
	return (unsigned)(linear >> (PAGE_SHIFT + mode->index_bits * level)) &
	       ((1u << mode->index_bits) - 1);
}

/* In 64-bit mode bit 47 or 56 is repeated above. */
static uint64_t canonical(const struct mode *mode, uint64_t linear)
{
	const unsigned unused = 64 - (PAGE_SHIFT + mode->index_bits * (mode->top + 1));

	if (!mode->is_64)
		return (uint32_t)linear;
	return (uint64_t)((int64_t)(linear << unused) >> unused);
}

static unsigned top_shift(const struct mode *mode)
{
	return PAGE_SHIFT + mode->index_bits * mode->top;
}

/* PAE has but four entries there. */
static unsigned top_index(const struct mode *mode, uint64_t linear)
{
	return index_at(mode, canonical(mode, linear), mode->top);
}

/* The mapping of the excursion's pages, in tables of its own below the root. */
static bool map_area(enum table_mode number)
{
	const struct mode *mode = &modes[number];
	const uint64_t key = mode->is_64 ? (uint64_t)OWN_KEY << KEY_SHIFT : 0;
	uint64_t *page = roots[number].page;

	area_index[number] = top_index(mode, excursion_base());
	for (unsigned level = mode->top; level; level--) {
		uint64_t *next = frames_new_page(false);
		const bool is_pdpte = number == MODE_PAE && level == mode->top;
		const uint64_t bits = is_pdpte ? ENTRY_P : ENTRY_P | ENTRY_RW | ENTRY_US | ENTRY_A;

		if (!next)
			return false;
		SetMem(next, PAGE, 0);
		write_entry(page, mode->entry_bytes, index_at(mode, excursion_base(), level),
			    (uint64_t)next | bits);
		page = next;
	}
	for (uint32_t i = 0; i < EXCURSION_PAGES; i++) {
		const uint64_t at = excursion_base() + (uint64_t)i * PAGE;

		write_entry(page, mode->entry_bytes, index_at(mode, at, 0),
			    at | key | ENTRY_P | ENTRY_A | ENTRY_D |
				    (excursion_page_is_writable(i) ? ENTRY_RW : 0) |
				    (excursion_page_is_user(i) ? ENTRY_US : 0));
	}
	return true;
}

bool tables_init(uint64_t *random)
{
	look_at_cpu();
	for (unsigned i = 0; i < MODES; i++) {
		if (!new_table(&roots[i], false, random) || !map_area((enum table_mode)i))
			return false;
		CopyMem(roots[i].pristine, roots[i].page, PAGE);
	}
	for (unsigned i = 0; i < LEVELS * CHOICES; i++) {
		struct table *table = &tables[i / CHOICES][i % CHOICES];

		if (!new_table(table, i % CHOICES, random))
			return false;
		CopyMem(table->pristine, table->page, PAGE);
	}
	return true;
}

/* --- registers ---------------------------------------------------------------------------- */

static bool one_in(uint64_t *random, uint32_t count)
{
	return (probe_random(random) >> 13) % count == 0;
}

static uint64_t maybe(uint64_t *random, bool exists, uint64_t bit)
{
	return exists && one_in(random, 2) ? bit : 0;
}

/* Two bits a key, each set with a chance of a quarter. */
static uint32_t random_keys(uint64_t *random)
{
	return (uint32_t)(probe_random(random) & probe_random(random) & 0x3fffffff);
}

static void random_registers(struct table_case *c, uint64_t *random)
{
	const struct mode *mode = &modes[c->mode];
	struct excursion *trip = &c->trip;

	trip->cr0 = CR0_BASE | maybe(random, true, CR0_WP);
	trip->cr4 = (home_cr4 & ~CR4_OWN) | maybe(random, true, CR4_PGE) |
		    maybe(random, table_cpu.smep, CR4_SMEP) |
		    maybe(random, table_cpu.smap, CR4_SMAP) |
		    maybe(random, table_cpu.pke, CR4_PKE) | maybe(random, table_cpu.pks, CR4_PKS);
	if (c->mode >= MODE_PAE)
		trip->cr4 |= CR4_PAE | maybe(random, true, CR4_PSE);
	if (c->mode == MODE_32_PSE)
		trip->cr4 |= CR4_PSE;
	if (c->mode == MODE_5_LEVEL)
		trip->cr4 |= CR4_LA57;
	/* The walker has a short cut for these: accessed and dirty already, no keys. */
	c->is_plain = one_in(random, 4);
	if (c->is_plain)
		trip->cr4 &= ~(CR4_PKE | CR4_PKS);
	trip->efer = (home_efer & ~EFER_OWN) | (mode->is_64 ? EFER_LME : 0) |
		     (table_cpu.nx && !one_in(random, 4) ? EFER_NXE : 0);
	trip->pkru = random_keys(random);
	c->pkrs = random_keys(random);
	trip->ac = one_in(random, 2);
	trip->is_user = one_in(random, 2);
	trip->access = (enum excursion_access)((probe_random(random) >> 8) % TRIP_KINDS);
	/* No marker is like it. */
	trip->value = 0x80000000 | (uint32_t)(probe_random(random) >> 16);
}

/* --- where from, where to ----------------------------------------------------------------- */

static unsigned random_leaf(enum table_mode mode, uint64_t *random)
{
	switch (mode) {
	case MODE_32:
		return 0;
	case MODE_32_PSE:
	case MODE_PAE:
		return one_in(random, 2);
	default:
		return one_in(random, 2) ? 0 : 1 + one_in(random, 2);
	}
}

/* 4 KiB pages of 32-bit paging reach 4 GiB, and so do its tables. */
static uint64_t reach(const struct table_case *c)
{
	const bool narrow = c->mode <= MODE_32_PSE && c->leaf == 0;

	return narrow ? UINT64_C(1) << 32 : ~UINT64_C(0);
}

static void random_place(struct table_case *c, uint64_t *random)
{
	const struct mode *mode = &modes[c->mode];
	uint64_t linear;

	c->top = mode->top;
	c->leaf = random_leaf(c->mode, random);
	c->page_bytes = (uint64_t)PAGE << (mode->index_bits * c->leaf);
	c->target = frames_pick(random, c->trip.access, reach(c));
	linear = (probe_random(random) & ~(c->page_bytes - 1)) | (c->target & (c->page_bytes - 1));
	/* Not where the excursion's pages are, without another number drawn. */
	if (top_index(mode, linear) == area_index[c->mode])
		linear ^= UINT64_C(1) << top_shift(mode);
	c->trip.linear = canonical(mode, linear);
	c->index[c->top] = top_index(mode, linear);
	for (unsigned level = 0; level < c->top; level++)
		c->index[level] = index_at(mode, c->trip.linear, level);
	for (unsigned level = c->leaf; level <= c->top; level++) {
		const unsigned choice = c->mode >= MODE_PAE && one_in(random, 2);

		c->page[level] = level == c->top ? roots[c->mode].page : tables[level][choice].page;
	}
	c->trip.cr3 = (uint64_t)c->page[c->top];
}

/* --- entries ------------------------------------------------------------------------------ */

static bool is_pdpte(const struct table_case *c, unsigned level)
{
	return c->mode == MODE_PAE && level == 2;
}

/* The address bits of an entry, with the upper ones of a 4 MiB page folded into bits 20:13. */
static uint64_t address_bits(const struct table_case *c, unsigned level)
{
	uint64_t at;

	if (level > c->leaf)
		return (uint64_t)c->page[level - 1];
	at = c->target & ~(c->page_bytes - 1);
	if (modes[c->mode].entry_bytes == 4)
		return (uint32_t)at | at >> 32 << 13;
	return at;
}

/* Bits that mean nothing in this mode at this level, or that choose a memory type. */
static uint64_t free_bits(const struct table_case *c, unsigned level)
{
	const bool is_64 = modes[c->mode].is_64;
	uint64_t bits = BITS(11, 9) | BITS(4, 3) | ENTRY_D;

	if (is_pdpte(c, level))
		return BITS(11, 9) | BITS(4, 3);
	if (level == 0)
		bits |= ENTRY_PS; /* PAT */
	if (level > 0 && level == c->leaf)
		bits |= UINT64_C(1) << PAGE_SHIFT; /* PAT */
	if (c->mode == MODE_32 && level == 1)
		bits |= ENTRY_PS;
	/* Reserved in AMD's larger tables, ignored in all others. */
	if (level == c->leaf || level == 1 || !table_cpu.amd)
		bits |= ENTRY_G;
	if (is_64)
		bits |= BITS(62, 52);
	return bits;
}

/* The bits that fault if set. */
static uint64_t reserved_bits(const struct table_case *c, unsigned level)
{
	const struct mode *mode = &modes[c->mode];
	const uint64_t above = ~UINT64_C(0) << table_cpu.physical_bits;
	uint64_t bits;

	if (mode->entry_bytes == 4) {
		bits = level == 1 && c->leaf == 1 ? PSE36_RESERVED : 0;
		if (bits && table_cpu.physical_bits < 40)
			bits |= BITS(20, 13) & above >> 19;
		return bits;
	}
	bits = above & (mode->is_64 ? BITS(51, 12) : BITS(62, 12));
	if (is_pdpte(c, level))
		return (above & BITS(63, 12)) | PDPTE_LOW;
	if (!(c->trip.efer & EFER_NXE))
		bits |= ENTRY_NX;
	if (level == c->leaf && level)
		bits |= (c->page_bytes - 1) & BITS(29, 13);
	if (level > 2)
		bits |= ENTRY_PS;
	return bits;
}

static uint64_t random_bit_of(uint64_t bits, uint64_t *random)
{
	uint32_t count = 0;

	for (uint64_t left = bits; left; left &= left - 1)
		count++;
	if (!count)
		return 0;
	for (count = (uint32_t)(probe_random(random) >> 20) % count; count; count--)
		bits &= bits - 1;
	return bits & -bits;
}

static uint64_t random_entry(const struct table_case *c, unsigned level, uint64_t *random)
{
	uint64_t entry = address_bits(c, level) | ENTRY_P;

	entry |= probe_random(random) & free_bits(c, level);
	if (is_pdpte(c, level))
		return entry;
	if (level == c->leaf && level > 0)
		entry |= ENTRY_PS;
	entry |= c->is_plain ? ENTRY_A | ENTRY_D : maybe(random, true, ENTRY_A);
	if (!one_in(random, 5))
		entry |= ENTRY_RW;
	if (!one_in(random, level == c->leaf ? 3 : 8))
		entry |= ENTRY_US;
	if (modes[c->mode].entry_bytes == 8 && (c->trip.efer & EFER_NXE) && one_in(random, 8))
		entry |= ENTRY_NX;
	return entry;
}

static unsigned random_level(const struct table_case *c, uint64_t *random)
{
	return c->leaf + (unsigned)(probe_random(random) >> 9) % (c->top - c->leaf + 1);
}

/* Now and then something is wrong, and sometimes two things are. */
static void spoil(struct table_case *c, uint64_t *random)
{
	const uint32_t chance = (uint32_t)(probe_random(random) >> 11) % 16;
	const unsigned absent = random_level(c, random), reserved = random_level(c, random);

	if (chance < 2 || chance == 5)
		c->entry[absent] =
			(c->entry[absent] ^ (probe_random(random) & BITS(63, 1))) & ~ENTRY_P;
	if (chance >= 2 && chance <= 5)
		c->entry[reserved] |= random_bit_of(reserved_bits(c, reserved), random);
}

static void note_pdptes(struct table_case *c)
{
	const uint64_t reserved = reserved_bits(c, 2);

	for (unsigned i = 0; i < PDPTES; i++) {
		c->pdptr[i] = i == c->index[2] ? c->entry[2] : roots[MODE_PAE].pristine[i];
		if ((c->pdptr[i] & ENTRY_P) && (c->pdptr[i] & reserved))
			c->bad_pdpte = true;
	}
}

void tables_random_case(struct table_case *c, enum table_mode mode, uint64_t *random)
{
	*c = (struct table_case){ .mode = mode };
	random_registers(c, random);
	random_place(c, random);
	for (unsigned level = c->leaf; level <= c->top; level++)
		c->entry[level] = random_entry(c, level, random);
	spoil(c, random);
	for (unsigned level = c->leaf; modes[mode].entry_bytes == 4 && level <= c->top; level++)
		c->entry[level] = (uint32_t)c->entry[level];
	if (mode == MODE_PAE)
		note_pdptes(c);
	/* Bits of CR3 that choose a memory type, or are ignored. */
	c->trip.cr3 |= probe_random(random) & (mode == MODE_PAE ? 0x18 : 0xfff);
}

/* --- the tables --------------------------------------------------------------------------- */

static const struct table *table_of(const struct table_case *c, unsigned level)
{
	if (level == c->top)
		return &roots[c->mode];
	return &tables[level][c->page[level] != tables[level][0].page];
}

void tables_put(const struct table_case *c)
{
	for (unsigned level = c->leaf; level <= c->top; level++)
		write_entry(c->page[level], modes[c->mode].entry_bytes, c->index[level],
			    c->entry[level]);
}

uint64_t tables_entry(const struct table_case *c, unsigned level)
{
	return read_entry(c->page[level], modes[c->mode].entry_bytes, c->index[level]);
}

/* The excursion's own PDPTE, which a CPU that marks PDPTEs marks on the way there. */
static void forget_area_mark(const struct table_case *c)
{
	if (c->mode == MODE_PAE)
		roots[MODE_PAE].page[area_index[MODE_PAE]] &= ~ENTRY_A;
}

bool tables_rest_is_untouched(const struct table_case *c)
{
	const unsigned bytes = modes[c->mode].entry_bytes;

	forget_area_mark(c);
	for (unsigned level = c->leaf; level <= c->top; level++) {
		const struct table *table = table_of(c, level);
		const uint64_t entry = tables_entry(c, level);
		uint64_t different = 0;

		write_entry(table->page, bytes, c->index[level],
			    read_entry(table->pristine, bytes, c->index[level]));
		for (uint32_t i = 0; i < WORDS; i++)
			different |= table->page[i] ^ table->pristine[i];
		write_entry(table->page, bytes, c->index[level], entry);
		if (different)
			return false;
	}
	return true;
}

void tables_remove(const struct table_case *c)
{
	const unsigned bytes = modes[c->mode].entry_bytes;

	for (unsigned level = c->leaf; level <= c->top; level++)
		write_entry(c->page[level], bytes, c->index[level],
			    read_entry(table_of(c, level)->pristine, bytes, c->index[level]));
}
