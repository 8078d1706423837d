// SPDX-License-Identifier: BSD-2-Clause
/*
 * A boot manager for tests, as \EFI\BOOT\BOOTX64.EFI: starts one program after the other as
 * \launch.txt says, without the Shell's five seconds.  A line of that file is
 *
 *   \path arguments    start it as the Shell does: the load options are the whole line
 *   -\path arguments   start it as a Boot#### entry does: the load options are the arguments
 *   :reset, :poweroff, :return, :next    at once; next returns EFI_NOT_FOUND
 *   # comment
 *
 * and each start is reported as "LAUNCH: \path: Success".
 */
#include <efi.h>
#include <efilib.h>
#include <stdint.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table);

enum { SCRIPT_BYTES = 16384, LINE_CHARS = 2048 };

static char script[SCRIPT_BYTES];
static EFI_HANDLE this_image, this_device;

static UINTN read_script(void)
{
	EFI_FILE_HANDLE root, file;
	UINTN bytes = sizeof(script);

	root = LibOpenRoot(this_device);
	if (!root || EFI_ERROR(root->Open(root, &file, L"\\launch.txt", EFI_FILE_MODE_READ, 0)))
		return 0;
	if (EFI_ERROR(file->Read(file, &bytes, script)))
		bytes = 0;
	file->Close(file);
	root->Close(root);
	return bytes;
}

static EFI_STATUS start_program(CHAR16 *path, CHAR16 *options)
{
	EFI_DEVICE_PATH *device_path = FileDevicePath(this_device, path);
	EFI_LOADED_IMAGE *loaded;
	EFI_HANDLE program;
	EFI_STATUS status;

	status = BS->LoadImage(FALSE, this_image, device_path, NULL, 0, &program);
	if (EFI_ERROR(status))
		return status;
	status = BS->HandleProtocol(program, &LoadedImageProtocol, (void **)&loaded);
	if (EFI_ERROR(status))
		return status;
	loaded->LoadOptions = options;
	loaded->LoadOptionsSize = (UINT32)((StrLen(options) + 1) * sizeof(CHAR16));
	return BS->StartImage(program, NULL, NULL);
}

static BOOLEAN is_word(const CHAR16 *line, const CHAR16 *word)
{
	return !StrCmp((CHAR16 *)(UINTN)line, (CHAR16 *)(UINTN)word);
}

/* FALSE: the script ends here, with *result. */
static BOOLEAN run_line(CHAR16 *line, EFI_STATUS *result)
{
	static CHAR16 path[LINE_CHARS];
	BOOLEAN bare = line[0] == L'-';
	UINTN length = 0;
	CHAR16 *options;
	EFI_STATUS status;

	if (!line[0] || line[0] == L'#')
		return TRUE;
	if (line[0] == L':') {
		Print(L"LAUNCH: %s\n", line);
		if (is_word(line, L":reset"))
			RT->ResetSystem(EfiResetCold, EFI_SUCCESS, 0, NULL);
		if (is_word(line, L":poweroff"))
			RT->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
		*result = is_word(line, L":return") ? EFI_SUCCESS : EFI_NOT_FOUND;
		return FALSE;
	}
	line += bare;
	while (line[length] && line[length] != L' ') {
		path[length] = line[length];
		length++;
	}
	path[length] = 0;
	options = line;
	if (bare)
		options = line[length] ? &line[length + 1] : &line[length];
	status = start_program(path, options);
	Print(L"LAUNCH: %s: %r\n", path, status);
	return TRUE;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table)
{
	static CHAR16 line[LINE_CHARS];
	EFI_STATUS result = EFI_SUCCESS;
	EFI_LOADED_IMAGE *loaded;
	UINTN bytes, length = 0;

	InitializeLib(image, system_table);
	BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded);
	this_image = image;
	this_device = loaded->DeviceHandle;
	/* The firmware's watchdog would reset a slow emulator after five minutes. */
	BS->SetWatchdogTimer(0, 0, 0, NULL);
	bytes = read_script();
	for (UINTN i = 0; i <= bytes; i++) {
		const char next = i < bytes ? script[i] : '\n';

		if (next == '\n') {
			line[length] = 0;
			length = 0;
			if (!run_line(line, &result))
				return result;
		} else if (next != '\r' && length + 1 < LINE_CHARS) {
			line[length++] = (CHAR16)(unsigned char)next;
		}
	}
	Print(L"LAUNCH: end\n");
	return result;
}
