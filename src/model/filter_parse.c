/* Reads filter expressions: recursive descent over the text, one function per rule of filter.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "model/filter.h"
#include "model/filter_tree.h"

/* Bounds the recursion, and so the stack, over whatever text somebody sends. */
#define DEPTH_MAX 64
#define TERMS_MAX 256

struct parser {
	const char *text, *at;
	struct filter *filter;
	unsigned int depth;
	size_t terms;
	struct error *e;
};

/* Of stacks; single blocks have these and more. */
#define STACK_WORDS                                                                                \
	{"func", FIELD_FUNC, FILTER_TEXT}, {"function", FIELD_FUNC, FILTER_TEXT},                  \
		{"file", FIELD_FILE, FILTER_TEXT}, {"mod", FIELD_MOD, FILTER_TEXT},                \
		{"module", FIELD_MOD, FILTER_TEXT}, {"site", FIELD_SITE, FILTER_TEXT},             \
		{"size", FIELD_SIZE, FILTER_NUMBER}, {"bytes", FIELD_BYTES, FILTER_NUMBER},        \
	{                                                                                          \
		"blocks", FIELD_BLOCKS, FILTER_NUMBER                                              \
	}

static const struct filter_word stack_words[] = {STACK_WORDS};
static const struct filter_word block_words[] = {
	STACK_WORDS,
	{"heap", FIELD_HEAP, FILTER_TEXT},
	{"state", FIELD_STATE, FILTER_TEXT},
	{"class", FIELD_CLASS, FILTER_TEXT},
	{"addr", FIELD_ADDR, FILTER_NUMBER},
	{"age", FIELD_AGE, FILTER_DURATION},
};

static const struct filter_grammar stack_grammar = {
	.words = stack_words,
	.nr = sizeof(stack_words) / sizeof(stack_words[0]),
	.hint = "fields: func file mod site (with ~ = !~ !=), size bytes blocks "
		"(with < <= = >= >); e.g. 'func~^parse and bytes>10k'",
};
static const struct filter_grammar block_grammar = {
	.words = block_words,
	.nr = sizeof(block_words) / sizeof(block_words[0]),
	.hint = "fields: heap state class func file mod site (with ~ = !~ !=), "
		"size addr age (with < <= = >= >); e.g. 'size=64..128 and age>5m'",
};

static const struct {
	const char *text;
	enum filter_op op;
	bool negated;
} operators[] = {
	/* Longer ones first. */
	{"!~", OP_SEARCH, true},	 {"!=", OP_EQUAL, true},  {"<=", OP_LESS_EQUAL, false},
	{">=", OP_GREATER_EQUAL, false}, {"==", OP_EQUAL, false}, {"~", OP_SEARCH, false},
	{"=", OP_EQUAL, false},		 {"<", OP_LESS, false},	  {">", OP_GREATER, false},
};

static int parse_any(struct parser *p, size_t *ret_node);

static int fail(struct parser *p, const char *at, const char *what)
{
	error_set(p->e, -EINVAL, EXIT_USAGE, "cannot read filter '%s': %s at column %zu", p->text,
		  what, (size_t)(at - p->text) + 1);
	error_hint(p->e, "%s", p->filter->grammar->hint);
	return -EINVAL;
}

