// SPDX-License-Identifier: BSD-2-Clause
/*
 * Makes a machine on which Solovisor cannot start:
 *
 *   spoil.efi hog MIB        leave only so much memory free, in one piece
 *   spoil.efi pieces MIB     the same in pieces of 1 MiB
 *   spoil.efi disable-cpu    CPU 1 is disabled
 *   spoil.efi hang-cpu       CPU 1 is busy for ever with what the firmware was asked to run there
 *   spoil.efi lock-vmx, lock-svm              locked off on the boot CPU
 *   spoil.efi lock-vmx-other, lock-svm-other  locked off on CPU 1 only
 *
 * or one on which it must start all the same:
 *
 *   spoil.efi move-gdt       the boot CPU's GDT, with a TSS, lies in memory that is called reserved
 *   spoil.efi five-levels    the firmware runs with 5-level paging
 */
#include <efi.h>
#include <efilib.h>
#include <stdint.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table);

enum { MIB_PAGES = 256, MSR_FEATURE_CONTROL = 0x3a, FEATURE_CONTROL_LOCK = 1 };
#define MSR_VM_CR    0xc0010114u
#define VM_CR_LOCKED 0x18u /* LOCK and SVMDIS */

typedef VOID(EFIAPI *AP_PROCEDURE)(VOID *argument);

typedef struct MP_SERVICES {
	void *get_number, *get_info, *startup_all;
	EFI_STATUS(EFIAPI *startup_this)
	(struct MP_SERVICES *self, AP_PROCEDURE procedure, UINTN number, EFI_EVENT event,
	 UINTN microseconds, void *argument, BOOLEAN *finished);
	void *switch_bsp;
	EFI_STATUS(EFIAPI *enable_disable)
	(struct MP_SERVICES *self, UINTN number, BOOLEAN enable, uint32_t *health);
} MP_SERVICES;

static EFI_GUID mp_services_guid = {
	0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 }
};

static void hog_rest(void)
{
	EFI_PHYSICAL_ADDRESS address;

	for (UINTN pages = MIB_PAGES << 10; pages; pages /= 2) {
		while (!EFI_ERROR(
			BS->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &address)))
			;
	}
}

static EFI_STATUS hog(UINTN mib, BOOLEAN in_pieces)
{
	const UINTN pages = mib * MIB_PAGES * (in_pieces ? 2 : 1);
	EFI_PHYSICAL_ADDRESS address;
	EFI_STATUS status;

	status = BS->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &address);
	if (EFI_ERROR(status))
		return status;
	/* What this program itself needs to print its last line. */
	Print(L"SPOIL: keeping %d MiB\n", mib);
	hog_rest();
	if (!in_pieces)
		return BS->FreePages(address, pages);
	for (UINTN at = 0; at < pages && !EFI_ERROR(status); at += 2 * MIB_PAGES)
		status = BS->FreePages(address + (at << 12), MIB_PAGES);
	return status;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static VOID EFIAPI lock_vmx(VOID *argument)
{
	(void)argument;
	write_msr(MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK);
}

