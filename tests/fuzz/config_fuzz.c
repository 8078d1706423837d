// sources: boot/config.c boot/load_options.c boot/text.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The first byte says what the rest is: the file, load options, or options of a decoded starter. */
#include "boot/config.h"

#include "boot/load_options.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(const struct config *config, const struct config_error *error, bool ok)
{
	if (!ok && (error->line == 0 || error->reason[0] == '\0'))
		abort();
	if (memchr(config->cmdline, 0, sizeof(config->cmdline)) == NULL ||
	    memchr(config->guest_path, 0, sizeof(config->guest_path)) == NULL ||
	    memchr(config->kernel, 0, sizeof(config->kernel)) == NULL ||
	    memchr(config->initrd, 0, sizeof(config->initrd)) == NULL)
		abort();
	if (config->serial_port > 0xfff8 || config->serial_baud == 0 || config->log_level > 3)
		abort();
	if (config->guest == CONFIG_GUEST_PATH && config->guest_path[0] != '\\')
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct config config;
	struct config_error error = { 0 };
	char text[1024];

	if (bytes == 0)
		return 0;
	config_set_defaults(&config);
	if (data[0] % 3 == 0) {
		check(&config, &error,
		      config_parse_file(&config, (const char *)data + 1, bytes - 1, &error));
	} else if (data[0] % 3 == 1) {
		check(&config, &error,
		      config_parse_options(&config, (const char *)data + 1, bytes - 1,
					   (data[0] & 0x80) != 0, &error));
	} else if (load_options_decode(data + 1, bytes - 1, text, sizeof(text)) ==
		   LOAD_OPTIONS_TEXT) {
		check(&config, &error,
		      config_parse_options(&config, text, strlen(text),
					   load_options_begin_with_program(text), &error));
	}
	return 0;
}
