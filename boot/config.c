/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config.h"

#include "boot/boot_info.h"
#include "boot/text.h"

#define CONFIG_COM1	   0x3f8u
#define CONFIG_COM2	   0x2f8u
#define CONFIG_PORT_LAST   0xfff8u /* a UART has eight registers */
#define CONFIG_BAUD_BASE   115200u
#define CONFIG_SHOWN_BYTES 40 /* of a word that an error quotes */

/* A piece of the source text, not NUL-terminated. */
struct config_span {
	const char *text;
	size_t bytes;
};

typedef bool (*config_setter_t)(struct config *config, struct config_span value, const char **want);

struct config_key {
	const char *name;
	config_setter_t set;
};

static bool config_span_is(struct config_span span, const char *text)
{
	size_t i;

	for (i = 0; i < span.bytes; i++)
		if (text[i] == '\0' || text[i] != span.text[i])
			return false;
	return text[i] == '\0';
}

static bool config_copy(char *out, size_t out_bytes, struct config_span value)
{
	size_t i;

	if (value.bytes >= out_bytes)
		return false;
	for (i = 0; i < value.bytes; i++)
		out[i] = value.text[i];
	out[i] = '\0';
	return true;
}

/* An absolute EFI path; slashes become backslashes. */
static bool config_copy_path(char *out, struct config_span value)
{
	char *c;

	if (value.bytes == 0 || (value.text[0] != '\\' && value.text[0] != '/'))
		return false;
	if (!config_copy(out, CONFIG_PATH_BYTES, value))
		return false;
	for (c = out; *c != '\0'; c++)
		if (*c == '/')
			*c = '\\';
	return true;
}

#define CONFIG_WANT_PATH "an EFI path that begins with \\, at most 255 bytes"

static bool config_set_guest(struct config *config, struct config_span value, const char **want)
{
	*want = "next, linux or " CONFIG_WANT_PATH;
	if (config_span_is(value, "next")) {
		config->guest = CONFIG_GUEST_NEXT;
		return true;
	}
	if (config_span_is(value, "linux")) {
		config->guest = CONFIG_GUEST_LINUX;
		return true;
	}
	if (!config_copy_path(config->guest_path, value))
		return false;
	config->guest = CONFIG_GUEST_PATH;
	return true;
}

static bool config_set_kernel(struct config *config, struct config_span value, const char **want)
{
	*want = CONFIG_WANT_PATH;
	return config_copy_path(config->kernel, value);
}

static bool config_set_initrd(struct config *config, struct config_span value, const char **want)
{
	*want = "nothing or " CONFIG_WANT_PATH;
	config->initrd_is_explicit = true;
	if (value.bytes == 0) {
		config->initrd[0] = '\0';
		return true;
	}
	return config_copy_path(config->initrd, value);
}

static bool config_set_cmdline(struct config *config, struct config_span value, const char **want)
{
	*want = "at most 2047 bytes";
	return config_copy(config->cmdline, sizeof(config->cmdline), value);
}

static int config_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* At most seven digits, so that no sum can overflow. */
static bool config_number(struct config_span span, unsigned base, uint32_t *number)
{
	uint32_t value = 0;
	size_t i;

	if (span.bytes == 0 || span.bytes > 7)
		return false;
	for (i = 0; i < span.bytes; i++) {
		unsigned digit = (unsigned)config_digit(span.text[i]);

		if (digit >= base)
			return false;
		value = value * base + digit;
	}
	*number = value;
	return true;
}

static bool config_port(struct config_span name, uint32_t *port)
{
	if (config_span_is(name, "com1")) {
		*port = CONFIG_COM1;
		return true;
	}
	if (config_span_is(name, "com2")) {
		*port = CONFIG_COM2;
		return true;
	}
	if (config_span_is(name, "none")) {
		*port = 0;
		return true;
	}
	if (name.bytes < 3 || name.text[0] != '0' || (name.text[1] | 0x20) != 'x')
		return false;
	name.text += 2;
	name.bytes -= 2;
	return config_number(name, 16, port) && *port != 0 && *port <= CONFIG_PORT_LAST;
}

/* The word before a comma, and perhaps ",BAUD"; the rate that was there stays without. */
static bool config_split_baud(struct config_span value, struct config_span *name, uint32_t *baud)
{
	struct config_span rate;
	uint32_t number;

	*name = value;
	for (name->bytes = 0; name->bytes < value.bytes; name->bytes++)
		if (value.text[name->bytes] == ',')
			break;
	if (name->bytes == value.bytes)
		return true;
	rate.text = value.text + name->bytes + 1;
	rate.bytes = value.bytes - name->bytes - 1;
	if (!config_number(rate, 10, &number) || number < 50 || CONFIG_BAUD_BASE % number != 0)
		return false;
	*baud = number;
	return true;
}

