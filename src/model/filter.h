/*
 * The filter expression of --filter, of the terminal UI and of the page. One grammar:
 *
 *   expr   = all { "or" all }
 *   all    = one { ["and"] one }
 *   one    = ("not" | "!") one | "(" expr ")" | term | WORD
 *   term   = text ("~" | "!~" | "=" | "!=") VALUE
 *          | number ("<" | "<=" | "=" | "!=" | ">" | ">=") VALUE
 *   text   = "func" | "file" | "mod" | "site"; of blocks also "heap" | "state" | "class"
 *   number = "size" | "bytes" | "blocks"; of blocks also "addr" | "age"
 *
 * "~" searches a POSIX extended regular expression; "=" compares the whole name (a module or file
 * also by the part after its last slash, a function also without its parameters). Texts match when
 * any line of the stack does; "site" looks at the line put forward only ("file:line" or function).
 * A bare WORD is found anywhere in any function, file or module. VALUE may stand in quotes; numbers
 * take units and a sign. bytes and blocks are the stack's own figure (a change in diff, what is
 * live in report); size is bytes per block. "=" of a number takes a range too: "size=64..128", both
 * ends included.
 *
 * Single blocks have more: "heap" is a heap's name, its allocator, or its address ("0x…"); "state"
 * is one of block_state_name(), where "busy" includes what the C library holds for itself; "class"
 * the C++ class; "age" is a duration, and unknown ages match nothing.
 */
#ifndef SEEP_MODEL_FILTER_H
#define SEEP_MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct filter;
struct lines;

/* What is known of a single block. Texts are never NULL. */
struct filter_block {
	uint64_t addr;
	uint64_t age_ns; /* UINT64_MAX unknown */
	uint64_t heap_addr;
	const char *heap, *allocator;
	const char *state, *class_name;
};

struct filter_item {
	const struct lines *lines; /* NULL: not known */
	int64_t bytes, blocks;
	uint64_t block_size;		  /* bytes per block; 0 when there is none */
	const struct filter_block *block; /* NULL: a stack; fields of blocks match nothing */
};

/*
 * Other rows than these (regions) are asked with words of their own, in the same grammar:
 * a table of words, and functions that tell a row's value.
 */
enum filter_value {
	FILTER_TEXT,
	FILTER_NUMBER,	 /* "10", "1.5M", "0x7f00" */
	FILTER_DURATION, /* nanoseconds: "10s", "5m" */
};

#define FILTER_ANY 0 /* id of the bare word; it asks all texts of the grammar */

struct filter_word {
	const char *name;
	unsigned int id; /* several words may mean the same */
	enum filter_value value;
};

struct filter_grammar {
	const struct filter_word *words;
	size_t nr;
	const char *hint; /* "fields: …", for who mistyped one */
};

struct filter_asker {
	/* Never NULL; valid until the next call. Compared by "=" as a whole or after its last '/'.
	 */
	const char *(*text)(const void *row, unsigned int id);
	/* False: the row does not know it, and no comparison with it is true. */
	bool (*number)(const void *row, unsigned int id, int64_t *ret);
};

/* The grammar must outlive the filter. Errors as of filter_parse(). */
int filter_parse_as(const struct filter_grammar *grammar, const char *text,
		    struct filter **ret_filter, struct error *e);
/* Of a filter that was parsed with a grammar of one's own. A NULL filter matches everything. */
bool filter_ask(const struct filter *f, const struct filter_asker *asker, const void *row);

/* 0, or -EINVAL with a sentence that names the place (status EXIT_USAGE). */
int filter_parse(const char *text, struct filter **ret_filter, struct error *e);
/* The same with the fields of single blocks. */
int filter_parse_blocks(const char *text, struct filter **ret_filter, struct error *e);
void filter_free(struct filter *f);
/* A NULL filter matches everything. */
bool filter_match(const struct filter *f, const struct filter_item *item);
/* What a filter asks about, so that nothing else need be found out. NULL: nothing. */
bool filter_asks_stacks(const struct filter *f);
bool filter_asks_state(const struct filter *f);
bool filter_asks_class(const struct filter *f);

#endif
