// sources: mm/memtype.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mm/memtype.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define PAGE   UINT64_C(4096)
#define VALID  0x800u
#define E_FE   0xc00u
#define E_ONLY 0x800u

#define UC     MEMTYPE_UC
#define WC     MEMTYPE_WC
#define WT     MEMTYPE_WT
#define WP     MEMTYPE_WP
#define WB     MEMTYPE_WB

static uint64_t random_state = 88172645463325252;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct mtrr_state empty_state(unsigned maxphyaddr, enum memtype def, uint64_t enable)
{
	struct mtrr_state m;

	memset(&m, 0, sizeof(m));
	m.cap = 0x100 | 10;
	m.variable_count = 10;
	m.maxphyaddr = maxphyaddr;
	m.def_type = enable | def;
	return m;
}

static void add(struct mtrr_state *m, unsigned i, uint64_t base, uint64_t bytes, enum memtype type)
{
	uint64_t reach = (UINT64_C(1) << m->maxphyaddr) - 1;

	m->base[i] = base | type;
	m->mask[i] = (~(bytes - 1) & reach & ~(PAGE - 1)) | VALID;
}

/* The rules again, page by page and without any idea of ranges. SDM: "MTRR Precedences". */
static enum memtype model(const struct mtrr_state *m, uint64_t address)
{
	uint64_t phys = (UINT64_C(1) << m->maxphyaddr) - PAGE;
	bool seen[8] = { false };
	unsigned kinds = 0, only = 0;

	if (!(m->def_type & 0x800))
		return UC;
	if ((m->smrr_mask & VALID) && address < GIB(4) &&
	    ((address ^ m->smrr_base) & m->smrr_mask & 0xfffff000) == 0)
		return UC;
	if (address < MIB(1) && (m->def_type & 0x400) && (m->cap & 0x100)) {
		const uint8_t *bytes = (const uint8_t *)m->fixed;
		uint64_t a = address;

		if (a < 0x80000)
			return (enum memtype)bytes[a >> 16];
		if (a < 0xc0000)
			return (enum memtype)bytes[8 + ((a - 0x80000) >> 14)];
		return (enum memtype)bytes[24 + ((a - 0xc0000) >> 12)];
	}
	for (unsigned i = 0; i < m->variable_count; i++) {
		if ((m->mask[i] & VALID) && ((address ^ m->base[i]) & m->mask[i] & phys) == 0)
			seen[m->base[i] & 7] = true;
	}
	for (unsigned t = 0; t < 8; t++) {
		if (seen[t]) {
			kinds++;
			only = t;
		}
	}
	if (kinds == 0)
		return (enum memtype)(m->def_type & 0xff);
	if (kinds == 1)
		return (enum memtype)only;
	if (kinds == 2 && seen[WT] && seen[WB])
		return WT;
	return UC;
}

static unsigned check_against_model(const struct mtrr_state *m, uint64_t limit)
{
	uint64_t address = 0, end = 0;
	unsigned steps = 0;

	while (address < limit) {
		enum memtype type = mtrr_range(m, address, &end);

		assert_true(end > address);
		assert_int_equal(end & (PAGE - 1), 0);
		assert_true(end <= UINT64_C(1) << m->maxphyaddr);
		for (uint64_t page = address; page < end && page < limit; page += PAGE)
			assert_int_equal(model(m, page), type);
		assert_int_equal(mtrr_type(m, address), type);
		assert_int_equal(mtrr_type(m, end - 1), type);
		address = end;
		steps++;
	}
	return steps;
}

struct expected {
	uint64_t end;
	enum memtype type;
};

static void check_map(const struct mtrr_state *m, const struct expected *map)
{
	uint64_t address = 0, end;

	for (; address < UINT64_C(1) << m->maxphyaddr; address = end) {
		enum memtype type = mtrr_range(m, address, &end);

		while (map->end <= address)
			map++;
		assert_int_equal(type, map->type);
		assert_true(end <= map->end);
	}
}