/* Ten digits: beyond them no machine has registers. */
static bool config_address(struct config_span span, uint64_t *address)
{
	struct config_span high = span, low = span;
	uint32_t high_value = 0, low_value;

	if (span.bytes < 3 || span.text[0] != '0' || (span.text[1] | 0x20) != 'x')
		return false;
	low.bytes = span.bytes - 2 < 5 ? span.bytes - 2 : 5;
	low.text = span.text + span.bytes - low.bytes;
	high.text = span.text + 2;
	high.bytes = span.bytes - 2 - low.bytes;
	if (!config_number(low, 16, &low_value) ||
	    (high.bytes != 0 && (high.bytes > 5 || !config_number(high, 16, &high_value))))
		return false;
	*address = (uint64_t)high_value << 20 | low_value;
	return *address > UINT16_MAX;
}

/* 0xADDRESS, above all ports, and perhaps /BYTES from one register to the next. */
static bool config_memory(struct config_span value, uint64_t *memory, uint8_t *stride)
{
	struct config_span address = value;

	*stride = 1;
	for (address.bytes = 0; address.bytes < value.bytes; address.bytes++)
		if (value.text[address.bytes] == '/')
			break;
	if (address.bytes < value.bytes) {
		const char *bytes = value.text + address.bytes + 1;

		if (value.bytes != address.bytes + 2 || (*bytes != '1' && *bytes != '4'))
			return false;
		*stride = (uint8_t)(*bytes - '0');
	}
	return config_address(address, memory) && *memory % *stride == 0;
}

static bool config_set_serial(struct config *config, struct config_span value, const char **want)
{
	uint32_t port = 0, baud = config->serial_baud;
	uint64_t memory = 0;
	uint8_t stride = 0;
	struct config_span name;
	bool is_acpi;

	*want = "com1, com2, 0xPORT, 0xADDRESS[/4], acpi or none, and ,BAUD that divides 115200";
	if (!config_split_baud(value, &name, &baud))
		return false;
	is_acpi = config_span_is(name, "acpi");
	if (!is_acpi && !config_port(name, &port) && !config_memory(name, &memory, &stride))
		return false;
	config->serial_is_acpi = is_acpi;
	config->serial_port = port;
	config->serial_memory = memory;
	config->serial_stride = config->serial_width = stride;
	config->serial_baud = baud;
	return true;
}

static bool config_set_gdb(struct config *config, struct config_span value, const char **want)
{
	uint32_t port, baud = config->gdb_baud;
	struct config_span name;

	*want = "com1, com2, 0xPORT or none, and ,BAUD that divides 115200";
	if (!config_split_baud(value, &name, &baud) || !config_port(name, &port))
		return false;
	config->gdb_port = port;
	config->gdb_baud = baud;
	return true;
}

/* Which of `words` the value is. */
static bool config_word(struct config_span value, const char *const *words, uint32_t count,
			uint32_t *which)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (config_span_is(value, words[i])) {
			*which = i;
			return true;
		}
	}
	return false;
}

static bool config_set_serial_mode(struct config *config, struct config_span value,
				   const char **want)
{
	static const char *const modes[] = {
		[BOOT_SERIAL_LOG] = "log",
		[BOOT_SERIAL_OWN] = "own",
		[BOOT_SERIAL_PASS] = "pass",
		[BOOT_SERIAL_SHARE] = "share",
	};

	*want = "log, own, pass or share";
	return config_word(value, modes, sizeof(modes) / sizeof(modes[0]), &config->serial_mode);
}

static bool config_yes_or_no(struct config_span value, const char **want, bool *is_yes)
{
	*want = "yes or no";
	*is_yes = config_span_is(value, "yes");
	return *is_yes || config_span_is(value, "no");
}

static bool config_set_gdb_wait(struct config *config, struct config_span value, const char **want)
{
	return config_yes_or_no(value, want, &config->gdb_waits);
}

static bool config_set_debugcon(struct config *config, struct config_span value, const char **want)
{
	return config_yes_or_no(value, want, &config->debugcon);
}

static bool config_set_log(struct config *config, struct config_span value, const char **want)
{
	static const char *const levels[] = {
		[BOOT_LOG_ERROR] = "error",
		[BOOT_LOG_WARN] = "warn",
		[BOOT_LOG_INFO] = "info",
		[BOOT_LOG_DEBUG] = "debug",
	};

	*want = "error, warn, info or debug";
	return config_word(value, levels, sizeof(levels) / sizeof(levels[0]), &config->log_level);
}

static bool config_set_cpuid(struct config *config, struct config_span value, const char **want)
{
	*want = "named or hidden";
	if (!config_span_is(value, "named") && !config_span_is(value, "hidden"))
		return false;
	config->cpuid_is_named = config_span_is(value, "named");
	return true;
}

