/*
 * Big blocks that have a mapping of their own. mp_ says how many there are and how many bytes; they
 * are found by their headers at the start of a page:
 *
 *   ┌───────────┬──────────┬──────────
 *   │ prev_size │ size | 2 │ user's …      prev_size: bytes from the mapping's start to the header
 *   └───────────┴──────────┴──────────     (bit 0: huge pages, 2.43 on)
 *
 * prev_size + size, from 2.43 on two words more, is the mapping's length. memalign() moves the
 * header into the mapping. Neighbouring mappings merge, so all of a region is looked through, but
 * only until as many are found as the books say. What only looks like a header, in memory that is
 * somebody else's, comes last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/glibc.h"

#define HEADER_BYTES 64		      /* read where a mapping begins */
#define CHAIN_MOST 4096		      /* headers followed to the end of a mapping */
#define SPAN_SKIP ((uint64_t)2 << 20) /* memory asked at once whether any of it is there */

/* Anonymous memory without a gap. */
struct run {
	uint64_t start, end;
};

struct search {
	struct glibc_state *s;
	const struct glibc *g; /* the first copy: word and layout are of the process */
	struct window window;
	uint64_t wanted, wanted_bytes; /* still to be found */
	uint64_t all_bytes;	       /* of all blocks by the books */
	struct run used;	       /* pages that there is something in, see next_page() */
};

struct runs {
	struct run *items;
	size_t nr, cap;
};

static bool is_anonymous(const struct map *m)
{
	if (m->prot & MAP_IS_SHARED)
		return false;
	return m->path[0] == '\0' || strncmp(m->path, "[anon:", 6) == 0 ||
	       strncmp(m->path, "/anon_hugepage", 14) == 0;
}

/* The mapping that the header at chunk speaks of; 0: it is no header of a mapped chunk. */
static uint64_t mapping_of(const struct search *q, uint64_t chunk, uint64_t prev, uint64_t head,
			   uint64_t *ret_base)
{
	uint64_t size = head & ~(uint64_t)CHUNK_FLAGS, total;

	if (q->g->direct_full)
		prev &= ~1ull;
	if ((head & CHUNK_FLAGS) != CHUNK_IS_MMAPPED || prev > chunk || size % 8 ||
	    size < glibc_min_size(q->g))
		return 0;
	*ret_base = chunk - prev;
	total = prev + size + (q->g->direct_full ? 2 * q->g->word : 0);
	if (*ret_base % GLIBC_PAGE || total % GLIBC_PAGE || total < size || total > q->all_bytes)
		return 0;
	return total;
}

/* Can a mapping of this length be one of those that the books still want? */
static bool is_wanted(const struct search *q, uint64_t total)
{
	if (q->wanted == 1)
		return total == q->wanted_bytes;
	return total <= q->wanted_bytes && (q->wanted_bytes - total) / GLIBC_PAGE >= q->wanted - 1;
}

static void take(struct search *q, uint64_t base, uint64_t total, uint64_t chunk)
{
	ARRAY_PUSH(q->s->direct, q->s->nr_direct, q->s->cap_direct,
		   ((struct glibc_direct){.base = base, .total = total, .chunk = chunk}));
	q->wanted--;
	q->wanted_bytes -= total;
}

static bool is_done(const struct search *q)
{
	return q->wanted == 0;
}

/* The header at chunk, if it speaks of a mapping that begins at base and fits; its length, or 0. */
static uint64_t read_header(struct search *q, uint64_t base, uint64_t end, uint64_t chunk)
{
	const uint8_t *p = window_get(&q->window, chunk, 2 * q->g->word);
	uint64_t found, total;

	if (!p)
		return 0;
	total = mapping_of(q, chunk, glibc_load(p, q->g->word),
			   glibc_load(p + q->g->word, q->g->word), &found);
	return total && found == base && total <= end - base ? total : 0;
}

/*
 * Where memalign() moved the header of the mapping at base, for any alignment: *ret_chunk. The
 * first header stays behind and means nothing any more.
 */
static uint64_t find_moved(struct search *q, uint64_t base, uint64_t end, uint64_t *ret_chunk)
{
	uint64_t first = glibc_first_chunk(q->g, base), user = first + 2 * q->g->word;

	for (uint64_t unit = 2 * q->g->align; unit && unit < end - base; unit *= 2) {
		uint64_t aligned = glibc_align_up(user, unit);

		for (int more = 0; more < 2; more++, aligned += unit) {
			uint64_t chunk = aligned - 2 * q->g->word, total;

			if (chunk == first || aligned >= end)
				continue;
			total = read_header(q, base, end, chunk);
			*ret_chunk = chunk;
			if (total)
				return total;
		}
	}
	return 0;
}

/* A chunk whose mapping begins at base. */
static uint64_t try_start(struct search *q, uint64_t base, uint64_t end)
{
	uint64_t chunk = glibc_first_chunk(q->g, base), moved;
	uint64_t total = read_header(q, base, end, chunk), other;

	if (total == 0)
		return 0;
	other = find_moved(q, base, end, &moved);
	if (other) {
		total = other;
		chunk = moved;
	}
	if (!is_wanted(q, total))
		return 0;
	take(q, base, total, chunk);
	return total;
}

