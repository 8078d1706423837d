/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the manuals say about translating addresses, level by level and bit by bit, slow and plain. It shares nothing
 * with mm/: no header, no mask, no table. SDM: "Paging", "The Extended Page Table Mechanism (EPT)"; APM: "Page
 * Translation and Protection", "Nested Paging". Used by tests/unit and tests/fuzz.
 */
#ifndef TESTS_UNIT_WALK_MODEL_H
#define TESTS_UNIT_WALK_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* Memory as the model sees it; read() says whether anything is there. */
struct model_memory {
	void *context;
	bool (*read)(void *context, uint64_t at, unsigned bytes, uint64_t *value);
	bool (*set)(void *context, uint64_t at, unsigned bytes, uint64_t value);
};

struct model_access {
	bool write, fetch;
	bool cpl3;     /* the program runs at CPL 3 */
	bool implicit; /* the CPU itself wants a descriptor or the like */
};

struct model_cpu {
	bool pg, pae, lma, la57, pse, wp, smep, smap, pke, pks, nxe, ac, pages_1g;
	bool amd; /* or any other CPU with NPT */
	bool pdptes_in_memory;
	unsigned m; /* MAXPHYADDR */
	uint64_t cr3, pdpte[4];
	uint32_t pkru, pkrs;
	/* NPT: these are the host's settings, and the tables translate guest-physical addresses. */
	bool npt, gmet;
};

enum model_end { MODEL_OK, MODEL_NOT_PRESENT, MODEL_RESERVED, MODEL_DENIED, MODEL_ABSENT };

struct model_walk {
	enum model_end end;
	uint64_t physical, size;
	bool key_denied;
	bool writable, user, executable; /* what all entries together allow */
	uint64_t at[5], value[5];	 /* the entries in memory, in the order of use */
	unsigned count, entry_bytes;
	uint64_t leaf;
};

static inline bool model_bit(uint64_t value, unsigned bit)
{
	return value / (UINT64_C(1) << bit) % 2 == 1;
}

static inline bool model_any(uint64_t value, unsigned from, unsigned to)
{
	for (unsigned bit = from; bit <= to; bit++) {
		if (model_bit(value, bit))
			return true;
	}
	return false;
}

/* The bits of `value` from `from` up to `to`, where they are. */
static inline uint64_t model_cut(uint64_t value, unsigned from, unsigned to)
{
	uint64_t cut = 0;

	for (unsigned bit = from; bit <= to; bit++)
		cut += model_bit(value, bit) ? UINT64_C(1) << bit : 0;
	return cut;
}

static inline uint64_t model_number(uint64_t value, unsigned from, unsigned to)
{
	return model_cut(value, from, to) >> from;
}

/* --- tables of CR3 and nCR3 ----------------------------------------------------------------------------- */

/* Fetch one entry; false: the walk is over. */
static inline bool model_step(const struct model_cpu *cpu, const struct model_memory *memory,
			      struct model_walk *walk, uint64_t at, uint64_t *entry)
{
	(void)cpu;
	if (!memory->read(memory->context, at, walk->entry_bytes, entry)) {
		walk->end = MODEL_ABSENT;
		return false;
	}
	walk->at[walk->count] = at;
	walk->value[walk->count] = *entry;
	walk->count++;
	walk->leaf = *entry;
	if (!model_bit(*entry, 0)) {
		walk->end = MODEL_NOT_PRESENT;
		return false;
	}
	return true;
}

static inline bool model_is_reserved(struct model_walk *walk, bool reserved)
{
	if (reserved)
		walk->end = MODEL_RESERVED;
	return reserved;
}

static inline void model_rights(struct model_walk *walk, uint64_t entry)
{
	if (!model_bit(entry, 1))
		walk->writable = false;
	if (!model_bit(entry, 2))
		walk->user = false;
	if (walk->entry_bytes == 8 && model_bit(entry, 63))
		walk->executable = false;
}

static inline void model_page(struct model_walk *walk, uint64_t entry, uint64_t address, unsigned m,
			      unsigned size_bits)
{
	walk->end = MODEL_OK;
	walk->size = UINT64_C(1) << size_bits;
	walk->physical = model_cut(entry, size_bits, m - 1) + address % walk->size;
}