static const struct config_key config_keys[] = {
	{ "guest", config_set_guest },	     { "kernel", config_set_kernel },
	{ "initrd", config_set_initrd },     { "cmdline", config_set_cmdline },
	{ "serial", config_set_serial },     { "serial-mode", config_set_serial_mode },
	{ "log", config_set_log },	     { "cpuid", config_set_cpuid },
	{ "gdb", config_set_gdb },	     { "gdb-wait", config_set_gdb_wait },
	{ "debugcon", config_set_debugcon },
};

#define CONFIG_KEY_COUNT (sizeof(config_keys) / sizeof(config_keys[0]))

/* One source (the file or the options): where each key was seen, to refuse a second time. */
struct config_source {
	struct config *config;
	struct config_error *error;
	const char *place; /* "line" or "word" */
	uint32_t seen_at[CONFIG_KEY_COUNT];
};

static int config_shown(struct config_span span)
{
	return span.bytes < CONFIG_SHOWN_BYTES ? (int)span.bytes : CONFIG_SHOWN_BYTES;
}

static bool config_fail(struct config_source *source, const char *reason)
{
	text_format(source->error->reason, CONFIG_REASON_BYTES, "%s", reason);
	return false;
}

static bool config_assign(struct config_source *source, struct config_span name,
			  struct config_span value)
{
	struct config_error *error = source->error;
	const char *want = "";
	size_t i;

	for (i = 0; i < CONFIG_KEY_COUNT; i++)
		if (config_span_is(name, config_keys[i].name))
			break;
	if (i == CONFIG_KEY_COUNT) {
		text_format(error->reason, CONFIG_REASON_BYTES, "unknown key '%.*s'",
			    config_shown(name), name.text);
		return false;
	}
	if (source->seen_at[i] != 0) {
		text_format(error->reason, CONFIG_REASON_BYTES, "'%s' again, first on %s %u",
			    config_keys[i].name, source->place, source->seen_at[i]);
		return false;
	}
	source->seen_at[i] = error->line;
	if (config_keys[i].set(source->config, value, &want))
		return true;
	text_format(error->reason, CONFIG_REASON_BYTES, "bad value for '%s': want %s",
		    config_keys[i].name, want);
	return false;
}

static bool config_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct config_span config_trim(struct config_span span)
{
	while (span.bytes > 0 && config_is_blank(span.text[0])) {
		span.text++;
		span.bytes--;
	}
	while (span.bytes > 0 && config_is_blank(span.text[span.bytes - 1]))
		span.bytes--;
	return span;
}

/* Control characters have no place in a key, a path or a command line. */
static bool config_check_text(struct config_source *source, struct config_span span)
{
	size_t i;

	if (!text_is_utf8(span.text, span.bytes))
		return config_fail(source, "not UTF-8");
	for (i = 0; i < span.bytes; i++) {
		uint8_t c = (uint8_t)span.text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return config_fail(source, "control character");
	}
	return true;
}

/* A comment begins at a # that stands first or after a blank, outside quotes. */
static struct config_span config_strip_comment(struct config_span line)
{
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < line.bytes; i++) {
		if (line.text[i] == '"')
			is_quoted = !is_quoted;
		else if (line.text[i] == '#' && !is_quoted &&
			 (i == 0 || config_is_blank(line.text[i - 1])))
			break;
	}
	line.bytes = i;
	return line;
}

static struct config_span config_unquote(struct config_span value)
{
	if (value.bytes >= 2 && value.text[0] == '"' && value.text[value.bytes - 1] == '"') {
		value.text++;
		value.bytes -= 2;
	}
	return value;
}

static bool config_parse_line(struct config_source *source, struct config_span line)
{
	struct config_span name, value;

	if (line.bytes > CONFIG_LINE_BYTES)
		return config_fail(source, "line too long");
	if (!config_check_text(source, line))
		return false;
	line = config_trim(config_strip_comment(line));
	if (line.bytes == 0)
		return true;
	name = line;
	for (name.bytes = 0; name.bytes < line.bytes; name.bytes++)
		if (line.text[name.bytes] == '=')
			break;
	if (name.bytes == line.bytes)
		return config_fail(source, "not 'key = value'");
	value.text = line.text + name.bytes + 1;
	value.bytes = line.bytes - name.bytes - 1;
	return config_assign(source, config_trim(name), config_unquote(config_trim(value)));
}

static void config_clear(struct config *config)
{
	uint8_t *bytes = (uint8_t *)config;
	size_t i;

	for (i = 0; i < sizeof(*config); i++)
		bytes[i] = 0;
}

