/* The parsed form of a filter: shared by filter_parse.c (makes it) and filter.c (asks it). */
#ifndef SEEP_MODEL_FILTER_TREE_H
#define SEEP_MODEL_FILTER_TREE_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum filter_field {
	FIELD_ANY, /* a bare word */
	FIELD_FUNC,
	FIELD_FILE,
	FIELD_MOD,
	FIELD_SITE,
	FIELD_SIZE, /* numbers from here on */
	FIELD_BYTES,
	FIELD_BLOCKS,
};

enum filter_op { OP_SEARCH, OP_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL };

enum filter_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_TERM };

struct filter_node {
	enum filter_kind kind;
	size_t left, right; /* AND, OR: both; NOT: left. Children come before parents */
	enum filter_field field;
	enum filter_op op;
	int64_t number;
	char *text;	/* the value; owned */
	bool has_regex; /* a search that is more than a plain text */
	regex_t regex;
};

struct filter {
	struct filter_node *nodes; /* the last one is the root */
	size_t nr, cap;
};

#endif
