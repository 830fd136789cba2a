/* Feeds the graph of blocks from a target; see reachable.h. */
#include "heap/reachable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "heap/extra_blocks.h"
#include "heap/heap.h"
#include "heap/vtable.h"
#include "target/recorded.h"
#include "target/target.h"
#include "target/window.h"

#define GRANULE 16
#define GRANULE_SMALL 8
/* Where it cannot be told what of a range is used, no more than this is read of it. */
#define ASK_MAX (16ull << 30)
/* Rounds of finding objects that only such objects hold. */
#define PROMOTIONS_MAX 16

struct feed {
	struct target *t;
	struct heaps *h;
	struct reach *r;
	struct reachable_account *account;
	/* The C library's own blocks: held by it in ways that are not looked for. */
	uint64_t *own;
	size_t nr_own, cap_own;
	struct root_hits *hits;		  /* NULL: not wanted */
	const struct extra_blocks *extra; /* NULL: none */
	uint64_t skip_until;		  /* roots below it are the recorder's */
};

static bool is_walked(const struct heap *heap)
{
	return (heap->flags & HEAP_HAS_BLOCKS) && !(heap->flags & HEAP_NESTED);
}

/* jemalloc has blocks of eight bytes; the others' begin at multiples of two words. */
static unsigned int granule_of(const struct feed *f, const struct heap *heap)
{
	if (target_word_bytes(f->t) == 4 || strcmp(heap->allocator, "jemalloc") == 0)
		return GRANULE_SMALL;
	return GRANULE;
}

static int add_spans(struct feed *f, struct error *e)
{
	for (size_t i = 0; i < heaps_nr(f->h); i++) {
		const struct heap *heap = heaps_get(f->h, i);
		uint64_t mask = granule_of(f, heap) - 1;

		if (!is_walked(heap)) {
			if (!(heap->flags & HEAP_NESTED)) {
				f->account->unwalked_heaps++;
				f->account->unwalked_bytes += heap->figures.committed_bytes;
			}
			continue;
		}
		for (size_t k = 0; k < heap->nr_spans; k++) {
			uint64_t start = heap->spans[k].start & ~mask;
			uint64_t end = heap->spans[k].committed_end;

			if (end > start &&
			    reach_add_span(f->r, start, end, granule_of(f, heap)) < 0)
				return error_set(e, -EINVAL, EXIT_TARGET,
						 "heaps of the process overlap at 0x%llx",
						 (unsigned long long)start);
		}
	}
	return 0;
}

static int add_extra_spans(struct feed *f, struct error *e)
{
	for (size_t i = 0; f->extra && i < f->extra->nr_ranges; i++) {
		const struct extra_range *range = &f->extra->ranges[i];

		if (reach_add_span(f->r, range->start, range->end, EXTRA_GRANULE) < 0)
			return error_set(e, -EINVAL, EXIT_TARGET,
					 "recorded blocks overlap a heap at 0x%llx",
					 (unsigned long long)range->start);
	}
	return 0;
}

static int add_extra_blocks(struct feed *f)
{
	for (size_t i = 0; f->extra && i < f->extra->nr; i++) {
		const struct extra_block *b = &f->extra->items[i];
		int err = reach_add_block(f->r, b->addr, b->size);

		if (err == -EOVERFLOW)
			return err;
		if (err < 0) {
			f->account->rejected_blocks++;
			continue;
		}
		f->account->extra_blocks++;
		f->account->blocks++;
		f->account->bytes += b->size;
	}
	return 0;
}

static int add_block(void *context, const struct heap_block *b)
{
	struct feed *f = context;
	int err;

	if ((b->state != BLOCK_BUSY && b->state != BLOCK_INTERNAL) ||
	    !is_walked(heaps_get(f->h, b->heap)))
		return 0;
	err = reach_add_block(f->r, b->addr, b->size);
	if (err == -EOVERFLOW)
		return err;
	if (err < 0) {
		f->account->rejected_blocks++;
		return 0;
	}
	f->account->blocks++;
	f->account->bytes += b->size;
	if (b->state == BLOCK_INTERNAL)
		ARRAY_PUSH(f->own, f->nr_own, f->cap_own, b->addr);
	return 0;
}