/* Bits that every entry of 8 bytes has to have clear. */
static inline bool model_wide_reserved(const struct model_cpu *cpu, uint64_t entry)
{
	if (model_any(entry, cpu->m, 51))
		return true;
	if (!cpu->lma && model_any(entry, 52, 62))
		return true;
	return model_bit(entry, 63) && !cpu->nxe;
}

/* The page directory and the page table, which PAE, 4-level and 5-level paging have in common. */
static inline void model_directory(const struct model_cpu *cpu, const struct model_memory *memory,
				   struct model_walk *walk, uint64_t directory, uint64_t address)
{
	uint64_t entry;

	if (!model_step(cpu, memory, walk, directory + 8 * model_number(address, 21, 29), &entry))
		return;
	if (model_is_reserved(walk, model_wide_reserved(cpu, entry)))
		return;
	if (model_bit(entry, 7)) {
		if (model_is_reserved(walk, model_any(entry, 13, 20)))
			return;
		model_rights(walk, entry);
		model_page(walk, entry, address, cpu->m, 21);
		return;
	}
	model_rights(walk, entry);
	if (!model_step(cpu, memory, walk,
			model_cut(entry, 12, cpu->m - 1) + 8 * model_number(address, 12, 20),
			&entry))
		return;
	if (model_is_reserved(walk, model_wide_reserved(cpu, entry)))
		return;
	model_rights(walk, entry);
	model_page(walk, entry, address, cpu->m, 12);
}

/* No page is so large; APM, "PML4E" and "PML5E": bits 8 and 7 must be zero. */
static inline bool model_top_reserved(const struct model_cpu *cpu, uint64_t entry)
{
	return model_wide_reserved(cpu, entry) || model_bit(entry, 7) ||
	       ((cpu->amd || cpu->npt) && model_bit(entry, 8));
}

/* SDM: "4-Level Paging and 5-Level Paging". */
static inline void model_long(const struct model_cpu *cpu, const struct model_memory *memory,
			      struct model_walk *walk, uint64_t address)
{
	uint64_t table = model_cut(cpu->cr3, 12, cpu->m - 1), entry;

	if (cpu->la57) {
		if (!model_step(cpu, memory, walk, table + 8 * model_number(address, 48, 56),
				&entry))
			return;
		if (model_is_reserved(walk, model_top_reserved(cpu, entry)))
			return;
		model_rights(walk, entry);
		table = model_cut(entry, 12, cpu->m - 1);
	}
	if (!model_step(cpu, memory, walk, table + 8 * model_number(address, 39, 47), &entry))
		return;
	if (model_is_reserved(walk, model_top_reserved(cpu, entry)))
		return;
	model_rights(walk, entry);
	table = model_cut(entry, 12, cpu->m - 1);
	if (!model_step(cpu, memory, walk, table + 8 * model_number(address, 30, 38), &entry))
		return;
	if (model_is_reserved(walk, model_wide_reserved(cpu, entry)))
		return;
	if (model_bit(entry, 7)) {
		if (model_is_reserved(walk, !cpu->pages_1g || model_any(entry, 13, 29)))
			return;
		model_rights(walk, entry);
		model_page(walk, entry, address, cpu->m, 30);
		return;
	}
	model_rights(walk, entry);
	model_directory(cpu, memory, walk, model_cut(entry, 12, cpu->m - 1), address);
}

/* SDM: "PAE Paging". The PDPTEs have neither rights nor an accessed flag. */
static inline void model_pae(const struct model_cpu *cpu, const struct model_memory *memory,
			     struct model_walk *walk, uint64_t address)
{
	uint64_t number = model_number(address, 30, 31), pdpte = cpu->pdpte[number];

	if (cpu->pdptes_in_memory &&
	    !memory->read(memory->context, model_cut(cpu->cr3, 5, 31) + 8 * number, 8, &pdpte)) {
		walk->end = MODEL_ABSENT;
		return;
	}
	if (!model_bit(pdpte, 0)) {
		walk->end = MODEL_NOT_PRESENT;
		return;
	}
	if (model_is_reserved(walk, model_any(pdpte, 1, 2) || model_any(pdpte, 5, 8) ||
					    model_any(pdpte, cpu->m, 63)))
		return;
	model_directory(cpu, memory, walk, model_cut(pdpte, 12, cpu->m - 1), address);
}

