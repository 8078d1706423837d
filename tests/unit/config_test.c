// sources: boot/config.c boot/load_options.c boot/text.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/config.h"

#include "boot/boot_info.h"
#include "boot/load_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct config_error error;

/* In memory of exactly its size, so that the sanitizer sees each read beyond the end. */
static bool parse_bytes(const char *text, size_t bytes)
{
	char *copy = malloc(bytes + (bytes == 0));
	bool ok;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	memset(&error, 0xaa, sizeof(error));
	config_set_defaults(&config);
	ok = config_parse_file(&config, copy, bytes, &error);
	free(copy);
	return ok;
}

static bool parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static bool parse_options(const char *text, bool skip)
{
	size_t bytes = strlen(text);
	char *copy = malloc(bytes + (bytes == 0));
	bool ok;

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	ok = config_parse_options(&config, copy, bytes, skip, &error);
	free(copy);
	return ok;
}

static void assert_mistake(const char *text, uint32_t line, const char *reason)
{
	assert_false(parse(text));
	assert_int_equal(error.line, line);
	assert_string_equal(error.reason, reason);
}

static void assert_option_mistake(const char *text, uint32_t word, const char *reason)
{
	config_set_defaults(&config);
	assert_false(parse_options(text, false));
	assert_int_equal(error.line, word);
	assert_string_equal(error.reason, reason);
}

static void defaults(void **state)
{
	(void)state;
	assert_true(parse(""));
	assert_int_equal(config.guest, CONFIG_GUEST_NEXT);
	assert_string_equal(config.kernel, "\\EFI\\solovisor\\vmlinuz");
	assert_string_equal(config.initrd, "\\EFI\\solovisor\\initrd");
	assert_false(config.initrd_is_explicit);
	assert_string_equal(config.cmdline, "");
	assert_int_equal(config.serial_port, 0x3f8);
	assert_int_equal(config.serial_baud, 115200);
	assert_int_equal(config.log_level, BOOT_LOG_INFO);
	assert_true(config.cpuid_is_named);
}

static void every_key(void **state)
{
	(void)state;
	assert_true(parse("# a comment\n"
			  "guest = linux\n"
			  "\n"
			  "   kernel=/boot/vmlinuz   # the kernel\n"
			  "\tinitrd\t=\t\\boot\\initrd.img\n"
			  "cmdline = console=ttyS0,115200 root=LABEL=a quiet\n"
			  "serial = com2,57600\n"
			  "log = debug\n"
			  "cpuid = hidden"));
	assert_int_equal(config.guest, CONFIG_GUEST_LINUX);
	assert_string_equal(config.kernel, "\\boot\\vmlinuz");
	assert_string_equal(config.initrd, "\\boot\\initrd.img");
	assert_true(config.initrd_is_explicit);
	assert_string_equal(config.cmdline, "console=ttyS0,115200 root=LABEL=a quiet");
	assert_int_equal(config.serial_port, 0x2f8);
	assert_int_equal(config.serial_baud, 57600);
	assert_int_equal(config.log_level, BOOT_LOG_DEBUG);
	assert_false(config.cpuid_is_named);
}

