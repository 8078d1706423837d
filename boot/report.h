/* SPDX-License-Identifier: BSD-2-Clause */
/* One-line messages to the user: on the firmware's console, and on the serial port of the core. */
#ifndef BOOT_REPORT_H
#define BOOT_REPORT_H

#include <efi.h>
#include <stdint.h>

/* From now on lines go to the UART at this port as well; 0 for none. */
void report_use_serial(uint32_t port, uint32_t baud);

void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The line that says that all is well: it names the program itself. */
void report_title(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As report_line, and returns `status`: for `return report_failure(...)`. */
EFI_STATUS report_failure(EFI_STATUS status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