/* SDM: "32-Bit Paging". A 4 MiB page: bits M-20:13 are address bits M-1:32, at most 8 of them; 21 to there is reserved. */
static inline void model_32bit(const struct model_cpu *cpu, const struct model_memory *memory,
			       struct model_walk *walk, uint64_t address)
{
	unsigned m = cpu->m > 40 ? 40 : cpu->m < 32 ? 32 : cpu->m;
	uint64_t entry;

	if (!model_step(cpu, memory, walk,
			model_cut(cpu->cr3, 12, 31) + 4 * model_number(address, 22, 31), &entry))
		return;
	if (cpu->pse && model_bit(entry, 7)) {
		if (model_is_reserved(walk, model_any(entry, m - 19, 21)))
			return;
		model_rights(walk, entry);
		model_page(walk, entry, address, 32, 22);
		walk->physical += model_number(entry, 13, 20) << 32;
		return;
	}
	model_rights(walk, entry);
	if (!model_step(cpu, memory, walk,
			model_cut(entry, 12, 31) + 4 * model_number(address, 12, 21), &entry))
		return;
	model_rights(walk, entry);
	model_page(walk, entry, address, 32, 12);
}

/* SDM: "Determination of Access Rights", in its order: supervisor-mode accesses, then user-mode ones. */
static inline bool model_allows(const struct model_cpu *cpu, const struct model_walk *walk,
				const struct model_access *access)
{
	bool supervisor = !access->cpl3 || access->implicit;
	bool to_user_address = walk->user;

	if (supervisor && !access->fetch && !access->write) {
		if (!to_user_address || !cpu->smap)
			return true;
		return cpu->ac && !access->implicit;
	}
	if (supervisor && access->write && !access->fetch) {
		if (cpu->wp && !walk->writable)
			return false;
		if (!to_user_address || !cpu->smap)
			return true;
		return cpu->ac && !access->implicit;
	}
	if (supervisor) {
		if (to_user_address && cpu->smep)
			return false;
		return walk->executable;
	}
	if (!to_user_address)
		return false;
	if (access->fetch)
		return walk->executable;
	return !access->write || walk->writable;
}

/* SDM: "Protection Keys". */
static inline bool model_key_denies(const struct model_cpu *cpu, const struct model_walk *walk,
				    const struct model_access *access)
{
	bool supervisor = !access->cpl3 || access->implicit;
	unsigned key = (unsigned)model_number(walk->leaf, 59, 62);
	bool access_disable, write_disable;

	if (!cpu->lma || access->fetch)
		return false;
	if (walk->user) {
		if (!cpu->pke)
			return false;
		access_disable = model_bit(cpu->pkru, 2 * key);
		write_disable = model_bit(cpu->pkru, 2 * key + 1);
	} else {
		/* A user-mode access to a supervisor-mode address is no business of the keys. */
		if (!cpu->pks || !supervisor)
			return false;
		access_disable = model_bit(cpu->pkrs, 2 * key);
		write_disable = model_bit(cpu->pkrs, 2 * key + 1);
	}
	if (access_disable)
		return true;
	return write_disable && access->write && (!supervisor || cpu->wp);
}

/* APM: "Nested Table Walk": all are user accesses; GMET lets supervisors in, and keeps them from running user pages. */
static inline bool model_npt_allows(const struct model_cpu *cpu, const struct model_walk *walk,
				    const struct model_access *access)
{
	bool supervisor = cpu->gmet && (!access->cpl3 || access->implicit);

	if (!supervisor && !walk->user)
		return false;
	if (access->fetch)
		return walk->executable && !(supervisor && walk->user);
	return !access->write || walk->writable;
}

