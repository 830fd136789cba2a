/* Asks a parsed filter about a stack. */
#include "model/filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
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
	return text_matches(n, path) ||
	       (n->op == OP_EQUAL && text_matches(n, text_base_name(path)));
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
	const struct line *line;
	char *place;
	bool found;

	if (!lines)
		return false;
	line = &lines->items[site_of(lines).lead];
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
	if (!lines)
		return false;
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
	case OP_RANGE:
		return value >= n->number && value <= n->last;
	default:
		return value == n->number;
	}
}

static bool unsigned_matches(const struct filter_node *n, uint64_t value)
{
	return number_matches(n, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static bool heap_matches(const struct filter_node *n, const struct filter_block *block)
{
	if (n->op == OP_EQUAL && n->number)
		return block->heap_addr == (uint64_t)n->number;
	return text_matches(n, block->heap) || text_matches(n, block->allocator);
}

/* What the C library holds for itself is busy too. */
static bool state_matches(const struct filter_node *n, const struct filter_block *block)
{
	return text_matches(n, block->state) ||
	       (strcmp(n->text, "busy") == 0 && strcmp(block->state, "internal") == 0);
}

static bool block_matches(const struct filter_node *n, const struct filter_block *block)
{
	if (!block)
		return false;
	switch (n->field) {
	case FIELD_HEAP:
		return heap_matches(n, block);
	case FIELD_STATE:
		return state_matches(n, block);
	case FIELD_CLASS:
		return text_matches(n, block->class_name);
	case FIELD_ADDR:
		return unsigned_matches(n, block->addr);
	default:
		return block->age_ns != UINT64_MAX && unsigned_matches(n, block->age_ns);
	}
}

static bool term_matches(const struct filter_node *n, const struct filter_item *item)
{
	switch (n->field) {
	case FIELD_SIZE:
		return unsigned_matches(n, item->block_size);
	case FIELD_HEAP:
	case FIELD_STATE:
	case FIELD_CLASS:
	case FIELD_ADDR:
	case FIELD_AGE:
		return block_matches(n, item->block);
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

static bool stack_term(const struct filter_node *n, const struct filter *f, const void *context)
{
	(void)f;
	return term_matches(n, context);
}

/* Of whatever row: how it is asked. */
struct asking {
	const struct filter_asker *asker;
	const void *row;
};

static bool asked_any(const struct filter_node *n, const struct filter_grammar *g,
		      const struct asking *a)
{
	for (size_t i = 0; i < g->nr; i++) {
		if (g->words[i].value == FILTER_TEXT &&
		    text_matches(n, a->asker->text(a->row, g->words[i].id)))
			return true;
	}
	return false;
}

static bool asked_term(const struct filter_node *n, const struct filter *f, const void *context)
{
	const struct asking *a = context;
	int64_t value;

	if (n->field == FILTER_ANY)
		return asked_any(n, f->grammar, a);
	if (n->text)
		return path_matches(n, a->asker->text(a->row, n->field));
	return a->asker->number(a->row, n->field, &value) && number_matches(n, value);
}

typedef bool (*term_test)(const struct filter_node *n, const struct filter *f, const void *context);

/* Depth is bounded by the parser. */
static bool node_matches(const struct filter *f, size_t at, term_test term, const void *context)
{
	const struct filter_node *n = &f->nodes[at];

	switch (n->kind) {
	case NODE_AND:
		return node_matches(f, n->left, term, context) &&
		       node_matches(f, n->right, term, context);
	case NODE_OR:
		return node_matches(f, n->left, term, context) ||
		       node_matches(f, n->right, term, context);
	case NODE_NOT:
		return !node_matches(f, n->left, term, context);
	default:
		return term(n, f, context);
	}
}

bool filter_match(const struct filter *f, const struct filter_item *item)
{
	return !f || f->nr == 0 || node_matches(f, f->nr - 1, stack_term, item);
}

bool filter_ask(const struct filter *f, const struct filter_asker *asker, const void *row)
{
	const struct asking asking = {asker, row};

	return !f || f->nr == 0 || node_matches(f, f->nr - 1, asked_term, &asking);
}

static bool asks(const struct filter *f, enum filter_field first, enum filter_field last)
{
	for (size_t i = 0; f && i < f->nr; i++) {
		if (f->nodes[i].kind == NODE_TERM && f->nodes[i].field >= (unsigned int)first &&
		    f->nodes[i].field <= (unsigned int)last)
			return true;
	}
	return false;
}

bool filter_asks_stacks(const struct filter *f)
{
	return asks(f, FIELD_ANY, FIELD_SITE);
}

bool filter_asks_state(const struct filter *f)
{
	return asks(f, FIELD_STATE, FIELD_STATE);
}

bool filter_asks_class(const struct filter *f)
{
	return asks(f, FIELD_CLASS, FIELD_CLASS);
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
