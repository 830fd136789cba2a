/*
 * What threads keep of jemalloc's blocks: found from the arenas' lists of thread caches, and where
 * these are not kept, from what lies beside each thread pointer. A cache is known by pointing at
 * itself and at its arena; jemalloc.h.
 *
 *   5.3        slow: link, [next prev bins] arena …    bins - 8: slow
 *   5.1, 5.2   cache: 16 bytes, small bins, link (…), [next prev small large] arena …
 *   5.0        cache: 16 bytes, small bins, [next prev] arena …
 *                                           ^ what the arena's list holds: the descriptor
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/jemalloc.h"
#include "heap/scan.h"
#include "target/target.h"

#define ARENA_BYTES ((uint64_t)64 << 10) /* how far into an arena its list of caches may be */
#define NEAR_TP ((uint64_t)64 << 10)
#define CACHES_MAX (1u << 16)
#define BINS_MAX 80
#define BIN_BYTES 24
#define ENTRIES_MAX 8192
#define ARENAS_MAX 4096
#define WORDS_MAX (1 << 20)

struct cache {
	uint64_t descriptor, next, arena;
	uint64_t bins, large; /* large 0: all bins in one array */
};

struct seen {
	uint64_t *items;
	size_t nr, cap;
};

static bool seen_before(struct seen *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->items[i] == addr)
			return true;
	ARRAY_PUSH(s->items, s->nr, s->cap, addr);
	return false;
}

static bool read_newest(struct scatter *p, uint64_t d, struct cache *ret)
{
	uint64_t words[4], slow;

	if (!scatter_read(p, d, words, sizeof(words)) || words[2] % 8 || words[2] < 8 ||
	    !scatter_word(p, words[2] - 8, &slow) || slow != d - 16)
		return false;
	*ret = (struct cache){
		.descriptor = d, .next = words[0], .bins = words[2], .arena = words[3]};
	return true;
}

static bool read_middle(const struct je_instance *in, struct scatter *p, uint64_t d,
			struct cache *ret)
{
	uint64_t words[5], bins = (uint64_t)in->sizes.small * BIN_BYTES;

	if (!scatter_read(p, d, words, sizeof(words)) ||
	    (words[2] != d - 16 - bins && words[2] != d - 40 - bins) || words[3] <= d ||
	    words[3] - d > 4096)
		return false;
	*ret = (struct cache){.descriptor = d,
			      .next = words[0],
			      .bins = words[2],
			      .large = words[3],
			      .arena = words[4]};
	return true;
}

/* The list of 5.0 goes through the caches themselves: link and arena follow the small bins. */
static bool read_oldest(const struct je_instance *in, struct scatter *p, uint64_t cache,
			struct cache *ret)
{
	uint64_t nr = in->sizes.small, link = 16 + nr * BIN_BYTES;
	uint64_t words[3], back;

	if (!scatter_read(p, cache + link, words, sizeof(words)) ||
	    !scatter_word(p, words[0] + link + 8, &back) || back != cache)
		return false;
	*ret = (struct cache){
		.descriptor = cache, .next = words[0], .bins = cache + 16, .arena = words[2]};
	/* next_gc_bin, a byte for each small class, then the large bins. */
	ret->large = (cache + link + 24 + 4 + nr + 7) & ~7ull;
	return true;
}

static bool read_cache(const struct je_instance *in, struct scatter *p, uint64_t d,
		       struct cache *ret)
{
	const struct je_piece *arena;
	bool ok;

	if (d % 8 || d < 64)
		return false;
	if (in->layout.state_bits == 3)
		ok = read_newest(p, d, ret);
	else if (in->layout.state_shift == 16)
		ok = read_middle(in, p, d, ret);
	else
		ok = read_oldest(in, p, d, ret);
	if (!ok)
		return false;
	arena = je_find_piece(in, ret->arena);
	return arena && arena->record == 0;
}

/* The pointers [first, first + nr) of a cache's stack, which lies in the block [low, high). */
static void add_entries(struct je_instance *in, struct scatter *p, uint64_t first, size_t nr,
			uint32_t index, int32_t tid)
{
	uint64_t pointers[64];

	for (size_t i = 0; i < nr; i += 64) {
		size_t n = nr - i < 64 ? nr - i : 64;

		if (!scatter_read(p, first + 8 * i, pointers, 8 * n))
			return;
		for (size_t k = 0; k < n; k++) {
			struct je_cached c = {.addr = pointers[k], .tid = tid, .index = index};
			uint64_t start, bytes;
			unsigned int class;

			if (je_block_at(in, p, c.addr, &start, &bytes, &class) && start == c.addr &&
			    class == index)
				ARRAY_PUSH(in->cached, in->nr_cached, in->cap_cached, c);
			else
				in->nr_cached_bad++;
		}
	}
}

