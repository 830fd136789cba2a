/* What people call heaps; see heapnames.h. */
#include "model/heapnames.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "model/heaps.h"
#include "model/snapshot.h"

enum { SUBJECT_WIDTH = 40 };

static int by_heap(const void *a, const void *b, void *context)
{
	const struct thread_info *threads = context;
	const struct thread_info *x = &threads[*(const uint32_t *)a];
	const struct thread_info *y = &threads[*(const uint32_t *)b];

	if (x->heap != y->heap)
		return x->heap < y->heap ? -1 : 1;
	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

void heap_names_init(struct heap_names *n, const struct snapshot *s)
{
	*n = (struct heap_names){.s = s};
	map_init(&n->namesakes);
	for (size_t i = 0; i < s->nr_threads; i++)
		++*map_at(&n->namesakes, s->threads[i].name, NULL);
	n->order = mem_alloc_array(s->nr_threads, sizeof(*n->order));
	for (size_t i = 0; i < s->nr_threads; i++)
		if (s->threads[i].heap != NO_INDEX)
			n->order[n->nr++] = (uint32_t)i;
	if (n->nr)
		qsort_r(n->order, n->nr, sizeof(*n->order), by_heap, s->threads);
}

void heap_names_release(struct heap_names *n)
{
	if (!n)
		return;
	free(n->order);
	map_release(&n->namesakes);
	*n = (struct heap_names){0};
}

void heap_names_add(const struct heap_names *n, size_t heap, struct str *out)
{
	const struct heap_row *h = &n->s->heaps[heap];
	const char *allocator = strings_get(&n->s->strings, h->allocator);
	const char *name = strings_get(&n->s->strings, h->name);

	if (!*name)
		name = heap_kind_name((enum heap_kind)h->kind);
	text_printable(out, allocator, strlen(allocator));
	str_add(out, *allocator ? " " : "");
	text_printable(out, name, strlen(name));
}

static const struct thread_info *thread(const struct heap_names *n, size_t i)
{
	return &n->s->threads[n->order[i]];
}

/* First place in the order with this heap, or behind it. */
static size_t first_of(const struct heap_names *n, uint32_t heap)
{
	size_t low = 0, high = n->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (thread(n, middle)->heap < heap)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Threads of one name. */
struct crew {
	uint32_t name;
	int32_t tid; /* of the first */
	size_t nr;
};

static int by_number(const void *a, const void *b)
{
	const struct crew *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? 1 : -1;
	return (x->name > y->name) - (x->name < y->name);
}

static struct crew *find_crews(const struct heap_names *n, uint32_t heap, size_t *ret_nr)
{
	struct crew *crews = NULL;
	size_t nr = 0, cap = 0;

	for (size_t i = first_of(n, heap); i < n->nr && thread(n, i)->heap == heap; i++) {
		if (!nr || crews[nr - 1].name != thread(n, i)->name)
			ARRAY_PUSH(crews, nr, cap,
				   ((struct crew){.name = thread(n, i)->name,
						  .tid = thread(n, i)->tid}));
		crews[nr - 1].nr++;
	}
	if (nr)
		qsort(crews, nr, sizeof(*crews), by_number);
	*ret_nr = nr;
	return crews;
}

static void add_crew(const struct heap_names *n, const struct crew *c, struct str *out)
{
	const char *name = strings_get(&n->s->strings, c->name);
	uint64_t namesakes = 0;

	map_get(&n->namesakes, c->name, &namesakes);
	text_printable(out, *name ? name : "?", *name ? strlen(name) : 1);
	if (c->nr > 1)
		str_printf(out, " x%zu", c->nr);
	else if (namesakes > 1)
		str_printf(out, " %" PRId32, c->tid);
}

size_t heap_names_threads(const struct heap_names *n, size_t heap, size_t width, struct str *out)
{
	size_t nr, begin = out->len, all = 0, named = 0;
	struct crew *crews = find_crews(n, (uint32_t)heap, &nr);
	bool full = false;

	for (size_t i = 0; i < nr; i++) {
		size_t before = out->len;

		all += crews[i].nr;
		if (full)
			continue;
		str_add(out, i ? ", " : "");
		add_crew(n, &crews[i], out);
		full = i && out->len - begin > width;
		if (full)
			str_truncate(out, before);
		else
			named += crews[i].nr;
	}
	if (all > named)
		str_printf(out, " +%zu", all - named);
	free(crews);
	return all;
}

void heap_names_tids(const struct heap_names *n, size_t heap, struct str *out)
{
	const char *between = "";

	for (size_t i = first_of(n, (uint32_t)heap); i < n->nr; i++) {
		if (thread(n, i)->heap != heap)
			break;
		str_printf(out, "%s%" PRId32, between, thread(n, i)->tid);
		between = " ";
	}
}

void heap_names_subject(const struct heap_names *n, size_t heap, struct str *out)
{
	struct str threads = STR_INIT;
	size_t nr = heap_names_threads(n, heap, SUBJECT_WIDTH, &threads);

	if (nr && n->s->heaps[heap].kind == HEAP_ARENA) {
		str_printf(out, "the heap of thread%s %s (", nr == 1 ? "" : "s", threads.data);
		heap_names_add(n, heap, out);
		str_add_char(out, ')');
	} else {
		str_add(out, "heap ");
		heap_names_add(n, heap, out);
	}
	str_release(&threads);
}
