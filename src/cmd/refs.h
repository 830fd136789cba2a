/* What the files of `seep refs` share: one search, and what roots and blocks are called. */
#ifndef SEEP_CMD_REFS_H
#define SEEP_CMD_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cmd/graph.h"
#include "cmd/symbolize.h"

struct error;
struct sheet;

struct refs_options {
	struct look_options look;
	int format;
	uint64_t limit;
	const char *output;
	bool tree, no_other_roots;
};

struct refs_run {
	const struct refs_options *o;
	struct graph *graph;
	struct variables *variables; /* NULL: names are in the snapshot, and … */
	struct stack_slots *slots;   /* … this too */
	bool has_addr;
	uint64_t addr; /* as asked */
	uint32_t id;   /* the block */
};

/* What a root is called, in pieces; `where` is that of a hit in memory. */
struct refs_root_text {
	struct str before, behind; /* the offset */
	uint64_t base;		   /* from which it counts; 0: there is none, but … */
	bool always_offset;	   /* … here */
};
void refs_root_text(const struct refs_run *run, uint64_t where, struct refs_root_text *ret);
void refs_root_text_release(struct refs_root_text *text);

/* Appends what is known of its place beyond that: the call whose frame it is in, or nothing. */
void refs_root_detail(const struct refs_run *run, uint64_t where, struct str *out);

/* "global data shop_table+0x40", "stack of thread 12 (worker)"; hit: index into graph->hits. */
void refs_describe_root(const struct refs_run *run, size_t hit, struct str *out);
/* Where that pointer is, 0: not in memory. */
uint64_t refs_root_address(const struct refs_run *run, size_t hit);
/* How many bytes behind the beginning of its block it points. */
uint64_t refs_root_into(const struct refs_run *run, size_t hit);
/* How far behind addr a word points that points into the block there; with a tag REF_FAR. */
uint64_t refs_into(const struct reach *r, uint64_t word, uint64_t addr);
/* "block of 48 bytes, shop::Order, made at order_new (shop.c:51)" */
void refs_describe_block(struct refs_run *run, uint32_t id, struct str *out);

/*
 * Whose the words of roots are. All words of one variable, of one thread's stack, and so on, have
 * one owner.
 */
struct refs_owner {
	uint64_t key; /* of a snapshot: its row */
	size_t hit;   /* the first of its words: index into graph->hits; of a snapshot unused */
};

struct refs_owners {
	struct refs_owner *items;
	size_t nr, cap;
	uint32_t *of_hit; /* by hit: index into items */
};

void refs_owners_find(const struct refs_run *run, struct refs_owners *ret);
void refs_owners_release(struct refs_owners *o);
/* "global data shop_table", "stack of thread 12 (worker)" */
void refs_describe_owner(const struct refs_run *run, const struct refs_owner *o, struct str *out);

/*
 * Who keeps most, as a sheet of its own: a row a variable, thread or block that nothing else keeps,
 * and the part "tree" with what the largest keep. 0 or negative errno with *e, then *ret is unset.
 */
int refs_keepers(struct refs_run *run, struct sheet *ret, struct error *e);
/* The part "tree" of the sheet of a block: what it keeps. */
int refs_kept_by_block(struct refs_run *run, struct sheet *s, struct error *e);

#endif