/* A header that memalign() moved, somewhere in this page; its mapping begins at or after `from`. */
static uint64_t try_inside(struct search *q, uint64_t page, uint64_t from, uint64_t end)
{
	unsigned int word = q->g->word;
	uint64_t first = glibc_first_chunk(q->g, page);

	for (uint64_t at = first; at + 2 * word <= page + GLIBC_PAGE; at += q->g->align) {
		const uint8_t *p = window_get(&q->window, at, 2 * word);
		uint64_t base, total;

		if (!p)
			return 0;
		total = mapping_of(q, at, glibc_load(p, word), glibc_load(p + word, word), &base);
		if (total == 0 || base < from || base > page || total > end - base ||
		    !is_wanted(q, total))
			continue;
		take(q, base, total, at);
		return base + total;
	}
	return 0;
}

/* Nothing of a great step from addr on is in memory: then no header is either. */
static bool is_absent(struct search *q, uint64_t addr, uint64_t end)
{
	struct target_residency r;

	return addr % SPAN_SKIP == 0 && end - addr > SPAN_SKIP &&
	       target_residency(q->g->target, addr, addr + SPAN_SKIP, &r) == 0 &&
	       r.resident_bytes == 0 && r.swapped_bytes == 0;
}

/*
 * The first page from `at` on in which there is anything; end: there is none. A reserve of
 * terabytes is stepped over as a whole, where that can be told.
 */
static uint64_t next_page(struct search *q, uint64_t at, uint64_t end)
{
	struct target *t = q->g->target;

	while (at < end && (at < q->used.start || at >= q->used.end)) {
		const struct map *m = maps_find(target_maps(t), at);
		uint64_t limit = m && m->end < end ? m->end : end, from, to;
		int err = target_next_used(t, at, limit, &from, &to);

		if (err == -ENOENT) {
			at = limit;
		} else if (err == 0) {
			from &= ~(uint64_t)(GLIBC_PAGE - 1);
			q->used = (struct run){from > at ? from : at, to};
			at = q->used.start;
		} else if (is_absent(q, at, end)) {
			at += SPAN_SKIP;
		} else {
			return at;
		}
	}
	return at < end ? at : end;
}

static int compare_direct(const void *a, const void *b)
{
	const struct glibc_direct *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

/* The taken mapping that begins at or behind addr, or holds it; for the sorted first `nr`. */
static const struct glibc_direct *taken_at(const struct glibc_state *s, size_t nr, uint64_t addr)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->direct[middle].base <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || addr - s->direct[low - 1].base >= s->direct[low - 1].total)
		return NULL;
	return &s->direct[low - 1];
}

/* Do headers lead from one mapping to the next from `at` on, up to the end of the kernel's mapping?
 */
static bool leads_to_end(struct search *q, uint64_t at, uint64_t limit)
{
	const struct map *m = maps_find(target_maps(q->g->target), at - 1);

	for (unsigned int i = 0; i < CHAIN_MOST && m && at < m->end && at < limit; i++) {
		uint64_t total = read_header(q, at, limit, glibc_first_chunk(q->g, at));

		if (total == 0)
			return false;
		at += total;
	}
	return m && (at == m->end || at == limit);
}

/*
 * Does something else than the header say that a mapping lies at [base, base + total)? The kernel's
 * mapping begins there, or another big block's ends (`behind`); or others lead to its end.
 */
static bool is_likely(struct search *q, uint64_t base, uint64_t total, uint64_t behind,
		      uint64_t limit)
{
	const struct map *m = maps_find(target_maps(q->g->target), base);

	return (m && m->start == base) || base == behind || leads_to_end(q, base + total, limit);
}

/* Headers at the start of a run, and behind each one that was found. */
static void look_at_run_start(struct search *q, const struct run *r)
{
	uint64_t at = r->start, total = 1;

	q->window.limit = r->end;
	for (; at < r->end && total && !is_done(q); at += total)
		total = try_start(q, at, r->end);
}

/* Headers at the start of any page. What may be one by chance, in other people's memory, waits. */
static void look_at_pages(struct search *q, const struct run *r, struct runs *doubtful)
{
	size_t known = q->s->nr_direct;
	uint64_t at = r->start, behind = 0;

	q->window.limit = r->end;
	while ((at = next_page(q, at, r->end)) < r->end && !is_done(q)) {
		const struct glibc_direct *there = taken_at(q->s, known, at);
		uint64_t total;

		if (there) {
			behind = at = there->base + there->total;
			continue;
		}
		total = read_header(q, at, r->end, glibc_first_chunk(q->g, at));
		if (total && is_likely(q, at, total, behind, r->end)) {
			uint64_t taken = try_start(q, at, r->end);

			behind = at + taken;
			at += taken ? taken : GLIBC_PAGE;
			continue;
		}
		if (total)
			ARRAY_PUSH(doubtful->items, doubtful->nr, doubtful->cap,
				   ((struct run){.start = at, .end = r->end}));
		at += GLIBC_PAGE;
	}
}