/* Up to the decision; no flag is set. */
static inline struct model_walk model_translate(const struct model_cpu *cpu,
						const struct model_memory *memory, uint64_t address,
						const struct model_access *access)
{
	struct model_walk walk = { .writable = true, .user = true, .executable = true };

	walk.entry_bytes = cpu->pae ? 8 : 4;
	if (!cpu->pg) {
		walk.end = MODEL_OK;
		walk.physical = model_cut(address, 0, 31);
		walk.size = 4096;
		return walk;
	}
	if (cpu->lma)
		model_long(cpu, memory, &walk, address);
	else if (cpu->pae)
		model_pae(cpu, memory, &walk, address);
	else
		model_32bit(cpu, memory, &walk, address);
	if (walk.end != MODEL_OK)
		return walk;
	if (cpu->npt) {
		if (!model_npt_allows(cpu, &walk, access))
			walk.end = MODEL_DENIED;
		return walk;
	}
	walk.key_denied = model_key_denies(cpu, &walk, access);
	if (walk.key_denied || !model_allows(cpu, &walk, access))
		walk.end = MODEL_DENIED;
	return walk;
}

/* Set what the CPU sets on success: A everywhere, D where a write went. False: no memory there. */
static inline bool model_mark(const struct model_memory *memory, const struct model_walk *walk,
			      const struct model_access *access)
{
	for (unsigned i = 0; i < walk->count; i++) {
		bool dirty = access->write && i == walk->count - 1;
		uint64_t value = walk->value[i];

		if (model_bit(value, 5) && (model_bit(value, 6) || !dirty))
			continue;
		if (!model_bit(value, 5))
			value += 1u << 5;
		if (dirty && !model_bit(value, 6))
			value += 1u << 6;
		if (!memory->set(memory->context, walk->at[i], walk->entry_bytes, value))
			return false;
	}
	return true;
}

/* SDM: "Page-Fault Exceptions", flag by flag; the same for a nested page fault (bits 31:0). */
static inline uint32_t model_error_code(const struct model_cpu *cpu, const struct model_walk *walk,
					const struct model_access *access)
{
	bool supervisor = !access->cpl3 || access->implicit;
	uint32_t code = 0;

	if (cpu->npt && !cpu->gmet)
		supervisor = false;
	if (walk->end != MODEL_NOT_PRESENT)
		code += 1u << 0;
	if (access->write)
		code += 1u << 1;
	if (!supervisor)
		code += 1u << 2;
	if (walk->end == MODEL_RESERVED)
		code += 1u << 3;
	if (access->fetch && ((cpu->pae && cpu->nxe) || (cpu->npt ? cpu->gmet : cpu->smep)))
		code += 1u << 4;
	if (walk->end == MODEL_DENIED && walk->key_denied)
		code += 1u << 5;
	return code;
}

/* --- EPT -------------------------------------------------------------------------------------------------- */

struct model_ept {
	unsigned m;
	unsigned levels;
	bool pages_2m, pages_1g, exec_only, mbec, accessed_dirty, advanced;
	uint64_t eptp;
};

enum model_stage { MODEL_FINAL, MODEL_TABLE, MODEL_PDPTE_LOAD };

struct model_ept_access {
	enum model_stage stage;
	bool write, fetch;
	bool linear_user, linear_writable,
		linear_executable; /* of the linear address; final stage only */
};

enum model_ept_end { EPT_OK, EPT_VIOLATION, EPT_MISCONFIG, EPT_ABSENT };

struct model_ept_walk {
	enum model_ept_end end;
	uint64_t physical, size, qualification, leaf;
	bool read, write, exec, user_exec; /* logical AND */
};

/* SDM: "EPT Misconfigurations", for an entry that is present. `size_bits`: of a page that it could map. */
static inline bool model_ept_bad(const struct model_ept *ept, uint64_t entry, unsigned size_bits,
				 bool maps)
{
	bool read = model_bit(entry, 0), write = model_bit(entry, 1), exec = model_bit(entry, 2);
	unsigned type = (unsigned)model_number(entry, 3, 5);

	if (!read && write)
		return true;
	if (!ept->exec_only && !read && exec)
		return true;
	if (!ept->exec_only && ept->mbec && !read && model_bit(entry, 10))
		return true;
	if (model_any(entry, ept->m, 51))
		return true;
	if (!maps)
		return model_any(entry, 3, 6);
	if (size_bits > 12 && model_any(entry, 12, size_bits - 1))
		return true;
	return type == 2 || type == 3 || type == 7;
}

static inline bool model_ept_present(const struct model_ept *ept, uint64_t entry)
{
	return model_any(entry, 0, 2) || (ept->mbec && model_bit(entry, 10));
}

