/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write tracking of guest frames. A tracked frame is not writable in the guest-physical map; a CPU that writes to it
 * faults, claims the frame, executes the one instruction on a view of its own in which the frame is writable, and
 * reports what has changed there before anybody else can write to it. The real map stays closed all the time, so no
 * write can pass unseen, however many CPUs write; frames that different CPUs write to do not wait for each other.
 *
 * What is seen is what the guest's CPUs write. A device that writes by DMA is not.
 *
 * Memory: one page for each 2 MiB in which frames are tracked, from a pool of its own. When that is used up, or the
 * guest-physical map's pool is, or a frame's count is at its end, adding is refused and nothing has changed.
 *
 * With CONFIG_PAGE_TRACK=0 the structs are empty and nothing can be tracked: users compile and cost nothing.
 */
#ifndef MM_PAGE_TRACK_H
#define MM_PAGE_TRACK_H

#include "mm/tdp_mmu.h"

#ifndef CONFIG_PAGE_TRACK
#define CONFIG_PAGE_TRACK 1
#endif

/*
 * That one instruction may have open. On some CPUs each table that it walks through is one of them: for its code, two
 * operands in memory and a stack, each in a part of the address space of its own.
 */
#define PAGE_TRACK_FRAMES 16u

enum page_track_result {
	PAGE_TRACK_OPEN,      /* claimed: nobody else writes to it until it is given up */
	PAGE_TRACK_BUSY,      /* another CPU writes to it just now: try again */
	PAGE_TRACK_FULL,      /* this instruction writes to more frames than that */
	PAGE_TRACK_UNTRACKED, /* not, or no longer, tracked, or not for a write */
};

#if CONFIG_PAGE_TRACK

#define PAGE_TRACK_REGIONS   32u		     /* of 2 MiB each: pages of the pool */
#define PAGE_TRACK_COUNT_MAX 65535u		     /* a frame may be added so many times */
#define PAGE_TRACK_PAGES     (PAGE_TRACK_FRAMES + 1) /* that each CPU takes from the core's pool */

/*
 * Called without the map's lock. Each pointer may be NULL. `written` is called by the CPU that wrote, after the write
 * and before another CPU can write to that frame: once for each instruction (or iteration of a string instruction) and
 * frame, with the bytes from the first that was written to the last that has another value now, at least one. Where
 * an instruction wrote in pieces, those between the pieces are among them. One that had to begin again after it had
 * written a part of it (some machines do that) is reported in two parts.
 */
struct page_track_notifier {
	void (*added)(struct page_track_notifier *self, uint32_t cpu, gpa_t frame);
	void (*removed)(struct page_track_notifier *self, uint32_t cpu, gpa_t frame);
	void (*written)(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa,
			const uint8_t *bytes, unsigned byte_count);
	/* What was tracked in the range is so no longer, however often it was added. */
	void (*region_removed)(struct page_track_notifier *self, uint32_t cpu, gpa_t start,
			       uint64_t bytes);
	struct page_track_notifier *next;
};

struct page_track_frame {
	uint16_t count;	 /* 0: not tracked */
	uint16_t writer; /* CPU index + 1 of who has it open */
	uint8_t rights;	 /* that it had before */
	bool is_closed;	 /* it has not got them back yet */
};

struct page_track_region {
	uint64_t base;
	uint32_t used; /* frames with a count or a writer, or still closed */
	struct page_track_frame frames[512];
};

struct page_track {
	struct pool pool;
	struct page_track_region *regions[PAGE_TRACK_REGIONS]; /* (l) of the map */
	uint32_t region_count;
	struct page_track_notifier *notifiers;
};

struct page_track_open_frame {
	uint64_t frame;
	const struct page_track_frame *state; /* stays where it is as long as it has a writer */
	uint8_t *before;
	uint16_t offset;  /* where the write began */
	bool is_store;	  /* else the CPU only marks a table entry as accessed, or not even that */
	bool was_tracked; /* else it was only not open yet */
};

