/*
 * The blocks of a TARGET, one after the other, whatever it is: streamed from a walk over the heaps
 * of a process or core, joined with what the recorder saw; or the rows of a snapshot file.
 */
#ifndef SEEP_CMD_BLOCKS_SOURCE_H
#define SEEP_CMD_BLOCKS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/look.h"
#include "heap/pytype.h"
#include "heap/vtable.h"
#include "model/block_filter.h"
#include "target/window.h"

struct error;
struct filter;
struct lines;
struct str;

#define BLOCKS_ALL_HEAPS SIZE_MAX

/* A word that may point into a block, and the block, once it is found. */
struct blocks_pointer {
	uint64_t word;
	uint64_t addr, size; /* of the block */
	uint8_t state;
	bool found;
};

/* One heap, from a walk or a file. Texts are never NULL and live as long as the source. */
struct blocks_heap {
	const char *name, *allocator, *fault;
	uint64_t addr;
	uint32_t flags; /* enum heap_flags */
	struct heap_figures figures;
	enum heap_kind kind;
};

struct blocks_source {
	struct look look;
	struct block_filter filter;
	struct window window;	 /* for contents; only with look.target */
	struct vtables *vtables; /* NULL: no memory to read */
	struct pytypes *pytypes; /* NULL: Python is not there */
	bool with_classes;	 /* find out the class of every block that passes */
	char **class_texts;	 /* by class id, made when asked for */
	size_t nr_class_texts;
	uint64_t *joined;     /* a bit for each of the recorder's blocks: a walk met it */
	size_t next_recorded; /* where the next one is likely */
	struct blocks_pointer *pointers; /* see blocks_resolve() */
	size_t nr_pointers, cap_pointers;
	/* Of the last blocks_each(), before the filter; sub-heaps whose bytes are in another heap's
	 * blocks are not in it. */
	uint64_t busy_blocks, busy_bytes;
	/* Of them, those that the recorder saw; and those of the program that it did not see. */
	uint64_t known_blocks, unknown_blocks;
};

struct blocks_wants {
	const struct filter *filter; /* must outlive the source; NULL: all that is busy */
	bool memory;		     /* contents are read */
	bool references;	     /* or a snapshot that has references */
	bool classes;		     /* names of classes are wanted where they can be had */
	bool stacks;		     /* and so are stacks */
	bool blind;		     /* good even where not one block is known */
};

/*
 * *s is valid, and to be closed, only on success. -ENOTSUP: the allocator's blocks are not known,
 * and the recorder saw none.
 */
int blocks_open(struct blocks_source *s, const char *operand, const struct look_options *o,
		const struct blocks_wants *wants, struct error *e);
/* The same of a look that has been taken, which belongs to *s afterwards. Nothing is refused. */
void blocks_adopt(struct blocks_source *s, struct look *look, const struct blocks_wants *wants);
/* -ENOTSUP where no heap can be walked and the allocator is not known: what blocks_open() asks. */
int blocks_refuse_blind(const struct blocks_source *s, struct error *e);
void blocks_close(struct blocks_source *s);
/* Closes it, but for its look, which is the caller's again. */
void blocks_give_back(struct blocks_source *s, struct look *ret);

size_t blocks_nr_heaps(const struct blocks_source *s);
/* i beyond the last, NO_INDEX too: a heap of no name. */
struct blocks_heap blocks_heap(const struct blocks_source *s, size_t i);

typedef int (*blocks_visit)(void *context, const struct block_facts *b);
/*
 * Visits the blocks of a heap, or BLOCKS_ALL_HEAPS, that pass the filter. 0, what the visitor
 * returned when it was not 0, or negative errno with *e.
 */
int blocks_each(struct blocks_source *s, size_t heap, blocks_visit visit, void *context,
		struct error *e);
/* A block of a walk joined with what the recorder knows of it, and a snapshot's row. */
struct block_facts blocks_facts(struct blocks_source *s, const struct heap_block *from);
struct block_facts blocks_facts_of_row(const struct block *row);

/* A block and its neighbours in the same piece of a heap; of a snapshot file, the busy ones. */
struct blocks_around {
	struct block_facts before, this, after;
	bool has_before, has_after;
};

/*
 * Where a block ends. The last bytes that a program may use of it can lie in what the next one
 * calls its header (glibc): they are the earlier one's.
 */
uint64_t blocks_end(const struct heap_block *b);
/* The block that holds addr, busy or not. 0, -ENOENT, or negative errno. */
int blocks_find(struct blocks_source *s, uint64_t addr, struct blocks_around *ret);
/*
 * Finds the blocks that s->pointers point into, all in one walk, and sorts them by their word, each
 * once.
 */
void blocks_resolve(struct blocks_source *s);
/* What was found of this word, or NULL. */
const struct blocks_pointer *blocks_pointer(const struct blocks_source *s, uint64_t word);
/*
 * For who knows of a busy block by other means: addr and usable are given, what the recorder and
 * the block's first words tell is filled in, and its heap.
 */
void blocks_know(struct blocks_source *s, struct block_facts *b);
/* Fills class_id of a block that blocks_each() gave without. */
void blocks_find_class(struct blocks_source *s, struct block_facts *b);

/* "shop::Order", "shop::Order[]"; "" unknown. Valid until the source is closed. */
const char *blocks_class_text(struct blocks_source *s, uint32_t class_id, bool is_array);
/* Appends where a block was made: "order_new (shop.c:51)"; nothing when that is not known. */
void blocks_site_text(struct blocks_source *s, uint32_t stack, struct str *out);

#endif
