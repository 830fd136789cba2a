/* Records of jemalloc's extents, and which release's layout they have; see jemalloc.h. */
#include <string.h>

#include "heap/jemalloc.h"

#define SLAB_BIT 12
#define COMMITTED_BIT 13

static const struct je_layout layouts[] = {
	{"5.3", .state_shift = 17, .state_bits = 3, .index_shift = 20, .free_shift = 28},
	{"5.1 or 5.2", .state_shift = 16, .state_bits = 2, .index_shift = 18, .free_shift = 26},
	{"5.0", .state_shift = 15, .state_bits = 2, .index_shift = 17, .free_shift = 25},
};

static uint64_t field(uint64_t word, unsigned int shift, unsigned int bits)
{
	return (word >> shift) & ((1ull << bits) - 1);
}

/*
 * One class of 8 bytes where the quantum is 16; four multiples of the quantum; then four classes to
 * each doubling. Classes below four pages come in slabs. The same progression in all releases;
 * quantum_bits 4, or 3 (Redis' own build).
 */
static void je_sizes_make(struct je_sizes *s, unsigned int page_bits, unsigned int quantum_bits)
{
	uint64_t small_end = 4ull << page_bits;

	memset(s, 0, sizeof(*s));
	for (unsigned int bits = 3; bits < quantum_bits; bits++)
		s->bytes[s->nr++] = 1ull << bits;
	for (uint64_t i = 1; i <= 4; i++)
		s->bytes[s->nr++] = i << quantum_bits;
	for (unsigned int base = quantum_bits + 2; base < 62; base++)
		for (uint64_t i = 1; i <= 4 && s->nr < JE_SIZES_MAX; i++)
			s->bytes[s->nr++] = (1ull << base) + (i << (base - 2));
	while (s->small < s->nr && s->bytes[s->small] < small_end)
		s->small++;
}

static bool decode(const struct je_layout *l, const struct je_shape *shape, const uint64_t *words,
		   struct je_extent *ret)
{
	uint64_t page_mask = (1ull << shape->page_bits) - 1, bits = words[0];

	ret->arena = (unsigned int)field(bits, 0, 12);
	ret->slab = field(bits, SLAB_BIT, 1);
	ret->committed = field(bits, COMMITTED_BIT, 1);
	ret->state = (unsigned int)field(bits, l->state_shift, l->state_bits);
	ret->index = (unsigned int)field(bits, l->index_shift, 8);
	ret->nr_free = (unsigned int)field(bits, l->free_shift, shape->page_bits - 2u);
	ret->addr = words[1];
	ret->base = words[1] & ~page_mask;
	ret->bytes = words[2] & ~page_mask;
	return ret->base != 0 && ret->bytes != 0 && ret->bytes <= 1ull << 56 &&
	       ret->base + ret->bytes > ret->base;
}

bool je_extent_read(const struct je_instance *in, struct scatter *p, uint64_t record,
		    struct je_extent *ret)
{
	uint64_t words[JE_RECORD_HEAD / 8];

	ret->record = record;
	return scatter_read(p, record, words, sizeof(words)) &&
	       decode(&in->layout, &in->shape, words, ret);
}

unsigned int je_regions(const struct je_instance *in, const struct je_extent *x)
{
	uint64_t nr;

	if (!x->slab || x->index >= in->sizes.small)
		return 0;
	nr = x->bytes / in->sizes.bytes[x->index];
	return nr <= 1ull << (in->shape.page_bits - 3) && nr <= JE_REGIONS_MAX ? (unsigned int)nr
									       : 0;
}

bool je_busy_read(const struct je_instance *in, struct scatter *p, const struct je_extent *x,
		  uint64_t *bits, unsigned int *ret_busy)
{
	unsigned int nr = je_regions(in, x), nr_words = (nr + 63) / 64, busy = 0;

	if (nr == 0 ||
	    !scatter_read(p, x->record + JE_RECORD_BITMAP, bits, nr_words * sizeof(*bits)))
		return false;
	for (unsigned int i = 0; i < nr_words; i++) {
		bits[i] = ~bits[i];
		if (i == nr_words - 1 && nr % 64)
			bits[i] &= (1ull << (nr % 64)) - 1;
		busy += (unsigned int)__builtin_popcountll(bits[i]);
	}
	*ret_busy = busy;
	return true;
}

/* Pages that regions of this size fill without a rest: what jemalloc makes slabs of. */
static bool fits_exactly(const struct je_instance *in, const struct je_extent *x)
{
	uint64_t page = 1ull << in->shape.page_bits, bytes = page;

	while (bytes % in->sizes.bytes[x->index])
		bytes += page;
	return x->bytes == bytes;
}

/* Is it a large block of just its class, or with a page to spare? */
static bool fits_class(const struct je_instance *in, const struct je_extent *x)
{
	uint64_t bytes = x->index < in->sizes.nr ? in->sizes.bytes[x->index] : 0;

	return x->index >= in->sizes.small &&
	       (bytes == x->bytes || bytes + (1ull << in->shape.page_bits) == x->bytes);
}

/* How many extents are exactly as expected under this guess; 0 when slabs contradict it. */
static size_t count_fits(const struct je_instance *in, struct scatter *p, const uint64_t *records,
			 size_t nr)
{
	uint64_t bits[JE_BITMAP_WORDS];
	size_t fits = 0, wrong = 0;

	for (size_t i = 0; i < nr; i++) {
		struct je_extent x;
		unsigned int busy;

		/* A slab that was given back still looks like one, but for its state. */
		if (!je_extent_read(in, p, records[i], &x) || x.state != JE_ACTIVE)
			continue;
		if (!x.slab)
			fits += fits_class(in, &x);
		else if (!je_busy_read(in, p, &x, bits, &busy) ||
			 je_regions(in, &x) - busy != x.nr_free)
			wrong++;
		else
			fits += fits_exactly(in, &x);
	}
	/* A slab may be caught in the middle of a change; more of them are no accident. */
	return wrong * 64 > fits ? 0 : fits;
}

bool je_layout_find(struct je_instance *in, struct scatter *p, const uint64_t *records, size_t nr)
{
	struct je_instance best = *in;
	size_t most = 0;

	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
		for (unsigned int quantum = 4; quantum >= 3; quantum--) {
			size_t fits;

			in->layout = layouts[i];
			je_sizes_make(&in->sizes, in->shape.page_bits, quantum);
			fits = count_fits(in, p, records, nr);
			if (fits > most) {
				most = fits;
				best = *in;
			}
		}
	}
	*in = best;
	return most > 0;
}

/*
 * The class tells, plus the pages that large blocks have to spare. Since 5.3.1 large blocks may be
 * of any number of pages: then the extent's size tells.
 */
uint64_t je_large_bytes(const struct je_instance *in, const struct je_extent *x)
{
	uint64_t of_class = x->index < in->sizes.nr ? in->sizes.bytes[x->index] : 0;

	if (x->index < in->sizes.small || of_class == x->bytes || of_class + in->pad == x->bytes)
		return of_class < x->bytes ? of_class : x->bytes;
	return x->bytes > in->pad ? x->bytes - in->pad : 0;
}
