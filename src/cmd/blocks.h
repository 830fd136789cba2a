/* What the forms of `seep blocks` share: the command line, and where its parts are. */
#ifndef SEEP_CMD_BLOCKS_H
#define SEEP_CMD_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/blocks_source.h"
#include "cmd/look.h"
#include "model/blockview.h"
#include "model/histogram.h"

struct filter;
struct sheet;
struct strings;

/* In the order of "bytes|blocks|size|addr|age". */
enum blocks_sort {
	BLOCKS_SORT_BYTES,
	BLOCKS_SORT_BLOCKS,
	BLOCKS_SORT_SIZE,
	BLOCKS_SORT_ADDR,
	BLOCKS_SORT_AGE,
	BLOCKS_SORT_DEFAULT
};

struct blocks_command {
	/* Forms; at most one is given. */
	bool stat, list, strings, top;
	const char *at, *search;
	/* Options. */
	int by, sort, format;
	uint64_t limit;	     /* UINT64_MAX: the format's default */
	uint64_t min_length; /* of texts; 0: the default */
	const char *filter_text, *output;
	bool content, everywhere, force;
	struct look_options look;
	/* Made of them. */
	struct filter *filter;
	const char *target, *older; /* older NULL: one target */
};

/* Rows to show; 0: all. */
uint64_t blocks_limit(const struct blocks_command *c);
/* Adds how the target was looked at and what is missing, and writes the sheet. Exit status. */
int blocks_show(const struct blocks_command *c, struct blocks_source *s, struct sheet *sheet);

/* Each form is a file; they return an exit status. */
int blocks_stat(const struct blocks_command *c);
int blocks_list(const struct blocks_command *c);
int blocks_at(const struct blocks_command *c);
int blocks_search(const struct blocks_command *c);
int blocks_strings(const struct blocks_command *c);
int blocks_top(const struct blocks_command *c);

/* A block as a row, with the texts it points to. */
struct blocks_row {
	struct blockview_block view;
	char *heap, *site, *content; /* owned */
};

/*
 * Finds the class that the row will show, in the block's first words. Of many blocks, first of all
 * of them in the order of addresses: then their memory is read from end to end.
 */
void blocks_row_classify(struct blocks_source *s, struct block_facts *b);
/* Finds out heap, site, and with --content what is in the block; facts must stay. */
void blocks_row_init(struct blocks_row *r, const struct blocks_command *c, struct blocks_source *s,
		     struct block_facts *facts);
void blocks_row_release(struct blocks_row *r);
/*
 * Contents name the blocks they point to: all blocks whose content will be shown are noted first,
 * then blocks_resolve() is called once.
 */
void blocks_content_note(struct blocks_source *s, const struct block_facts *b);

/*
 * Counts the blocks of a heap (or BLOCKS_ALL_HEAPS) by size, by heap or by class; groups are ids in
 * texts, which several targets may share. Exit status of an error that was told, or EXIT_DONE.
 */
int blocks_count(struct blocks_source *s, size_t heap, int by, struct strings *texts,
		 struct histogram *ret);
/* Id in texts of a heap's name, made distinct where two have the same. */
uint32_t blocks_heap_text(const struct blocks_source *s, size_t heap, struct strings *texts);
/* Are both of one process? Refuses or warns as --force says. EXIT_DONE, or told and failed. */
int blocks_check_pair(const struct blocks_command *c, const struct blocks_source *older,
		      const struct blocks_source *newer);

#endif