/* OVMF on QEMU: default WB, one UC range from the top of low RAM to 4 GiB, fixed: WB with 640 KiB-1 MiB UC. */
static struct mtrr_state ovmf_state(void)
{
	struct mtrr_state m = empty_state(40, WB, E_FE);

	for (unsigned i = 0; i < 3; i++)
		m.fixed[i] = i < 2 ? UINT64_C(0x0606060606060606) : 0;
	add(&m, 0, GIB(2), GIB(2), UC);
	return m;
}

static void ovmf_layout(void **state)
{
	static const struct expected map[] = {
		{ 0xa0000, WB }, { MIB(1), UC }, { GIB(2), WB }, { GIB(4), UC }, { GIB(1024), WB }
	};
	struct mtrr_state m = ovmf_state();

	(void)state;
	check_map(&m, map);
	check_against_model(&m, GIB(8));
}

/* A desktop: default UC, WB over RAM in powers of two, UC punched out for the hole, WC frame buffer, SMRR. */
static struct mtrr_state desktop_state(void)
{
	struct mtrr_state m = empty_state(39, UC, E_FE);

	for (unsigned i = 0; i < 11; i++)
		m.fixed[i] = UINT64_C(0x0606060606060606);
	m.fixed[2] = 0;
	m.fixed[3] = m.fixed[4] = UINT64_C(0x0505050505050505);
	add(&m, 0, 0, GIB(4), WB);
	add(&m, 1, 0xd0000000, MIB(256), UC);
	add(&m, 2, 0xe0000000, MIB(512), UC);
	add(&m, 3, GIB(4), GIB(4), WB);
	add(&m, 4, GIB(8), GIB(8), WB);
	add(&m, 5, GIB(16), GIB(1), WB);
	add(&m, 7, GIB(256), MIB(256), WC);
	m.smrr_base = 0xcf800000 | WB;
	m.smrr_mask = 0xff800000 | VALID;
	return m;
}

static void desktop_layout(void **state)
{
	static const struct expected map[] = {
		{ 0xa0000, WB },  { 0xc0000, UC },    { 0xd0000, WP },
		{ MIB(1), WB },	  { 0xcf800000, WB }, { GIB(4), UC },
		{ GIB(17), WB },  { GIB(256), UC },   { GIB(256) + MIB(256), WC },
		{ GIB(512), UC },
	};
	struct mtrr_state m = desktop_state();

	(void)state;
	check_map(&m, map);
	assert_true(check_against_model(&m, GIB(20)) < 120);
	/* the cap says that there are no fixed ranges, or they are off: the variable ones apply */
	m.cap = 10;
	assert_int_equal(mtrr_type(&m, 0xa0000), WB);
	m.cap |= 0x100;
	m.def_type = E_ONLY | UC;
	assert_int_equal(mtrr_type(&m, 0xa0000), WB);
	check_against_model(&m, GIB(6));
}

static void disabled_is_uncacheable(void **state)
{
	struct mtrr_state m = desktop_state();
	uint64_t end;

	(void)state;
	m.def_type = WB | 0x400;
	assert_false(mtrr_enabled(&m));
	assert_int_equal(mtrr_range(&m, 0, &end), UC);
	assert_int_equal(end, GIB(512));
	assert_int_equal(mtrr_range(&m, GIB(600), &end), UC);
	assert_true(end > GIB(600));
}

static void overlaps(void **state)
{
	static const struct {
		enum memtype a, b, c, result;
	} cases[] = {
		{ WB, WB, WB, WB }, { WB, UC, WB, UC }, { UC, WC, WB, UC }, { WT, WB, WT, WT },
		{ WB, WT, WB, WT }, { WC, WB, WB, UC }, { WP, WB, WP, UC }, { WC, WC, WC, WC },
		{ WT, WB, WC, UC }, { WT, WC, WB, UC }, { WP, WT, WT, UC },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mtrr_state m = empty_state(36, WB, E_ONLY);

		add(&m, 0, 0, GIB(4), cases[i].a);
		add(&m, 3, GIB(1), GIB(1), cases[i].b);
		add(&m, 9, GIB(1), MIB(2), cases[i].c);
		assert_int_equal(mtrr_type(&m, GIB(1)), cases[i].result);
		check_against_model(&m, GIB(5));
	}
}

