/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INT n in virtual-8086 mode with CR4.VME, to a handler of the 8086 program: it would push our TF, and clear it, so that no
 * trap follows. So it is done in software when its step begins. SDM: "Class 3—Software Interrupt Handling in Virtual-8086
 * Mode", Methods 5 and 6; APM volume 2: "Virtual Interrupts".
 */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "core/kick.h"
#include "vmexit/guest_memory.h"

#define TSS_IO_MAP_BASE	  0x66u
#define REDIRECTION_BYTES 32u

#define FRAME_WORDS	  3u

static bool reads(struct vcpu *vcpu, uint64_t address, void *to, unsigned bytes)
{
	struct guest_fault fault;

	return guest_read(vcpu, (gva_t){ (uint32_t)address }, to, bytes, ACCESS_IMPLICIT, &fault);
}

/* The bitmap lies below the I/O permission bitmap. */
bool svm_step_v86_redirects(struct vcpu *vcpu, uint8_t vector, bool *to_program)
{
	const struct segment *tr = segment_read(vcpu, SEGMENT_TR);
	uint16_t io_map;
	uint32_t offset;
	uint8_t bits;

	if (tr->limit <= TSS_IO_MAP_BASE ||
	    !reads(vcpu, tr->base + TSS_IO_MAP_BASE, &io_map, sizeof(io_map)))
		return false;
	offset = io_map - REDIRECTION_BYTES + vector / 8u;
	if (offset > tr->limit || !reads(vcpu, tr->base + offset, &bits, sizeof(bits)))
		return false;
	*to_program = (bits >> vector % 8 & 1) == 0;
	return true;
}

/* With less than IOPL 3 the program's IF is VIF, and it sees IOPL 3. */
static uint16_t flags_image(uint64_t rflags)
{
	uint64_t image = rflags;

	if ((rflags & RFLAGS_IOPL) != RFLAGS_IOPL) {
		image = (rflags & ~RFLAGS_IF) | RFLAGS_IOPL;
		image |= (rflags & RFLAGS_VIF) != 0 ? RFLAGS_IF : 0;
	}
	return (uint16_t)image;
}

static gva_t stack_address(struct vcpu *vcpu, unsigned word)
{
	uint64_t offset = (gpr_read_raw(vcpu, REG_RSP) - 2u * (word + 1)) & UINT16_MAX;

	return (gva_t){ (uint32_t)(segment_read(vcpu, SEGMENT_SS)->base + offset) };
}

/* All that may fault comes before the first write. */
static bool push_frame(struct vcpu *vcpu, const uint16_t frame[FRAME_WORDS])
{
	struct guest_fault fault;

	if ((gpr_read_raw(vcpu, REG_RSP) & 1) != 0 &&
	    (gpr_read_raw(vcpu, REG_RSP) & UINT16_MAX) < 2 * FRAME_WORDS)
		return false; /* a word would cross the segment's end */
	for (unsigned i = 0; i < FRAME_WORDS; i++) {
		if (!guest_write_probe(vcpu, stack_address(vcpu, i), 2, 0, &fault))
			return false;
	}
	for (unsigned i = 0; i < FRAME_WORDS; i++) {
		if (!guest_write(vcpu, stack_address(vcpu, i), &frame[i], 2, 0, &fault))
			return false;
	}
	return true;
}

static void enter_handler(struct vcpu *vcpu, uint16_t ip, uint16_t selector)
{
	struct segment cs = *segment_read(vcpu, SEGMENT_CS);
	uint64_t rflags = rflags_read(vcpu);
	uint64_t rsp = gpr_read_raw(vcpu, REG_RSP);
	uint64_t cleared = (rflags & RFLAGS_IOPL) == RFLAGS_IOPL ? RFLAGS_IF : RFLAGS_VIF;

	cs.selector = selector;
	cs.base = (uint64_t)selector << 4;
	segment_write(vcpu, SEGMENT_CS, &cs);
	rip_write(vcpu, ip);
	gpr_write_raw(vcpu, REG_RSP,
		      (rsp & ~UINT64_C(0xffff)) | ((rsp - 2 * FRAME_WORDS) & UINT16_MAX));
	rflags_write(vcpu, rflags & ~(cleared | RFLAGS_TF | RFLAGS_RF));
	interrupt_shadow_write(vcpu, 0);
}

bool svm_step_v86_int(struct vcpu *vcpu, uint8_t vector, unsigned insn_bytes)
{
	const uint16_t frame[FRAME_WORDS] = { flags_image(rflags_read(vcpu)),
					      segment_read(vcpu, SEGMENT_CS)->selector,
					      (uint16_t)(rip_read(vcpu) + insn_bytes) };
	uint16_t handler[2];

	if (!reads(vcpu, vector * sizeof(handler), handler, sizeof(handler)) ||
	    !push_frame(vcpu, frame))
		return false;
	enter_handler(vcpu, handler[0], handler[1]);
	svm_of(vcpu)->step_delivery = true;
	kick_send(vcpu, KICK_RECHECK);
	return true;
}
