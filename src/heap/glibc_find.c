/*
 * Finding glibc's main arena without symbols.
 *
 * bins[] is an array of 127 heads of circular lists; the head of an empty list points at itself. A
 * word pair { x, x } where x is two words before its own address is therefore an empty bin, and
 * 127 consistent pairs in a row are nothing else. The start of the arena is then the one distance
 * before bins for which the ring of `next` pointers closes.
 */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/glibc.h"

#define ATTEMPTS_MAX 1024      /* a mapping: looks at what might be a bin */
#define REACH (GLIBC_BINS - 1) /* pairs looked at on either side of a hit */

void glibc_fault(uint64_t *addr, char *text, size_t cap, uint64_t at, const char *format, ...)
{
	va_list args;

	if (text[0])
		return;
	*addr = at;
	va_start(args, format);
	vsnprintf(text, cap, format, args);
	va_end(args);
}

/* Is the pair at addr the head of a list whose neighbours agree? */
static bool is_head(struct scatter *m, unsigned int word, uint64_t addr)
{
	uint64_t head = addr - 2 * word, fd, bk, back, forth;

	if (!scatter_word(m, addr, &fd) || !scatter_word(m, addr + word, &bk))
		return false;
	if (fd == head && bk == head)
		return true;
	if (fd < GLIBC_PAGE || bk < GLIBC_PAGE || (fd | bk) % word)
		return false;
	return scatter_word(m, fd + 3 * word, &back) && back == head &&
	       scatter_word(m, bk + 2 * word, &forth) && forth == head;
}

/* What may lie between the start of malloc_state and bins. */
struct shape {
	unsigned int word;
	uint64_t distance, fast_offset;
	unsigned int nr_fast;
	unsigned int align; /* 0: by the machine */
};

static const struct shape shapes[GLIBC_SHAPES] = {
	{8, 0x70, 0x10, 10, 16}, /* 2.27 to 2.42 */
	{8, 0x68, 0x08, 10, 16}, /* to 2.26 */
	{8, 0x18, 0, 0, 16},	 /* 2.43 on */
	{4, 0x40, 0x0c, 11, 16}, /* i386, 2.27 to 2.42 */
	{4, 0x3c, 0x08, 11, 16}, /* i386, 2.26 */
	{4, 0x3c, 0x0c, 10, 8},	 /* arm, 2.27 to 2.42 */
	{4, 0x38, 0x08, 10, 8},	 /* to 2.25 (i386) or 2.26 */
	{4, 0x10, 0, 0, 0},	 /* 2.43 on */
};

void glibc_add_arena(struct glibc *g, uint64_t addr)
{
	struct glibc_arena arena = {.addr = addr,
				    .bins = addr + g->distance,
				    .is_main = g->nr_arenas == 0,
				    .heap = HEAP_ALL};

	ARRAY_PUSH(g->arenas, g->nr_arenas, g->cap_arenas, arena);
}

/* The ring of arenas from start on; false: it does not close. */
static bool follow_ring(struct glibc *g, uint64_t start)
{
	uint64_t at = start, offset = glibc_next_field(g->distance, g->word);

	for (size_t i = 0; i < GLIBC_ARENAS_MAX; i++) {
		glibc_add_arena(g, at);
		if (!scatter_word(g->memory, at + offset, &at) || at == 0 || at % g->word)
			return false;
		if (at == start)
			return true;
	}
	return false;
}

/* The alignment, where the machine leaves it open: i386 aligns to four words since 2.26. */
static unsigned int alignment(const struct shape *shape, struct target *t)
{
	if (shape->align)
		return shape->align;
	return target_machine(t) == EM_386 || target_machine(t) == EM_X86_64 ? 16 : 8;
}

bool glibc_looks_alive(struct glibc *g, uint64_t start)
{
	uint32_t mutex, flags;

	return scatter_int(g->memory, start, &mutex) && scatter_int(g->memory, start + 4, &flags) &&
	       mutex <= 2 && flags <= 7;
}

bool glibc_use_shape(struct glibc *g, size_t i)
{
	const struct shape *shape = &shapes[i];

	if (shape->word != g->word)
		return false;
	/* Two shapes of one distance: 32-bit arm and i386 differ in the alignment. */
	if (shape->distance == 0x3c &&
	    (shape->align == 16) !=
		    (target_machine(g->target) == EM_386 || target_machine(g->target) == EM_X86_64))
		return false;
	g->distance = shape->distance;
	g->fast_offset = shape->fast_offset;
	g->nr_fast = shape->nr_fast;
	g->align = alignment(shape, g->target);
	g->direct_full = shape->nr_fast == 0;
	g->nr_arenas = 0;
	return true;
}

size_t glibc_count_heads(struct glibc *g, uint64_t bins)
{
	size_t nr = 0;

	for (size_t i = 0; i < GLIBC_BINS; i++)
		nr += is_head(g->memory, g->word, bins + 2ull * i * g->word);
	return nr;
}

static bool try_bins(struct glibc *g, uint64_t bins)
{
	uint64_t next;

	if (!scatter_word(g->memory, glibc_next_field(bins, g->word), &next) || next == 0)
		return false;
	for (size_t i = 0; i < GLIBC_SHAPES; i++)
		if (glibc_use_shape(g, i) && glibc_looks_alive(g, bins - g->distance) &&
		    follow_ring(g, bins - g->distance))
			return true;
	g->nr_arenas = 0;
	return false;
}

/*
 * The pair at addr is an empty bin: which of the 127 is it? The first that fits. Where none does,
 * *ret_lost is the array that looks most like one; 0 there is none.
 */
