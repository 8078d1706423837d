// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes boot entries as efibootmgr does, then resets: Boot0090 and following, one for each line
 * of \entries.txt, "\path arguments", in this order before all others in BootOrder.  The device
 * path is the short one that begins with the partition, the load options are the arguments alone.
 */
#include <efi.h>
#include <efilib.h>
#include <stdint.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table);

enum { SCRIPT_BYTES = 8192, LINE_CHARS = 2048, ENTRY_FIRST = 0x90, ENTRIES_MAX = 8 };

static char script[SCRIPT_BYTES];
static EFI_HANDLE this_device;

static UINTN read_script(void)
{
	EFI_FILE_HANDLE root = LibOpenRoot(this_device), file;
	UINTN bytes = sizeof(script);

	if (!root || EFI_ERROR(root->Open(root, &file, L"\\entries.txt", EFI_FILE_MODE_READ, 0)))
		return 0;
	if (EFI_ERROR(file->Read(file, &bytes, script)))
		bytes = 0;
	file->Close(file);
	root->Close(root);
	return bytes;
}

static EFI_STATUS set_variable(CHAR16 *name, void *data, UINTN bytes)
{
	EFI_GUID global = EFI_GLOBAL_VARIABLE;

	return RT->SetVariable(name, &global,
			       EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS |
				       EFI_VARIABLE_RUNTIME_ACCESS,
			       bytes, data);
}

/* The part that begins with the partition: it finds the disk wherever it is plugged in. */
static EFI_DEVICE_PATH *short_path(CHAR16 *file)
{
	EFI_DEVICE_PATH *path = FileDevicePath(this_device, file), *node;

	for (node = path; !IsDevicePathEnd(node); node = NextDevicePathNode(node)) {
		if (DevicePathType(node) == MEDIA_DEVICE_PATH &&
		    DevicePathSubType(node) == MEDIA_HARDDRIVE_DP)
			return node;
	}
	return path;
}

static EFI_STATUS write_entry(uint16_t number, CHAR16 *file, CHAR16 *options)
{
	static uint8_t data[8192];
	EFI_DEVICE_PATH *path = short_path(file);
	const uint32_t attributes = 1; /* active */
	const UINTN path_bytes = DevicePathSize(path), name_bytes = StrSize(file);
	const UINTN option_bytes = options[0] ? StrSize(options) : 0;
	const uint16_t path_bytes_16 = (uint16_t)path_bytes;
	CHAR16 name[16];
	UINTN at = 6;

	CopyMem(&data[0], (void *)(UINTN)&attributes, 4);
	CopyMem(&data[4], (void *)(UINTN)&path_bytes_16, 2);
	CopyMem(&data[at], file, name_bytes);
	at += name_bytes;
	CopyMem(&data[at], path, path_bytes);
	at += path_bytes;
	CopyMem(&data[at], options, option_bytes);
	at += option_bytes;
	SPrint(name, sizeof(name), L"Boot%04x", (UINTN)number);
	return set_variable(name, data, at);
}

static EFI_STATUS write_line(CHAR16 *line, uint16_t number)
{
	CHAR16 *options = line;
	EFI_STATUS status;

	while (*options && *options != L' ')
		options++;
	if (*options)
		*options++ = 0;
	status = write_entry(number, line, options);
	Print(L"ENTRY: Boot%04x %s: %r\n", (UINTN)number, line, status);
	return status;
}

static UINTN write_entries(uint16_t *order)
{
	static CHAR16 line[LINE_CHARS];
	UINTN bytes = read_script(), length = 0, count = 0;

	for (UINTN i = 0; i < bytes && count < ENTRIES_MAX; i++) {
		if (script[i] != '\n') {
			if (script[i] != '\r' && length + 1 < LINE_CHARS)
				line[length++] = (CHAR16)(unsigned char)script[i];
			continue;
		}
		line[length] = 0;
		if (length && !EFI_ERROR(write_line(line, (uint16_t)(ENTRY_FIRST + count)))) {
			order[count] = (uint16_t)(ENTRY_FIRST + count);
			count++;
		}
		length = 0;
	}
	return count;
}

/* Ours first, then what was there. */
static EFI_STATUS write_order(uint16_t *order, UINTN count)
{
	EFI_GUID global = EFI_GLOBAL_VARIABLE;
	UINTN bytes = 64 * sizeof(*order);

	if (EFI_ERROR(RT->GetVariable(L"BootOrder", &global, NULL, &bytes, &order[count])))
		bytes = 0;
	return set_variable(L"BootOrder", order, count * sizeof(*order) + bytes);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table)
{
	static uint16_t order[ENTRIES_MAX + 64];
	EFI_LOADED_IMAGE *loaded;
	EFI_STATUS status;
	UINTN count;

	InitializeLib(image, system_table);
	BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded);
	this_device = loaded->DeviceHandle;
	count = write_entries(order);
	status = write_order(order, count);
	Print(L"ENTRY: BootOrder with %d more: %r\n", count, status);
	RT->ResetSystem(EfiResetCold, EFI_SUCCESS, 0, NULL);
	return EFI_SUCCESS;
}
