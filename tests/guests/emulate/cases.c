/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/emulate/cases.h"

#include "tests/guests/emulate/maker.h"
#include "tests/guests/emulate/modrm.h"

/* --- prefixes and sizes ---------------------------------------------------------------------- */

static void make_sizes(struct maker *make)
{
	const bool small = one_in(make, 4), other_address = one_in(make, 6);
	static const uint8_t prefixes[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	if (small)
		put(make, 0x66, 1);
	if (other_address)
		put(make, 0x67, 1);
	make->segment = one_in(make, 5) ? (int)below(make, 6) : -1;
	if (make->segment == SEG_CS && !is_64bit(make) && make->limits->qemu)
		make->segment = -1;
	if (make->segment >= 0)
		put(make, prefixes[make->segment], 1);
	make->rex = is_64bit(make) && one_in(make, 2) ? (uint8_t)(0x40 | below(make, 16)) : 0;
	if (make->code_bytes == 2)
		make->operand_bytes = small ? 4 : 2;
	else
		make->operand_bytes = make->rex & 8 ? 8 : small ? 2 : 4;
	if (is_64bit(make))
		make->address_bytes = other_address ? 4 : 8;
	else
		make->address_bytes = (make->code_bytes == 2) == other_address ? 4 : 2;
}

static uint8_t memory_bytes(const struct maker *make)
{
	switch (make->form->width) {
	case BYTE:
		return 1;
	case WORD:
		return 2;
	case DWORD:
		return 4;
	case FULL:
		break;
	}
	switch (make->form->kind) {
	case PUSH:
	case POP:
		return is_64bit(make) ? (make->operand_bytes == 2 ? 2 : 8) : make->operand_bytes;
	case PAIR:
		return make->operand_bytes == 8 ? 16 : 8;
	default:
		return make->operand_bytes;
	}
}

static void make_prefixes(struct maker *make)
{
	make->lock = make->form->lockable ? one_in(make, 4) : one_in(make, 50);
	if (make->lock)
		put(make, 0xf0, 1);
	make->repeats = make->form->kind == STRING && !one_in(make, 3);
	if (is_64bit(make) && make->address_bytes == 4 && make->limits->bochs)
		make->repeats = false;
	if (make->repeats)
		put(make, 0xf2 + below(make, 2), 1);
	if (make->rex)
		put(make, make->rex, 1);
}

/* --- where operands lie ---------------------------------------------------------------------- */

/* In the target page, or across one of its ends. */
static uint64_t any_target(struct maker *make)
{
	const uint32_t bytes = make->bytes;

	if (make->form->kind == PAIR && bytes == 16 && !one_in(make, 8))
		return TARGET_PAGE + below(make, PAGE / 16) * 16;
	if (bytes == 1 || one_in(make, 2))
		return TARGET_PAGE + below(make, PAGE - bytes + 1);
	if (one_in(make, 2))
		return TARGET_PAGE - 1 - below(make, bytes - 1);
	return TARGET_PAGE + PAGE - 1 - below(make, bytes - 1);
}

static uint64_t any_other(struct maker *make)
{
	if (one_in(make, 3))
		return OTHER_PAGES + PAGE * (1 + below(make, 2)) - 24 + below(make, 48);
	return OTHER_PAGES + PAGE + 64 + below(make, PAGE - 128);
}

/* Where a string begins that runs in or into the target page. */
static uint64_t any_string(struct maker *make)
{
	switch (below(make, 4)) {
	case 0:
		return TARGET_PAGE - 64 + below(make, 128);
	case 1:
		return TARGET_PAGE + PAGE - 64 + below(make, 128);
	}
	return TARGET_PAGE + 170 + below(make, PAGE - 340);
}

static uint8_t *byte_at(const struct world *world, uint64_t address)
{
	const uint64_t page = address / PAGE;

	if (page >= DATA_PAGES / PAGE && page < DATA_PAGES / PAGE + DATA_COUNT)
		return &world->frames[page - DATA_PAGES / PAGE][address % PAGE];
	if (page >= OTHER_PAGES / PAGE && page < OTHER_PAGES / PAGE + DATA_COUNT)
		return &world->frames[DATA_COUNT + page - OTHER_PAGES / PAGE][address % PAGE];
	return NULL;
}

static void fill(uint64_t address, uint64_t value, bool repeat, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		for (uint32_t world = 0; world < 2; world++) {
			uint8_t *at = byte_at(&worlds[world], address + i);

			if (at)
				*at = (uint8_t)(value >> (repeat ? 0 : i % 8 * 8));
		}
	}
}

