// sources: tests/oracle/binutils_differences.c tests/oracle/capstone_differences.c tests/oracle/capstone_oracle.c
// sources: tests/oracle/elf_code.c tests/oracle/every_insn.c tests/oracle/insn_facts.c tests/oracle/operand_text.c
// sources: tests/oracle/random_insn.c
// sources: tests/oracle/sample.c vmexit/decode.c vmexit/decode_implied.c vmexit/decode_operands.c vmexit/decode_vector.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder against Capstone and binutils.
 *
 *   decode_compare systematic ORACLE            every opcode, against Capstone and binutils
 *   decode_compare random COUNT SEED ORACLE     COUNT random instructions, against both
 *   decode_compare compiled COUNT ORACLE FILE...  the code of ELF files, up to COUNT instructions each
 *
 * ORACLE is the shell command that runs tests/oracle/opcodes.c. Known differences are counted by name; the exit status
 * is 1 if there is any other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "tests/oracle/capstone_oracle.h"
#include "tests/oracle/elf_code.h"
#include "tests/oracle/every_insn.h"
#include "tests/oracle/random_insn.h"
#include "tests/oracle/sample.h"

#define BATCH	      65536u
#define MOST_EXAMPLES 40u

static const char *const disagreement_names[DISAGREEMENT_COUNT] = {
	"agreed",  "only we refuse", "only they refuse", "only they know", "length",
	"address", "size",	     "access",
};

struct tally {
	const char *oracle;
	const struct difference *known;
	unsigned compared, unexplained;
	unsigned counts[64];
};

static struct sample samples[BATCH];

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void print_said(const struct said_operand *said)
{
	printf("    they: base %u index %u scale %u disp %llx segment %d bytes %u%s%s\n",
	       said->base, said->index, said->scale, (unsigned long long)said->displacement,
	       said->segment, said->bytes, said->reads ? " reads" : "",
	       said->writes ? " writes" : "");
}

static void print_sample(const char *oracle, const struct sample *sample)
{
	const struct insn *insn = &sample->insn;
	const struct insn_operand *operand = &sample->operands.memory;

	printf("%s, %s: %u-bit ", oracle, disagreement_names[sample->disagreement],
	       8 * sample->code_bytes);
	for (unsigned i = 0; i < 15; i++)
		printf("%02x", sample->bytes[i]);
	printf(": %d, they %d %s | map %d %02x base %u index %u disp %llx bytes %u%s%s%s\n",
	       sample->decoded ? insn->bytes : -1, sample->said.length, sample->said.text,
	       insn->map, insn->opcode, operand->memory.base, operand->memory.index,
	       (unsigned long long)operand->memory.displacement, operand->bytes,
	       operand->reads ? " reads" : "", operand->writes ? " writes" : "",
	       sample->known && sample->operands.undefined ? " #UD" : "");
	for (unsigned i = 0; i < sample->said.count; i++)
		print_said(&sample->said.operands[i]);
}

static void count_difference(struct tally *tally, const struct sample *sample)
{
	for (unsigned i = 0; tally->known[i].name != NULL; i++) {
		const struct difference *difference = &tally->known[i];

		if (difference->disagreement == sample->disagreement &&
		    difference->applies(sample)) {
			tally->counts[i]++;
			return;
		}
	}
	if (tally->unexplained++ < MOST_EXAMPLES)
		print_sample(tally->oracle, sample);
}

static void judge(struct tally *tally, struct sample *sample)
{
	if (sample->said.length > 0 && !sample->said.bad)
		tally->compared++;
	sample->disagreement = sample_compare(sample);
	if (sample->disagreement != AGREED)
		count_difference(tally, sample);
}

static bool print_tally(const struct tally *tally)
{
	printf("%s: %u instructions compared, %u unexplained differences\n", tally->oracle,
	       tally->compared, tally->unexplained);
	for (unsigned i = 0; tally->known[i].name != NULL; i++)
		printf("  %8u  %s: %s (%s)\n", tally->counts[i],
		       disagreement_names[tally->known[i].disagreement], tally->known[i].name,
		       tally->known[i].reason);
	return tally->unexplained == 0;
}

/* --- binutils: a batch through files, so that no pipe can fill up ---------------------------------- */

static void write_records(const char *path, unsigned count)
{
	FILE *file = fopen(path, "wb");

	if (file == NULL)
		die(path);
	for (unsigned i = 0; i < count; i++) {
		uint8_t mode = (uint8_t)samples[i].code_bytes;

		if (fwrite(&mode, 1, 1, file) != 1 || fwrite(samples[i].bytes, 15, 1, file) != 1)
			die(path);
	}
	if (fclose(file) != 0)
		die(path);
}

