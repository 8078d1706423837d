/* SPDX-License-Identifier: BSD-2-Clause */
/* The same state of a CPU for gva_walk() (struct paging_role) and for the model (struct model_cpu). */
#ifndef TESTS_UNIT_WALK_CPU_H
#define TESTS_UNIT_WALK_CPU_H

#include "arch/x86/cr.h"
#include "mm/gva_walk.h"
#include "tests/unit/walk_model.h"

enum walk_mode { WALK_OFF, WALK_32, WALK_PAE, WALK_4, WALK_5, WALK_MODES };

#define WALK_WP	  0x01u
#define WALK_SMEP 0x02u
#define WALK_SMAP 0x04u
#define WALK_NXE  0x08u
#define WALK_PKE  0x10u
#define WALK_PKS  0x20u
#define WALK_AC	  0x40u
#define WALK_PSE  0x80u
#define WALK_1G	  0x100u
#define WALK_ALL  0x1ffu

static inline struct model_cpu walk_model_cpu(enum walk_mode mode, unsigned bits, unsigned m)
{
	return (struct model_cpu){
		.pg = mode != WALK_OFF,
		.pae = mode >= WALK_PAE,
		.lma = mode >= WALK_4,
		.la57 = mode == WALK_5,
		.pse = bits & WALK_PSE,
		.wp = bits & WALK_WP,
		.smep = bits & WALK_SMEP,
		.smap = bits & WALK_SMAP,
		.pke = bits & WALK_PKE,
		.pks = bits & WALK_PKS,
		.nxe = bits & WALK_NXE,
		.ac = bits & WALK_AC,
		.pages_1g = bits & WALK_1G,
		.amd = __builtin_parity(
			bits), /* a half of them, with each of the others set and clear */
		.m = m,
	};
}

static inline struct paging_role walk_role(const struct model_cpu *cpu)
{
	struct paging_role role = {
		.cr0 = CR0_PE | (cpu->pg ? CR0_PG : 0) | (cpu->wp ? CR0_WP : 0),
		.cr3 = cpu->cr3,
		.cr4 = (cpu->pae ? CR4_PAE : 0) | (cpu->pse ? CR4_PSE : 0) |
		       (cpu->la57 ? CR4_LA57 : 0) | (cpu->smep ? CR4_SMEP : 0) |
		       (cpu->smap ? CR4_SMAP : 0) | (cpu->pke ? CR4_PKE : 0) |
		       (cpu->pks ? CR4_PKS : 0),
		.efer = (cpu->lma ? EFER_LME | EFER_LMA : 0) | (cpu->nxe ? EFER_NXE : 0),
		.pkru = cpu->pkru,
		.pkrs = cpu->pkrs,
		.maxphyaddr = (uint8_t)cpu->m,
		.ac = cpu->ac,
		.huge_pages = cpu->pages_1g,
		.upper_bit8 = cpu->amd,
		.pdptr_in_memory = cpu->pdptes_in_memory,
	};

	for (unsigned i = 0; i < 4; i++)
		role.pdptr[i] = cpu->pdpte[i];
	return role;
}

static inline struct model_access walk_model_access(unsigned access)
{
	return (struct model_access){ .write = access & ACCESS_WRITE,
				      .fetch = access & ACCESS_FETCH,
				      .cpl3 = access & ACCESS_USER,
				      .implicit = access & ACCESS_IMPLICIT };
}

/* Read, write, fetch; by a supervisor, a user, the CPU itself, the CPU itself on behalf of a user. */
#define WALK_ACCESSES 11u
static const unsigned walk_accesses[WALK_ACCESSES] = {
	0,
	ACCESS_WRITE,
	ACCESS_FETCH,
	ACCESS_USER,
	ACCESS_USER | ACCESS_WRITE,
	ACCESS_USER | ACCESS_FETCH,
	ACCESS_IMPLICIT,
	ACCESS_IMPLICIT | ACCESS_WRITE,
	ACCESS_IMPLICIT | ACCESS_USER,
	ACCESS_IMPLICIT | ACCESS_USER | ACCESS_WRITE,
	ACCESS_IMPLICIT | ACCESS_USER | ACCESS_FETCH,
};

#endif