/* First pointer and how many, of one bin. False: not a bin in use. */
static bool read_bin(const struct je_instance *in, struct scatter *p, uint64_t bin,
		     uint64_t *ret_first, size_t *ret_nr)
{
	uint8_t bytes[BIN_BYTES];
	uint64_t stack;
	uint16_t empty;
	uint32_t nr;

	if (!scatter_read(p, bin, bytes, sizeof(bytes)))
		return false;
	if (in->layout.state_bits == 3) {
		memcpy(&stack, bytes, 8);
		memcpy(&empty, bytes + 20, 2);
		*ret_nr = (uint16_t)(empty - (uint16_t)stack) / 8;
		*ret_first = stack;
	} else {
		memcpy(&nr, bytes + 4, 4);
		memcpy(&stack, bytes + 16, 8);
		*ret_nr = nr;
		*ret_first = stack - 8 * (uint64_t)nr;
	}
	return stack != 0 && stack % 8 == 0 && *ret_nr <= ENTRIES_MAX && *ret_first <= stack + 8;
}

static void read_bins(struct je_instance *in, struct scatter *p, uint64_t bins, unsigned int first,
		      unsigned int last, uint64_t stack, uint64_t stack_bytes, int32_t tid)
{
	for (unsigned int i = first; i < last; i++) {
		uint64_t from;
		size_t nr;

		if (read_bin(in, p, bins + (uint64_t)(i - first) * BIN_BYTES, &from, &nr) && nr &&
		    from >= stack && from - stack < stack_bytes &&
		    8 * (uint64_t)nr <= stack_bytes - (from - stack))
			add_entries(in, p, from, nr, i, tid);
	}
}

static void add_internal(struct je_instance *in, uint64_t addr, const char *what)
{
	struct je_internal internal = {.addr = addr, .what = what};

	ARRAY_PUSH(in->internals, in->nr_internals, in->cap_internals, internal);
}

/* All stacks of a cache lie in one block of jemalloc's own; with huge pages, in its metadata. */
static bool find_stack(struct je_instance *in, struct scatter *p, const struct cache *c,
		       uint64_t *ret_start, uint64_t *ret_bytes)
{
	const struct je_piece *piece;
	unsigned int index;
	uint64_t first;
	size_t nr;

	if (!read_bin(in, p, c->bins, &first, &nr))
		return false;
	first -= nr == 0; /* an empty one points behind its stack */
	if (je_block_at(in, p, first, ret_start, ret_bytes, &index)) {
		add_internal(in, *ret_start, "thread cache");
		return true;
	}
	piece = je_find_piece(in, first);
	if (!piece || piece->record)
		return false;
	*ret_start = piece->base;
	*ret_bytes = piece->bytes;
	return true;
}

/* Of the thread whose pointer is nearest: above its variables on x86, below them on ARM. */
static int32_t thread_of(const struct target *t, uint64_t addr)
{
	uint64_t nearest = 1ull << 20;
	int32_t tid = 0;
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t tp = threads[i].tp;
		uint64_t far = target_machine(t) == EM_AARCH64 ? addr - tp : tp - addr;

		if (tp && far < nearest) {
			nearest = far;
			tid = threads[i].tid;
		}
	}
	return tid;
}

/* The number of an arena: the base that it was cut from says, at the start of the first block. */
static void note_thread(struct je_instance *in, struct scatter *p, const struct cache *c,
			struct heaps *h, int32_t tid)
{
	uint64_t bytes, next, block = je_metadata_block(p, c->arena, &bytes, &next);
	uint32_t number;

	if (!block || next || !scatter_int(p, block + 192, &number))
		return;
	for (size_t i = 0; i < in->nr_arenas; i++) {
		struct heap *heap;

		if (in->arenas[i].index != number)
			continue;
		heap = heaps_at(h, in->arenas[i].heap);
		heap->addr = c->arena;
		if (tid)
			heap_add_tid(heap, tid);
	}
}