typedef void (*take_piece)(struct feed *f, uint64_t addr, const void *p, size_t len);

/* Hands what can be read of [start, end) on; what cannot is counted and stepped over. */
static void read_used(struct feed *f, struct window *w, uint64_t start, uint64_t end,
		      take_piece take)
{
	const uint64_t page = 4096, word = target_word_bytes(f->t);

	w->limit = end;
	while (start < end) {
		size_t len;
		const uint8_t *p = window_some(w, start, &len);

		if (!p) {
			uint64_t next = (start + page) & ~(page - 1);

			if (next > end || next <= start)
				next = end;
			f->account->unread_bytes += next - start;
			start = next;
			continue;
		}
		if (len > end - start)
			len = (size_t)(end - start);
		if (len >= word)
			len -= len % word;
		take(f, start, p, len);
		start += len;
	}
}

/* The same without what nobody has touched, which holds no pointers and may be terabytes. */
static void read_range(struct feed *f, struct window *w, uint64_t start, uint64_t end,
		       take_piece take)
{
	while (start < end) {
		uint64_t from, to;
		int err = target_next_used(f->t, start, end, &from, &to);

		if (err == -ENOENT)
			return;
		if (err < 0 && end - start > ASK_MAX) {
			f->account->unread_bytes += end - start;
			return;
		}
		if (err < 0) {
			from = start;
			to = end;
		}
		read_used(f, w, from, to, take);
		start = to;
	}
}

static void take_contents(struct feed *f, uint64_t addr, const void *p, size_t len)
{
	reach_scan(f->r, addr, p, len);
}

static void add_root(struct feed *f, uint64_t word, uint64_t where)
{
	if (f->hits)
		root_hits_add(f->hits, f->r, word, where);
	else
		reach_root(f->r, word);
}

/* Words of a root within one page. */
static void take_words(struct feed *f, uint64_t addr, const uint8_t *p, size_t len)
{
	unsigned int width = target_word_bytes(f->t);

	if (!f->hits) {
		reach_root_bytes(f->r, p, len);
		return;
	}
	for (size_t i = 0; i + width <= len; i += width) {
		uint64_t word = 0;

		memcpy(&word, p + i, width);
		add_root(f, word, addr + i);
	}
}

/* All but what the recorder has for itself, where copies of the program's words are. */
static void take_root(struct feed *f, uint64_t addr, const void *p, size_t len)
{
	const uint64_t page = 4096;
	const uint8_t *bytes = p;

	while (len) {
		size_t run =
			(size_t)(page - addr % page) < len ? (size_t)(page - addr % page) : len;
		uint64_t own = addr % page ? 0 : recorded_private_bytes(bytes, run);

		if (own)
			f->skip_until = own < UINT64_MAX - addr ? addr + own : UINT64_MAX;
		if (addr >= f->skip_until)
			take_words(f, addr, bytes, run);
		addr += run;
		bytes += run;
		len -= run;
	}
}

struct range {
	uint64_t start, end;
};

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Contents of all spans, ascending over all heaps. */
static void scan_spans(struct feed *f, struct window *w)
{
	struct range *ranges = NULL;
	size_t nr = 0, cap = 0;

	for (size_t i = 0; i < heaps_nr(f->h); i++) {
		const struct heap *heap = heaps_get(f->h, i);
		uint64_t mask = granule_of(f, heap) - 1;

		for (size_t k = 0; is_walked(heap) && k < heap->nr_spans; k++)
			ARRAY_PUSH(ranges, nr, cap,
				   ((struct range){heap->spans[k].start & ~mask,
						   heap->spans[k].committed_end}));
	}
	for (size_t i = 0; f->extra && i < f->extra->nr_ranges; i++)
		ARRAY_PUSH(ranges, nr, cap,
			   ((struct range){f->extra->ranges[i].start, f->extra->ranges[i].end}));
	if (nr)
		qsort(ranges, nr, sizeof(*ranges), by_start);
	for (size_t i = 0; i < nr; i++)
		read_range(f, w, ranges[i].start, ranges[i].end, take_contents);
	reach_scan_end(f->r);
	free(ranges);
}