/* One CPU's. */
struct page_track_writer {
	uint32_t cpu;
	uint32_t count;
	struct page_track_open_frame open[PAGE_TRACK_FRAMES];
	uint8_t *after;
	/* Where a store began that gave up half-way, and has been reported so far; else 0. */
	uint64_t partial;
	bool has_claim; /* to `claim`, for a write of the hypervisor's own */
	gpa_t claim;
};

MUST_CHECK bool page_track_init(struct page_track *track, struct pool *from);
MUST_CHECK bool page_track_writer_init(struct page_track_writer *writer, struct pool *pool,
				       uint32_t cpu);
/* Before the first frame is added. */
void page_track_register(struct page_track *track, struct page_track_notifier *notifier);

/*
 * With the map's lock. Count a frame of RAM once more; *changed: flush on all CPUs, then call page_track_added(). False:
 * refused, see above.
 */
MUST_CHECK bool page_track_add(struct page_track *track, struct tdp_mmu *tdp, gpa_t gpa,
			       bool *changed);
/*
 * With the map's lock. Count it once less; the last time it gets back the rights that it had; later if a CPU has it open,
 * or if no page is left to split its large leaf for that. Nobody need flush. Returns whether it was the last time; false
 * also if it was not tracked.
 */
bool page_track_remove(struct page_track *track, struct tdp_mmu *tdp, gpa_t gpa);
/* With the map's lock. Forget all frames of a range, however often they were added. Returns how many there were. */
uint64_t page_track_remove_region(struct page_track *track, struct tdp_mmu *tdp, gpa_t start,
				  uint64_t bytes);
/* With the map's lock. How often it was added, and whether a CPU has it open. */
uint32_t page_track_count(const struct page_track *track, gpa_t gpa);
/* Whether writes to the frame are page_track_open()'s. */
bool page_track_is_closed(const struct page_track *track, gpa_t gpa);
/* Whether a CPU is in the middle of a write to one of the frames of a range. */
bool page_track_has_writer(const struct page_track *track, gpa_t start, uint64_t bytes);
/* Whether this CPU is, to any frame: from a notifier it is. */
bool page_track_is_writing(const struct page_track_writer *writer);

/* Without the lock: tell the notifiers. */
void page_track_added(struct page_track *track, uint32_t cpu, gpa_t gpa);
void page_track_removed(struct page_track *track, uint32_t cpu, gpa_t gpa);
void page_track_region_removed(struct page_track *track, uint32_t cpu, gpa_t start, uint64_t bytes);

/* With the map's lock. This CPU faulted on a write at `gpa`: claim the frame and remember what is in it. */
enum page_track_result page_track_open(struct page_track *track, struct page_track_writer *writer,
				       gpa_t gpa, bool is_store);
/*
 * Without the lock. The instruction is done (or has given up half-way: `complete` is false): tell the notifiers what
 * has changed in each open frame. page_track_close() follows.
 */
void page_track_report(struct page_track *track, struct page_track_writer *writer, bool complete);
/* With the map's lock. Others may write to them again. */
void page_track_close(struct page_track *track, struct page_track_writer *writer,
		      struct tdp_mmu *tdp);

/*
 * A write of the hypervisor's own in the guest's name, within one frame. With the map's lock: PAGE_TRACK_OPEN: claimed;
 * write without the lock, tell what was written, then release. PAGE_TRACK_BUSY: another CPU has it, try again without
 * the lock between. PAGE_TRACK_UNTRACKED: nobody is to be told, or the report of this CPU's step is going to tell; write
 * before the lock is released, since it may come to be tracked then.
 */
enum page_track_result page_track_claim(struct page_track *track, struct page_track_writer *writer,
					gpa_t gpa);
/* Without the lock: exactly these bytes were written to the claimed frame, and are what is there now. */
void page_track_tell(struct page_track *track, const struct page_track_writer *writer, gpa_t gpa,
		     const uint8_t *bytes, unsigned byte_count);
