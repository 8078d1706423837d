/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/limits.h"

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"

#define LEAF_EXTENDED 0x80000000u

/* CPUID leaf (with subleaf), register and bit that tell whether bits of a control register exist. */
struct feature {
	uint64_t bits;
	uint32_t leaf;
	uint8_t subleaf, reg, bit; /* reg: EAX to EDX as 0 to 3 */
};

/* SDM: "Control Registers"; APM volume 2: "CR4 Register". */
static const struct feature cr4_features[] = {
	{ CR4_VME | CR4_PVI, 1, 0, 3, 1 },
	{ CR4_TSD, 1, 0, 3, 4 },
	{ CR4_DE, 1, 0, 3, 2 },
	{ CR4_PSE, 1, 0, 3, 3 },
	{ CR4_PAE, 1, 0, 3, 6 },
	{ CR4_MCE, 1, 0, 3, 7 },
	{ CR4_PGE, 1, 0, 3, 13 },
	{ CR4_OSFXSR, 1, 0, 3, 24 },
	{ CR4_OSXMMEXCPT, 1, 0, 3, 25 },
	{ CR4_SMXE, 1, 0, 2, 6 },
	{ CR4_PCIDE, 1, 0, 2, 17 },
	{ CR4_OSXSAVE, 1, 0, 2, 26 },
	{ CR4_FSGSBASE, 7, 0, 1, 0 },
	{ CR4_SMEP, 7, 0, 1, 7 },
	{ CR4_SMAP, 7, 0, 1, 20 },
	{ CR4_UMIP, 7, 0, 2, 2 },
	{ CR4_PKE, 7, 0, 2, 3 },
	{ CR4_CET, 7, 0, 2, 7 },
	{ CR4_CET, 7, 0, 3, 20 },
	{ CR4_LA57, 7, 0, 2, 16 },
	{ CR4_KL, 7, 0, 2, 23 },
	{ CR4_PKS, 7, 0, 2, 31 },
	{ CR4_UINTR, 7, 0, 3, 5 },
	{ CR4_LASS, 7, 1, 0, 6 },
	{ CR4_LAM_SUP, 7, 1, 0, 26 },
};

/* SDM: "Extended Feature Enable Register"; APM volume 2: "Extended Feature Enable Register (EFER)". */
static const struct feature efer_features[] = {
	{ EFER_SCE, 0x80000001, 0, 3, 11 },   { EFER_NXE, 0x80000001, 0, 3, 20 },
	{ EFER_FFXSR, 0x80000001, 0, 3, 25 }, { EFER_LME | EFER_LMA, 0x80000001, 0, 3, 29 },
	{ EFER_TCE, 0x80000001, 0, 2, 17 },   { EFER_MCOMMIT, 0x80000008, 0, 1, 8 },
	{ EFER_INTWB, 0x80000008, 0, 1, 13 }, { EFER_UAIE, 0x80000021, 0, 0, 7 },
	{ EFER_AIBRSE, 0x80000021, 0, 0, 8 },
};

static bool has_leaf(uint32_t leaf)
{
	return leaf <= cpuid(leaf & LEAF_EXTENDED, 0).eax;
}

static bool has_feature(const struct feature *feature)
{
	struct cpuid_result r = cpuid(feature->leaf, feature->subleaf);
	const uint32_t regs[4] = { r.eax, r.ebx, r.ecx, r.edx };

	return has_leaf(feature->leaf) && (regs[feature->reg] & BIT32(feature->bit)) != 0;
}

static uint64_t collect(const struct feature *features, unsigned count)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < count; i++) {
		if (has_feature(&features[i]))
			bits |= features[i].bits;
	}
	return bits;
}

uint64_t x86_cr4_allowed(void)
{
	return CR4_PCE | collect(cr4_features, ARRAY_COUNT(cr4_features));
}

/* Long-mode segment limits: an AMD CPU of a certain age has them, and nothing else tells. */
static uint64_t efer_lmsle(void)
{
	const struct feature svm = { 0, 0x80000001, 0, 2, 2 };
	const struct feature no_lmsle = { 0, 0x80000008, 0, 1, 20 };

	return has_feature(&svm) && !has_feature(&no_lmsle) ? EFER_LMSLE : 0;
}

/* SDM: "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported Features". */
static void read_xsave(struct x86_limits *limits)
{
	struct cpuid_result r = cpuid(0xd, 0);

	limits->xcr0 = ((uint64_t)r.edx << 32 | r.eax) & ~XCR0_APX;
	for (unsigned i = 2; i < X86_XSAVE_COMPONENTS; i++) {
		if ((limits->xcr0 & BIT64(i)) != 0) {
			r = cpuid(0xd, i);
			limits->xsave_end[i] = r.eax + r.ebx;
		}
	}
}

void x86_limits_read(struct x86_limits *limits)
{
	*limits = (struct x86_limits){ .maxphyaddr = 36 };
	limits->cr4 = x86_cr4_allowed();
	limits->efer = collect(efer_features, ARRAY_COUNT(efer_features)) | efer_lmsle();
	if ((limits->cr4 & CR4_OSXSAVE) != 0 && has_leaf(0xd))
		read_xsave(limits);
	if (has_leaf(0x80000008))
		limits->maxphyaddr = (uint8_t)cpuid(0x80000008, 0).eax;
	limits->canonical_bits = (limits->cr4 & CR4_LA57) != 0 ? 57 : 48;
	limits->lam = (limits->cr4 & CR4_LAM_SUP) != 0;
}
