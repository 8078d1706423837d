/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_memory.h"

#include "arch/x86/cr.h"
#include "core/format.h"
#include "mm/page_entry.h"

#define EXAMINE_BYTES_MAX 65536u
#define LINE_BYTES	  16u
#define FRAMES_MAX	  64u
/* A frame pointer that leads further up than that is none. */
#define FRAME_BYTES_MAX	  UINT64_C(0x100000)

enum space { SPACE_GVA, SPACE_GPA, SPACE_HPA };

/* --- x --------------------------------------------------------------------------------------- */

struct examine {
	unsigned count;
	unsigned bytes; /* of one */
	char letter;	/* x d u c s */
	enum space space;
	uint64_t address;
};

/* "/16xg", each part may be missing. */
static void read_format(struct monitor_args *args, struct examine *examine)
{
	const char *at = args->at;
	unsigned count = 0;

	*examine = (struct examine){ .count = 1, .bytes = 8, .letter = 'x' };
	if (*at != '/')
		return;
	at++;
	if (*at >= '0' && *at <= '9') {
		for (; *at >= '0' && *at <= '9'; at++) {
			if (count <= EXAMINE_BYTES_MAX)
				count = count * 10 + (unsigned)(*at - '0');
		}
		examine->count = count;
	}
	for (; *at != ' ' && *at != '\0'; at++) {
		switch (*at) {
		case 'x':
		case 'd':
		case 'u':
			examine->letter = *at;
			break;
		case 'c':
		case 's':
			examine->letter = *at;
			examine->bytes = 1;
			break;
		case 'b':
			examine->bytes = 1;
			break;
		case 'h':
			examine->bytes = 2;
			break;
		case 'w':
			examine->bytes = 4;
			break;
		case 'g':
			examine->bytes = 8;
			break;
		default:
			args->why = "the format is a count, x d u c or s, and b h w or g";
			return;
		}
	}
	args->at = at;
	if (examine->count == 0 || examine->count > EXAMINE_BYTES_MAX / examine->bytes)
		args->why = "that is nothing, or more than 64 KiB";
}

static enum space read_space(struct monitor_args *args)
{
	if (monitor_args_word(args, "gpa"))
		return SPACE_GPA;
	if (monitor_args_word(args, "hpa"))
		return SPACE_HPA;
	(void)monitor_args_word(args, "gva");
	return SPACE_GVA;
}

static size_t read_memory(const struct monitor *monitor, enum space space, uint64_t address,
			  void *to, size_t bytes)
{
	if (space == SPACE_HPA)
		return monitor->target->read_hpa(address, to, bytes);
	return monitor->target->gdb->read(monitor->cpu, space == SPACE_GPA, address, to, bytes);
}

static char printable(uint8_t c)
{
	return c >= ' ' && c < 0x7f ? (char)c : '.';
}

