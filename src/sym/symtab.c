/* The symbol table as ranges. */
#include "sym/symtab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sym/debug.h"
#include "sym/image.h"

struct entry {
	const char *name;
	uint64_t addr, size;
	bool is_function, is_local;
};

static size_t leading_underscores(const char *name)
{
	return strspn(name, "_");
}

/*
 * Of names for one address the one that people know: malloc, not __libc_malloc or
 * __GI___libc_malloc. Negative: a is better.
 */
static int compare_names(const struct entry *a, const struct entry *b)
{
	size_t x, y;

	if (a->is_function != b->is_function)
		return a->is_function ? -1 : 1;
	if (a->is_local != b->is_local)
		return a->is_local ? 1 : -1;
	x = leading_underscores(a->name);
	y = leading_underscores(b->name);
	if (x != y)
		return x < y ? -1 : 1;
	x = strlen(a->name);
	y = strlen(b->name);
	if (x != y)
		return x < y ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* By address; at one address those with a size first, the best name first. */
static int compare_entries(const void *p, const void *q)
{
	const struct entry *a = p, *b = q;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if ((a->size == 0) != (b->size == 0))
		return a->size == 0 ? 1 : -1;
	return compare_names(a, b);
}

static void add_entry(void *arg, const struct debug_symbol *s)
{
	struct symtab *t = arg;
	struct entry e = {
		.name = s->name,
		.addr = s->addr,
		.size = s->size,
		.is_function = s->is_function,
		.is_local = s->is_local,
	};

	/* "$x" and "$d" of aarch64 mark code and data; ".L…" are labels inside functions. */
	if (s->name[0] != '$' && s->name[0] != '.')
		ARRAY_PUSH(t->entries, t->nr, t->cap, e);
}

/* A symbol without a size reaches to the next symbol, at most to the end of its section. */
static void add_unsized(struct symtab *t, size_t i, const struct image *image)
{
	const struct entry *e = &t->entries[i];
	uint64_t lo, hi;
	size_t next = i + 1;

	if (!image || !image_code_section(image, e->addr, &lo, &hi))
		return;
	while (next < t->nr && t->entries[next].addr == e->addr)
		next++;
	if (next < t->nr && t->entries[next].addr < hi)
		hi = t->entries[next].addr;
	ranges_add(&t->ranges, e->addr, hi, 0, (uint32_t)i);
}

void symtab_init(struct symtab *t, struct debug *d, const struct image *image)
{
	size_t i;

	*t = (struct symtab){0};
	debug_each_symbol(d, DEBUG_CODE, add_entry, t);
	if (t->nr > 0)
		qsort(t->entries, t->nr, sizeof(*t->entries), compare_entries);
	for (i = 0; i < t->nr; i++) {
		const struct entry *e = &t->entries[i];
		uint64_t end = e->addr + e->size;

		if (e->addr == 0 || (i > 0 && t->entries[i - 1].addr == e->addr))
			continue; /* another name of the same code, and a worse one */
		if (image && !image_is_code(image, e->addr))
			continue;
		if (e->size == 0)
			add_unsized(t, i, image);
		else
			ranges_add(&t->ranges, e->addr, end, e->addr, (uint32_t)i);
	}
	ranges_flatten(&t->ranges);
}

void symtab_init_data(struct symtab *t, struct debug *d)
{
	*t = (struct symtab){0};
	debug_each_symbol(d, DEBUG_DATA, add_entry, t);
	if (t->nr > 0)
		qsort(t->entries, t->nr, sizeof(*t->entries), compare_entries);
	for (size_t i = 0; i < t->nr; i++) {
		const struct entry *e = &t->entries[i];

		if (e->addr && e->size && (i == 0 || t->entries[i - 1].addr != e->addr))
			ranges_add(&t->ranges, e->addr, e->addr + e->size, e->addr, (uint32_t)i);
	}
	ranges_flatten(&t->ranges);
}

void symtab_release(struct symtab *t)
{
	free(t->entries);
	ranges_release(&t->ranges);
	*t = (struct symtab){0};
}

const char *symtab_find(const struct symtab *t, uint64_t addr, uint64_t *ret_start)
{
	const struct range *r = ranges_find(&t->ranges, addr);

	if (!r)
		return NULL;
	*ret_start = t->entries[r->id].addr;
	return t->entries[r->id].name;
}
