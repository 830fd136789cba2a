/*
 * How many blocks of which size, per heap: what the blocks of a walk are boiled down to, so that a
 * heap of many millions of blocks needs a table of some thousand entries. Pure data.
 *
 *   histogram_add(h, heap, size)          one block more; some ten ns
 *   histogram_merge(h, &all)              heaps put together: one entry a size
 *   histogram_top(h, order, rows, n)      the first n entries, ranked
 *   histogram_diff(&before, &after, …)    what came and went, entry by entry
 */
#ifndef SEEP_MODEL_HISTOGRAM_H
#define SEEP_MODEL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Instead of the index of a heap: of all of them together. */
#define HISTOGRAM_ALL_HEAPS UINT32_MAX

struct histogram_entry {
	uint64_t size;	/* bytes of one block */
	uint64_t count; /* blocks; 0: a free slot */
	uint64_t bytes; /* of all of them */
	uint32_t heap;	/* index, or HISTOGRAM_ALL_HEAPS */
};

/* Open addressing, linear probing, at most 70 % full. Zeroed, it is empty and owns nothing. */
struct histogram {
	struct histogram_entry *slots;
	size_t cap; /* 0 or a power of two */
	size_t nr;
	uint64_t count, bytes; /* sums over all entries */
};

enum histogram_order { HISTOGRAM_BY_BYTES, HISTOGRAM_BY_COUNT, HISTOGRAM_BY_SIZE };

void histogram_init(struct histogram *h);
void histogram_release(struct histogram *h);
void histogram_add(struct histogram *h, uint32_t heap, uint64_t size);
/* The same for many blocks of one size. Sums stop at UINT64_MAX. */
void histogram_add_many(struct histogram *h, uint32_t heap, uint64_t size, uint64_t count);
/*
 * One block more of a group that has no one size (a class): under size 0, with its own bytes. The
 * group stands in the place of the heap.
 */
void histogram_add_to_group(struct histogram *h, uint32_t group, uint64_t bytes);
/* The entry, or NULL; valid until the next call that adds. */
const struct histogram_entry *histogram_find(const struct histogram *h, uint32_t heap,
					     uint64_t size);
/* Every entry once, in no order: size_t pos = 0; while ((e = histogram_next(h, &pos))) … */
const struct histogram_entry *histogram_next(const struct histogram *h, size_t *pos);

/* Adds all of `from` to `to`, as HISTOGRAM_ALL_HEAPS: sizes only. */
void histogram_merge(const struct histogram *from, struct histogram *to);
/* Adds the entries of one heap to `to`. */
void histogram_pick(const struct histogram *from, uint32_t heap, struct histogram *to);
/*
 * Heaps have other indices in another snapshot: adds all of `from` to `to`, heap i as map[i].
 * Entries of heaps beyond nr keep their index.
 */
void histogram_renumber(const struct histogram *from, const uint32_t *map, size_t nr,
			struct histogram *to);
/*
 * The first `cap` entries in this order, largest first; equal ones by smaller size, then smaller
 * heap. Returns how many were written.
 */
size_t histogram_top(const struct histogram *h, enum histogram_order order,
		     struct histogram_entry *rows, size_t cap);

struct histogram_change {
	uint64_t size;
	uint32_t heap;
	uint64_t count_before, count_after;
	uint64_t bytes_before, bytes_after;
};

struct histogram_changes {
	struct histogram_change *items; /* the largest growth in bytes first, shrunk ones last */
	size_t nr, cap;
	uint64_t grown_bytes, shrunk_bytes; /* sums over entries that grew, that shrank */
};

int64_t histogram_change_bytes(const struct histogram_change *c);
int64_t histogram_change_count(const struct histogram_change *c);
/* Every entry of either, also the unchanged ones. *ret is overwritten; release it. */
void histogram_diff(const struct histogram *before, const struct histogram *after,
		    struct histogram_changes *ret);
void histogram_changes_release(struct histogram_changes *c);

#endif