static void masks_with_holes(void **state)
{
	struct mtrr_state m = empty_state(32, UC, E_ONLY);

	(void)state;
	m.base[0] = MIB(2) | WB;
	m.mask[0] = 0xf0200000 | VALID; /* every second 2 MiB of the first 256 MiB */
	m.base[1] = KIB(4) | WT;
	m.mask[1] = 0xf0001000 | VALID; /* every second page of them */
	assert_int_equal(mtrr_type(&m, MIB(2)), WB);
	assert_int_equal(mtrr_type(&m, MIB(2) + KIB(4)), WT);
	assert_int_equal(mtrr_type(&m, MIB(4)), UC);
	assert_int_equal(mtrr_type(&m, MIB(4) + KIB(4)), WT);
	check_against_model(&m, GIB(1));
	/* a mask of zero covers everything */
	m.mask[0] = VALID;
	m.mask[1] = 0;
	assert_int_equal(check_against_model(&m, GIB(4)), 1);
}

static struct mtrr_state random_state_of(unsigned maxphyaddr)
{
	static const enum memtype types[] = { UC, WC, WT, WP, WB };
	struct mtrr_state m =
		empty_state(maxphyaddr, types[random64() % 5], random64() % 4 ? E_FE : E_ONLY);

	for (unsigned i = 0; i < 88; i++)
		((uint8_t *)m.fixed)[i] = (uint8_t)types[random64() % 5];
	for (unsigned i = 0; i < 10; i++) {
		uint64_t bytes = PAGE << (random64() % (maxphyaddr - 11));

		if (random64() % 3 == 0)
			continue;
		add(&m, i, (random64() & ((UINT64_C(1) << maxphyaddr) - 1)) & ~(bytes - 1), bytes,
		    types[random64() % 5]);
		if (random64() % 6 == 0)
			m.mask[i] ^= (random64() & 0x3f) << (random64() % 8 + 14);
		if (random64() % 8 == 0)
			m.mask[i] &= ~(uint64_t)VALID;
	}
	if (random64() % 2) {
		uint64_t bytes = PAGE << (random64() % 14);

		m.smrr_base = (random64() & 0xffffffff & ~(bytes - 1)) | WB;
		m.smrr_mask = (~(bytes - 1) & 0xffffffff) | VALID;
	}
	return m;
}

static void random_states(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct mtrr_state m = random_state_of(i % 3 == 0 ? 32 : 28 + i % 6);
		uint64_t limit = UINT64_C(1) << m.maxphyaddr;

		check_against_model(&m, limit < GIB(2) ? limit : GIB(2));
		assert_true(mtrr_same_map(&m, &m));
	}
}

static void same_map_by_other_registers(void **state)
{
	struct mtrr_state a = desktop_state(), b = desktop_state();

	(void)state;
	/* other registers, same map */
	b.base[3] = b.base[4];
	b.mask[3] = b.mask[4];
	add(&b, 4, GIB(4), GIB(4), WB);
	assert_true(mtrr_same_map(&a, &b));
	/* the hole said in another way */
	add(&b, 0, 0, GIB(2), WB);
	add(&b, 6, GIB(2), GIB(1), WB);
	add(&b, 8, GIB(3), MIB(256), WB);
	b.mask[1] = b.mask[2] = 0;
	assert_true(mtrr_same_map(&a, &b));
	b.fixed[10] ^= 6;
	assert_false(mtrr_same_map(&a, &b));
	b.fixed[10] ^= 6;
	add(&b, 9, GIB(300), PAGE, WC);
	assert_false(mtrr_same_map(&a, &b));
	assert_false(mtrr_same_map(&b, &a));
	b = a;
	b.def_type &= ~UINT64_C(0x800);
	assert_false(mtrr_same_map(&a, &b));
	/* masks with holes by the million do not hang it */
	b = a;
	b.mask[9] = 0x1000 | VALID;
	b.base[9] = 0x1000 | UC;
	assert_true(mtrr_same_map(&b, &b));
}