static uint64_t memory_value(uint64_t address, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		const uint8_t *at = byte_at(&worlds[0], address + i);

		value |= (uint64_t)(at ? *at : 0) << (8 * i);
	}
	return value;
}

/* --- instructions ---------------------------------------------------------------------------- */

static void put_opcode(struct maker *make)
{
	if (make->form->map)
		put(make, make->form->map, 1);
	put(make, make->form->opcode, 1);
}

static void put_immediate(struct maker *make)
{
	if (make->form->immediate == IMM8)
		put(make, any_value(make), 1);
	else if (make->form->immediate == IMMZ)
		put(make, any_value(make), make->operand_bytes == 2 ? 2 : 4);
}

/* How often a shift shifts: what follows the operand, CL, or one. */
static uint32_t shift_count(const struct maker *make)
{
	uint32_t count = 1;

	if (make->form->immediate == IMM8)
		count = make->out->bytes[make->out->count - 1];
	else if (make->form->kind == DOUBLE || (make->form->opcode & 0xfe) == 0xd2)
		count = make->out->in.gpr[RCX] & 0xff;
	return count & (make->operand_bytes == 8 && make->bytes == 8 ? 63 : 31);
}

/*
 * SDM, "Flags Affected": OF is defined for shifts and rotates by one only; AF is undefined after a shift, and CF after SHL and
 * SHR by the width or more. SHLD and SHRD by more than the width have no defined result: no such case.
 */
static bool shift_undefined(struct maker *make)
{
	const uint32_t count = shift_count(make), bits = 8u * make->bytes;
	const bool rotates = make->form->kind == SHIFT && make->form->digit < 4;
	uint64_t undefined = 0;

	if (count == 0)
		return true;
	if (make->form->kind == DOUBLE && count > bits)
		return false;
	if (!rotates)
		undefined |= FLAG_AF;
	if (count != 1)
		undefined |= FLAG_OF;
	if (!rotates && make->form->digit != 7 && count >= bits)
		undefined |= FLAG_CF;
	if (make->form->kind == DOUBLE && count == bits)
		undefined |= FLAG_CF | FLAG_OF;
	make->out->undefined = undefined;
	return true;
}

/* A bit number that moves the address by whole operands, mostly not far. Returns by how much. */
static uint64_t make_bit_number(struct maker *make, uint32_t reg)
{
	const uint32_t bytes = make->bytes, shift = bytes == 8 ? 6 : bytes == 4 ? 5 : 4;
	uint64_t *gpr = &make->out->in.gpr[reg];
	int64_t number;

	if (!one_in(make, 4)) {
		number = (int64_t)below(make, 4096) - 2048;
		*gpr = (*gpr & ~cut(~UINT64_C(0), bytes)) | cut((uint64_t)number, bytes);
	}
	make->pinned |= 1u << reg;
	number = (int64_t)(*gpr << (64 - 8 * bytes)) >> (64 - 8 * bytes);
	return (uint64_t)(number >> shift) * bytes;
}

static void make_equal(struct maker *make, uint64_t target)
{
	struct cpu_state *in = &make->out->in;
	const uint32_t half = make->bytes / 2;

	if (one_in(make, 2))
		return;
	if (make->form->kind == PAIR) {
		in->gpr[RAX] = memory_value(target, half);
		in->gpr[RDX] = memory_value(target + half, half);
		make->pinned |= 1u << RAX | 1u << RDX;
	} else {
		in->gpr[RAX] = (in->gpr[RAX] & ~cut(~UINT64_C(0), make->bytes)) |
			       memory_value(target, make->bytes);
		make->pinned |= 1u << RAX;
	}
}