static void add_roots(struct feed *f, struct window *w, const struct roots *roots)
{
	for (size_t i = 0; i < roots->nr_ranges; i++) {
		f->account->root_bytes += roots->ranges[i].end - roots->ranges[i].start;
		read_range(f, w, roots->ranges[i].start, roots->ranges[i].end, take_root);
	}
	for (size_t i = 0; i < roots->nr_words; i++)
		add_root(f, roots->words[i].value, REACHABLE_WORD | i);
	f->account->root_words = roots->nr_words;
	for (size_t i = 0; i < f->nr_own; i++)
		add_root(f, f->own[i], REACHABLE_OWN | f->own[i]);
}

/* Blocks whose pointers into their middle turn out to be no chance. */
struct promotion {
	struct feed *f;
	struct window *w;
	struct vtables *vtables;
	uint32_t *ids;
	size_t nr, cap;
};

static void consider(void *context, uint32_t id)
{
	struct promotion *p = context;

	if (p->nr && p->ids[p->nr - 1] == id)
		return;
	if (vtables_has_parts(p->vtables, p->w, reach_address(p->f->r, id),
			      reach_size(p->f->r, id)))
		ARRAY_PUSH(p->ids, p->nr, p->cap, id);
}

/*
 * An object of a C++ class with several bases is often held through one that is not at its
 * beginning. What such an object holds may again be held that way.
 */
static void hold_objects(struct feed *f, struct window *w)
{
	struct promotion p = {.f = f, .w = w, .vtables = vtables_new(f->t)};

	w->limit = 0;
	for (int i = 0; i < PROMOTIONS_MAX; i++) {
		p.nr = 0;
		reach_each_weakly_held(f->r, consider, &p);
		if (p.nr == 0)
			break;
		for (size_t k = 0; k < p.nr; k++)
			reach_hold(f->r, p.ids[k]);
		reach_mark(f->r);
	}
	free(p.ids);
	vtables_free(p.vtables);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * With what glibc mangles addresses in a jmp_buf: the seventh word of tcbhead_t on x86-64, of which
 * the first and the third point to itself (sysdeps/x86_64/nptl/tls.h). 0: not known.
 */
static uint64_t find_guard(struct target *t)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);
	uint64_t head[7];

	for (size_t i = 0; i < nr && target_word_bytes(t) == 8; i++) {
		if (threads[i].tp && target_read_all(t, threads[i].tp, head, sizeof(head)) &&
		    head[0] == threads[i].tp && head[2] == threads[i].tp)
			return head[6];
	}
	return 0;
}

int reachable_find(struct target *t, struct heaps *h, const struct roots *roots, struct reach **ret,
		   struct reachable_account *ret_account, struct root_hits *hits, struct error *e)
{
	struct reachable_account account = {0};
	struct feed f = {.t = t, .h = h, .account = &account, .hits = hits, .extra = roots->extra};
	uint64_t began = cpu_ns(), walked, scanned;
	struct window w;
	int err;

	f.r = reach_new(target_word_bytes(t));
	reach_set_guard(f.r, find_guard(t));
	window_init(&w, t, 0);
	err = add_spans(&f, e);
	if (err == 0)
		err = add_extra_spans(&f, e);
	if (err == 0)
		err = heaps_walk(h, HEAP_ALL, add_block, &f, e);
	if (err == 0)
		err = add_extra_blocks(&f);
	if (err == -EOVERFLOW)
		error_set(e, err, EXIT_TARGET, "more than two thousand million blocks");
	if (err == 0) {
		reach_seal(f.r);
		walked = cpu_ns();
		scan_spans(&f, &w);
		scanned = cpu_ns();
		add_roots(&f, &w, roots);
		reach_mark(f.r);
		hold_objects(&f, &w);
		account.walk_ns = walked - began;
		account.scan_ns = scanned - walked;
		account.mark_ns = cpu_ns() - scanned;
		/* Blocks whose holders could not be read any more would count as leaked. */
		if (target_has_ended(t))
			err = error_set(e, -ESRCH, EXIT_TARGET,
					"the process ended while it was looked at");
	}
	if (err == 0) {
		*ret = f.r;
		*ret_account = account;
	} else {
		reach_free(f.r);
	}
	window_release(&w);
	free(f.own);
	return err;
}
