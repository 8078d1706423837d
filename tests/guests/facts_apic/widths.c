/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM: "Local APIC Register Address Map": what is not an aligned access of 32 bits is undefined, and so the CPU's own. */
#include "tests/guests/facts_apic/facts_apic.h"

#include "tests/guests/lib/fact.h"

/* Of LDR, which has bits in its highest byte only, and of SVR, which has them in the lowest two. */
static const uint32_t registers[] = { APIC_LDR, APIC_SVR, APIC_LVT_ERROR };
static const uint32_t at_start[] = { 0x5a000000, 0x000001ab, 0x000100cd };

static volatile uint8_t *at(uint32_t offset)
{
	return (volatile uint8_t *)((probe_apic_base() & ~UINT64_C(0xfff)) + offset);
}

static uint64_t load(uint32_t bytes, uint32_t offset)
{
	switch (bytes) {
	case 1:
		return *at(offset);
	case 2:
		return *(volatile uint16_t *)at(offset);
	case 4:
		return *(volatile uint32_t *)at(offset);
	default:
		return *(volatile uint64_t *)at(offset);
	}
}

static void store(uint32_t bytes, uint32_t offset, uint64_t value)
{
	switch (bytes) {
	case 1:
		*at(offset) = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at(offset) = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at(offset) = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)at(offset) = value;
		break;
	}
}

static void try_one(uint32_t which, uint32_t bytes, uint32_t more)
{
	const uint32_t offset = registers[which];
	uint64_t read;

	probe_apic_write(offset, at_start[which]);
	read = load(bytes, offset + more);
	store(bytes, offset + more, UINT64_C(0x1112013110121133));
	fact_line("%sxapic.width.0x%x.%u.%u = reads 0x%lx, then 0x%x", fact_cpu(), offset, more,
		  bytes, read, probe_apic_read(offset));
}

/* What else stores: read, change and write in one instruction; a string; a vector register. */
static void try_others(void)
{
	volatile uint32_t *ldr = (volatile uint32_t *)at(APIC_LDR);
	uint32_t value = 0x11000000, source[4] = { 0x22000000, 0, 0, 0 };
	volatile void *to;
	const void *from;
	uint64_t count;

	*ldr = 0x44000000;
	__asm__ volatile("orl %1, %0" : "+m"(*ldr) : "r"(value));
	fact_line("%sxapic.store.or = 0x%x", fact_cpu(), *ldr);
	__asm__ volatile("lock addl %1, %0" : "+m"(*ldr) : "r"(value));
	fact_line("%sxapic.store.lock-add = 0x%x", fact_cpu(), *ldr);
	__asm__ volatile("xchgl %1, %0" : "+m"(*ldr), "+r"(value));
	fact_line("%sxapic.store.xchg = 0x%x 0x%x", fact_cpu(), *ldr, value);
	to = ldr;
	from = source;
	count = 1;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	fact_line("%sxapic.store.movsl = 0x%x, count %lu", fact_cpu(), *ldr, count);
	__asm__ volatile("movups (%1), %%xmm0; movups %%xmm0, (%0)"
			 :
			 : "r"(ldr), "r"(source)
			 : "memory", "xmm0");
	fact_line("%sxapic.store.movups = 0x%x", fact_cpu(), *ldr);
	__asm__ volatile("movnti %1, %0" : "=m"(*ldr) : "r"(0x33000000));
	fact_line("%sxapic.store.movnti = 0x%x", fact_cpu(), *ldr);
	*ldr = 0;
}

void apic_try_widths(void)
{
	const uint32_t svr = probe_apic_read(APIC_SVR);

	for (uint32_t which = 0; which < sizeof(registers) / sizeof(registers[0]); which++) {
		for (uint32_t bytes = 1; bytes <= 8; bytes *= 2) {
			for (uint32_t more = 0; more < 16; more += bytes == 8 ? 4 : bytes)
				try_one(which, bytes, more);
		}
		try_one(which, 4, 1);
		try_one(which, 2, 3);
		try_one(which, 8, 2);
	}
	try_others();
	probe_apic_write(APIC_LVT_ERROR, 0x10000);
	probe_apic_write(APIC_SVR, svr);
}
