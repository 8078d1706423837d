/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/svm/mend.h"

#include "arch/x86/cr.h"

static bool keep(uint64_t *field, uint64_t bits)
{
	uint64_t old = *field;

	*field &= bits;
	return *field != old;
}

bool svm_mend(struct vmcb *vmcb, uint64_t cr4_allowed)
{
	bool mended = keep(&vmcb->cr4, cr4_allowed);

	mended |= keep(&vmcb->cr0, BITS64(31, 0));
	if ((vmcb->cr0 & (CR0_NW | CR0_CD)) == CR0_NW)
		mended |= keep(&vmcb->cr0, ~CR0_NW);
	mended |= keep(&vmcb->dr6, BITS64(31, 0));
	mended |= keep(&vmcb->dr7, BITS64(31, 0));
	if (mended)
		vmcb->clean = 0;
	return mended;
}
