/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/flush_model.h"

#if CONFIG_FLUSH_MODEL

#include "mm/layout.h"

static struct flush_cpu *cpu_of(struct flush_model *model, uint32_t cpu)
{
	if (cpu >= FLUSH_MODEL_CPUS)
		mm_panic("flush_model: no such CPU");
	return &model->cpus[cpu];
}

void flush_model_changed(struct flush_model *model, uint64_t first, uint64_t last)
{
	struct flush_change *change = &model->changes[model->next];
	uint64_t generation = model->generation + 1;

	if (change->generation > model->forgotten)
		model->forgotten = change->generation;
	*change = (struct flush_change){ first, last, generation };
	model->next = (model->next + 1) % FLUSH_MODEL_CHANGES;
	__atomic_store_n(&model->generation, generation, __ATOMIC_SEQ_CST);
}

void flush_model_flushed(struct flush_model *model, uint32_t cpu)
{
	uint64_t generation = __atomic_load_n(&model->generation, __ATOMIC_SEQ_CST);

	__atomic_store_n(&cpu_of(model, cpu)->flushed, generation, __ATOMIC_SEQ_CST);
}

/*
 * Whoever relies has waited for each CPU that had said it was in the guest; one that says so afterwards looks at the
 * kicks first. So what is relied on cannot grow between that look and this.
 */
void flush_model_entered(struct flush_model *model, uint32_t cpu)
{
	struct flush_cpu *self = cpu_of(model, cpu);

	__atomic_store_n(&self->in_guest, true, __ATOMIC_SEQ_CST);
	if (self->flushed < __atomic_load_n(&model->relied, __ATOMIC_SEQ_CST))
		mm_panic("flush_model: a CPU enters the guest with old translations");
}

void flush_model_left(struct flush_model *model, uint32_t cpu)
{
	__atomic_store_n(&cpu_of(model, cpu)->in_guest, false, __ATOMIC_SEQ_CST);
}

static uint64_t newest_change(const struct flush_model *model, uint64_t first, uint64_t last)
{
	uint64_t newest = model->forgotten;

	for (uint32_t i = 0; i < FLUSH_MODEL_CHANGES; i++) {
		const struct flush_change *change = &model->changes[i];

		if (change->generation > newest && change->first <= last && first <= change->last)
			newest = change->generation;
	}
	return newest;
}

void flush_model_rely(struct flush_model *model, uint64_t first, uint64_t last)
{
	uint64_t newest = newest_change(model, first, last);

	if (newest > model->relied)
		__atomic_store_n(&model->relied, newest, __ATOMIC_SEQ_CST);
	for (uint32_t cpu = 0; cpu < FLUSH_MODEL_CPUS; cpu++) {
		const struct flush_cpu *other = &model->cpus[cpu];

		if (__atomic_load_n(&other->in_guest, __ATOMIC_SEQ_CST) &&
		    __atomic_load_n(&other->flushed, __ATOMIC_SEQ_CST) < newest)
			mm_panic("flush_model: a CPU still has an old translation");
	}
}

#endif
