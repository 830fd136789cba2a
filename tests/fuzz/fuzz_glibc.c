/*
 * glibc's heaps with bytes written over: an image of a process is made, the input says where it is
 * damaged. The walk ends, stays inside the heaps, and its account closes.
 */
#include <string.h>

#include "../unit/glibc_layouts.h"
#include "base/error.h"
#include "base/str.h"
#include "driver.h"
#include "heap/heaps.h"

#define DAMAGES_MAX 64
#define BLOCKS_MAX 200000 /* more than the image has room for */

static const struct heap_ops *const ops[] = {&heap_glibc, NULL};

struct seen {
	struct heaps *heaps;
	size_t nr;
	struct heap_block last;
};

static int see(void *context, const struct heap_block *b)
{
	struct seen *s = context;
	const struct heap *heap = heaps_get(s->heaps, b->heap);
	bool inside = false;

	for (size_t i = 0; i < heap->nr_spans; i++)
		inside |= b->start >= heap->spans[i].start &&
			  b->total <= heap->spans[i].committed_end - b->start;
	FUZZ_MUST(inside);
	FUZZ_MUST(s->nr == 0 || s->last.heap != b->heap ||
		  b->start >= s->last.start + s->last.total);
	FUZZ_MUST(++s->nr < BLOCKS_MAX);
	s->last = *b;
	return 0;
}

/* Eight bytes of input: where (a place of interest and an offset) and what. */
static void damage(struct image *m, const uint8_t *p)
{
	uint64_t places[] = {m->arenas[0],
			     m->arenas[1],
			     m->par,
			     m->arenas[1] - m->l->heap_info,
			     m->tops[p[1] & 1],
			     m->caches[p[1] % IMAGE_THREADS],
			     m->direct[p[1] % 3] - 4 * m->l->word,
			     m->chunks[(p[1] | p[2] << 8) % m->nr].at};
	uint64_t at = places[p[0] % 8] + (uint64_t)(p[3] % (p[0] & 8 ? 128 : 6)) * m->l->word;
	uint64_t value;

	if (!fake_target_at(m->t, at) || !fake_target_at(m->t, at + m->l->word - 1))
		return;
	switch (p[4] % 5) {
	case 0:
		value = m->chunks[(p[5] | p[6] << 8) % m->nr].at;
		break;
	case 1:
		value = image_user(m, &m->chunks[(p[5] | p[6] << 8) % m->nr]);
		break;
	case 2:
		value = image_get(m, at) + (uint64_t)(p[5] | p[6] << 8) - 0x8000;
		break;
	case 3:
		value = (uint64_t)p[5] << (p[6] % 64);
		break;
	default:
		value = image_get(m, at) ^ 1ull << p[5] % 64;
		break;
	}
	image_put(m, at, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image m;
	struct seen s = {0};
	struct error e = {0};
	struct str text = STR_INIT;
	size_t sum = 0;

	if (size < 2)
		return 0;
	for (size_t i = 0; i < size; i++)
		sum += data[i];
	image_make(&m, &layouts[sum % LAYOUTS], 1 + data[1] % 4);
	m.t->how.consistent = data[1] & 0x80;
	for (size_t i = 2; i + 8 <= size && i < 2 + 8 * DAMAGES_MAX; i += 8)
		damage(&m, data + i);
	FUZZ_MUST(heaps_find_with(m.t, ops, &s.heaps, &e) == 0);
	FUZZ_MUST(heaps_walk(s.heaps, HEAP_ALL, see, &s, &e) == 0);
	for (size_t i = 0; i < heaps_nr(s.heaps); i++) {
		const struct heap_figures *f = &heaps_get(s.heaps, i)->figures;

		if (heaps_get(s.heaps, i)->flags & HEAP_HAS_BLOCKS)
			FUZZ_MUST(f->committed_bytes == f->busy_bytes + f->cached_bytes +
								f->free_bytes + f->overhead_bytes);
	}
	if (s.nr)
		heaps_describe(s.heaps, &s.last, &text);
	str_release(&text);
	heaps_free(s.heaps);
	image_release(&m);
	return 0;
}
