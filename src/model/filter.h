/*
 * The filter expression of --filter, of the terminal UI and of the page. One grammar:
 *
 *   expr   = all { "or" all }
 *   all    = one { ["and"] one }
 *   one    = ("not" | "!") one | "(" expr ")" | term | WORD
 *   term   = text ("~" | "!~" | "=" | "!=") VALUE
 *          | number ("<" | "<=" | "=" | "!=" | ">" | ">=") VALUE
 *   text   = "func" | "file" | "mod" | "site"
 *   number = "size" | "bytes" | "blocks"
 *
 * "~" searches a POSIX extended regular expression; "=" compares the whole name (a module or file
 * also by the part after its last slash, a function also without its parameters). Texts match when
 * any line of the stack does; "site" looks at the line put forward only ("file:line" or function).
 * A bare WORD is found anywhere in any function, file or module. VALUE may stand in quotes; numbers
 * take units and a sign. bytes and blocks are the stack's own figure (a change in diff, what is
 * live in report); size is bytes per block.
 */
#ifndef SEEP_MODEL_FILTER_H
#define SEEP_MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct filter;
struct lines;

struct filter_item {
	const struct lines *lines;
	int64_t bytes, blocks;
	uint64_t block_size; /* bytes per block; 0 when there is none */
};

/* 0, or -EINVAL with a sentence that names the place (status EXIT_USAGE). */
int filter_parse(const char *text, struct filter **ret_filter, struct error *e);
void filter_free(struct filter *f);
/* A NULL filter matches everything. */
bool filter_match(const struct filter *f, const struct filter_item *item);

#endif
