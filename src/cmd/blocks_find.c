/* From addresses to blocks: one and its neighbours, or many at once; see blocks_source.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/blocks_source.h"

#define STOP 1

struct near {
	uint64_t addr;
	struct heap_block last, before, this, after;
	bool has_last, has_before, found, has_after;
};

static bool follows(const struct heap_block *b, const struct heap_block *previous)
{
	return previous->start + previous->total == b->start;
}

uint64_t blocks_end(const struct heap_block *b)
{
	uint64_t end = b->start + b->total;
	bool busy = b->state == BLOCK_BUSY || b->state == BLOCK_INTERNAL;

	return busy && b->addr + b->size > end ? b->addr + b->size : end;
}

static int see(void *context, const struct heap_block *b)
{
	struct near *n = context;

	if (n->found) {
		n->has_after = follows(b, &n->this);
		n->after = *b;
		return STOP;
	}
	if (n->addr >= b->start && n->addr < blocks_end(b)) {
		n->found = true;
		n->this = *b;
		n->before = n->last;
		n->has_before = n->has_last && follows(b, &n->last);
	}
	n->last = *b;
	n->has_last = true;
	return 0;
}

static size_t rows_up_to(const struct snapshot *snap, uint64_t addr)
{
	size_t low = 0, high = snap->nr_blocks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (snap->blocks[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A snapshot's blocks ascend and do not say what lies between them. */
static int find_row(const struct snapshot *snap, uint64_t addr, struct blocks_around *ret)
{
	size_t nr = rows_up_to(snap, addr);
	const struct block *row;

	if (nr == 0)
		return -ENOENT;
	row = &snap->blocks[nr - 1];
	if (addr != row->addr && addr - row->addr >= row->size)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	ret->this = blocks_facts_of_row(row);
	ret->has_before = nr > 1 && row[-1].heap == row->heap;
	if (ret->has_before)
		ret->before = blocks_facts_of_row(row - 1);
	ret->has_after = nr < snap->nr_blocks && row[1].heap == row->heap;
	if (ret->has_after)
		ret->after = blocks_facts_of_row(row + 1);
	return 0;
}

int blocks_find(struct blocks_source *s, uint64_t addr, struct blocks_around *ret)
{
	struct near near = {.addr = addr};
	size_t heap;
	int rc;

	if (!s->look.heaps)
		return find_row(&s->look.snapshot, addr, ret);
	heap = heaps_find_heap(s->look.heaps, addr);
	rc = heap == HEAP_ALL ? 0 : heaps_walk(s->look.heaps, heap, see, &near, NULL);
	if (rc < 0)
		return rc;
	if (!near.found)
		return s->look.snapshot.nr_blocks ? find_row(&s->look.snapshot, addr, ret)
						  : -ENOENT;
	memset(ret, 0, sizeof(*ret));
	ret->this = blocks_facts(s, &near.this);
	ret->has_before = near.has_before;
	if (near.has_before)
		ret->before = blocks_facts(s, &near.before);
	ret->has_after = near.has_after;
	if (near.has_after)
		ret->after = blocks_facts(s, &near.after);
	return 0;
}

static int by_word(const void *va, const void *vb)
{
	const struct blocks_pointer *a = va, *b = vb;

	return (a->word > b->word) - (a->word < b->word);
}

static size_t first_from(const struct blocks_source *s, uint64_t word)
{
	size_t low = 0, high = s->nr_pointers;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->pointers[middle].word < word)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int match(void *context, const struct heap_block *b)
{
	struct blocks_source *s = context;

	if (b->state == BLOCK_OVERHEAD)
		return 0;
	for (size_t i = first_from(s, b->addr);
	     i < s->nr_pointers && s->pointers[i].word < blocks_end(b); i++) {
		s->pointers[i].addr = b->addr;
		s->pointers[i].size = b->size;
		s->pointers[i].state = (uint8_t)b->state;
		s->pointers[i].found = true;
	}
	return 0;
}

static void sort_pointers(struct blocks_source *s)
{
	size_t nr = 0;

	qsort(s->pointers, s->nr_pointers, sizeof(*s->pointers), by_word);
	for (size_t i = 0; i < s->nr_pointers; i++) {
		if (nr == 0 || s->pointers[i].word != s->pointers[nr - 1].word)
			s->pointers[nr++] = s->pointers[i];
	}
	s->nr_pointers = nr;
}

void blocks_resolve(struct blocks_source *s)
{
	size_t nr = s->look.heaps ? heaps_nr(s->look.heaps) : 0;
	bool *wanted;

	if (s->nr_pointers == 0 || nr == 0)
		return;
	wanted = mem_alloc_array(nr, sizeof(*wanted));
	sort_pointers(s);
	for (size_t i = 0; i < s->nr_pointers; i++) {
		size_t heap = heaps_find_heap(s->look.heaps, s->pointers[i].word);

		if (heap != HEAP_ALL)
			wanted[heap] = true;
	}
	for (size_t i = 0; i < nr; i++) {
		if (wanted[i])
			heaps_walk(s->look.heaps, i, match, s, NULL);
	}
	free(wanted);
}

const struct blocks_pointer *blocks_pointer(const struct blocks_source *s, uint64_t word)
{
	size_t i = first_from(s, word);

	if (i == s->nr_pointers || s->pointers[i].word != word || !s->pointers[i].found)
		return NULL;
	return &s->pointers[i];
}
