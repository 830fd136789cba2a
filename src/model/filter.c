/* Asks a parsed filter about a stack. */
#include "model/filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/filter_tree.h"
#include "model/lines.h"
#include "model/site.h"

static bool text_matches(const struct filter_node *n, const char *text)
{
	if (n->op == OP_EQUAL)
		return strcmp(text, n->text) == 0;
	if (n->has_regex)
		return regexec(&n->regex, text, 0, NULL, 0) == 0;
	return strstr(text, n->text) != NULL;
}

static bool path_matches(const struct filter_node *n, const char *path)
{
	return text_matches(n, path) || (n->op == OP_EQUAL && text_matches(n, path_base(path)));
}

/* "parse" is parse(char const*) too: the parameters need not be typed. */
static bool function_matches(const struct filter_node *n, const char *function)
{
	size_t len;

	if (text_matches(n, function))
		return true;
	len = strlen(n->text);
	return n->op == OP_EQUAL && strncmp(function, n->text, len) == 0 && function[len] == '(';
}

static bool site_matches(const struct filter_node *n, const struct lines *lines)
{
	struct site site = site_of(lines);
	const struct line *line = &lines->items[site.lead];
	char *place;
	bool found;

	if (function_matches(n, line->function))
		return true;
	if (line->file[0] == 0)
		return false;
	place = mem_printf("%s:%u", line->file, line->line);
	found = path_matches(n, place);
	free(place);
	return found;
}

static bool line_matches(const struct filter_node *n, const struct line *line)
{
	switch (n->field) {
	case FIELD_FUNC:
		return function_matches(n, line->function);
	case FIELD_FILE:
		return path_matches(n, line->file);
	case FIELD_MOD:
		return path_matches(n, line->module);
	default:
		return text_matches(n, line->function) || text_matches(n, line->file) ||
		       text_matches(n, line->module);
	}
}

static bool stack_matches(const struct filter_node *n, const struct lines *lines)
{
	for (size_t i = 0; i < lines->nr; i++) {
		if (lines->items[i].kind != LINE_MARK && line_matches(n, &lines->items[i]))
			return true;
	}
	return false;
}

static bool number_matches(const struct filter_node *n, int64_t value)
{
	switch (n->op) {
	case OP_LESS:
		return value < n->number;
	case OP_LESS_EQUAL:
		return value <= n->number;
	case OP_GREATER:
		return value > n->number;
	case OP_GREATER_EQUAL:
		return value >= n->number;
	default:
		return value == n->number;
	}
}

static bool term_matches(const struct filter_node *n, const struct filter_item *item)
{
	switch (n->field) {
	case FIELD_SIZE:
		return number_matches(n, item->block_size > INT64_MAX ? INT64_MAX
								      : (int64_t)item->block_size);
	case FIELD_BYTES:
		return number_matches(n, item->bytes);
	case FIELD_BLOCKS:
		return number_matches(n, item->blocks);
	case FIELD_SITE:
		return site_matches(n, item->lines);
	default:
		return stack_matches(n, item->lines);
	}
}

/* Depth is bounded by the parser. */
static bool node_matches(const struct filter *f, size_t at, const struct filter_item *item)
{
	const struct filter_node *n = &f->nodes[at];

	switch (n->kind) {
	case NODE_AND:
		return node_matches(f, n->left, item) && node_matches(f, n->right, item);
	case NODE_OR:
		return node_matches(f, n->left, item) || node_matches(f, n->right, item);
	case NODE_NOT:
		return !node_matches(f, n->left, item);
	default:
		return term_matches(n, item);
	}
}

bool filter_match(const struct filter *f, const struct filter_item *item)
{
	return !f || f->nr == 0 || node_matches(f, f->nr - 1, item);
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->nr; i++) {
		free(f->nodes[i].text);
		if (f->nodes[i].has_regex)
			regfree(&f->nodes[i].regex);
	}
	free(f->nodes);
	free(f);
}
