/* The index of blocks by address; see reach.h. */
#include "model/reach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach_private.h"
#include "model/references.h"

#define NEAR 16 /* cells that are looked at one by one before searching */

struct reach *reach_new(unsigned int word_bytes)
{
	struct reach *r = mem_alloc(sizeof(*r));

	r->word_bytes = word_bytes;
	r->guard_mark = REACH_NO_MARK;
	return r;
}

void reach_set_guard(struct reach *r, uint64_t guard)
{
	uint64_t mark = guard >> (64 - REACH_MANGLED_BITS);

	r->guard = guard;
	r->guard_mark = mark && r->word_bytes == 8 ? mark : REACH_NO_MARK;
}

void reach_free(struct reach *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nr_spans; i++) {
		free(r->spans[i].cells);
		free(r->spans[i].sizes);
	}
	free(r->spans);
	free(r->big);
	free(r->places);
	free(r->gaps);
	free(r->strong);
	free(r->weak);
	free(r->edges);
	reach_offsets_release(&r->offsets);
	free(r->roots);
	free(r);
}

/* Index of the first span that ends beyond addr. */
static size_t span_index(const struct reach *r, uint64_t addr)
{
	size_t low = 0, high = r->nr_spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->spans[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct reach_span *reach_span_of(const struct reach *r, uint64_t addr)
{
	size_t i = span_index(r, addr);

	return i < r->nr_spans && r->spans[i].start <= addr ? &r->spans[i] : NULL;
}

int reach_add_span(struct reach *r, uint64_t start, uint64_t end, unsigned int granule)
{
	size_t at = span_index(r, start);
	struct reach_span s = {.start = start, .end = end, .filled = start};

	if (r->sealed || end <= start || granule < 8 || (granule & (granule - 1)) ||
	    start % granule || (at < r->nr_spans && r->spans[at].start < end))
		return -EINVAL;
	s.shift = (unsigned int)__builtin_ctz(granule);
	s.nr_cells = (size_t)(((end - start - 1) >> s.shift) / 64 + 1);
	s.cells = mem_alloc_array(s.nr_cells, sizeof(*s.cells));
	ARRAY_GROW(r->spans, r->nr_spans, r->cap_spans);
	memmove(&r->spans[at + 1], &r->spans[at], (r->nr_spans - at) * sizeof(*r->spans));
	r->spans[at] = s;
	r->nr_spans++;
	r->last_span = at;
	return 0;
}

static void add_start(struct reach_span *s, uint64_t addr, uint32_t size)
{
	uint64_t granule = (addr - s->start) >> s->shift;
	size_t nr = s->nr_ids;

	s->cells[granule / 64].starts |= 1ull << (granule % 64);
	ARRAY_PUSH(s->sizes, nr, s->cap_sizes, size);
	s->nr_ids = (uint32_t)nr;
}

int reach_add_block(struct reach *r, uint64_t addr, uint64_t size)
{
	struct reach_span *s = r->last_span < r->nr_spans ? &r->spans[r->last_span] : NULL;
	uint64_t mask, end;

	if (!s || addr < s->start || addr >= s->end) {
		s = reach_span_of(r, addr);
		if (!s)
			return -EINVAL;
		r->last_span = (size_t)(s - r->spans);
	}
	mask = (1ull << s->shift) - 1;
	if (r->sealed || (addr & mask) || addr < s->filled || size > s->end - addr)
		return -EINVAL;
	if (r->nr_ids >= REACH_MAX_BLOCKS - 2)
		return -EOVERFLOW;
	if (addr > s->filled) {
		add_start(s, s->filled, 0);
		r->nr_ids++;
	}
	end = (addr + (size ? size : 1) + mask) & ~mask;
	if (size >= UINT32_MAX)
		ARRAY_PUSH(r->big, r->nr_big, r->cap_big, ((struct reach_big){addr, size}));
	/* A block of no bytes is one byte here: it can be pointed to. */
	add_start(s, addr, size >= UINT32_MAX ? UINT32_MAX : size ? (uint32_t)size : 1);
	s->filled = end;
	r->nr_ids++;
	r->nr_blocks++;
	return 0;
}

static void seal_span(struct reach *r, struct reach_span *s, uint32_t first_id)
{
	uint32_t rank = first_id;

	if (s->filled < s->end) {
		add_start(s, s->filled, 0);
		r->nr_ids++;
	}
	s->first_id = first_id;
	for (size_t i = 0; i < s->nr_cells; i++) {
		s->cells[i].rank = rank;
		rank += bits_count(s->cells[i].starts);
	}
}

static void note_places(struct reach *r)
{
	unsigned int width = r->word_bytes == 8 ? 32 : 17;

	r->places = mem_alloc(REACH_PLACES);
	for (size_t i = 0; i < r->nr_spans; i++) {
		uint64_t first = r->spans[i].start >> width, last = (r->spans[i].end - 1) >> width;

		for (uint64_t at = first; at <= last && at - first < REACH_PLACES; at++)
			r->places[at % REACH_PLACES] = 1;
	}
}

/* Bits above the highest that an address of a program can have: 47 on x86-64, 48 on others. */
static uint64_t address_bits(const struct reach *r)
{
	const uint64_t few = 1ull << 47, many = 1ull << 48;

	if (r->word_bytes == 4)
		return UINT32_MAX;
	return r->high <= few ? few - 1 : r->high <= many ? many - 1 : UINT64_MAX;
}

static uint64_t *bits_new(uint32_t nr)
{
	return mem_alloc_array((size_t)nr / 64 + 1, sizeof(uint64_t));
}

void reach_seal(struct reach *r)
{
	uint32_t id = 0;

	for (size_t i = 0; i < r->nr_spans; i++) {
		seal_span(r, &r->spans[i], id);
		id += r->spans[i].nr_ids;
	}
	r->sealed = true;
	r->low = r->nr_spans ? r->spans[0].start : 0;
	r->high = r->nr_spans ? r->spans[r->nr_spans - 1].end : 0;
	r->address_mask = address_bits(r);
	if (r->address_mask == UINT64_MAX)
		r->guard_mark = REACH_NO_MARK;
	note_places(r);
	r->gaps = bits_new(r->nr_ids);
	r->strong = bits_new(r->nr_ids);
	r->weak = bits_new(r->nr_ids);
	reach_offsets_init(&r->offsets, r->nr_ids);
	for (size_t i = 0; i < r->nr_spans; i++) {
		const struct reach_span *s = &r->spans[i];

		for (uint32_t k = 0; k < s->nr_ids; k++) {
			if (s->sizes[k] == 0)
				bit_set(r->gaps, s->first_id + k);
		}
	}
}

uint32_t reach_ids(const struct reach *r)
{
	return r->nr_ids;
}

uint64_t reach_blocks(const struct reach *r)
{
	return r->nr_blocks;
}

bool reach_is_block(const struct reach *r, uint32_t id)
{
	return id < r->nr_ids && !bit_get(r->gaps, id);
}

uint32_t reach_row_of(const struct ref_block *rows, uint32_t nr, uint64_t addr)
{
	uint32_t low = 0, high = nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (rows[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	/* A block of no bytes is one byte here, too. */
	if (!low || (addr != rows[low - 1].addr && addr - rows[low - 1].addr >= rows[low - 1].size))
		return REACH_NONE;
	return low - 1;
}

uint32_t reach_find(const struct reach *r, uint64_t addr)
{
	const struct reach_span *s = r->rows ? NULL : reach_span_of(r, addr);
	const struct reach_cell *cell;
	uint64_t granule;
	uint32_t id;

	if (r->rows)
		return reach_row_of(r->rows, r->nr_ids, addr);
	if (!s)
		return REACH_NONE;
	granule = (addr - s->start) >> s->shift;
	cell = &s->cells[granule / 64];
	id = cell->rank + bits_count(cell->starts << (63 - granule % 64)) - 1;
	return bit_get(r->gaps, id) ? REACH_NONE : id;
}

static const struct reach_span *span_of_id(const struct reach *r, uint32_t id)
{
	size_t low = 0, high = r->nr_spans;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (r->spans[middle].first_id <= id)
			low = middle;
		else
			high = middle;
	}
	return &r->spans[low];
}

static size_t cell_of_id(const struct reach_span *s, uint32_t id)
{
	size_t low = 0, high = s->nr_cells;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (s->cells[middle].rank <= id)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint64_t address_in_cell(const struct reach_span *s, size_t cell, uint32_t id)
{
	uint64_t starts = s->cells[cell].starts;

	for (uint32_t skip = id - s->cells[cell].rank; skip; skip--)
		starts &= starts - 1;
	return s->start +
	       ((uint64_t)(cell * 64 + (unsigned int)__builtin_ctzll(starts)) << s->shift);
}

uint64_t reach_address(const struct reach *r, uint32_t id)
{
	const struct reach_span *s;

	if (r->rows)
		return r->rows[id].addr;
	s = span_of_id(r, id);
	return address_in_cell(s, cell_of_id(s, id), id);
}

uint64_t reach_next_address(const struct reach *r, uint32_t id, struct reach_cursor *c)
{
	const struct reach_span *s;
	size_t cell = c->cell, last;

	if (r->rows)
		return r->rows[id].addr;
	s = &r->spans[c->span];
	if (id < s->first_id || id - s->first_id >= s->nr_ids) {
		s = span_of_id(r, id);
		cell = 0;
	}
	last = s->nr_cells - cell > NEAR ? cell + NEAR : s->nr_cells - 1;
	while (cell < last && s->cells[cell + 1].rank <= id)
		cell++;
	if (s->cells[cell].rank > id || cell == last)
		cell = cell_of_id(s, id);
	c->span = (size_t)(s - r->spans);
	c->cell = cell;
	return address_in_cell(s, cell, id);
}

uint64_t reach_size(const struct reach *r, uint32_t id)
{
	const struct reach_span *s;
	uint32_t size;
	uint64_t addr;

	if (r->rows)
		return r->rows[id].size;
	s = span_of_id(r, id);
	size = s->sizes[id - s->first_id];
	if (size != UINT32_MAX)
		return size;
	addr = reach_address(r, id);
	for (size_t i = 0; i < r->nr_big; i++) {
		if (r->big[i].addr == addr)
			return r->big[i].size;
	}
	return size;
}
