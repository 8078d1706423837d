// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/walk/frames.h"

#include "tests/guests/lib/probe.h"

enum { PAGE = 4096, FRAMES = 48, HIGH_FRAMES = 24, TRIES = 64 };
enum { CODE = 0x800, CODE_BYTES = 16, DESCRIPTORS = 0xc00, DESCRIPTOR_BYTES = 8 };
enum { LIMIT_SLOT_BITS = 9 };
#define HIGH UINT64_C(0x100000000)

static uint64_t frames[FRAMES];
static uint32_t frame_count, high_count;
static uint64_t high_from, high_to;

/* The largest free range above 4 GiB. */
static void find_high_memory(void)
{
	EFI_MEMORY_DESCRIPTOR *map;
	UINTN count, key, bytes;
	UINT32 version;
	uint8_t *at;

	map = LibMemoryMap(&count, &key, &bytes, &version);
	at = (uint8_t *)map;
	for (UINTN i = 0; map && i < count; i++, at += bytes) {
		const EFI_MEMORY_DESCRIPTOR *range = (const EFI_MEMORY_DESCRIPTOR *)(void *)at;
		const uint64_t end = range->PhysicalStart + range->NumberOfPages * PAGE;

		if (range->Type != EfiConventionalMemory || range->PhysicalStart < HIGH ||
		    end - range->PhysicalStart <= high_to - high_from)
			continue;
		high_from = range->PhysicalStart;
		high_to = end;
	}
}

static bool allocate_at(uint64_t at)
{
	EFI_PHYSICAL_ADDRESS page = at;

	return !EFI_ERROR(BS->AllocatePages(AllocateAddress, EfiLoaderData, 1, &page));
}

static uint64_t allocate_high(uint64_t *random)
{
	for (uint32_t i = 0; high_to > high_from && i < TRIES; i++) {
		const uint64_t pages = (high_to - high_from) / PAGE;
		const uint64_t at = high_from + probe_random(random) % pages * PAGE;

		if (allocate_at(at))
			return at;
	}
	return 0;
}

/* Below the limit, where the firmware has memory left: try anywhere first. */
static uint64_t allocate_low(uint64_t *random)
{
	EFI_PHYSICAL_ADDRESS page = UINT32_MAX;

	for (uint32_t i = 0; i < TRIES; i++) {
		const uint64_t at = probe_random(random) % HIGH & ~(uint64_t)(PAGE - 1);

		if (at >= 0x100000 && allocate_at(at))
			return at;
	}
	if (EFI_ERROR(BS->AllocatePages(AllocateMaxAddress, EfiLoaderData, 1, &page)))
		return 0;
	return page;
}

uint64_t *frames_new_page(bool high)
{
	static uint64_t random = 0x9e3779b97f4a7c15;
	uint64_t at = high ? allocate_high(&random) : 0;

	return (uint64_t *)(at ? at : allocate_low(&random));
}

/* A segment of CPL 3 whose limit tells where its descriptor lies. */
static uint64_t descriptor(uint32_t limit)
{
	return (limit & 0xffff) | UINT64_C(0x0040f30000000000) | (uint64_t)(limit >> 16) << 48;
}

static uint32_t limit_at(uint32_t frame, uint64_t offset)
{
	return frame << LIMIT_SLOT_BITS | (uint32_t)(offset / DESCRIPTOR_BYTES);
}

/* MOV EAX, imm32; INT 0x30: the same bytes in each mode. */
static void fill_code(uint8_t *code)
{
	const uint32_t value = (uint32_t)((uint64_t)code >> 2);

	SetMem(code, CODE_BYTES, 0xcc);
	code[0] = 0xb8;
	CopyMem(code + 1, &value, sizeof(value));
	code[5] = 0xcd;
	code[6] = EXCURSION_DONE;
}

static void fill_frame(uint32_t index)
{
	uint8_t *frame = (uint8_t *)frames[index];

	for (uint32_t i = 0; i < CODE; i += sizeof(uint32_t))
		frames_mend(frames[index] + i);
	for (uint32_t i = CODE; i < DESCRIPTORS; i += CODE_BYTES)
		fill_code(frame + i);
	for (uint32_t i = DESCRIPTORS; i < PAGE; i += DESCRIPTOR_BYTES)
		*(uint64_t *)(void *)(frame + i) = descriptor(limit_at(index, i));
}

bool frames_init(uint64_t *random)
{
	find_high_memory();
	for (frame_count = 0; frame_count < FRAMES; frame_count++) {
		uint64_t at = frame_count < HIGH_FRAMES ? allocate_high(random) : 0;

		high_count += at != 0;
		at = at ? at : allocate_low(random);
		if (!at)
			return false;
		frames[frame_count] = at;
		fill_frame(frame_count);
	}
	return true;
}

uint64_t frames_pick(uint64_t *random, enum excursion_access access, uint64_t limit)
{
	const uint64_t at = probe_random(random);
	uint32_t index = (uint32_t)(probe_random(random) >> 8) % frame_count;
	uint64_t frame;

	/* The same numbers are drawn wherever the frames lie. */
	while (frames[index] >= limit)
		index = (index + 1) % frame_count;
	frame = frames[index];
	switch (access) {
	case TRIP_JUMP:
		return frame + CODE + at % ((DESCRIPTORS - CODE) / CODE_BYTES) * CODE_BYTES;
	case TRIP_LDT:
		/* Not the first: the LDT begins one descriptor below, on the same page. */
		return frame + DESCRIPTORS +
		       at % ((PAGE - DESCRIPTORS) / DESCRIPTOR_BYTES) * DESCRIPTOR_BYTES;
	default:
		return frame + at % (CODE / sizeof(uint32_t)) * sizeof(uint32_t);
	}
}

bool frames_expect(uint64_t at, enum excursion_access access, uint32_t *value)
{
	const uint64_t offset = at % PAGE;
	uint32_t i = 0;

	while (i < frame_count && frames[i] != at - offset)
		i++;
	*value = access == TRIP_LDT ? limit_at(i, offset) : (uint32_t)(at >> 2);
	return i < frame_count;
}

void frames_mend(uint64_t at)
{
	*(volatile uint32_t *)at = (uint32_t)(at >> 2);
}

uint64_t frames_find(uint32_t value)
{
	for (uint32_t i = 0; i < frame_count; i++) {
		for (uint64_t at = frames[i]; at < frames[i] + CODE; at += sizeof(value)) {
			if (*(const volatile uint32_t *)at == value)
				return at;
		}
	}
	return 0;
}

uint32_t frames_count(void)
{
	return frame_count;
}

uint32_t frames_high_count(void)
{
	return high_count;
}
