/*
 * The sheets of `seep blocks`: sizes with their counts, what grew, single blocks, texts. Callers
 * bring texts ready; nothing here knows where blocks come from.
 */
#ifndef SEEP_MODEL_BLOCKVIEW_H
#define SEEP_MODEL_BLOCKVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/histogram.h"

struct block_facts;
struct lines;
struct sheet;
struct str;
struct strings;

enum blockview_by { BLOCKVIEW_BY_SIZE, BLOCKVIEW_BY_HEAP, BLOCKVIEW_BY_CLASS };

/*
 * Histograms here have the id of a text in the place of the heap: "" by size, the heap's name by
 * heap, the class by class (which has no size).
 */
struct blockview_stat {
	const struct strings *texts;
	enum blockview_by by;
	enum histogram_order order;
	uint64_t limit;			  /* rows; 0: all */
	uint64_t busy_blocks, busy_bytes; /* of the target, whatever the filter leaves */
};

/* Rows, totals, and the sentence on what makes most. */
void blockview_stat(struct sheet *s, const struct histogram *h, const struct blockview_stat *o);
/* The same for two targets: rows by growth, and what grew most. */
void blockview_growth(struct sheet *s, const struct histogram_changes *changes,
		      const struct blockview_stat *o);

/* A block ready to be shown. Texts may be NULL: not known. */
struct blockview_block {
	const struct block_facts *facts;
	const char *heap, *class_name, *site, *content;
};

/* Single blocks. */
void blockview_list_init(struct sheet *s);
void blockview_list_add(struct sheet *s, const struct blockview_block *b);
/* Single places in memory, in a block (facts) or not (facts NULL, heap says where). */
void blockview_hits_init(struct sheet *s);
void blockview_hits_add(struct sheet *s, uint64_t hit, const struct blockview_block *b);
/* A block between its neighbours. relation: "before", "this", "after". */
void blockview_around_init(struct sheet *s);
void blockview_around_add(struct sheet *s, const char *relation, const struct blockview_block *b);
/* The frames of a stack as a part under this key. */
void blockview_stack(struct sheet *s, const char *key, const char *heading,
		     const struct lines *lines);

/* Texts found in blocks. */
void blockview_strings_init(struct sheet *s);
void blockview_strings_add(struct sheet *s, uint64_t count, uint64_t bytes, const char *encoding,
			   uint64_t first, const char *text);

/* Parts of --top: a group (size, class, site) with blocks, bytes and share. */
struct sheet *blockview_share_part(struct sheet *s, const char *key, const char *heading);
void blockview_share_add(struct sheet *part, const char *name, uint64_t blocks, uint64_t bytes,
			 uint64_t of_bytes);
/* a of b in tenths of a percent; 0 where b is. */
uint64_t permille_of(uint64_t a, uint64_t b);

#endif
