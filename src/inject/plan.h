/*
 * What will be put where: which entries become jumps to which hooks, where their first instructions
 * go, and where the recorder's own memory is to be. Pure arithmetic on what was read before;
 * nothing is stopped or written.
 *
 *   near memory, less than 2 GiB from the entries it serves: a slot for each
 *   ┌────────────────────────┬────────────────────────────────────────────┐
 *   │ r11 = moved; jmp hook  │ moved: the first instructions; jmp behind  │
 *   └────────────────────────┴────────────────────────────────────────────┘
 *
 * The plain malloc and free become jumps to their hooks, if these are in reach.
 */
#ifndef SEEP_INJECT_PLAN_H
#define SEEP_INJECT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inject/entries.h"
#include "inject/moved.h"
#include "wire/blob.h"

struct error;
struct blob_image;
struct maps;
struct slots;
struct target;

#define PLAN_JUMP_BYTES 5
#define PLAN_THUNK_BYTES 48
#define PLAN_SLOT_BYTES 128
_Static_assert(PLAN_THUNK_BYTES + MOVED_CODE_MAX <= PLAN_SLOT_BYTES, "a slot holds both");

struct plan_entry {
	const struct entry *entry;
	enum wire_hook hook;
	const struct entry *instead; /* for new_1 */
	size_t near;		     /* index of the plan's near memory */
	uint64_t slot;		     /* address */
	bool by_slots;		     /* the entry stays as it is: plan_slot lead to the thunk */
	struct moved moved;
	uint8_t thunk[PLAN_THUNK_BYTES];
	uint8_t jump[PLAN_JUMP_BYTES]; /* what the entry becomes */
};

/* A word that will lead to a thunk, of data or of code; see slots.h. */
#define PLAN_LANDING_BYTES 14
struct plan_slot {
	const struct entry *entry; /* the function that it stands for */
	uint64_t addr, before, after;
	uint64_t inode; /* of the file that the word is mapped from */
	/* Of code: near memory, which jumps on to the thunk. */
	bool is_stub;
	size_t near;
	uint64_t landing; /* address */
	uint8_t jump[PLAN_LANDING_BYTES];
};

struct plan_skipped {
	const struct entry *entry;
	const char *why; /* static text: "it cannot be moved: …" */
};

struct plan_near {
	uint64_t start, bytes;
	uint64_t low, high; /* entries that it serves */
	size_t nr;
};

#define PLAN_NEARS_MAX 8

struct plan {
	struct plan_entry *entries;
	size_t nr_entries, cap_entries;
	struct plan_slot *slots;
	size_t nr_slots, cap_slots;
	struct plan_skipped *skipped;
	size_t nr_skipped, cap_skipped;
	struct plan_near nears[PLAN_NEARS_MAX];
	size_t nr_nears;
	uint64_t blob;	/* where the image goes */
	uint64_t table; /* where the table of frames goes; see frames.h */
};

#define PLAN_INIT                                                                                  \
	{                                                                                          \
		.entries = NULL                                                                    \
	}

/*
 * heap_start: of the heap that brk moves, 0 not known; it may not be among maps yet.
 * entries must outlive *ret; wanted: of each, 0: it is left alone; ENTRY_BY_SLOTS: it is had by
 * those of slots. -ENOSPC and the like with *e, EXIT_TARGET.
 */
int plan_make(const struct entries *entries, const uint8_t *wanted, const struct slots *slots,
	      const struct blob_image *image, size_t table_bytes, const struct maps *maps,
	      uint64_t heap_start, struct plan *ret, struct error *e);
/* How many functions are had by slots, so that some calls of them are not seen. */
size_t plan_partial_nr(const struct plan *p);
/*
 * The code whose calls may know which registers the functions leave alone: that of their own
 * modules. Empty: none.
 */
void plan_find_keepers(const struct plan *p, struct target *t, uint64_t *ret_start,
		       uint64_t *ret_bytes);
/* Will unwinders find out about the blob's frames? */
bool plan_unwinds(const struct plan *p, const struct entries *all);
/* Where the function at addr is to be entered: not at our own jump. */
uint64_t plan_real(const struct plan *p, uint64_t addr);
void plan_release(struct plan *p);

#endif