static void every_value(void **state)
{
	static const struct {
		const char *text;
		uint32_t level;
	} levels[] = {
		{ "log=error", BOOT_LOG_ERROR },
		{ "log=warn", BOOT_LOG_WARN },
		{ "log=info", BOOT_LOG_INFO },
		{ "log=debug", BOOT_LOG_DEBUG },
	};
	static const struct {
		const char *text;
		uint32_t port, baud;
	} lines[] = {
		{ "serial=com1", 0x3f8, 115200 },  { "serial=com2", 0x2f8, 115200 },
		{ "serial=0x3e8", 0x3e8, 115200 }, { "serial=0X3E8,9600", 0x3e8, 9600 },
		{ "serial=none", 0, 115200 },	   { "serial=0xfff8,50", 0xfff8, 50 },
		{ "serial=none,9600", 0, 9600 },   { "serial=0x0003f8", 0x3f8, 115200 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		assert_true(parse(levels[i].text));
		assert_int_equal(config.log_level, levels[i].level);
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_true(parse(lines[i].text));
		assert_int_equal(config.serial_port, lines[i].port);
		assert_int_equal(config.serial_baud, lines[i].baud);
	}
	assert_true(parse("serial=0xfe032000/4,57600"));
	assert_int_equal(config.serial_memory, 0xfe032000);
	assert_int_equal(config.serial_stride, 4);
	assert_int_equal(config.serial_width, 4);
	assert_int_equal(config.serial_port, 0);
	assert_int_equal(config.serial_baud, 57600);
	assert_true(parse("serial=0x12fe032001"));
	assert_int_equal(config.serial_memory, 0x12fe032001);
	assert_int_equal(config.serial_stride, 1);
	assert_false(config.serial_is_acpi);
	assert_true(parse("serial=acpi"));
	assert_true(config.serial_is_acpi);
	assert_int_equal(config.serial_port, 0);
	assert_true(parse("debugcon=yes"));
	assert_true(config.debugcon);
	for (uint32_t mode = 0; mode < 4; mode++) {
		static const char *const modes[] = { "serial-mode=log", "serial-mode=own",
						     "serial-mode=pass", "serial-mode=share" };

		assert_true(parse(modes[mode]));
		assert_int_equal(config.serial_mode, mode);
	}
	assert_true(parse("guest=next"));
	assert_int_equal(config.guest, CONFIG_GUEST_NEXT);
	assert_true(parse("guest = /EFI/debian/grubx64.efi"));
	assert_int_equal(config.guest, CONFIG_GUEST_PATH);
	assert_string_equal(config.guest_path, "\\EFI\\debian\\grubx64.efi");
	assert_true(parse("cpuid=named"));
	assert_true(config.cpuid_is_named);
	assert_true(parse("initrd ="));
	assert_string_equal(config.initrd, "");
	assert_true(config.initrd_is_explicit);
	assert_true(parse("cmdline ="));
	assert_string_equal(config.cmdline, "");
}

static void bad_values_name_line_and_want(void **state)
{
	static const char serial[] =
		"bad value for 'serial': want com1, com2, 0xPORT, 0xADDRESS[/4], acpi or none, and ,BAUD that divides 115200";
	static const char *const serials[] = {
		"serial=",
		"serial=com3",
		"serial=com11",
		"serial=0x",
		"serial=0x0",
		"serial=0xfff9",
		"serial=0x10000/2",
		"serial=0x10001/4",
		"serial=0x10000/44",
		"serial=0x10000/",
		"serial=0x12345678901",
		"serial=0x1000g",
		"serial=acpi,7",
		"serial=0x3g8",
		"serial=3f8",
		"serial=com1,",
		"serial=com1,0",
		"serial=com1,49",
		"serial=com1,7",
		"serial=com1,1a",
		"serial=com1,-96",
		"serial=com1,9600,1",
		"serial=com1,99999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		assert_mistake(serials[i], 1, serial);
		assert_int_equal(config.serial_port, 0x3f8);
	}
	assert_mistake("\n\nlog = loud", 3, "bad value for 'log': want error, warn, info or debug");
	assert_mistake("cpuid = on\n", 1, "bad value for 'cpuid': want named or hidden");
	assert_mistake(
		"log = debug\r\nguest = Linux\r\n", 2,
		"bad value for 'guest': want next, linux or an EFI path that begins with \\, "
		"at most 255 bytes");
	assert_mistake(
		"guest =", 1,
		"bad value for 'guest': want next, linux or an EFI path that begins with \\, "
		"at most 255 bytes");
	assert_mistake("kernel = vmlinuz", 1,
		       "bad value for 'kernel': want an EFI path that begins with \\, at most 255 "
		       "bytes");
	assert_mistake("kernel =", 1,
		       "bad value for 'kernel': want an EFI path that begins with \\, at most 255 "
		       "bytes");
	assert_mistake(
		"initrd = initrd", 1,
		"bad value for 'initrd': want nothing or an EFI path that begins with \\, at "
		"most 255 bytes");
}

static void mistakes_of_form(void **state)
{
	(void)state;
	assert_mistake("guest = next\nguset = next\n", 2, "unknown key 'guset'");
	assert_mistake("Guest = next", 1, "unknown key 'Guest'");
	assert_mistake("= next", 1, "unknown key ''");
	assert_mistake("guests = next", 1, "unknown key 'guests'");
	assert_mistake("gues = next", 1, "unknown key 'gues'");
	assert_mistake("guest", 1, "not 'key = value'");
	assert_mistake("# x\n\nguest next\n", 3, "not 'key = value'");
	assert_mistake("log=info\n\nserial=com1\nlog=info\n", 4, "'log' again, first on line 1");
	assert_mistake("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1", 1,
		       "unknown key 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'");
	assert_mistake("guest = next\rlog = info\n", 1, "control character");
	assert_mistake("log = info\x7f", 1, "control character");
	assert_false(parse_bytes("log = info\0", 11));
	assert_string_equal(error.reason, "control character");
}

static void not_utf8(void **state)
{
	static const char *const lines[] = {
		"cmdline = \x80",
		"cmdline = \xc3",
		"cmdline = \xc0\xaf",
		"cmdline = \xe2\x82",
		"cmdline = \xed\xa0\x80",
		"cmdline = \xf5\x80\x80\x80",
		"cmdline = \xf4\x90\x80\x80",
		"# \xff comment",
		"\xff\xfe",
		"cmdline = \xe0\x80\x80",
		"cmdline = \xf0\x80\x80\x80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_mistake(lines[i], 1, "not UTF-8");
	assert_mistake("log = info\ncmdline = \xfc\n", 2, "not UTF-8");
	assert_true(parse("cmdline = Gr\xc3\xbc\xc3\x9f"
			  "e \xe2\x82\xac \xf0\x9f\x92\xa1"));
	assert_string_equal(config.cmdline, "Gr\xc3\xbc\xc3\x9f"
					    "e \xe2\x82\xac \xf0\x9f\x92\xa1");
}

static void bom_and_line_ends(void **state)
{
	(void)state;
	assert_true(parse("\xef\xbb\xbfguest = linux\r\nlog = warn\r\n"));
	assert_int_equal(config.guest, CONFIG_GUEST_LINUX);
	assert_int_equal(config.log_level, BOOT_LOG_WARN);
	assert_true(parse("\xef\xbb\xbf"));
	assert_true(parse("\r\n\r\n# x\r\n \t \r\nlog = warn\r"));
	assert_int_equal(config.log_level, BOOT_LOG_WARN);
	assert_mistake("\xef\xbb\xbf\r\nx", 2, "not 'key = value'");
	/* A BOM belongs at the very beginning only. */
	assert_mistake("log = info\n\xef\xbb\xbfguest = next", 2,
		       "unknown key '\xef\xbb\xbfguest'");
}

static void comments_and_quotes(void **state)
{
	(void)state;
	assert_true(parse("cmdline = a#b # c\n"));
	assert_string_equal(config.cmdline, "a#b");
	assert_true(parse("cmdline = \" a # b \" # c\n"));
	assert_string_equal(config.cmdline, " a # b ");
	assert_true(parse("cmdline = a=\"b # c\" d\n"));
	assert_string_equal(config.cmdline, "a=\"b # c\" d");
	assert_true(parse("guest = \"\\a b\\c.efi\""));
	assert_string_equal(config.guest_path, "\\a b\\c.efi");
	assert_true(parse("#guest = x"));
}

static void parse_long(const char *key, size_t value_bytes, char filler, bool want,
		       const char *reason)
{
	char *text = malloc(value_bytes + 64);
	size_t used;

	assert_non_null(text);
	strcpy(text, "log=info\n");
	strcat(text, key);
	used = strlen(text);
	memset(text + used, filler, value_bytes);
	assert_int_equal(parse_bytes(text, used + value_bytes), want);
	if (!want) {
		assert_int_equal(error.line, 2);
		assert_non_null(strstr(error.reason, reason));
	}
	free(text);
}

static void long_lines_and_values(void **state)
{
	(void)state;
	parse_long("cmdline=", CONFIG_CMDLINE_BYTES - 1, 'x', true, "");
	parse_long("cmdline=", CONFIG_CMDLINE_BYTES, 'x', false, "want at most 2047 bytes");
	parse_long("kernel=\\", CONFIG_PATH_BYTES - 2, 'x', true, "");
	parse_long("kernel=\\", CONFIG_PATH_BYTES - 1, 'x', false, "at most 255 bytes");
	parse_long("guest=\\", 300, 'x', false, "at most 255 bytes");
	parse_long("#", CONFIG_LINE_BYTES - 1, 'x', true, "");
	parse_long("#", CONFIG_LINE_BYTES, 'x', false, "line too long");
	parse_long("", CONFIG_LINE_BYTES, ' ', true, "");
	parse_long("", CONFIG_LINE_BYTES + 1, ' ', false, "line too long");
	parse_long("cmdline=", 60000, '\xe2', false, "line too long");
}

static void options_override_the_file(void **state)
{
	(void)state;
	assert_true(parse("guest = linux\ncmdline = quiet\nserial = com2,9600\n"));
	assert_true(parse_options("guest=next  serial=com1\tlog=debug", false));
	assert_int_equal(config.guest, CONFIG_GUEST_NEXT);
	assert_string_equal(config.cmdline, "quiet");
	assert_int_equal(config.serial_port, 0x3f8);
	assert_int_equal(config.serial_baud, 9600);
	assert_int_equal(config.log_level, BOOT_LOG_DEBUG);
	assert_true(parse_options("", false));
	assert_true(parse_options("   ", false));
	assert_true(parse_options("fs0:\\x\\solovisor.efi", true));
	assert_true(parse_options("\"fs0:\\my dir\\solovisor.efi\" log=warn", true));
	assert_int_equal(config.log_level, BOOT_LOG_WARN);
	assert_true(parse_options("cmdline=\"console=ttyS0 quiet\" \"guest=\\a b.efi\"", false));
	assert_string_equal(config.cmdline, "console=ttyS0 quiet");
	assert_string_equal(config.guest_path, "\\a b.efi");
}

static void mistakes_in_options(void **state)
{
	(void)state;
	assert_option_mistake("log=info quiet", 2, "'quiet' is not key=value");
	assert_option_mistake("solovisor", 1, "'solovisor' is not key=value");
	assert_option_mistake("guest = next", 1, "'guest' is not key=value");
	assert_option_mistake("log=info foo=bar", 2, "unknown key 'foo'");
	assert_option_mistake("log=info cpuid=x", 2, "bad value for 'cpuid': want named or hidden");
	assert_option_mistake("log=info cpuid=named log=info", 3, "'log' again, first on word 1");
	assert_option_mistake("log=info cmdline=\"a b", 2, "quote without its end");
	assert_option_mistake("log=info\x01", 1, "control character");
	assert_option_mistake("log=info\xc3", 1, "not UTF-8");
	config_set_defaults(&config);
	assert_false(parse_options("solovisor.efi log=info 'x'", true));
	assert_int_equal(error.line, 2);
}

static void long_option_word(void **state)
{
	char text[CONFIG_LINE_BYTES + 64] = "log=info cmdline=";
	size_t used = strlen(text);

	(void)state;
	memset(text + used, 'x', CONFIG_LINE_BYTES);
	assert_option_mistake(text, 2, "word too long");
	text[used + CONFIG_CMDLINE_BYTES - 1] = '\0';
	config_set_defaults(&config);
	assert_true(parse_options(text, false));
	assert_int_equal(strlen(config.cmdline), CONFIG_CMDLINE_BYTES - 1);
}

/* --- load options -------------------------------------------------------------------------------- */

static char decoded[256];

static enum load_options_kind decode(const void *data, size_t bytes)
{
	void *copy = malloc(bytes + (bytes == 0));
	enum load_options_kind kind;

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	memset(decoded, 0xaa, sizeof(decoded));
	kind = load_options_decode(copy, bytes, decoded, sizeof(decoded));
	free(copy);
	return kind;
}

#define WIDE(text) (u"" text), sizeof(u"" text)

static void options_as_starters_pass_them(void **state)
{
	(void)state;
	/* The Shell and GRUB: UCS-2 with its end; a Boot#### entry may lack the end. */
	assert_int_equal(decode(WIDE("solovisor.efi guest=next")), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "solovisor.efi guest=next");
	assert_int_equal(decode(u"log=info", 16), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=info");
	assert_int_equal(decode(WIDE("cmdline=\"\u20ac\"")), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "cmdline=\"\xe2\x82\xac\"");
	/* 8-bit, with and without an end. */
	assert_int_equal(decode("log=info", 8), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=info");
	assert_int_equal(decode("log=info\0", 10), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=info");
	/* From a file: with the mark of its encoding and the line's end. */
	assert_int_equal(decode("\xff\xfel\0o\0g\0=\0i\0\r\0\n", 15), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=i ");
	assert_int_equal(decode("\xff\xfel\0o\0g\0=\0i\0\r\0\n\0", 16), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=i  ");
	assert_int_equal(decode("\xef\xbb\xbflog=i\n", 9), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=i ");
	/* Odd length: a stray byte behind the text is no unit. */
	assert_int_equal(decode("l\0o\0g\0=\0i\0\0\0\0", 13), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=i");
	/* Nothing. */
	assert_int_equal(load_options_decode(NULL, 20, decoded, sizeof(decoded)),
			 LOAD_OPTIONS_NONE);
	assert_int_equal(decode("", 0), LOAD_OPTIONS_NONE);
	assert_int_equal(decode("\0\0\0\0", 4), LOAD_OPTIONS_NONE);
	assert_string_equal(decoded, "");
}

static void options_that_are_no_text(void **state)
{
	static const uint8_t guid[16] = { 0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
					  0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2 };
	uint16_t units[300];

	(void)state;
	assert_int_equal(decode(guid, sizeof(guid)), LOAD_OPTIONS_BINARY);
	assert_string_equal(decoded, "");
	assert_int_equal(decode("\x01\0\0\0", 4), LOAD_OPTIONS_BINARY);
	assert_int_equal(decode("log\0info", 8), LOAD_OPTIONS_BINARY);
	assert_int_equal(decode("a\0\0\xd8"
				"b\0",
				6),
			 LOAD_OPTIONS_BINARY);
	for (size_t i = 0; i < 300; i++)
		units[i] = 'x';
	assert_int_equal(decode(units, 2 * 255), LOAD_OPTIONS_TEXT);
	assert_int_equal(decode(units, 2 * 256), LOAD_OPTIONS_TOO_LONG);
	assert_string_equal(decoded, "");
	for (size_t i = 1; i < 300; i++)
		units[i] = 0x20ac;
	assert_int_equal(decode(units, 2 * 200), LOAD_OPTIONS_TOO_LONG);
	memset(units, 'x', sizeof(units));
	assert_int_equal(decode(units, 255), LOAD_OPTIONS_TEXT);
	assert_int_equal(decode(units, 256), LOAD_OPTIONS_TOO_LONG);
}

static void options_inside_a_whole_load_option(void **state)
{
	static const uint8_t option[] = {
		1,   0, 0,   0,			    /* active */
		8,   0,				    /* bytes of the path list */
		'S', 0, 0,   0,			    /* description */
		4,   4, 4,   0, 0x7f, 0xff, 4,	 0, /* a path and its end */
		'l', 0, 'o', 0, 'g',  0,    '=', 0, 'w', 0, 0, 0,
	};

	(void)state;
	assert_int_equal(decode(option, sizeof(option)), LOAD_OPTIONS_TEXT);
	assert_string_equal(decoded, "log=w");
	assert_int_equal(decode(option, 18), LOAD_OPTIONS_NONE);
	/* Every cut of it is survived. */
	for (size_t bytes = 0; bytes < sizeof(option); bytes++)
		decode(option, bytes);
}

static void program_names(void **state)
{
	(void)state;
	assert_true(load_options_begin_with_program("solovisor.efi"));
	assert_true(load_options_begin_with_program(" FS0:\\Solovisor.EFI log=info"));
	assert_true(load_options_begin_with_program("\"fs0:\\a b\\s.efi\" log=info"));
	assert_false(load_options_begin_with_program("guest=\\a.efi"));
	assert_false(load_options_begin_with_program("log=info s.efi"));
	assert_false(load_options_begin_with_program("quiet"));
	assert_false(load_options_begin_with_program(""));
	assert_false(load_options_begin_with_program("efi"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_key),
		cmocka_unit_test(every_value),
		cmocka_unit_test(bad_values_name_line_and_want),
		cmocka_unit_test(mistakes_of_form),
		cmocka_unit_test(not_utf8),
		cmocka_unit_test(bom_and_line_ends),
		cmocka_unit_test(comments_and_quotes),
		cmocka_unit_test(long_lines_and_values),
		cmocka_unit_test(options_override_the_file),
		cmocka_unit_test(mistakes_in_options),
		cmocka_unit_test(long_option_word),
		cmocka_unit_test(options_as_starters_pass_them),
		cmocka_unit_test(options_that_are_no_text),
		cmocka_unit_test(options_inside_a_whole_load_option),
		cmocka_unit_test(program_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