static bool try_hit(struct glibc *g, uint64_t addr, uint64_t *ret_lost)
{
	bool ok[2 * REACH + 1];
	size_t run = 0, most = GLIBC_BINS_ENOUGH - 1;
	uint64_t step = 2ull * g->word;

	*ret_lost = 0;
	for (size_t i = 0; i < 2 * REACH + 1; i++)
		ok[i] = is_head(g->memory, g->word, addr + i * step - REACH * step);
	for (size_t i = 0; i < GLIBC_BINS - 1; i++)
		run += ok[i];
	/* ok[first] is bin 1 of a possible array; the hit is ok[REACH]. */
	for (size_t first = 0; first <= REACH; first++) {
		uint64_t bins = addr + first * step - REACH * step;

		run += ok[first + GLIBC_BINS - 1];
		if (run >= GLIBC_BINS_ENOUGH && try_bins(g, bins))
			return true;
		if (run > most) {
			most = run;
			*ret_lost = bins;
		}
		run -= ok[first];
	}
	return false;
}

static void read_arena(struct glibc *g, struct glibc_arena *a)
{
	uint64_t after = glibc_next_field(a->bins, g->word) + 2 * g->word, flags = 0;
	uint32_t word = 0, mutex = 0;

	scatter_word(g->memory, a->bins - 2 * g->word, &a->top);
	scatter_word(g->memory, after + (g->has_attached ? g->word : 0), &a->system_mem);
	if (scatter_int(g->memory, a->addr, &mutex))
		a->locked = mutex == 1 || mutex == 2;
	if (scatter_int(g->memory, a->addr + 4, &word))
		flags = word;
	a->contiguous = a->is_main && !(flags & 2);
}

/*
 * Is there a counter of threads between next_free and system_mem (2.23 on)? It is small; the other
 * is a number of pages, or of the main arena's bytes, and its maximum follows. As most arenas say:
 * one of them may be damaged, and a size of 0 looks like a counter.
 */
static bool find_attached(struct glibc *g)
{
	size_t with = 0, without = 0;

	for (size_t i = 0; i < g->nr_arenas; i++) {
		uint64_t at = glibc_next_field(g->arenas[i].bins, g->word) + 2 * g->word, x, y;

		if (!scatter_word(g->memory, at, &x) || !scatter_word(g->memory, at + g->word, &y))
			continue;
		if (x >= GLIBC_PAGE && (x >= 65536 || x % GLIBC_PAGE == 0) && y >= x)
			without++;
		else if (x < 65536 && y >= GLIBC_PAGE)
			with++;
	}
	return with > without || without == 0;
}

void glibc_add_lib(struct glibc_state *s, struct glibc *g, const struct map *m)
{
	g->module = target_find_module(g->target, m->start);
	g->data_start = m->start;
	g->data_end = m->end;
	g->has_attached = find_attached(g);
	for (size_t i = 0; i < g->nr_arenas; i++)
		read_arena(g, &g->arenas[i]);
	ARRAY_PUSH(s->libs, s->nr, s->cap, *g);
}

/* Looks through what the window holds from at on; returns where to go on. */
static uint64_t scan_piece(struct glibc_state *s, struct target *t, const struct map *m,
			   struct window *w, uint64_t at, size_t *attempts)
{
	unsigned int word = target_word_bytes(t);
	size_t len;
	const uint8_t *p = window_some(w, at, &len);

	for (size_t i = 0; i + 2 * word <= len && *attempts < ATTEMPTS_MAX; i += word) {
		struct glibc g = {.target = t, .memory = &s->memory, .word = word};
		uint64_t head = at + i - 2 * word, lost;

		if (glibc_load(p + i, word) != head || glibc_load(p + i + word, word) != head)
			continue;
		++*attempts;
		if (try_hit(&g, at + i, &lost)) {
			glibc_add_lib(s, &g, m);
			return g.arenas[0].bins + 2ull * GLIBC_BINS * word;
		}
		free(g.arenas);
		if (lost && s->nr_lost < GLIBC_LOST_MAX) {
			s->lost[s->nr_lost++] = (struct glibc_lost){.bins = lost, .map = m};
			return lost + 2ull * GLIBC_BINS * word;
		}
	}
	return at + len - word;
}

static void scan_map(struct glibc_state *s, struct target *t, const struct map *m)
{
	struct window w;
	size_t attempts = 0;
	unsigned int word = target_word_bytes(t);
	uint64_t at = m->start;

	window_init(&w, t, 0);
	w.limit = m->end;
	while (at + 2 * word <= m->end && attempts < ATTEMPTS_MAX) {
		if (window_get(&w, at, 2 * word))
			at = scan_piece(s, t, m, &w, at, &attempts);
		else
			at = (at & ~(uint64_t)(GLIBC_PAGE - 1)) + GLIBC_PAGE;
	}
	window_release(&w);
}

static bool is_candidate(struct target *t, const struct map *m, bool file_backed)
{
	const unsigned int wanted = MAP_READ | MAP_WRITE;

	if ((m->prot & wanted) != wanted || (m->prot & MAP_IS_SHARED))
		return false;
	if ((m->path[0] == '/') != file_backed)
		return false;
	return target_find_module(t, m->start) != NULL;
}

void glibc_find_libs(struct glibc_state *s, struct target *t)
{
	const struct maps *maps = target_maps(t);

	/* main_arena is initialised data; a packed program has even that in anonymous memory. */
	for (int pass = 0; pass < 2 && s->nr + s->nr_lost == 0; pass++)
		for (size_t i = 0; i < maps->nr; i++)
			if (is_candidate(t, &maps->items[i], pass == 0))
				scan_map(s, t, &maps->items[i]);
	if (s->nr == 0 || s->nr_lost)
		glibc_find_lost(s, t);
}
