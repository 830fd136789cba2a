/* The pool of names, and the tidying of source paths. */
#include "sym/names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

struct name {
	char *text;
	uint64_t older; /* handle of the previous name with the same hash, 0 none */
};

void names_init(struct names *n)
{
	*n = (struct names){0};
}

void names_release(struct names *n)
{
	size_t i;

	if (!n)
		return;
	for (i = 0; i < n->nr; i++)
		free(n->items[i].text);
	free(n->items);
	map_release(&n->by_hash);
	names_init(n);
}

const char *names_add(struct names *n, const char *text)
{
	uint64_t hash, newest = 0, at;

	if (!text || !*text)
		return "";
	hash = hash_bytes(text, strlen(text));
	map_get(&n->by_hash, hash, &newest);
	for (at = newest; at; at = n->items[at - 1].older) {
		if (!strcmp(n->items[at - 1].text, text))
			return n->items[at - 1].text;
	}
	ARRAY_PUSH(n->items, n->nr, n->cap,
		   ((struct name){.text = mem_strdup(text), .older = newest}));
	map_set(&n->by_hash, hash, n->nr);
	return n->items[n->nr - 1].text;
}

/* Takes the last component off, unless it is ".." itself or there is none: then returns false. */
static bool drop_last(struct str *s)
{
	size_t start = s->len;

	while (start > 0 && s->data[start - 1] != '/')
		start--;
	if (start == s->len || !strcmp(s->data + start, ".."))
		return false;
	if (start > 0)
		start--;
	s->len = start;
	s->data[start] = '\0';
	return true;
}

static void add_components(struct str *s, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.' && drop_last(s)) {
			/* "x/.." is nothing */
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (s->len > 0 || *s->data == '/')
				str_add_char(s, '/');
			str_add_len(s, path, len);
		}
		path += len;
		path += *path == '/';
	}
}

const char *names_add_path(struct names *n, const char *folder, const char *path)
{
	struct str s = STR_INIT;
	const char *ret;
	bool absolute;

	if (!path || !*path)
		return "";
	if (*path == '/' || !folder)
		folder = "";
	absolute = *path == '/' || *folder == '/';
	add_components(&s, folder);
	add_components(&s, path);
	if (absolute) {
		char *with_root = mem_printf("/%s", s.data);

		ret = names_add(n, with_root);
		free(with_root);
	} else {
		ret = names_add(n, s.data);
	}
	str_release(&s);
	return ret;
}