static uint64_t load(const uint8_t *from, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

static int64_t extend(uint64_t value, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;

	return (int64_t)(value << unused) >> unused;
}

/* All digits of it. */
static void say_hex(const struct monitor *monitor, uint64_t value, unsigned bytes)
{
	char text[17];

	format_string(text, sizeof(text), "%016lx", (unsigned long)value);
	monitor_say(monitor, " %s", text + 16 - 2 * bytes);
}

static void say_unit(const struct monitor *monitor, const struct examine *examine,
		     const uint8_t *from)
{
	uint64_t value = load(from, examine->bytes);

	switch (examine->letter) {
	case 'd':
		monitor_say(monitor, "  %ld", (long)extend(value, examine->bytes));
		break;
	case 'u':
		monitor_say(monitor, "  %lu", (unsigned long)value);
		break;
	case 'c':
		monitor_say(monitor, " '%c'", printable((uint8_t)value));
		break;
	default:
		say_hex(monitor, value, examine->bytes);
		break;
	}
}

static void say_text(const struct monitor *monitor, const uint8_t *from, size_t bytes)
{
	char text[LINE_BYTES + 1];
	size_t i;

	for (i = 0; i < bytes; i++)
		text[i] = printable(from[i]);
	text[i] = '\0';
	monitor_say(monitor, "  %s", text);
}

static void examine_line(const struct monitor *monitor, const struct examine *examine,
			 uint64_t address, size_t wanted, size_t *got)
{
	uint8_t bytes[LINE_BYTES];
	size_t there = read_memory(monitor, examine->space, address, bytes, wanted);

	*got = there - there % examine->bytes;
	if (*got != 0) {
		monitor_say(monitor, "%016lx:", (unsigned long)address);
		for (size_t at = 0; at < *got; at += examine->bytes)
			say_unit(monitor, examine, bytes + at);
		if (examine->letter == 'x' && examine->bytes == 1)
			say_text(monitor, bytes, *got);
		monitor_say(monitor, "\n");
	}
	if (*got != wanted)
		monitor_say(monitor, "%016lx: no memory\n", (unsigned long)(address + *got));
}

/* A text up to its 0, or the end of the memory. */
static void examine_text(const struct monitor *monitor, struct examine *examine)
{
	uint8_t bytes[64];
	size_t got, length = 0;

	monitor_say(monitor, "%016lx: \"", (unsigned long)examine->address);
	do {
		got = read_memory(monitor, examine->space, examine->address, bytes, sizeof(bytes));
		for (length = 0; length < got && bytes[length] != 0; length++)
			monitor_say(monitor, "%c", printable(bytes[length]));
		examine->address += length;
	} while (length == sizeof(bytes) && --examine->count != 0);
	monitor_say(monitor, "\"%s\n", length == got ? "..." : "");
}

const char *monitor_command_examine(struct monitor *monitor, struct monitor_args *args)
{
	struct examine examine;
	uint64_t left;
	size_t got = 0, wanted;
	const char *why;

	read_format(args, &examine);
	if (args->why == NULL) {
		examine.space = read_space(args);
		examine.address = monitor_args_number(args);
	}
	why = monitor_args_end(args);
	if (why != NULL)
		return why;
	if (examine.letter == 's') {
		examine_text(monitor, &examine);
		return NULL;
	}
	left = (uint64_t)examine.count * examine.bytes;
	do {
		wanted = left < LINE_BYTES ? left : LINE_BYTES;
		examine_line(monitor, &examine, examine.address, wanted, &got);
		examine.address += got;
		left -= got;
	} while (left != 0 && got == wanted);
	return NULL;
}

/* --- walk, maps ------------------------------------------------------------------------------ */

struct flag {
	uint64_t bit;
	const char *name;
};

static const struct flag paging_flags[] = {
	{ ENTRY_P, "P" },     { ENTRY_RW, "RW" }, { ENTRY_US, "US" }, { ENTRY_PWT, "PWT" },
	{ ENTRY_PCD, "PCD" }, { ENTRY_A, "A" },	  { ENTRY_D, "D" },   { ENTRY_G, "G" },
	{ ENTRY_NX, "NX" },   { 0, NULL },
};

static const struct flag ept_flags[] = {
	{ EPT_R, "R" },	      { EPT_W, "W" }, { EPT_X, "X" }, { EPT_X_USER, "XU" },
	{ EPT_IPAT, "IPAT" }, { EPT_A, "A" }, { EPT_D, "D" }, { 0, NULL },
};

static const char *type_name(uint64_t type)
{
	static const char *const names[8] = { "UC", "WC", "?", "?", "WT", "WP", "WB", "UC-" };

	return names[type & 7];
}

static void flags_text(const struct monitor_walk *walk, const struct monitor_walk_entry *entry,
		       char *text, size_t bytes)
{
	const struct flag *flag = walk->is_ept ? ept_flags : paging_flags;
	size_t used = 0;

	text[0] = '\0';
	for (; flag->name != NULL; flag++) {
		if ((entry->entry & flag->bit) != 0)
			used += format_string(text + used, bytes - used, " %s", flag->name);
	}
	if (entry->is_leaf && entry->level > 0)
		used += format_string(text + used, bytes - used, " PS");
	if (!entry->is_leaf)
		return;
	if (walk->is_ept)
		used += format_string(text + used, bytes - used, " %s",
				      type_name(field_get(EPT_TYPE, entry->entry)));
	else if ((entry->entry & (entry->level == 0 ? ENTRY_PAT_SMALL : ENTRY_PAT_LARGE)) != 0)
		format_string(text + used, bytes - used, " PAT");
}

static const char *level_name(const struct monitor_walk *walk, unsigned level)
{
	static const char *const names[2][PAGE_LEVELS] = {
		{ "PTE", "PDE", "PDPTE", "PML4E", "PML5E" },
		{ "EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E", "EPT PML5E" },
	};

	return names[walk->is_ept][level];
}

static void say_bytes(const struct monitor *monitor, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	unsigned unit = 0;

	for (bytes >>= 10; bytes >= 1024 && (bytes & 1023) == 0; bytes >>= 10)
		unit++;
	monitor_say(monitor, "%lu %ciB", (unsigned long)bytes, units[unit]);
}

static void say_walk(const struct monitor *monitor, const struct monitor_walk *walk,
		     uint64_t address, const char *to)
{
	char text[80];

	monitor_say(monitor, "%s\n", walk->kind);
	for (unsigned i = 0; i < walk->count; i++) {
		const struct monitor_walk_entry *entry = &walk->entries[i];

		flags_text(walk, entry, text, sizeof(text));
		monitor_say(monitor, "  %-9s at %016lx: %016lx%s\n", level_name(walk, entry->level),
			    (unsigned long)entry->at, (unsigned long)entry->entry, text);
	}
	if (walk->failure != NULL) {
		monitor_say(monitor, "  %016lx: %s\n", (unsigned long)address, walk->failure);
		return;
	}
	monitor_say(monitor, "  %016lx -> %s %016lx", (unsigned long)address, to,
		    (unsigned long)walk->address);
	if (walk->page_bytes != 0) {
		monitor_say(monitor, ", page of ");
		say_bytes(monitor, walk->page_bytes);
	}
	monitor_say(monitor, "\n");
}

const char *monitor_command_walk(struct monitor *monitor, struct monitor_args *args)
{
	enum space space = read_space(args);
	uint64_t address = monitor_args_number(args);
	const char *why = monitor_args_end(args);
	struct monitor_walk walk;

	if (why == NULL && space == SPACE_HPA)
		why = "nothing translates a host-physical address";
	if (why == NULL && space == SPACE_GVA && monitor_state(monitor, monitor->cpu) == NULL)
		why = monitor_waits_for_sipi;
	if (why != NULL)
		return why;
	if (space == SPACE_GVA) {
		monitor->target->walk(monitor->cpu, false, address, &walk);
		say_walk(monitor, &walk, address, "gpa");
		if (walk.failure != NULL)
			return NULL;
		address = walk.address;
	}
	monitor->target->walk(monitor->cpu, true, address, &walk);
	say_walk(monitor, &walk, address, "hpa");
	return NULL;
}

const char *monitor_command_maps(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);
	struct monitor_map map;
	uint64_t address = 0;

	if (why != NULL)
		return why;
	while (monitor->target->map(address, &map)) {
		address = map.address + map.bytes;
		monitor_say(monitor, "%016lx-%016lx %c%c%c", (unsigned long)map.address,
			    (unsigned long)(address - 1),
			    (map.rights & RIGHT_READ) != 0 ? 'r' : '-',
			    (map.rights & RIGHT_WRITE) != 0 ? 'w' : '-',
			    (map.rights & RIGHT_EXEC) != 0 ? 'x' : '-');
		monitor_say(monitor, " %-3s ", map.is_typed ? type_name(map.type) : "");
		say_bytes(monitor, map.bytes);
		monitor_say(monitor, " in pages of ");
		say_bytes(monitor, map.page_bytes);
		if (map.is_hidden)
			monitor_say(monitor, ", hidden: all ones");
		else if (map.frame != map.address)
			monitor_say(monitor, ", from %016lx", (unsigned long)map.frame);
		monitor_say(monitor, "\n");
		if (address == 0)
			break;
	}
	return NULL;
}

