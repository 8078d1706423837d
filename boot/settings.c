/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/settings.h"

#include "boot/acpi_serial.h"
#include "boot/boot_info.h"
#include "boot/config.h"
#include "boot/file.h"
#include "boot/firmware.h"
#include "boot/load_options.h"
#include "boot/place.h"
#include "boot/report.h"
#include "boot/text.h"

#define SETTINGS_PATH	       "\\EFI\\solovisor\\solovisor.conf"
#define SETTINGS_OPTIONS_BYTES 8192u

/* A mistake in one source; it is reported when the serial port is known as well as it can be. */
struct settings_problem {
	EFI_STATUS status;
	char line[200];
};

static void settings_set_problem(struct settings_problem *problem, EFI_STATUS status,
				 const char *place, uint32_t number, const char *reason)
{
	problem->status = status;
	if (number != 0)
		text_format(problem->line, sizeof(problem->line), "%s%u: %s", place, number,
			    reason);
	else
		text_format(problem->line, sizeof(problem->line), "%s%s", place, reason);
}

static void settings_parse_file(struct config *config, EFI_FILE_HANDLE file,
				struct settings_problem *problem)
{
	struct config_error error;
	void *text = NULL;
	uint64_t bytes;
	EFI_STATUS status = file_measure(file, &bytes);

	if (!EFI_ERROR(status) && bytes > CONFIG_FILE_BYTES_MAX) {
		settings_set_problem(problem, EFI_INVALID_PARAMETER, SETTINGS_PATH ": ", 0,
				     "larger than 64 KiB");
		return;
	}
	if (!EFI_ERROR(status))
		status = firmware_boot->AllocatePool(EfiBootServicesData, bytes + 1, &text);
	if (!EFI_ERROR(status))
		status = file_read(file, text, bytes);
	if (EFI_ERROR(status))
		settings_set_problem(problem, status, "cannot read " SETTINGS_PATH ": ", 0,
				     firmware_status_name(status));
	else if (!config_parse_file(config, text, bytes, &error))
		settings_set_problem(problem, EFI_INVALID_PARAMETER, SETTINGS_PATH ":", error.line,
				     error.reason);
	if (text != NULL)
		firmware_boot->FreePool(text);
}

static void settings_read_file(struct config *config, struct settings_problem *problem)
{
	EFI_FILE_HANDLE file;
	EFI_STATUS status = file_open(SETTINGS_PATH, &file);

	if (status == EFI_NOT_FOUND)
		return;
	if (EFI_ERROR(status)) {
		settings_set_problem(problem, status, "cannot open " SETTINGS_PATH ": ", 0,
				     firmware_status_name(status));
		return;
	}
	settings_parse_file(config, file, problem);
	file->Close(file);
}

static void settings_read_options(struct config *config, struct settings_problem *problem)
{
	static char text[SETTINGS_OPTIONS_BYTES];
	struct config_error error;
	bool has_program;

	switch (load_options_decode(firmware_image->LoadOptions, firmware_image->LoadOptionsSize,
				    text, sizeof(text))) {
	case LOAD_OPTIONS_NONE:
		return;
	case LOAD_OPTIONS_BINARY:
		report_line("warning: the load options are no text, their %u bytes are ignored",
			    firmware_image->LoadOptionsSize);
		return;
	case LOAD_OPTIONS_TOO_LONG:
		settings_set_problem(problem, EFI_INVALID_PARAMETER, "load options: ", 0,
				     "too long");
		return;
	case LOAD_OPTIONS_TEXT:
		break;
	}
	has_program =
		firmware_protocol(firmware_image_handle, &firmware_shell_parameters_guid) != NULL ||
		load_options_begin_with_program(text);
	if (!config_parse_options(config, text, text_bytes(text), has_program, &error))
		settings_set_problem(problem, EFI_INVALID_PARAMETER, "load options, word ",
				     error.line, error.reason);
}

/* What the firmware's tables say, where the configuration asks for them. */
static void settings_find_serial(struct config *config, struct settings_problem *problem)
{
	struct acpi_serial serial;

	if (!acpi_find_serial(place_find_rsdp(), &serial)) {
		settings_set_problem(problem, EFI_NOT_FOUND, "serial = acpi: ", 0,
				     "neither SPCR nor DBG2 names a 16550");
		return;
	}
	if (serial.in_memory) {
		config->serial_memory = serial.address;
		config->serial_stride = serial.stride;
		config->serial_width = serial.width;
	} else {
		config->serial_port = (uint32_t)serial.address;
	}
	if (serial.baud != 0)
		config->serial_baud = serial.baud;
}

EFI_STATUS settings_read(struct config *config)
{
	struct settings_problem problem = { .status = EFI_SUCCESS };
	struct config_error error;

	config_set_defaults(config);
	settings_read_file(config, &problem);
	if (!EFI_ERROR(problem.status))
		settings_read_options(config, &problem);
	if (!EFI_ERROR(problem.status) && config->serial_is_acpi)
		settings_find_serial(config, &problem);
	if (!EFI_ERROR(problem.status) && !config_check(config, &error))
		settings_set_problem(&problem, EFI_INVALID_PARAMETER, "configuration: ", 0,
				     error.reason);
	if (config->serial_mode != BOOT_SERIAL_PASS)
		report_use_serial(config->serial_port, config->serial_baud);
	if (EFI_ERROR(problem.status))
		report_line("%s", problem.line);
	return problem.status;
}
