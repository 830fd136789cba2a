/* The parsed form of a filter: shared by filter_parse.c (makes it) and filter.c (asks it). */
#ifndef SEEP_MODEL_FILTER_TREE_H
#define SEEP_MODEL_FILTER_TREE_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/filter.h"

/* Ids of the words that ask about stacks and single blocks. */
enum filter_field {
	FIELD_ANY = FILTER_ANY,
	FIELD_FUNC,
	FIELD_FILE,
	FIELD_MOD,
	FIELD_SITE, /* the last that is about stacks */
	FIELD_HEAP, /* of single blocks */
	FIELD_STATE,
	FIELD_CLASS,
	FIELD_SIZE,
	FIELD_BYTES,
	FIELD_BLOCKS,
	FIELD_ADDR, /* of single blocks */
	FIELD_AGE,
};

enum filter_op {
	OP_SEARCH,
	OP_EQUAL,
	OP_LESS,
	OP_LESS_EQUAL,
	OP_GREATER,
	OP_GREATER_EQUAL,
	OP_RANGE, /* from number to last, both included */
};

enum filter_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_TERM };

struct filter_node {
	enum filter_kind kind;
	size_t left, right; /* AND, OR: both; NOT: left. Children come before parents */
	unsigned int field; /* id of a word of the grammar, or FILTER_ANY */
	enum filter_op op;
	int64_t number, last; /* number: also of a text that is an address, else 0 */
	char *text;	      /* the value; owned */
	bool has_regex;	      /* a search that is more than a plain text */
	regex_t regex;
};

struct filter {
	const struct filter_grammar *grammar;
	struct filter_node *nodes; /* the last one is the root */
	size_t nr, cap;
};

#endif
