/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A checked model of who may still hold an old translation, for debug builds (make DEBUG=1) and host tests: emulators
 * flush so often that a forgotten flush never shows there. Each change of a table makes a new generation; each CPU
 * says when it forgets what it has cached, enters the guest and leaves it. Whoever relies on a change having arrived
 * (rights that shrank, a table page about to be used again) asks, and a CPU that could still use the old entry is a
 * panic. Without CONFIG_FLUSH_MODEL the struct is empty and every function is nothing.
 *
 * Called with the map's lock held: changed(), rely(). The others by the CPU that they are about, without it.
 */
#ifndef MM_FLUSH_MODEL_H
#define MM_FLUSH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#ifndef CONFIG_FLUSH_MODEL
#ifdef HOST_TEST
#define CONFIG_FLUSH_MODEL 1
#else
#define CONFIG_FLUSH_MODEL 0
#endif
#endif

#if CONFIG_FLUSH_MODEL

#define FLUSH_MODEL_CPUS    256u
#define FLUSH_MODEL_CHANGES 16u

struct flush_change {
	uint64_t first, last; /* addresses, inclusive */
	uint64_t generation;
};

struct flush_cpu {
	uint64_t flushed; /* the generation that was current when it last forgot everything */
	bool in_guest;
};

struct flush_model {
	uint64_t generation; /* of the newest change */
	uint64_t relied;     /* every CPU in the guest has flushed since this one */
	/* Changes up to this one are no longer listed: they count for every address. */
	uint64_t forgotten;
	struct flush_change changes[FLUSH_MODEL_CHANGES];
	uint32_t next;
	struct flush_cpu cpus[FLUSH_MODEL_CPUS];
};

/* An entry for [first, last] that was present has changed. */
void flush_model_changed(struct flush_model *model, uint64_t first, uint64_t last);
/* CPU `cpu`, in the host, forgets all translations before it enters the guest again. */
void flush_model_flushed(struct flush_model *model, uint32_t cpu);
/* CPU `cpu` has looked for kicks for the last time before it enters the guest; it has left the guest. */
void flush_model_entered(struct flush_model *model, uint32_t cpu);
void flush_model_left(struct flush_model *model, uint32_t cpu);
/* From now on no CPU may use an entry for [first, last] that is older than the newest change there. */
void flush_model_rely(struct flush_model *model, uint64_t first, uint64_t last);

#else

struct flush_model {
};

static inline void flush_model_changed(struct flush_model *model, uint64_t first, uint64_t last)
{
	(void)model, (void)first, (void)last;
}

static inline void flush_model_flushed(struct flush_model *model, uint32_t cpu)
{
	(void)model, (void)cpu;
}

static inline void flush_model_entered(struct flush_model *model, uint32_t cpu)
{
	(void)model, (void)cpu;
}

static inline void flush_model_left(struct flush_model *model, uint32_t cpu)
{
	(void)model, (void)cpu;
}

static inline void flush_model_rely(struct flush_model *model, uint64_t first, uint64_t last)
{
	(void)model, (void)first, (void)last;
}

#endif

#endif
