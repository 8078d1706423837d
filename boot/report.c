/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/report.h"

#include "boot/firmware.h"
#include "boot/text.h"

#include <stdarg.h>

#define REPORT_LINE_BYTES  320u
#define REPORT_PREFIX	   "solovisor: "

#define UART_DATA	   0u
#define UART_DIVISOR_LOW   0u
#define UART_DIVISOR_HIGH  1u
#define UART_INTERRUPTS	   1u
#define UART_FIFO	   2u
#define UART_LINE_CONTROL  3u
#define UART_MODEM_CONTROL 4u
#define UART_LINE_STATUS   5u

#define UART_8N1	   0x03u
#define UART_DIVISOR_LATCH 0x80u
#define UART_FIFO_ENABLE   0x01u
#define UART_DTR_RTS	   0x03u
#define UART_CAN_SEND	   0x20u
#define UART_BAUD_BASE	   115200u
#define UART_SPIN_LIMIT	   100000u

#define DEVICE_PATH_ACPI   0x02u
#define ACPI_PLAIN	   0x01u
#define ACPI_HID_UART	   0x050141d0u /* PNP0501 */

static uint16_t report_port; /* 0: none */

static void report_write_register(unsigned which, uint8_t value)
{
	uint16_t port = (uint16_t)(report_port + which);

	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t report_read_register(unsigned which)
{
	uint16_t port = (uint16_t)(report_port + which);
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void report_send(uint8_t byte)
{
	unsigned spins = 0;

	while ((report_read_register(UART_LINE_STATUS) & UART_CAN_SEND) == 0)
		if (++spins == UART_SPIN_LIMIT)
			return;
	report_write_register(UART_DATA, byte);
}

/* Whether one instance of the console's device path goes through the UART with ACPI's `unit`. */
static bool report_path_has_uart(const uint8_t *path, UINTN bytes, uint32_t unit)
{
	UINTN at = 0;

	while (at + 4 <= bytes) {
		UINTN node_bytes = path[at + 2] | (UINTN)path[at + 3] << 8;
		uint32_t words[2];

		if (node_bytes < 4 || node_bytes > bytes - at)
			return false;
		if (path[at] == DEVICE_PATH_ACPI && path[at + 1] == ACPI_PLAIN &&
		    node_bytes >= 12) {
			__builtin_memcpy(words, path + at + 4, sizeof(words));
			if (words[0] == ACPI_HID_UART && words[1] == unit)
				return true;
		}
		at += node_bytes;
	}
	return false;
}

/* The firmware's console may be on this very port: then one line is enough. */
static bool report_console_uses(uint32_t port)
{
	static uint8_t path[1024];
	EFI_GUID global = EFI_GLOBAL_VARIABLE;
	CHAR16 name[] = u"ConOut";
	UINTN bytes = sizeof(path);
	UINT32 attributes;

	if (port != 0x3f8 && port != 0x2f8)
		return false;
	if (EFI_ERROR(firmware_table->RuntimeServices->GetVariable(name, &global, &attributes,
								   &bytes, path)))
		return false;
	return report_path_has_uart(path, bytes, port == 0x3f8 ? 0 : 1);
}

void report_use_serial(uint32_t port, uint32_t baud)
{
	uint32_t divisor = UART_BAUD_BASE / baud;

	report_port = (uint16_t)port;
	if (port == 0)
		return;
	if (report_read_register(UART_LINE_STATUS) == 0xff || report_console_uses(port)) {
		report_port = 0;
		return;
	}
	report_write_register(UART_INTERRUPTS, 0);
	report_write_register(UART_LINE_CONTROL, UART_8N1 | UART_DIVISOR_LATCH);
	report_write_register(UART_DIVISOR_LOW, (uint8_t)divisor);
	report_write_register(UART_DIVISOR_HIGH, (uint8_t)(divisor >> 8));
	report_write_register(UART_LINE_CONTROL, UART_8N1);
	report_write_register(UART_FIFO, UART_FIFO_ENABLE);
	report_write_register(UART_MODEM_CONTROL, UART_DTR_RTS);
}

static void report_on_serial(const char *line)
{
	if (report_port == 0)
		return;
	for (; *line != '\0'; line++)
		report_send((uint8_t)*line);
}

static void report_on_console(const char *line)
{
	static uint16_t wide[REPORT_LINE_BYTES];

	/* A line that was cut inside a character still has to appear. */
	if (!text_to_utf16(wide, REPORT_LINE_BYTES, line)) {
		size_t i;

		for (i = 0; line[i] != '\0' && i + 1 < REPORT_LINE_BYTES; i++)
			wide[i] = (uint8_t)line[i] < 0x80 ? (uint8_t)line[i] : '?';
		wide[i] = 0;
	}
	if (firmware_table->ConOut != NULL)
		firmware_table->ConOut->OutputString(firmware_table->ConOut, (CHAR16 *)wide);
}

static void report_vline(const char *prefix, const char *format, va_list arguments)
{
	char line[REPORT_LINE_BYTES];
	size_t used = text_format(line, sizeof(line), "%s", prefix);

	used += text_vformat(line + used, sizeof(line) - used - 2, format, arguments);
	line[used++] = '\r';
	line[used++] = '\n';
	line[used] = '\0';
	report_on_console(line);
	report_on_serial(line);
}

void report_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report_vline(REPORT_PREFIX, format, arguments);
	va_end(arguments);
}

void report_title(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report_vline("", format, arguments);
	va_end(arguments);
}

EFI_STATUS report_failure(EFI_STATUS status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report_vline(REPORT_PREFIX, format, arguments);
	va_end(arguments);
	return status;
}
