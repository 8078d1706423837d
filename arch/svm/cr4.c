/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/svm/mend.h"

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"

/* CPUID leaf (with subleaf), register and bit that tell whether a CR4 bit exists. */
struct cr4_feature {
	uint64_t cr4;
	uint32_t leaf;
	uint8_t subleaf, reg, bit; /* reg: EAX to EDX as 0 to 3 */
};

/* APM volume 2: "CR4 Register". */
static const struct cr4_feature features[] = {
	{ CR4_VME | CR4_PVI, 1, 0, 3, 1 },
	{ CR4_TSD, 1, 0, 3, 4 },
	{ CR4_DE, 1, 0, 3, 2 },
	{ CR4_PSE, 1, 0, 3, 3 },
	{ CR4_PAE, 1, 0, 3, 6 },
	{ CR4_MCE, 1, 0, 3, 7 },
	{ CR4_PGE, 1, 0, 3, 13 },
	{ CR4_OSFXSR, 1, 0, 3, 24 },
	{ CR4_OSXMMEXCPT, 1, 0, 3, 25 },
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
	{ CR4_PKS, 7, 0, 2, 31 },
	{ CR4_LAM_SUP, 7, 1, 0, 26 },
};

static uint32_t cpuid_register(const struct cr4_feature *feature)
{
	struct cpuid_result r = cpuid(feature->leaf, feature->subleaf);
	const uint32_t regs[4] = { r.eax, r.ebx, r.ecx, r.edx };

	return regs[feature->reg];
}

uint64_t svm_cr4_allowed(void)
{
	uint64_t allowed = CR4_PCE;
	uint32_t max = cpuid(0, 0).eax;

	for (unsigned i = 0; i < ARRAY_COUNT(features); i++) {
		if (features[i].leaf <= max &&
		    (cpuid_register(&features[i]) & BIT32(features[i].bit)) != 0)
			allowed |= features[i].cr4;
	}
	return allowed;
}
