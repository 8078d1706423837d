/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/operand_text.h"

#include <stdlib.h>
#include <string.h>

#include "vmexit/decode.h"

static const char *const segment_names[6] = { "es", "cs", "ss", "ds", "fs", "gs" };

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Words that libopcodes puts before the mnemonic. */
static bool is_prefix_word(const char *word, size_t length)
{
	static const char *const words[] = { "lock",   "rep",	   "repz",     "repnz", "data16",
					     "addr16", "addr32",   "data32",   "bnd",	"notrack",
					     "cs",     "ds",	   "es",       "ss",	"fs",
					     "gs",     "xacquire", "xrelease", "fwait" };

	if (word[0] == '{')
		return true;
	if (starts(word, "rex"))
		return true;
	for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
		if (strlen(words[i]) == length && strncmp(word, words[i], length) == 0)
			return true;
	return false;
}

static const char *skip_braces(const char *text)
{
	const char *end = strchr(text, '}');

	return end == NULL ? text + strlen(text) : end + 1;
}

static const char *take_mnemonic(const char *text, struct said_insn *out)
{
	size_t length;

	for (;;) {
		text += strspn(text, " ");
		length = strcspn(text, " ");
		if (length == 0 || !is_prefix_word(text, length))
			break;
		text = text[0] == '{' ? skip_braces(text) : text + length;
	}
	if (length >= sizeof(out->mnemonic))
		length = sizeof(out->mnemonic) - 1;
	memcpy(out->mnemonic, text, length);
	out->mnemonic[length] = '\0';
	return text + length;
}

static unsigned size_of_word(const char *end, const char *start)
{
	static const struct {
		const char *word;
		unsigned bytes;
	} sizes[] = {
		{ "XMMWORD", 16 }, { "YMMWORD", 32 }, { "ZMMWORD", 64 }, { "OWORD", 16 },
		{ "QWORD", 8 },	   { "DWORD", 4 },    { "FWORD", 6 },	 { "TBYTE", 10 },
		{ "BYTE", 1 },	   { "WORD", 2 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
		size_t length = strlen(sizes[i].word);

		if ((size_t)(end - start) >= length &&
		    strncmp(end - length, sizes[i].word, length) == 0)
			return sizes[i].bytes;
	}
	return 0;
}

/* The words before the bracket or the segment: "DWORD PTR " or "DWORD BCST ". */
static unsigned size_before(const char *at, const char *start)
{
	static const char *const kinds[] = { " PTR ", " BCST " };

	for (unsigned i = 0; i < 2; i++) {
		size_t length = strlen(kinds[i]);

		if ((size_t)(at - start) >= length && strncmp(at - length, kinds[i], length) == 0)
			return size_of_word(at - length, start);
	}
	return 0;
}

static uint8_t gpr_number(const char *name, size_t length)
{
	static const char *const names[] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };

	if (name[0] == 'r' && name[1] >= '0' && name[1] <= '9')
		return (uint8_t)atoi(name + 1);
	if (name[0] == 'e' || name[0] == 'r') {
		name++;
		length--;
	}
	for (uint8_t i = 0; length == 2 && i < 8; i++)
		if (strncmp(name, names[i], 2) == 0)
			return i;
	return INSN_NO_REGISTER;
}

static bool take_vector_register(const char *term, struct said_operand *operand)
{
	if (term[0] == '\0' || strncmp(term + 1, "mm", 2) != 0)
		return false;
	operand->vector_index = true;
	operand->index = (uint8_t)atoi(term + 3);
	return true;
}

static void take_register(const char *term, size_t length, struct said_operand *operand)
{
	const char *star = memchr(term, '*', length);
	size_t name_length = star == NULL ? length : (size_t)(star - term);
	uint8_t number;

	if (star != NULL)
		operand->scale = (unsigned)atoi(star + 1);
	if (take_vector_register(term, operand))
		return;
	if (strncmp(term + 1, "ip", 2) == 0) {
		operand->rip_relative = true;
		return;
	}
	if (strncmp(term + 1, "iz", 2) == 0)
		return; /* no index */
	number = gpr_number(term, name_length);
	if (star == NULL && operand->base == INSN_NO_REGISTER)
		operand->base = number;
	else
		operand->index = number;
}