/* The stack lies beside the operand; sometimes it is the target, and the operand lies beside. */
static void make_stack(struct maker *make, uint64_t *target)
{
	const bool on_target = one_in(make, 3);
	const uint64_t base = segment_base(make, SEG_SS);
	uint64_t rsp = on_target ? *target : any_other(make);

	if (on_target)
		*target = any_other(make);
	make->out->places[1] = on_target ? *target : rsp;
	if (make->form->kind == PUSH)
		rsp += make->bytes;
	make->out->in.gpr[RSP] = rsp - base;
	if (is_64bit(make) && one_in(make, 40) && !make->limits->qemu)
		make->out->in.gpr[RSP] = UINT64_C(0x1234567800000000);
	make->pinned |= 1u << RSP;
}

static bool make_memory_form(struct maker *make)
{
	const uint32_t r = make->rex & 4 ? 8 : 0;
	const uint32_t reg =
		make->form->digit >= 0 ? (uint32_t)make->form->digit : below(make, 8) + r;
	uint64_t target = any_target(make), moved = 0;

	if (make->form->opcode == 0x8c && !make->form->map && (reg & 7) > SEG_GS)
		return false;
	fill(target, any_value(make), false, make->bytes);
	make->out->places[0] = target;
	if (make->form->kind == BIT)
		moved = make_bit_number(make, reg);
	if (make->form->kind == EXCHANGE || make->form->kind == PAIR)
		make_equal(make, target);
	if (make->form->kind == PUSH || make->form->kind == POP)
		make_stack(make, &target);
	put_opcode(make);
	if (make->form->kind == OFFSET)
		put(make, offset_of(make, effective_segment(make, SEG_DS), target),
		    make->address_bytes);
	else if (!put_modrm(make, reg, target - moved))
		return false;
	put_immediate(make);
	if (make->form->kind == SHIFT || make->form->kind == DOUBLE)
		return shift_undefined(make);
	return true;
}

static bool has_source(uint8_t opcode)
{
	return opcode == 0xa4 || opcode == 0xa6 || opcode == 0xac || opcode == 0x6e;
}

static bool has_destination(uint8_t opcode)
{
	return opcode != 0xac && opcode != 0x6e;
}

static bool compares(uint8_t opcode)
{
	return opcode == 0xa6 || opcode == 0xae;
}

/* Bytes that compare equal for a while. */
static void make_comparable(struct maker *make, uint64_t source, uint64_t destination)
{
	const uint8_t value = (uint8_t)any(make);

	fill(source - 160, value, true, 320);
	fill(destination - 160, value, true, 320);
	if (one_in(make, 2))
		fill(destination + below(make, 160), any(make), true, 1);
	if (one_in(make, 2))
		fill(destination - below(make, 160), any(make), true, 1);
	if (one_in(make, 2))
		make->out->in.gpr[RAX] = value * UINT64_C(0x0101010101010101);
}

enum { SCRATCH_PORT = 0x3ff, CONFIG_PORT = 0xcf8 };

static bool make_string(struct maker *make)
{
	const uint8_t opcode = make->form->opcode & 0xfe;
	const bool is_io = opcode == 0x6c || opcode == 0x6e;
	uint64_t source = any_string(make), destination = any_string(make);

	if (is_io && make->bytes == 8)
		make->bytes = 4;
	/* The serial line's scratch register, and the one that names a place in PCI configuration space. */
	if (is_io && (make->out->mode != MODE_64_0 || make->bytes == 2))
		return false;
	if (has_source(opcode) && has_destination(opcode)) {
		if (one_in(make, 3))
			source = any_other(make);
		else if (one_in(make, 2))
			destination = any_other(make);
	}
	if (make->limits->bochs && make->repeats && opcode == 0xa4 &&
	    source - destination + make->bytes < 2u * make->bytes)
		destination = any_other(make);
	if (compares(opcode) && !one_in(make, 4))
		make_comparable(make, source, destination);
	pin_pointer(make, RSI, offset_of(make, effective_segment(make, SEG_DS), source));
	pin_pointer(make, RDI, offset_of(make, SEG_ES, destination));
	if (is_64bit(make) && make->address_bytes == 8 && one_in(make, 40))
		make->out->in.gpr[one_in(make, 2) ? RSI : RDI] ^= UINT64_C(1) << 60;
	if (make->repeats)
		pin_pointer(make, RCX, below(make, 21));
	if (is_io)
		make->out->in.gpr[RDX] = make->bytes == 1 ? SCRATCH_PORT : CONFIG_PORT;
	make->out->places[0] = source;
	make->out->places[1] = destination;
	put_opcode(make);
	return true;
}

