/*
 * Memory of allocators that are not known, as what it is: mappings, and how much of them is in
 * memory. Comes last and takes what nobody else has claimed; counts no blocks and guesses nothing.
 *
 * There is a row only where another allocator certainly is (the process has its code, or the kernel
 * knows its mappings by name), or where no known one was found at all, not even an idle one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/dynsym.h"
#include "heap/heap_private.h"
#include "heap/scatter.h"
#include "target/maps.h"
#include "target/target.h"

#define GO_MAGIC "\xff Go buildinf:" /* of .go.buildinfo, aligned to 16 bytes */
#define GO_SCAN_MAX (64ull << 20)
#define PIECE ((size_t)64 << 10)

/* Who may be there, and what shows it: a library's name, or a function that it exports. */
static const struct sign {
	const char *allocator, *library, *symbol;
} signs[] = {
	{"tcmalloc (not walked)", "libtcmalloc", "tc_malloc"},
	{"mimalloc (not walked)", "libmimalloc", "mi_malloc"},
	{"jemalloc (not walked)", "libjemalloc", "mallocx"},
	{"Hoard (not walked)", "libhoard", NULL},
	{"snmalloc (not walked)", "libsnmalloc", NULL},
	{"Scudo (not walked)", "libscudo", NULL},
	{"Java (not walked)", "libjvm.so", "JVM_MaxMemory"},
	{".NET (not walked)", "libcoreclr.so", NULL},
	{"V8 (not walked)", "libv8.so", "_ZN2v82V810GetVersionEv"},
};
#define GO "Go (not walked)"

struct claims {
	struct heap_span *items;
	size_t nr, cap;
};

static int compare_spans(const void *a, const void *b)
{
	const struct heap_span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void collect_claims(struct heaps *h, struct claims *c, bool *ret_known)
{
	for (size_t i = 0; i < heaps_nr(h); i++) {
		const struct heap *heap = heaps_at(h, i);

		*ret_known |= heap->flags & HEAP_HAS_BLOCKS && heap->kind != HEAP_SUB;
		for (size_t k = 0; k < heap->nr_spans; k++)
			ARRAY_PUSH(c->items, c->nr, c->cap, heap->spans[k]);
	}
	if (c->nr)
		qsort(c->items, c->nr, sizeof(*c->items), compare_spans);
}

static bool has_allocator(struct heaps *h, const char *name)
{
	size_t len = strcspn(name, " ");

	for (size_t i = 0; i < heaps_nr(h); i++)
		if (strncmp(heaps_at(h, i)->allocator, name, len) == 0)
			return true;
	return false;
}

static bool exports(struct heaps *h, struct scatter *memory, const struct target_module *m,
		    const char *symbol)
{
	struct dynsym d;
	uint64_t addr;

	return dynsym_open(&d, memory, target_word_bytes(heaps_target(h)), m) &&
	       dynsym_find(&d, symbol, &addr, NULL);
}

static bool shows(struct heaps *h, struct scatter *memory, const struct target_module *m,
		  const struct sign *s)
{
	const char *slash = strrchr(m->path, '/');
	const char *name = slash ? slash + 1 : m->path;

	if (strncmp(name, s->library, strlen(s->library)) == 0)
		return true;
	return s->symbol && m->flags & TARGET_MODULE_MAIN && exports(h, memory, m, s->symbol);
}

/* Every program that Go's linker made carries this, stripped or not. */
static bool is_go(struct target *t)
{
	const struct target_module *m = target_main_module(t);
	const struct maps *maps = target_maps(t);
	uint64_t left = GO_SCAN_MAX;
	bool found = false;
	uint8_t *bytes;

	if (!m)
		return false;
	bytes = mem_alloc(PIECE);
	for (size_t i = 0; i < maps->nr && !found; i++) {
		const struct map *map = &maps->items[i];

		if (map->start < m->start || map->end > m->end || map->prot & MAP_EXEC ||
		    !(map->prot & MAP_READ) || map->inode == 0)
			continue;
		for (uint64_t at = map->start; at < map->end && left && !found; at += PIECE) {
			size_t want = map->end - at < PIECE ? (size_t)(map->end - at) : PIECE;
			size_t len = target_read(t, at, bytes, want);

			left -= want < left ? want : left;
			for (size_t k = 0; k + 16 <= len && !found; k += 16)
				found = memcmp(bytes + k, GO_MAGIC, sizeof(GO_MAGIC) - 1) == 0;
		}
	}
	free(bytes);
	return found;
}

/* Whose memory the unclaimed mappings must be, or NULL: nobody's that is certain. */
static const char *find_sign(struct heaps *h)
{
	struct target *t = heaps_target(h);
	const char *found = NULL;
	struct scatter memory;
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	scatter_init(&memory, t, 0);
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs) && !found; i++)
		for (size_t k = 0; k < nr && !found; k++)
			if (shows(h, &memory, &modules[k], &signs[i]) &&
			    !has_allocator(h, signs[i].allocator))
				found = signs[i].allocator;
	scatter_release(&memory);
	return found || !is_go(t) ? found : GO;
}

static bool has_thread(const struct target *t, const struct map *m)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++)
		if ((threads[i].sp >= m->start && threads[i].sp < m->end) ||
		    (threads[i].tp >= m->start && threads[i].tp < m->end))
			return true;
	return false;
}

/* Private memory that may hold an allocator's blocks: no file's, no program's, no thread's. */
static bool may_be_heap(const struct target *t, const struct map *m)
{
	if (m->inode != 0 || m->prot & (MAP_IS_SHARED | MAP_EXEC) || !(m->prot & MAP_WRITE) ||
	    target_find_module(t, m->start) || has_thread(t, m))
		return false;
	return !*m->path || strcmp(m->path, "[heap]") == 0 || strncmp(m->path, "[anon", 5) == 0;
}

/* The parts of a mapping that no heap has claimed. *next goes through the claims with it. */
static void add_unclaimed(struct heap *heap, size_t index, const struct map *m,
			  const struct claims *c, size_t *next)
{
	uint64_t at = m->start;

	while (*next < c->nr && c->items[*next].end <= at)
		(*next)++;
	for (size_t i = *next; i < c->nr && c->items[i].start < m->end; i++) {
		if (c->items[i].start > at)
			heap_add_span(heap, index, at, c->items[i].start, c->items[i].start);
		if (c->items[i].end > at)
			at = c->items[i].end;
	}
	if (at < m->end)
		heap_add_span(heap, index, at, m->end, m->end);
}

static int unknown_find(struct heaps *h, void **ret_state, struct error *e)
{
	const struct maps *maps = target_maps(heaps_target(h));
	const char *sign = find_sign(h);
	struct claims claims = {0};
	struct heap *heap = NULL;
	bool known = heaps_is_idle(h);
	size_t next = 0, index;

	(void)ret_state;
	(void)e;
	collect_claims(h, &claims, &known);
	for (size_t i = 0; i < maps->nr && (sign || !known); i++) {
		if (!may_be_heap(heaps_target(h), &maps->items[i]))
			continue;
		if (!heap) {
			heap = heaps_add(h, &heap_unknown, HEAP_UNKNOWN, &index);
			heap->allocator = sign ? sign : heap_unknown.allocator;
			snprintf(heap->name, sizeof(heap->name), "unclaimed mappings");
		}
		add_unclaimed(heap, index, &maps->items[i], &claims, &next);
	}
	free(claims.items);
	return 0;
}

const struct heap_ops heap_unknown = {
	.allocator = "not known",
	.find = unknown_find,
};
