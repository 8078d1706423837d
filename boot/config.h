/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the user asked for: `key = value` lines of solovisor.conf, overridden by `key=value` words of
 * the load options. Pure: no firmware call, so that the host tests and the fuzzer run the same code.
 */
#ifndef BOOT_CONFIG_H
#define BOOT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_BYTES_MAX 65536u
#define CONFIG_LINE_BYTES     2304u /* longest line, without its end */
#define CONFIG_PATH_BYTES     256u
#define CONFIG_CMDLINE_BYTES  2048u /* what Linux takes on x86 */
#define CONFIG_REASON_BYTES   120u

enum config_guest {
	CONFIG_GUEST_NEXT,
	CONFIG_GUEST_PATH,
	CONFIG_GUEST_LINUX,
};

struct config {
	enum config_guest guest;
	char guest_path[CONFIG_PATH_BYTES];
	char kernel[CONFIG_PATH_BYTES];
	char initrd[CONFIG_PATH_BYTES]; /* empty: none */
	bool initrd_is_explicit;	/* then a missing file is an error */
	char cmdline[CONFIG_CMDLINE_BYTES];
	bool serial_is_acpi;	/* what ACPI names, to be found by the caller */
	uint32_t serial_port;	/* 0: none, or in memory */
	uint64_t serial_memory; /* address of its registers, 0: not in memory */
	uint8_t serial_stride;	/* bytes from one to the next, and of an access */
	uint8_t serial_width;
	uint32_t serial_baud;
	uint32_t serial_mode; /* enum boot_serial_mode */
	uint32_t gdb_port;    /* 0: none */
	uint32_t gdb_baud;
	bool debugcon;	    /* the log goes to port 0xe9, too */
	bool gdb_waits;	    /* stop before the guest's first instruction */
	uint32_t log_level; /* enum boot_log_level */
	bool cpuid_is_named;
};

struct config_error {
	uint32_t line; /* line of the file or word of the options, from 1 */
	char reason[CONFIG_REASON_BYTES];
};

void config_set_defaults(struct config *config);

/*
 * Both take any bytes and stop at the first mistake: false, and `error` says where and why. What was
 * read before the mistake is in `config`.
 */
bool config_parse_file(struct config *config, const char *text, size_t bytes,
		       struct config_error *error);
bool config_parse_options(struct config *config, const char *text, size_t bytes,
			  bool skip_first_word, struct config_error *error);

/* Once all sources are read: whether what they say goes together. The error has no line. */
bool config_check(const struct config *config, struct config_error *error);

#endif