void config_set_defaults(struct config *config)
{
	config_clear(config);
	config->guest = CONFIG_GUEST_NEXT;
	text_format(config->kernel, sizeof(config->kernel), "\\EFI\\solovisor\\vmlinuz");
	text_format(config->initrd, sizeof(config->initrd), "\\EFI\\solovisor\\initrd");
	config->serial_port = CONFIG_COM1;
	config->serial_baud = CONFIG_BAUD_BASE;
	config->gdb_baud = CONFIG_BAUD_BASE;
	config->log_level = BOOT_LOG_INFO;
	config->cpuid_is_named = true;
}

static size_t config_bom_bytes(const char *text, size_t bytes)
{
	bool has_bom = bytes >= 3 && (uint8_t)text[0] == 0xef && (uint8_t)text[1] == 0xbb &&
		       (uint8_t)text[2] == 0xbf;

	return has_bom ? 3 : 0;
}

bool config_parse_file(struct config *config, const char *text, size_t bytes,
		       struct config_error *error)
{
	struct config_source source = { .config = config, .error = error, .place = "line" };
	size_t at = config_bom_bytes(text, bytes);

	error->line = 0;
	error->reason[0] = '\0';
	while (at < bytes) {
		struct config_span line = { .text = text + at, .bytes = 0 };

		error->line++;
		while (at + line.bytes < bytes && line.text[line.bytes] != '\n')
			line.bytes++;
		at += line.bytes + 1;
		if (line.bytes > 0 && line.text[line.bytes - 1] == '\r')
			line.bytes--;
		if (!config_parse_line(&source, line))
			return false;
	}
	return true;
}

/*
 * Take one word off the front of `rest` into `word`, without its quotes. Returns false at the end of
 * the text; a word that does not fit or an open quote sets `reason`.
 */
static bool config_take_word(struct config_span *rest, char *word, size_t *word_bytes,
			     const char **reason)
{
	bool is_quoted = false;

	*word_bytes = 0;
	*reason = NULL;
	while (rest->bytes > 0 && config_is_blank(rest->text[0])) {
		rest->text++;
		rest->bytes--;
	}
	if (rest->bytes == 0)
		return false;
	while (rest->bytes > 0 && (is_quoted || !config_is_blank(rest->text[0]))) {
		if (rest->text[0] == '"')
			is_quoted = !is_quoted;
		else if (*word_bytes < CONFIG_LINE_BYTES)
			word[(*word_bytes)++] = rest->text[0];
		else
			*reason = "word too long";
		rest->text++;
		rest->bytes--;
	}
	if (is_quoted)
		*reason = "quote without its end";
	return true;
}

static bool config_parse_word(struct config_source *source, struct config_span word)
{
	struct config_span name = word, value;

	for (name.bytes = 0; name.bytes < word.bytes; name.bytes++)
		if (word.text[name.bytes] == '=')
			break;
	if (name.bytes == word.bytes) {
		text_format(source->error->reason, CONFIG_REASON_BYTES, "'%.*s' is not key=value",
			    config_shown(word), word.text);
		return false;
	}
	value.text = word.text + name.bytes + 1;
	value.bytes = word.bytes - name.bytes - 1;
	return config_assign(source, name, value);
}

bool config_parse_options(struct config *config, const char *text, size_t bytes,
			  bool skip_first_word, struct config_error *error)
{
	struct config_source source = { .config = config, .error = error, .place = "word" };
	struct config_span rest = { .text = text, .bytes = bytes };
	char word[CONFIG_LINE_BYTES];
	const char *reason;
	size_t word_bytes;

	error->line = 1;
	error->reason[0] = '\0';
	if (!config_check_text(&source, rest))
		return false;
	if (skip_first_word)
		config_take_word(&rest, word, &word_bytes, &reason);
	for (error->line = 1; config_take_word(&rest, word, &word_bytes, &reason); error->line++) {
		struct config_span span = { .text = word, .bytes = word_bytes };

		if (reason != NULL)
			return config_fail(&source, reason);
		if (!config_parse_word(&source, span))
			return false;
	}
	return true;
}

bool config_check(const struct config *config, struct config_error *error)
{
	const char *reason = NULL;

	if (config->gdb_port != 0 && config->gdb_port == config->serial_port)
		reason = "'gdb' and 'serial' name the same port";
	else if (config->gdb_waits && config->gdb_port == 0)
		reason = "'gdb-wait' without a port for 'gdb'";
	else if ((config->serial_mode == BOOT_SERIAL_OWN ||
		  config->serial_mode == BOOT_SERIAL_SHARE) &&
		 config->serial_port == 0)
		reason = "'serial-mode' own or share needs an I/O port for 'serial'";
	if (reason == NULL)
		return true;
	error->line = 0;
	text_format(error->reason, CONFIG_REASON_BYTES, "%s", reason);
	return false;
}