static void ask_binutils(const char *command, unsigned count, struct tally *tally)
{
	char line[1024], shell[4096], records[64];
	FILE *answers;
	unsigned i;

	snprintf(records, sizeof(records), "build/oracle/records.%d", (int)getpid());
	write_records(records, count);
	snprintf(shell, sizeof(shell), "%s <%s", command, records);
	answers = popen(shell, "r");
	if (answers == NULL)
		die(command);
	for (i = 0; i < count && fgets(line, sizeof(line), answers) != NULL; i++) {
		line[strcspn(line, "\n")] = '\0';
		said_insn_parse(line, &samples[i].said);
		judge(tally, &samples[i]);
	}
	unlink(records);
	if (pclose(answers) != 0 || i != count) {
		fprintf(stderr, "%s: answered %u of %u\n", command, i, count);
		exit(2);
	}
}

/* --- the two runs -------------------------------------------------------------------------------- */

/* The instruction with this number of a run. False: no more. */
typedef bool make_insn(unsigned number, unsigned *code_bytes, uint8_t bytes[15]);

static bool random_mode(unsigned number, unsigned *code_bytes, uint8_t bytes[15])
{
	*code_bytes = 2u << number % 3;
	random_insn(*code_bytes, bytes);
	return true;
}

static unsigned make_batch(make_insn *make, unsigned first, unsigned most)
{
	unsigned i;

	for (i = 0; i < most && make(first + i, &samples[i].code_bytes, samples[i].bytes); i++)
		sample_decode(&samples[i]);
	return i;
}

static bool compare_made(make_insn *make, unsigned count, const char *command)
{
	static struct tally capstone = { .oracle = "Capstone", .known = capstone_differences };
	static struct tally binutils = { .oracle = "binutils", .known = binutils_differences };
	unsigned done = 0, batch;
	bool ok;

	for (; done < count; done += batch) {
		batch = make_batch(make, done, count - done < BATCH ? count - done : BATCH);
		if (batch == 0)
			break;
		for (unsigned i = 0; i < batch; i++) {
			capstone_say(&samples[i]);
			judge(&capstone, &samples[i]);
		}
		ask_binutils(command, batch, &binutils);
	}
	printf("%u %s instructions\n", done, make == random_mode ? "random" : "systematic");
	ok = print_tally(&capstone);
	return print_tally(&binutils) && ok;
}

/*
 * Both sides start at a section's first byte; with equal lengths they stay together to its end. Bytes that are no
 * instruction (tables between functions) count one.
 */
static unsigned compare_file(const char *path, unsigned count, const char *command,
			     struct tally *tally)
{
	unsigned done = 0, filled = 0;
	struct elf_code *code = elf_code_open(path);

	if (code == NULL)
		die(path);
	while (done < count) {
		struct sample *sample = &samples[filled];
		bool more = elf_code_next(code, sample->bytes, &sample->code_bytes);

		if (more) {
			sample_decode(sample);
			elf_code_skip(code, sample->decoded ? sample->insn.bytes : 1);
			filled++;
			done++;
		}
		if (filled == BATCH || !more || done == count) {
			ask_binutils(command, filled, tally);
			filled = 0;
		}
		if (!more)
			break;
	}
	elf_code_close(code);
	return done;
}

static bool compare_compiled(unsigned count, const char *command, char **files)
{
	static struct tally tally = { .oracle = "binutils", .known = compiled_differences };
	unsigned all = 0;

	for (; *files != NULL; files++) {
		unsigned done = compare_file(*files, count, command, &tally);
		const char *slash = strrchr(*files, '/');

		printf("%8u  %s\n", done, slash == NULL ? *files : slash + 1);
		all += done;
	}
	printf("%u compiled instructions\n", all);
	return print_tally(&tally);
}

int main(int argc, char **argv)
{
	if (!capstone_open())
		die("Capstone");
	random_insn_seed(1);
	if (argc == 3 && strcmp(argv[1], "systematic") == 0)
		return compare_made(every_insn, UINT32_MAX, argv[2]) ? 0 : 1;
	if (argc == 5 && strcmp(argv[1], "random") == 0) {
		random_insn_seed(strtoull(argv[3], NULL, 0));
		return compare_made(random_mode, (unsigned)atoi(argv[2]), argv[4]) ? 0 : 1;
	}
	if (argc >= 5 && strcmp(argv[1], "compiled") == 0)
		return compare_compiled((unsigned)atoi(argv[2]), argv[3], argv + 4) ? 0 : 1;
	fprintf(stderr, "see the head of tests/oracle/decode_compare.c\n");
	return 2;
}