static void add_cache(struct je_instance *in, struct heaps *h, struct scatter *p,
		      const struct cache *c)
{
	int32_t tid = thread_of(heaps_target(h), c->descriptor);
	unsigned int small = in->sizes.small;
	uint64_t stack, bytes;

	in->nr_caches++;
	note_thread(in, p, c, h, tid);
	if (!find_stack(in, p, c, &stack, &bytes))
		return;
	read_bins(in, p, c->bins, 0, c->large ? small : BINS_MAX, stack, bytes, tid);
	if (c->large)
		read_bins(in, p, c->large, small, BINS_MAX, stack, bytes, tid);
}

/* The caches of one arena are a ring. */
static void add_ring(struct je_instance *in, struct heaps *h, struct scatter *p, uint64_t first,
		     struct seen *caches)
{
	struct cache c;

	while (caches->nr < CACHES_MAX && read_cache(in, p, first, &c) &&
	       !seen_before(caches, first)) {
		add_cache(in, h, p, &c);
		first = c.next;
	}
}

static void try_arena(struct je_instance *in, struct heaps *h, struct scatter *p, uint64_t arena,
		      struct seen *caches)
{
	const struct je_piece *piece = je_find_piece(in, arena);
	uint64_t left = piece->bytes - (arena - piece->base);

	left = left < ARENA_BYTES ? left : ARENA_BYTES;
	for (uint64_t at = arena; left >= 8; at += 8, left -= 8) {
		struct cache c;
		uint64_t d;

		if (scatter_word(p, at, &d) && d && read_cache(in, p, d, &c) && c.arena == arena)
			add_ring(in, h, p, d, caches);
	}
}

/* The program's data knows every arena. */
static void ask_arenas(struct je_instance *in, struct heaps *h, struct scatter *p,
		       struct seen *caches)
{
	struct scan_words words = {0};
	struct seen arenas = {0};

	scan_words_read(heaps_target(h), in->bss_start, in->bss_end, WORDS_MAX, &words);
	for (size_t i = 0; i < words.nr && arenas.nr < ARENAS_MAX; i++) {
		const struct je_piece *piece = je_find_piece(in, words.items[i].value);

		if (words.items[i].value % 64 == 0 && piece && piece->record == 0 &&
		    !seen_before(&arenas, words.items[i].value))
			try_arena(in, h, p, words.items[i].value, caches);
	}
	scan_words_release(&words);
	free(arenas.items);
}

static void ask_threads(struct je_instance *in, struct heaps *h, struct scatter *p,
			struct seen *caches)
{
	bool above = target_machine(heaps_target(h)) == EM_AARCH64;
	size_t nr;
	const struct target_thread *threads = target_threads(heaps_target(h), &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t from = above ? threads[i].tp : threads[i].tp - NEAR_TP;
		struct cache c;

		for (uint64_t at = from; threads[i].tp > NEAR_TP && at < from + NEAR_TP; at += 8)
			if (read_cache(in, p, at, &c))
				add_ring(in, h, p, at, caches);
	}
}

/*
 * The C library asks for one block a thread itself: the vector of modules with thread variables.
 * The thread's control block points behind its first entry (glibc; x86 second word, ARM first).
 */
static void add_vectors(struct je_instance *in, struct heaps *h, struct scatter *p)
{
	unsigned int offset = target_machine(heaps_target(h)) == EM_AARCH64 ? 0 : 8;
	size_t nr;
	const struct target_thread *threads = target_threads(heaps_target(h), &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t vector, start, bytes;
		unsigned int index;

		if (threads[i].tp && scatter_word(p, threads[i].tp + offset, &vector) &&
		    vector > 16 && je_block_at(in, p, vector - 16, &start, &bytes, &index) &&
		    start == vector - 16)
			add_internal(in, start, "thread's vector of modules");
	}
}

static int compare_internals(const void *a, const void *b)
{
	const struct je_internal *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int compare_cached(const void *a, const void *b)
{
	const struct je_cached *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void je_find_cached(struct je_instance *in, struct heaps *h, struct scatter *p)
{
	struct seen caches = {0};
	size_t kept = 0;

	ask_arenas(in, h, p, &caches);
	ask_threads(in, h, p, &caches);
	add_vectors(in, h, p);
	free(caches.items);
	if (in->nr_internals)
		qsort(in->internals, in->nr_internals, sizeof(*in->internals), compare_internals);
	if (in->nr_cached == 0)
		return;
	qsort(in->cached, in->nr_cached, sizeof(*in->cached), compare_cached);
	for (size_t i = 0; i < in->nr_cached; i++) {
		if (kept && in->cached[kept - 1].addr == in->cached[i].addr)
			in->nr_cached_bad++; /* in two caches at once */
		else
			in->cached[kept++] = in->cached[i];
	}
	in->nr_cached = kept;
}
