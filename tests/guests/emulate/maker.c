/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/emulate/maker.h"

uint64_t any(struct maker *make)
{
	return probe_random(make->random);
}

uint32_t below(struct maker *make, uint32_t limit)
{
	return (uint32_t)((any(make) >> 16) % limit);
}

bool one_in(struct maker *make, uint32_t count)
{
	return below(make, count) == 0;
}

/* Often a value at an edge. */
uint64_t any_value(struct maker *make)
{
	static const uint64_t edges[] = { 0,
					  1,
					  0x7f,
					  0x80,
					  0x7fff,
					  0x8000,
					  0x7fffffff,
					  0x80000000,
					  0x7fffffffffffffff,
					  0x8000000000000000,
					  0xffffffffffffffff };

	if (one_in(make, 4))
		return edges[below(make, sizeof(edges) / sizeof(edges[0]))];
	return any(make);
}

uint64_t cut(uint64_t value, uint32_t bytes)
{
	return bytes >= 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

bool is_64bit(const struct maker *make)
{
	return make->code_bytes == 8;
}

void put(struct maker *make, uint64_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		make->out->bytes[make->out->count++] = (uint8_t)(value >> (8 * i));
}

/* --- segments ------------------------------------------------------------------------------- */

uint64_t base_of_selector(uint16_t selector)
{
	switch (selector) {
	case SELECTOR_DATA16_3:
	case SELECTOR_CODE16_3:
	case SELECTOR_SHORT_3:
	case SELECTOR_DOWN_3:
	case SELECTOR_SHORT16_3:
	case SELECTOR_DOWN16_3:
		return WINDOW;
	}
	return 0;
}

/* DS, ES, FS and GS may be segments that end or begin in the middle of the target page. */
static uint16_t data_selector(struct maker *make)
{
	const bool is_16 = make->out->mode == MODE_16_3;

	if (make->limits->qemu || !one_in(make, 8))
		return is_16 ? SELECTOR_DATA16_3 : SELECTOR_DATA_3;
	switch (below(make, 4)) {
	case 0:
		return is_16 ? SELECTOR_SHORT16_3 : SELECTOR_SHORT_3;
	case 1:
		return is_16 ? SELECTOR_DOWN16_3 : SELECTOR_DOWN_3;
	case 2:
		return is_16 ? SELECTOR_DATA16_3 : SELECTOR_READ_3;
	}
	return is_16 ? SELECTOR_CODE16_3 : SELECTOR_CODE32_3;
}

void make_segments(struct maker *make)
{
	struct cpu_state *in = &make->out->in;

	switch (make->out->mode) {
	case MODE_64_0:
		in->cs = SELECTOR_CODE64_0;
		in->ss = in->ds = in->es = in->fs = in->gs = SELECTOR_DATA_0;
		return;
	case MODE_64_3:
		in->cs = SELECTOR_CODE64_3;
		in->ss = in->ds = in->es = in->fs = in->gs = SELECTOR_DATA_3;
		return;
	case MODE_32_3:
		in->cs = SELECTOR_CODE32_3;
		in->ss = SELECTOR_DATA_3;
		break;
	case MODE_16_3:
		in->cs = SELECTOR_CODE16_3;
		in->ss = SELECTOR_DATA16_3;
		break;
	}
	in->ds = data_selector(make);
	in->es = data_selector(make);
	in->fs = data_selector(make);
	in->gs = data_selector(make);
}

uint64_t segment_base(const struct maker *make, int segment)
{
	const struct cpu_state *in = &make->out->in;

	if (is_64bit(make))
		return segment == SEG_FS ? in->fs_base : segment == SEG_GS ? in->gs_base : 0;
	switch (segment) {
	case SEG_ES:
		return base_of_selector(in->es);
	case SEG_CS:
		return base_of_selector((uint16_t)in->cs);
	case SEG_SS:
		return base_of_selector((uint16_t)in->ss);
	case SEG_FS:
		return base_of_selector(in->fs);
	case SEG_GS:
		return base_of_selector(in->gs);
	}
	return base_of_selector(in->ds);
}

/* Bases with which an offset of the address size reaches the window. */
void make_bases(struct maker *make)
{
	const uint64_t offset = any(make);
	struct cpu_state *in = &make->out->in;

	if (make->address_bytes == 8) {
		in->fs_base = (uint64_t)((int64_t)(any(make) << 17) >> 17);
		in->gs_base = (uint64_t)((int64_t)(any(make) << 17) >> 17);
	} else {
		in->fs_base = TARGET_PAGE - (uint32_t)(offset | 0x10000);
		in->gs_base = TARGET_PAGE - (uint32_t)(offset >> 32 | 0x10000);
	}
}

/* The segment that an operand is reached through, of the one that its base register or the instruction implies. */
int effective_segment(const struct maker *make, int implied)
{
	if (make->segment < 0 || (is_64bit(make) && make->segment < SEG_FS))
		return implied;
	return make->segment;
}

uint64_t offset_of(const struct maker *make, int segment, uint64_t address)
{
	return cut(address - segment_base(make, segment), make->address_bytes);
}

/* --- registers ------------------------------------------------------------------------------ */

/* What lies above the address size is garbage. */
void pin_pointer(struct maker *make, uint32_t reg, uint64_t value)
{
	uint64_t *gpr = &make->out->in.gpr[reg];

	if (make->address_bytes == 8)
		*gpr = value;
	else
		*gpr = (*gpr & ~cut(~UINT64_C(0), make->address_bytes)) |
		       cut(value, make->address_bytes);
	make->pinned |= 1u << reg;
}

void make_registers(struct maker *make)
{
	for (uint32_t i = 0; i < 16; i++)
		make->out->in.gpr[i] = cut(any_value(make), is_64bit(make) ? 8 : 4);
}

bool is_pinned(const struct maker *make, uint32_t reg)
{
	return (make->pinned >> reg & 1) != 0;
}
