/* What the files of `seep refs` share: one search, and what roots and blocks are called. */
#ifndef SEEP_CMD_REFS_H
#define SEEP_CMD_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/blocks_source.h"
#include "cmd/symbolize.h"
#include "heap/extra_blocks.h"
#include "heap/reachable.h"

struct error;
struct sheet;
struct str;

struct refs_options {
	struct look_options look;
	int format;
	uint64_t limit;
	const char *output;
	bool tree;
};

struct refs_run {
	const struct refs_options *o;
	struct blocks_source source;
	struct extra_blocks extra; /* that only the recorder knows */
	struct roots roots;
	struct root_hits hits;
	struct reachable_account account;
	struct reach *reach;
	struct variables *variables;
	bool has_addr;
	uint64_t addr; /* as asked */
	uint32_t id;   /* the block */
};

/* "global data shop_table+0x40", "stack of thread 12 (worker)"; where: of a root_hit. */
void refs_describe_root(const struct refs_run *run, uint64_t where, struct str *out);
/* "block of 48 bytes, shop::Order, made at order_new (shop.c:51)" */
void refs_describe_block(struct refs_run *run, uint32_t id, struct str *out);

/*
 * Whose the words of roots are. All words of one variable, of one thread's stack, and so on, have
 * one owner.
 */
struct refs_owner {
	uint64_t key;
	size_t hit; /* the first of its words: index into run->hits */
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
