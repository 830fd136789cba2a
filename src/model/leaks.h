/*
 * Leaks as rows: one for every head (leak_heads.h), with what is known of its block, and groups of
 * them that are alike (made at one site, of one class, of one size).
 */
#ifndef SEEP_MODEL_LEAKS_H
#define SEEP_MODEL_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/block_filter.h"
#include "model/leak_heads.h"
#include "model/reach.h"

struct str;

struct leak {
	enum reach_state state; /* REACH_LEAKED or REACH_POSSIBLE */
	uint32_t members;	/* blocks that hold each other; 1: just one */
	bool is_late;		/* an earlier look did not find it lost */
	bool is_cycle;		/* members > 1, or a block that points to itself */
	uint64_t addr;
	uint64_t head;	/* its own address; of leaks_collect_all(): of the head it belongs to */
	uint64_t bytes; /* of all members */
	uint64_t held_blocks, held_bytes;
	struct block_facts facts; /* of the block at addr */
};

enum leak_group_by {
	LEAK_BY_BEST, /* by site where it is known, else by class, else by size */
	LEAK_BY_SITE,
	LEAK_BY_CLASS,
	LEAK_BY_SIZE,
	LEAK_BY_NOTHING,
};

struct leak_group {
	char *label; /* owned */
	enum reach_state state;
	uint64_t leaks, cycles; /* heads, and how many of them are cycles */
	uint64_t blocks, bytes; /* of the heads' members */
	uint64_t held_blocks, held_bytes;
	uint64_t youngest_ns, oldest_ns; /* AGE_UNKNOWN both: no age is known */
	size_t first;			 /* index of its largest leak, an example */
};

struct leak_list {
	struct leak *items;
	size_t nr, cap;
};

/* Appends a row for each head; facts are zeroed but for addr and size. */
void leaks_collect(struct leak_list *l, const struct reach *r, const struct leak_heads *heads,
		   enum reach_state state);
/* A row for each block instead, those that hang on a head too; is_cycle: it is in the head's. */
void leaks_collect_all(struct leak_list *l, const struct reach *r, const struct leak_heads *heads,
		       enum reach_state state);
/* Leaked before possible, then the most bytes first. */
void leaks_sort(struct leak_list *l);
void leaks_release(struct leak_list *l);

struct leak_groups {
	struct leak_group *items; /* leaked before possible, then the most bytes first */
	size_t nr, cap;
	uint32_t *group_of; /* by leak */
};

/*
 * label: what a leak is to be put under, by nothing but its state, members, is_cycle, and of its
 * facts stack, class and size; its text is copied.
 */
void leaks_group(const struct leak_list *l,
		 void (*label)(void *context, const struct leak *leak, struct str *out),
		 void *context, struct leak_groups *ret);
void leak_groups_release(struct leak_groups *g);

/* "leaked", "possibly leaked", "reachable". */
const char *leak_state_name(enum reach_state state);
/* Everything it keeps from being used again: its own blocks and what hangs on them. */
uint64_t leak_total_bytes(const struct leak *l);

#endif