/* Nothing speaks for them but that the books want more. */
static void look_at_doubtful(struct search *q, const struct runs *doubtful)
{
	size_t known = q->s->nr_direct, next = 0;
	uint64_t behind = 0;

	for (size_t i = 0; i < doubtful->nr && !is_done(q); i++) {
		const struct run *r = &doubtful->items[i];
		uint64_t end = r->end;

		if (r->start < behind || taken_at(q->s, known, r->start))
			continue;
		while (next < known && q->s->direct[next].base <= r->start)
			next++;
		if (next < known && q->s->direct[next].base < end)
			end = q->s->direct[next].base;
		q->window.limit = end;
		behind = r->start + try_start(q, r->start, end);
	}
}

static void look_inside(struct search *q, const struct run *r)
{
	size_t known = q->s->nr_direct;
	uint64_t from = r->start, at = r->start;

	q->window.limit = r->end;
	while ((at = next_page(q, at, r->end)) < r->end && !is_done(q)) {
		const struct glibc_direct *there = taken_at(q->s, known, at);
		uint64_t end;

		if (there) {
			at = from = there->base + there->total;
			continue;
		}
		end = try_inside(q, at, from, r->end);
		if (end)
			at = from = end;
		else
			at += GLIBC_PAGE;
	}
}

static void add_run(struct runs *runs, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	if (runs->nr && runs->items[runs->nr - 1].end == start)
		runs->items[runs->nr - 1].end = end;
	else
		ARRAY_PUSH(runs->items, runs->nr, runs->cap,
			   ((struct run){.start = start, .end = end}));
}

/* The piece of any copy's arena that begins in [addr, end) first, or holds addr. */
static bool next_piece(const struct glibc_state *s, uint64_t addr, uint64_t end,
		       uint64_t *ret_start, uint64_t *ret_end)
{
	bool any = false;

	for (size_t i = 0; i < s->nr; i++) {
		for (size_t k = 0; k < s->libs[i].nr_arenas; k++) {
			const struct glibc_arena *a = &s->libs[i].arenas[k];

			for (size_t n = 0; n < a->nr_pieces; n++) {
				const struct glibc_piece *p = &a->pieces[n];

				if (p->reserved_end <= addr || p->start >= end ||
				    (any && p->start >= *ret_start))
					continue;
				*ret_start = p->start;
				*ret_end = p->reserved_end;
				any = true;
			}
		}
	}
	return any;
}

/* All anonymous memory that no arena lies in. */
static void list_runs(const struct glibc_state *s, const struct maps *maps, struct runs *runs)
{
	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];
		uint64_t at = m->start, start = 0, end = 0;

		if (!is_anonymous(m))
			continue;
		while (at < m->end && next_piece(s, at, m->end, &start, &end)) {
			add_run(runs, at, start);
			at = end;
		}
		add_run(runs, at, m->end);
	}
}

static void sort_direct(struct glibc_state *s)
{
	if (s->nr_direct)
		qsort(s->direct, s->nr_direct, sizeof(*s->direct), compare_direct);
}

/* Everywhere, for what merged with other people's mappings or was moved by memalign(). */
static void look_everywhere(struct search *q, const struct runs *runs)
{
	struct runs doubtful = {0};

	sort_direct(q->s);
	for (size_t i = 0; i < runs->nr && !is_done(q); i++) {
		look_at_pages(q, &runs->items[i], &doubtful);
		sort_direct(q->s);
	}
	look_at_doubtful(q, &doubtful);
	sort_direct(q->s);
	free(doubtful.items);
	for (size_t i = 0; i < runs->nr && !is_done(q); i++) {
		look_inside(q, &runs->items[i]);
		sort_direct(q->s);
	}
}

void glibc_find_direct(struct glibc_state *s, struct target *t)
{
	struct search q = {.s = s, .g = &s->libs[0]};
	struct runs runs = {0};

	for (size_t i = 0; i < s->nr; i++) {
		q.wanted += s->libs[i].par.mmaps;
		q.wanted_bytes += s->libs[i].par.mmapped_bytes;
	}
	if (q.wanted == 0)
		return;
	q.all_bytes = q.wanted_bytes;
	list_runs(s, target_maps(t), &runs);
	window_init(&q.window, t, HEADER_BYTES);
	for (size_t i = 0; i < runs.nr && !is_done(&q); i++)
		look_at_run_start(&q, &runs.items[i]);
	window_release(&q.window);
	window_init(&q.window, t, 0);
	look_everywhere(&q, &runs);
	sort_direct(s);
	window_release(&q.window);
	free(runs.items);
}

const struct glibc_direct *glibc_direct_of(const struct glibc_state *s, uint64_t addr)
{
	return taken_at(s, s->nr_direct, addr);
}