/* "rax+rcx*4-0x10" up to the bracket. */
static const char *take_address(const char *text, struct said_operand *operand)
{
	while (*text != ']' && *text != '\0') {
		bool minus = *text == '-';
		size_t length;

		if (*text == '+' || *text == '-')
			text++;
		length = strcspn(text, "+-]");
		if (text[0] == '0') {
			uint64_t value = strtoull(text, NULL, 16);

			operand->displacement = (int64_t)(minus ? 0 - value : value);
		} else {
			take_register(text, length, operand);
		}
		text += length;
	}
	return text;
}

static int segment_before(const char *at, const char *start)
{
	if (at - start < 3 || at[-1] != ':')
		return -1;
	for (int i = 0; i < 6; i++)
		if (strncmp(at - 3, segment_names[i], 2) == 0)
			return i;
	return -1;
}

/* Mnemonics whose first operand is not their destination; a trailing * stands for any ending. */
static const char *const readers[] = {
	"cmp",	       "cmps",	    "test",	"bt",	      "push",	     "pushw",
	"call",	       "jmp",	    "mul",	"imul",	      "div",	     "idiv",
	"nop",	       "inv*",	    "lgdt*",	"lidt*",      "lldt",	     "ltr",
	"lmsw",	       "verr",	    "verw",	"fld*",	      "fild",	     "fadd",
	"fmul",	       "fcom",	    "fcomp",	"fsub",	      "fsubr",	     "fdiv",
	"fdivr",       "fiadd",	    "fimul",	"ficom",      "ficomp",	     "fisub",
	"fisubr",      "fidiv",	    "fidivr",	"fbld",	      "frstor*",     "aesencwide*",
	"aesdecwide*", "fxrstor*",  "ldmxcsr",	"vldmxcsr",   "xrstor*",     "prefetch*",
	"clflush*",    "clwb",	    "cldemote", "scas",	      "outs",	     "vmptrld",
	"vmxon",       "vmclear",   "ptwrite",	"vgatherpf*", "vscatterpf*", "ccmp*",
	"ctest*",      "ldtilecfg", "lkgs",	"jmp*",	      "call*",
};

static bool is_reader(const char *mnemonic)
{
	for (unsigned i = 0; i < ARRAY_COUNT(readers); i++) {
		size_t length = strlen(readers[i]);
		bool open = readers[i][length - 1] == '*';

		if (open ? strncmp(mnemonic, readers[i], length - 1) == 0
			 : strcmp(mnemonic, readers[i]) == 0)
			return true;
	}
	return false;
}

/* Intel's order of operands: the destination is the first. Whether it is also read is not said. */
static void say_access(const struct said_insn *insn, bool is_first, struct said_operand *operand)
{
	operand->is_access_said = true;
	operand->writes = is_first && !is_reader(insn->mnemonic);
}

static struct said_operand *new_operand(struct said_insn *out, const char *operands, const char *at)
{
	struct said_operand *operand = &out->operands[out->count];

	if (out->count >= ARRAY_COUNT(out->operands))
		return NULL;
	out->count++;
	*operand = (struct said_operand){
		.base = INSN_NO_REGISTER,
		.index = INSN_NO_REGISTER,
		.scale = 1,
		.segment = -1,
	};
	say_access(out, memchr(operands, ',', (size_t)(at - operands)) == NULL, operand);
	return operand;
}

/* "[...]", or "ds:0x1234" for an offset alone. */
static void take_operands(const char *operands, struct said_insn *out)
{
	for (const char *at = operands; *at != '\0' && *at != '#'; at++) {
		bool offset = at[0] == ':' && at[1] == '0' && segment_before(at + 1, operands) >= 0;
		struct said_operand *operand;
		const char *before;

		if (*at != '[' && !offset)
			continue;
		operand = new_operand(out, operands, at);
		if (operand == NULL)
			return;
		before = offset ? at + 1 : at;
		operand->segment = segment_before(before, operands);
		operand->bytes = size_before(operand->segment < 0 ? before : before - 3, operands);
		if (offset)
			operand->displacement = (int64_t)strtoull(at + 1, NULL, 16);
		else
			at = take_address(at + 1, operand);
	}
}

void said_insn_parse(const char *line, struct said_insn *out)
{
	char *text;

	*out = (struct said_insn){ .length = (int)strtol(line, &text, 10) };
	strncpy(out->text, text, sizeof(out->text) - 1);
	out->bad = strstr(text, "(bad)") != NULL || strstr(text, "{ba") != NULL;
	take_operands(take_mnemonic(text, out), out);
}