static void effective_types(void **state)
{
	/* PAT:                      UC  WC  -   -   WT  WP  WB  UC- */
	static const uint8_t table[5][8] = {
		/* UC */ { UC, WC, UC, UC, UC, UC, UC, UC },
		/* WC */ { UC, WC, UC, UC, UC, UC, WC, WC },
		/* WT */ { UC, WC, UC, UC, WT, WP, WT, UC },
		/* WP */ { UC, WC, UC, UC, WT, WP, WP, WC },
		/* WB */ { UC, WC, UC, UC, WT, WP, WB, UC },
	};
	static const enum memtype types[] = { UC, WC, WT, WP, WB };

	(void)state;
	for (unsigned type = 0; type < 5; type++) {
		for (unsigned pat = 0; pat < 8; pat++)
			assert_int_equal(memtype_combine(types[type], pat), table[type][pat]);
	}
	assert_int_equal(memtype_combine(WB, 8), UC);
	assert_int_equal(memtype_combine((enum memtype)7, 6), UC);
}

/* SDM: "Memory Types That Can Be Encoded in MTRRs": what is reserved orders most strongly, alone and in an overlap. */
static void reserved_encodings(void **state)
{
	static const uint8_t reserved[] = { 2, 3, 7, 8, 0x0e, 0x46, 0x80, 0xff };

	(void)state;
	for (unsigned i = 0; i < sizeof(reserved); i++) {
		struct mtrr_state m = empty_state(36, WB, E_FE);

		memset(m.fixed, reserved[i], sizeof(m.fixed));
		add(&m, 0, GIB(1), GIB(1), WB);
		m.base[0] = GIB(1) | reserved[i];
		add(&m, 1, GIB(1), MIB(2), WB);
		assert_int_equal(mtrr_type(&m, 0x5000), UC);
		assert_int_equal(mtrr_type(&m, GIB(1) + MIB(4)), UC);
		assert_int_equal(mtrr_type(&m, GIB(1)), UC);
		assert_int_equal(mtrr_type(&m, GIB(3)), WB);
		m.def_type = E_FE | reserved[i];
		assert_int_equal(mtrr_type(&m, GIB(3)), UC);
	}
}

/* SDM: "System-Management Range Register Interface": outside SMM its range is not there, whatever else says. */
static void smrr_outside_smm(void **state)
{
	static const struct {
		uint64_t base, mask, address;
		enum memtype type;
	} cases[] = {
		/* in the range, at its last byte, behind it, before it */
		{ 0x7f800000 | WB, 0xff800000 | VALID, 0x7f800000, UC },
		{ 0x7f800000 | WB, 0xff800000 | VALID, 0x7fffffff, UC },
		{ 0x7f800000 | WB, 0xff800000 | VALID, 0x80000000, WB },
		{ 0x7f800000 | WB, 0xff800000 | VALID, 0x7f7fffff, WB },
		/* not valid; above 4 GiB, where no mask reaches; below 1 MiB, before the fixed ranges */
		{ 0x7f800000 | WB, 0xff800000, 0x7f800000, WB },
		{ 0x7f800000 | WB, 0xff800000 | VALID, GIB(4) + 0x7f800000, WB },
		{ 0xa0000 | WB, 0xfffe0000 | VALID, 0xa0000, UC },
		{ 0xa0000 | WB, 0xfffe0000 | VALID, 0xc0000, WB },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mtrr_state m = empty_state(36, WB, E_FE);

		memset(m.fixed, WB, sizeof(m.fixed));
		m.smrr_base = cases[i].base;
		m.smrr_mask = cases[i].mask;
		assert_int_equal(mtrr_type(&m, cases[i].address), cases[i].type);
		check_against_model(&m, GIB(3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ovmf_layout),
		cmocka_unit_test(desktop_layout),
		cmocka_unit_test(disabled_is_uncacheable),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(masks_with_holes),
		cmocka_unit_test(random_states),
		cmocka_unit_test(same_map_by_other_registers),
		cmocka_unit_test(effective_types),
		cmocka_unit_test(reserved_encodings),
		cmocka_unit_test(smrr_outside_smm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