/* --- the rest of the state ------------------------------------------------------------------- */

static bool is_last_iteration(const struct maker *make)
{
	return make->repeats && cut(make->out->in.gpr[RCX], make->address_bytes) == 1;
}

static void make_flags(struct maker *make)
{
	uint64_t flags = 2;

	flags |= any(make) & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF);
	if (one_in(make, 4))
		flags |= FLAG_DF;
	if (one_in(make, 16) && !(make->limits->qemu && is_last_iteration(make)))
		flags |= FLAG_TF;
	if (one_in(make, 16) && !make->limits->qemu)
		flags |= FLAG_RF;
	if (one_in(make, 4) && (make->out->mode == MODE_64_0 || !make->limits->qemu))
		flags |= FLAG_AC;
	make->out->in.rflags = flags;
}

/* Seldom, a page beside the target is absent, read-only or the kernel's, and more seldom the target itself. */
static void make_rights(struct maker *make)
{
	static const uint8_t choice[] = { 0, PAGE_PRESENT | PAGE_USER,
					  PAGE_PRESENT | PAGE_WRITABLE };

	for (uint32_t i = 0; i < WORLD_PAGES; i++)
		make->out->rights[i] = PAGE_ALL;
	if (one_in(make, 6))
		make->out->rights[below(make, WORLD_PAGES)] = choice[below(make, sizeof(choice))];
}

static void make_mode(struct maker *make)
{
	static const uint8_t code_bytes[] = { 8, 8, 4, 2 };
	const uint32_t number = below(make, 16);

	make->out->mode = number < 10	? MODE_64_0
			  : number < 13 ? MODE_64_3
			  : number < 15 ? MODE_32_3
					: MODE_16_3;
	make->code_bytes = code_bytes[make->out->mode];
}

/* The displacement counts from the next instruction. */
static bool patch_rip(struct maker *make)
{
	struct test_case *out = make->out;
	uint64_t displacement;

	out->in.rip = CODE_PAGE + out->code_offset - base_of_selector((uint16_t)out->in.cs);
	if (make->rip_at < 0)
		return true;
	displacement = make->rip_target - (out->in.rip + out->count);
	for (uint32_t i = 0; i < 4; i++)
		out->bytes[make->rip_at + (int)i] = (uint8_t)(displacement >> (8 * i));
	return make->address_bytes == 4 || displacement == (uint64_t)(int32_t)displacement;
}

uint32_t case_form_count(void)
{
	return form_count;
}

const char *case_form_name(uint32_t form)
{
	return forms[form].name;
}

bool case_make(uint64_t *random, const struct case_limits *limits, struct test_case *out)
{
	struct maker make = { .random = random, .limits = limits, .out = out, .rip_at = -1 };

	*out = (struct test_case){ .count = 0 };
	out->form = below(&make, form_count);
	make.form = &forms[out->form];
	out->name = make.form->name;
	out->undefined = make.form->undefined;
	out->modifies = make.form->modifies;
	make_mode(&make);
	if (make.form->opcode == 0x63 && !is_64bit(&make))
		return false;
	make_registers(&make);
	make_segments(&make);
	make_sizes(&make);
	make_bases(&make);
	make.bytes = memory_bytes(&make);
	make_prefixes(&make);
	if (!(make.form->kind == STRING ? make_string(&make) : make_memory_form(&make)))
		return false;
	if (make.form->opcode == 0x63 && make.operand_bytes == 2)
		return false;
	out->code_offset = below(&make, PAGE - 2 * INSN_MAX);
	make_flags(&make);
	make_rights(&make);
	return out->count <= INSN_MAX && patch_rip(&make);
}