static VOID EFIAPI lock_svm(VOID *argument)
{
	(void)argument;
	write_msr(MSR_VM_CR, VM_CR_LOCKED);
}

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* SDM, APM: "TSS Descriptor" in 64-bit mode: available, 104 bytes. */
static void put_tss(uint64_t *descriptor, uint64_t base)
{
	descriptor[0] =
		0x67 | (base & 0xffffff) << 16 | (uint64_t)0x89 << 40 | (base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
}

/* One page: the GDT and the TSS's descriptor behind it, and in its second half the TSS. */
static EFI_STATUS move_gdt(void)
{
	struct table_register gdt;
	EFI_PHYSICAL_ADDRESS page;
	EFI_STATUS status;
	uint16_t tr;

	status = BS->AllocatePages(AllocateAnyPages, EfiReservedMemoryType, 1, &page);
	if (EFI_ERROR(status))
		return status;
	__asm__ volatile("sgdt %0" : "=m"(gdt));
	if (gdt.limit >= 1024)
		return EFI_UNSUPPORTED;
	ZeroMem((void *)page, 4096);
	CopyMem((void *)page, (void *)gdt.base, gdt.limit + 1u);
	tr = (uint16_t)((gdt.limit + 8u) & ~7u);
	put_tss((uint64_t *)(page + tr), page + 2048);
	gdt.base = page;
	gdt.limit = (uint16_t)(tr + 15);
	__asm__ volatile("lgdt %0; ltr %1" : : "m"(gdt), "r"(tr) : "memory");
	return EFI_SUCCESS;
}

extern const uint8_t probe_levels_start[] __attribute__((visibility("hidden")));
extern const uint8_t probe_levels_end[] __attribute__((visibility("hidden")));

/* One page of code, one that becomes the new root and has the old one in its first entry. */
static EFI_STATUS use_five_levels(void)
{
	EFI_PHYSICAL_ADDRESS pages = UINT32_MAX;
	void(__attribute__((sysv_abi)) * change)(uint64_t address, uint64_t root);
	uint64_t *root, cr3, rflags;
	EFI_STATUS status;

	status = BS->AllocatePages(AllocateMaxAddress, EfiBootServicesCode, 2, &pages);
	if (EFI_ERROR(status))
		return status;
	CopyMem((void *)pages, (void *)(UINTN)probe_levels_start,
		(UINTN)(probe_levels_end - probe_levels_start));
	change = (void *)pages;
	root = (uint64_t *)(pages + 4096);
	ZeroMem(root, 4096);
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	root[0] = cr3 | 3;
	__asm__ volatile("pushfq; pop %0; cli" : "=r"(rflags));
	change(pages, (uint64_t)root);
	__asm__ volatile("push %0; popfq" : : "r"(rflags) : "memory", "cc");
	return EFI_SUCCESS;
}

/* PAUSE; JMP to it: in memory of its own, which outlives this program. */
static AP_PROCEDURE hanging_code(void)
{
	static const uint8_t code[] = { 0xf3, 0x90, 0xeb, 0xfc };
	EFI_PHYSICAL_ADDRESS page;

	if (EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiRuntimeServicesCode, 1, &page)))
		return NULL;
	CopyMem((void *)page, (void *)(UINTN)code, sizeof(code));
	return (AP_PROCEDURE)page;
}

static EFI_STATUS on_other_cpu(MP_SERVICES *mp, AP_PROCEDURE procedure, BOOLEAN wait)
{
	EFI_EVENT event = NULL;
	EFI_STATUS status;

	if (!wait) {
		status = BS->CreateEvent(0, 0, NULL, NULL, &event);
		if (EFI_ERROR(status))
			return status;
	}
	return mp->startup_this(mp, procedure, 1, event, 0, NULL, NULL);
}

static BOOLEAN is_word(const CHAR16 *word, const CHAR16 *other)
{
	return !StrCmp((CHAR16 *)(UINTN)word, (CHAR16 *)(UINTN)other);
}

static EFI_STATUS spoil(const CHAR16 *word, UINTN number)
{
	MP_SERVICES *mp = NULL;

	if (is_word(word, L"hog") || is_word(word, L"pieces"))
		return hog(number, word[0] == L'p');
	if (is_word(word, L"move-gdt"))
		return move_gdt();
	if (is_word(word, L"five-levels"))
		return use_five_levels();
	if (is_word(word, L"lock-vmx"))
		return lock_vmx(NULL), EFI_SUCCESS;
	if (is_word(word, L"lock-svm"))
		return lock_svm(NULL), EFI_SUCCESS;
	if (EFI_ERROR(BS->LocateProtocol(&mp_services_guid, NULL, (void **)&mp)))
		return EFI_UNSUPPORTED;
	if (is_word(word, L"lock-vmx-other"))
		return on_other_cpu(mp, lock_vmx, TRUE);
	if (is_word(word, L"lock-svm-other"))
		return on_other_cpu(mp, lock_svm, TRUE);
	if (is_word(word, L"hang-cpu"))
		return on_other_cpu(mp, hanging_code(), FALSE);
	if (is_word(word, L"disable-cpu"))
		return mp->enable_disable(mp, 1, FALSE, NULL);
	return EFI_INVALID_PARAMETER;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table)
{
	static CHAR16 line[256];
	CHAR16 *word = line, *rest;
	EFI_LOADED_IMAGE *loaded;
	EFI_STATUS status;

	InitializeLib(image, system_table);
	BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded);
	CopyMem(line, loaded->LoadOptions,
		loaded->LoadOptionsSize < sizeof(line) - 2 ? loaded->LoadOptionsSize
							   : sizeof(line) - 2);
	while (*word && *word != L' ')
		word++;
	while (*word == L' ')
		word++;
	for (rest = word; *rest && *rest != L' '; rest++)
		;
	if (*rest)
		*rest++ = 0;
	status = spoil(word, Atoi(rest));
	Print(L"SPOIL: %s: %r\n", word, status);
	return status;
}