static void skip_blanks(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

static bool at_end_of_word(char c)
{
	return c == 0 || c == '(' || c == ')' || isspace((unsigned char)c);
}

static bool take_keyword(struct parser *p, const char *word)
{
	size_t len = strlen(word);

	skip_blanks(p);
	if (strncasecmp(p->at, word, len) != 0 || !at_end_of_word(p->at[len]))
		return false;
	p->at += len;
	return true;
}

static size_t add_node(struct parser *p, struct filter_node node)
{
	ARRAY_PUSH(p->filter->nodes, p->filter->nr, p->filter->cap, node);
	return p->filter->nr - 1;
}

static size_t add_pair(struct parser *p, enum filter_kind kind, size_t left, size_t right)
{
	return add_node(p, (struct filter_node){.kind = kind, .left = left, .right = right});
}

/* In quotes everything is taken as it stands, except \" and \\. */
static int take_quoted(struct parser *p, struct str *value)
{
	const char *start = p->at;
	char quote = *p->at++;

	while (*p->at && *p->at != quote) {
		if (*p->at == '\\' && (p->at[1] == quote || p->at[1] == '\\'))
			p->at++;
		str_add_char(value, *p->at++);
	}
	if (*p->at != quote)
		return fail(p, start, "a quote that is not closed");
	p->at++;
	return 0;
}

/* Up to a blank, or to a parenthesis that was not opened within: "func~get(a|b)" is one value. */
static void take_bare(struct parser *p, struct str *value)
{
	unsigned int open = 0;

	while (*p->at && !isspace((unsigned char)*p->at)) {
		if (*p->at == ')' && open-- == 0)
			break;
		if (*p->at == '(')
			open++;
		if (*p->at == '\\' && p->at[1])
			str_add_char(value, *p->at++);
		str_add_char(value, *p->at++);
	}
}

static int take_value(struct parser *p, struct str *value)
{
	const char *start;

	skip_blanks(p);
	start = p->at;
	if (*p->at == '"' || *p->at == '\'')
		return take_quoted(p, value);
	take_bare(p, value);
	return value->len ? 0 : fail(p, start, "a value is missing");
}

static bool is_hex(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

static bool parse_number(enum filter_value kind, const char *text, int64_t *ret)
{
	bool negative = *text == '-', read;
	uint64_t value;

	if (*text == '-' || *text == '+')
		text++;
	if (is_hex(text))
		read = parse_hex(text, &value) == 0;
	else if (kind == FILTER_DURATION)
		read = parse_duration(text, &value) == 0;
	else
		read = parse_size(text, &value) == 0;
	if (!read || value > INT64_MAX)
		return false;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static int set_number(struct parser *p, struct filter_node *n, enum filter_value kind,
		      const char *at, char *text)
{
	const char *wrong = kind == FILTER_DURATION ? "not a duration" : "not a number";
	char *dots = n->op == OP_EQUAL ? strstr(text, "..") : NULL;

	if (dots) {
		n->op = OP_RANGE;
		*dots = 0;
		if (!parse_number(kind, dots + 2, &n->last))
			return fail(p, at, wrong);
	}
	if (!parse_number(kind, text, &n->number))
		return fail(p, at, wrong);
	if (dots && n->number > n->last)
		return fail(p, at, "a range that ends before it begins");
	return 0;
}

static int set_text(struct parser *p, struct filter_node *n, const char *at, const char *text)
{
	char why[128], message[192];
	uint64_t address;
	int rc;

	if (p->filter->grammar == &block_grammar && n->field == FIELD_HEAP && is_hex(text) &&
	    parse_hex(text, &address) == 0)
		n->number = (int64_t)address;
	/* A plain text needs no regex machine: strstr is ten times as fast. */
	if (n->op == OP_SEARCH && n->field != FILTER_ANY && strpbrk(text, "\\^$.[]|()*+?{}")) {
		rc = regcomp(&n->regex, text, REG_EXTENDED | REG_NOSUB);
		if (rc != 0) {
			regerror(rc, &n->regex, why, sizeof(why));
			snprintf(message, sizeof(message), "a bad regular expression (%s)", why);
			return fail(p, at, message);
		}
		n->has_regex = true;
	}
	n->text = mem_strdup(text);
	return 0;
}

static int check_operator(struct parser *p, const struct filter_node *n, enum filter_value kind,
			  const char *at)
{
	bool is_number = kind != FILTER_TEXT;

	if (is_number && n->op == OP_SEARCH)
		return fail(p, at, "a number cannot be searched with ~");
	if (!is_number && n->op != OP_SEARCH && n->op != OP_EQUAL)
		return fail(p, at, "a text cannot be compared by size");
	return 0;
}

static bool take_operator(struct parser *p, struct filter_node *n, bool *ret_negated)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t len = strlen(operators[i].text);

		if (strncmp(p->at, operators[i].text, len) == 0) {
			p->at += len;
			n->op = operators[i].op;
			*ret_negated = operators[i].negated;
			return true;
		}
	}
	return false;
}

static const struct filter_word *find_word(const struct filter_grammar *g, const char *name,
					   size_t len)
{
	for (size_t i = 0; i < g->nr; i++) {
		if (strlen(g->words[i].name) == len && strncmp(g->words[i].name, name, len) == 0)
			return &g->words[i];
	}
	return NULL;
}

/*
 * "name op" of a term. A word with no operator after it is no term: *ret_word is NULL then, and
 * nothing was taken.
 */
static int take_head(struct parser *p, struct filter_node *n, const struct filter_word **ret_word,
		     bool *ret_negated)
{
	const struct filter_word *word;
	const char *start = p->at;
	size_t len = 0;

	*ret_word = NULL;
	while (isalpha((unsigned char)start[len]) || start[len] == '_')
		len++;
	p->at = start + len;
	skip_blanks(p);
	if (len == 0 || !take_operator(p, n, ret_negated)) {
		p->at = start;
		return 0;
	}
	word = find_word(p->filter->grammar, start, len);
	if (!word)
		return fail(p, start,
			    find_word(&block_grammar, start, len)
				    ? "a field that only single blocks have"
				    : "an unknown field");
	n->field = word->id;
	*ret_word = word;
	return check_operator(p, n, word->value, start);
}

static int parse_term(struct parser *p, size_t *ret_node)
{
	struct filter_node n = {.kind = NODE_TERM, .field = FILTER_ANY, .op = OP_SEARCH};
	const struct filter_word *word = NULL;
	const char *start = p->at;
	struct str value = STR_INIT;
	bool negated = false;
	int rc;

	if (++p->terms > TERMS_MAX)
		return fail(p, start, "too many terms");
	rc = take_head(p, &n, &word, &negated);
	if (rc == 0)
		rc = take_value(p, &value);
	if (rc == 0 && word && word->value != FILTER_TEXT)
		rc = set_number(p, &n, word->value, start, value.data);
	else if (rc == 0)
		rc = set_text(p, &n, start, value.data);
	if (rc == 0) {
		*ret_node = add_node(p, n);
		if (negated)
			*ret_node = add_pair(p, NODE_NOT, *ret_node, 0);
	}
	str_release(&value);
	return rc;
}

static int close_parenthesis(struct parser *p, const char *opened)
{
	skip_blanks(p);
	if (*p->at != ')')
		return fail(p, opened, "a parenthesis that is not closed");
	p->at++;
	return 0;
}

static int parse_one(struct parser *p, size_t *ret_node)
{
	const char *start;
	size_t inner;
	int rc;

	skip_blanks(p);
	start = p->at;
	if (*start == 0 || *start == ')' || take_keyword(p, "or") || take_keyword(p, "and"))
		return fail(p, start, "a term is missing");
	if (*start != '(' && *start != '!' && !take_keyword(p, "not"))
		return parse_term(p, ret_node);
	if (++p->depth > DEPTH_MAX)
		return fail(p, start, "too deep nesting");
	if (*start == '(') {
		p->at++;
		rc = parse_any(p, ret_node);
		if (rc == 0)
			rc = close_parenthesis(p, start);
	} else {
		if (*start == '!')
			p->at++;
		rc = parse_one(p, &inner);
		if (rc == 0)
			*ret_node = add_pair(p, NODE_NOT, inner, 0);
	}
	p->depth--;
	return rc;
}

/* Does the next word join another factor to this conjunction? */
static bool goes_on(struct parser *p)
{
	const char *start = p->at;
	bool is_or = take_keyword(p, "or");

	p->at = start;
	skip_blanks(p);
	return !is_or && *p->at && *p->at != ')';
}

static int parse_all(struct parser *p, size_t *ret_node)
{
	size_t right;
	int rc = parse_one(p, ret_node);

	while (rc == 0 && goes_on(p)) {
		take_keyword(p, "and");
		rc = parse_one(p, &right);
		if (rc == 0)
			*ret_node = add_pair(p, NODE_AND, *ret_node, right);
	}
	return rc;
}

static int parse_any(struct parser *p, size_t *ret_node)
{
	size_t right;
	int rc = parse_all(p, ret_node);

	while (rc == 0 && take_keyword(p, "or")) {
		rc = parse_all(p, &right);
		if (rc == 0)
			*ret_node = add_pair(p, NODE_OR, *ret_node, right);
	}
	return rc;
}

int filter_parse_as(const struct filter_grammar *grammar, const char *text,
		    struct filter **ret_filter, struct error *e)
{
	struct parser p = {.text = text, .at = text, .e = e};
	size_t root;
	int rc;

	p.filter = mem_alloc(sizeof(*p.filter));
	p.filter->grammar = grammar;
	rc = parse_any(&p, &root);
	if (rc == 0 && *p.at)
		rc = fail(&p, p.at, "a parenthesis that was not opened");
	if (rc < 0) {
		filter_free(p.filter);
		return rc;
	}
	*ret_filter = p.filter;
	return 0;
}

int filter_parse(const char *text, struct filter **ret_filter, struct error *e)
{
	return filter_parse_as(&stack_grammar, text, ret_filter, e);
}

int filter_parse_blocks(const char *text, struct filter **ret_filter, struct error *e)
{
	return filter_parse_as(&block_grammar, text, ret_filter, e);
}