/* With the map's lock. */
void page_track_release(struct page_track *track, struct page_track_writer *writer,
			struct tdp_mmu *tdp);

#else

#define PAGE_TRACK_PAGES 0u

struct page_track_notifier {
};

struct page_track {
};

struct page_track_writer {
};

static inline bool page_track_init(struct page_track *track, struct pool *from)
{
	(void)track, (void)from;
	return true;
}

static inline bool page_track_writer_init(struct page_track_writer *writer, struct pool *pool,
					  uint32_t cpu)
{
	(void)writer, (void)pool, (void)cpu;
	return true;
}

static inline void page_track_register(struct page_track *track,
				       struct page_track_notifier *notifier)
{
	(void)track, (void)notifier;
}

static inline bool page_track_add(struct page_track *track, struct tdp_mmu *tdp, gpa_t gpa,
				  bool *changed)
{
	(void)track, (void)tdp, (void)gpa, (void)changed;
	return false;
}

static inline bool page_track_remove(struct page_track *track, struct tdp_mmu *tdp, gpa_t gpa)
{
	(void)track, (void)tdp, (void)gpa;
	return false;
}

static inline uint64_t page_track_remove_region(struct page_track *track, struct tdp_mmu *tdp,
						gpa_t start, uint64_t bytes)
{
	(void)track, (void)tdp, (void)start, (void)bytes;
	return 0;
}

static inline uint32_t page_track_count(const struct page_track *track, gpa_t gpa)
{
	(void)track, (void)gpa;
	return 0;
}

static inline bool page_track_is_closed(const struct page_track *track, gpa_t gpa)
{
	(void)track, (void)gpa;
	return false;
}

static inline bool page_track_has_writer(const struct page_track *track, gpa_t start,
					 uint64_t bytes)
{
	(void)track, (void)start, (void)bytes;
	return false;
}

static inline bool page_track_is_writing(const struct page_track_writer *writer)
{
	(void)writer;
	return false;
}

static inline void page_track_added(struct page_track *track, uint32_t cpu, gpa_t gpa)
{
	(void)track, (void)cpu, (void)gpa;
}

static inline void page_track_removed(struct page_track *track, uint32_t cpu, gpa_t gpa)
{
	(void)track, (void)cpu, (void)gpa;
}

static inline void page_track_region_removed(struct page_track *track, uint32_t cpu, gpa_t start,
					     uint64_t bytes)
{
	(void)track, (void)cpu, (void)start, (void)bytes;
}

static inline enum page_track_result page_track_open(struct page_track *track,
						     struct page_track_writer *writer, gpa_t gpa,
						     bool is_store)
{
	(void)track, (void)writer, (void)gpa, (void)is_store;
	return PAGE_TRACK_UNTRACKED;
}

static inline void page_track_report(struct page_track *track, struct page_track_writer *writer,
				     bool complete)
{
	(void)track, (void)writer, (void)complete;
}

static inline void page_track_close(struct page_track *track, struct page_track_writer *writer,
				    struct tdp_mmu *tdp)
{
	(void)track, (void)writer, (void)tdp;
}

static inline enum page_track_result page_track_claim(struct page_track *track,
						      struct page_track_writer *writer, gpa_t gpa)
{
	(void)track, (void)writer, (void)gpa;
	return PAGE_TRACK_UNTRACKED;
}

static inline void page_track_tell(struct page_track *track, const struct page_track_writer *writer,
				   gpa_t gpa, const uint8_t *bytes, unsigned byte_count)
{
	(void)track, (void)writer, (void)gpa, (void)bytes, (void)byte_count;
}

static inline void page_track_release(struct page_track *track, struct page_track_writer *writer,
				      struct tdp_mmu *tdp)
{
	(void)track, (void)writer, (void)tdp;
}

#endif

#endif