/* --- bt -------------------------------------------------------------------------------------- */

/* Of a return address and a frame pointer on the stack. */
static unsigned slot_bytes(const struct regs_sync *state)
{
	const struct segment *cs = &state->sregs.segments[SEGMENT_CS];

	if ((state->sregs.efer & EFER_LMA) != 0 && (cs->rights & SEGMENT_L) != 0)
		return 8;
	return (cs->rights & SEGMENT_DB) != 0 ? 4 : 2;
}

const char *monitor_command_bt(struct monitor *monitor, struct monitor_args *args)
{
	const struct regs_sync *state = monitor_state(monitor, monitor->cpu);
	unsigned most = FRAMES_MAX, bytes;
	uint8_t slots[16];
	uint64_t frame, next, rip;
	const char *why;

	if (monitor_args_more(args))
		most = (unsigned)monitor_args_number_up_to(args, FRAMES_MAX,
							   "at most 64 frames are shown");
	why = monitor_args_end(args);
	if (why == NULL && state == NULL)
		why = monitor_waits_for_sipi;
	if (why != NULL)
		return why;
	bytes = slot_bytes(state);
	rip = state->regs.rip;
	frame = state->regs.gpr[REG_RBP];
	for (unsigned i = 0; i < most; i++) {
		monitor_say(monitor, "#%-2u %016lx  frame %016lx\n", i, (unsigned long)rip,
			    (unsigned long)frame);
		if (frame == 0 || frame % bytes != 0 ||
		    read_memory(monitor, SPACE_GVA,
				frame + (bytes < 8 ? state->sregs.segments[SEGMENT_SS].base : 0),
				slots, 2 * bytes) != 2 * bytes)
			break;
		next = load(slots, bytes);
		rip = load(slots + bytes, bytes);
		if (rip == 0 || (next != 0 && (next <= frame || next - frame > FRAME_BYTES_MAX)))
			break;
		frame = next;
	}
	return NULL;
}