static inline void model_ept_qualify(const struct model_ept *ept,
				     const struct model_ept_access *access,
				     struct model_ept_walk *walk, bool as_write)
{
	uint64_t q = 0;

	if (access->fetch)
		q |= 1u << 2;
	else if (as_write)
		q |= 1u << 1 | 1u << 0;
	else
		q |= access->write ? 1u << 1 : 1u << 0;
	q |= (walk->read ? 1u << 3 : 0) | (walk->write ? 1u << 4 : 0) | (walk->exec ? 1u << 5 : 0);
	q |= ept->mbec && walk->user_exec ? 1u << 6 : 0;
	if (access->stage != MODEL_PDPTE_LOAD)
		q |= 1u << 7;
	if (access->stage == MODEL_FINAL) {
		q |= 1u << 8;
		if (ept->advanced)
			q |= (access->linear_user ? 1u << 9 : 0) |
			     (access->linear_writable ? 1u << 10 : 0) |
			     (access->linear_executable ? 0 : 1u << 11);
	}
	walk->qualification = q;
	walk->end = EPT_VIOLATION;
}

static inline struct model_ept_walk model_ept_translate(const struct model_ept *ept,
							const struct model_memory *memory,
							uint64_t address,
							const struct model_ept_access *access)
{
	struct model_ept_walk walk = {
		.read = true, .write = true, .exec = true, .user_exec = true
	};
	/* "If accessed and dirty flags are enabled, accesses to guest paging-structure entries are treated as writes" */
	bool as_write = access->stage == MODEL_TABLE && ept->accessed_dirty;
	uint64_t table = model_cut(ept->eptp, 12, ept->m - 1), at[5], value[5], entry;
	unsigned count = 0;
	bool allowed;

	if (model_any(address, ept->levels == 5 ? 57 : 48, 63)) {
		walk.read = walk.write = walk.exec = walk.user_exec = false;
		model_ept_qualify(ept, access, &walk, as_write);
		return walk;
	}
	for (unsigned low = ept->levels == 5 ? 48 : 39;; low -= 9) {
		bool maps;

		at[count] = table + 8 * model_number(address, low, low + 8);
		if (!memory->read(memory->context, at[count], 8, &entry)) {
			walk.end = EPT_ABSENT;
			return walk;
		}
		value[count++] = entry;
		walk.leaf = entry;
		walk.read = walk.read && model_bit(entry, 0);
		walk.write = walk.write && model_bit(entry, 1);
		walk.exec = walk.exec && model_bit(entry, 2);
		walk.user_exec = walk.user_exec && model_bit(entry, 10);
		if (!model_ept_present(ept, entry)) {
			model_ept_qualify(ept, access, &walk, as_write);
			return walk;
		}
		maps = low == 12 || model_bit(entry, 7);
		if (low > 12 && maps &&
		    (low > 30 || (low == 30 && !ept->pages_1g) || (low == 21 && !ept->pages_2m))) {
			walk.end = EPT_MISCONFIG; /* bit 7 is reserved here */
			return walk;
		}
		if (model_ept_bad(ept, entry, low, maps)) {
			walk.end = EPT_MISCONFIG;
			return walk;
		}
		if (maps) {
			walk.size = UINT64_C(1) << low;
			break;
		}
		table = model_cut(entry, 12, ept->m - 1);
	}
	walk.physical =
		model_cut(entry, 12, ept->m - 1) / walk.size * walk.size + address % walk.size;
	if (access->fetch)
		allowed = ept->mbec && access->linear_user ? walk.user_exec : walk.exec;
	else
		allowed = (as_write || access->write) ? walk.write : walk.read;
	if (!allowed) {
		model_ept_qualify(ept, access, &walk, as_write);
		return walk;
	}
	for (unsigned i = 0; ept->accessed_dirty && i < count; i++) {
		bool dirty = i == count - 1 && (as_write || access->write);
		uint64_t marked = value[i];

		if (!model_bit(marked, 8))
			marked += 1u << 8;
		if (dirty && !model_bit(marked, 9))
			marked += 1u << 9;
		if (marked != value[i] && !memory->set(memory->context, at[i], 8, marked)) {
			walk.end = EPT_ABSENT;
			return walk;
		}
	}
	walk.end = EPT_OK;
	return walk;
}

#endif
