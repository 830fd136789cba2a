/*
 * What the files of the glibc walker share. Nothing here goes by version numbers: which layout a
 * libc has is read off its structures. Where they come from: glibc malloc/malloc.c and
 * malloc/arena.c of 2.17 to 2.43.
 *
 *   main_arena (in libc's .data)         an arena's heaps (mmapped, aligned to their largest size)
 *   ┌───────────────────────────┐        ┌───────────┬──────────────┬────────────┬─────┐
 *   │ mutex flags [fastbinsY]   │        │ heap_info │ malloc_state │ chunks …   │ top │
 *   │ top last_remainder        │ ring   └───────────┴──────────────┴────────────┴─────┘
 *   │ bins[254]   ◀── anchor    │ ─────▶ ┌───────────┬───────────────────────────┬─────┐
 *   │ binmap next next_free …   │        │ heap_info │ chunks …                  │fence│
 *   └───────────────────────────┘        └───────────┴───────────────────────────┴─────┘
 *
 * The distance between bins and the fields behind them is the same in all versions; only what lies
 * before top differs. P is the size of a word, A the alignment of what malloc returns.
 */
#ifndef SEEP_HEAP_GLIBC_H
#define SEEP_HEAP_GLIBC_H

#include "heap/heap_private.h"
#include "heap/scatter.h"
#include "target/maps.h"
#include "target/target.h"
#include "target/window.h"

#define GLIBC_BINS 127	       /* list heads */
#define GLIBC_BINS_ENOUGH 120  /* of them: a few may be damaged */
#define GLIBC_SHAPES 8	       /* of malloc_state, see glibc_find.c */
#define GLIBC_LOST_MAX 4       /* main arenas whose ring does not close */
#define GLIBC_ARENAS_MAX 65536 /* that a ring is followed for */
#define GLIBC_PAGE 4096u       /* sizes are multiples of at least this */

#define CHUNK_PREV_INUSE 1u
#define CHUNK_IS_MMAPPED 2u
#define CHUNK_NON_MAIN 4u
#define CHUNK_FLAGS 7u

/* A run of chunks: [first, end), with what belongs to the allocator before and behind it. */
struct glibc_piece {
	uint64_t start;		/* of the mapping or of heap_info */
	uint64_t first;		/* chunk */
	uint64_t end;		/* of the chunks; top or fence included */
	uint64_t committed_end; /* readable and writable to here */
	uint64_t reserved_end;
	uint8_t *fast; /* a bit an alignment unit: the chunk is in a fast list; NULL none */
};

struct glibc_arena {
	uint64_t addr; /* of malloc_state */
	uint64_t bins;
	uint64_t top, system_mem;
	bool is_main, locked, contiguous;
	size_t heap;		    /* HEAP_ALL: it has no memory yet */
	struct glibc_piece *pieces; /* ascending */
	size_t nr_pieces, cap_pieces;
	uint64_t fast_blocks; /* in fast lists */
	/* The first thing wrong with its fast lists or its heaps; "" nothing. */
	uint64_t fault_addr;
	char fault[160];
};

/* malloc_par, "mp_". */
struct glibc_par {
	bool known;
	uint64_t addr; /* of sbrk_base in it */
	uint64_t sbrk_base, mmaps, mmapped_bytes;
	bool has_tcache;
	uint64_t tcache_count;
};

enum glibc_links { LINKS_UNKNOWN, LINKS_PLAIN, LINKS_SAFE };

/* How a thread cache is laid out; the size of its chunk tells which. */
struct glibc_cache_layout {
	unsigned int bins, small_bins, count_bytes;
	bool counts_down; /* free slots instead of entries */
	uint64_t bytes;	  /* of the struct */
};

struct glibc_cache {
	uint64_t addr;
	int32_t tid; /* 0 unknown */
	const struct glibc_cache_layout *layout;
};

/* One copy of the library: a program may hold several (dlmopen). */
struct glibc {
	struct target *target;
	struct scatter *memory;
	const struct target_module *module; /* NULL none */
	uint64_t data_start, data_end;	    /* the mapping that main_arena is in */
	unsigned int word, align;
	uint64_t distance; /* of bins from the start of malloc_state */
	unsigned int nr_fast;
	uint64_t fast_offset; /* of fastbinsY in malloc_state */
	bool has_attached;
	bool direct_full; /* mmapped chunks give their last two words too (2.43 on) */
	uint64_t heap_max;
	struct glibc_par par;
	struct glibc_arena *arenas; /* main first, then newest first */
	size_t nr_arenas, cap_arenas;
	struct glibc_cache *caches;
	size_t nr_caches, cap_caches;
	enum glibc_links links;
	uint64_t key; /* that cached blocks carry; 0: none, or the address of their cache */
	bool key_is_cache;
	uint64_t code_start, code_end; /* of malloc's functions; 0 unknown */
};

/* A freed block that a thread keeps. */
struct glibc_mark {
	uint64_t addr; /* what malloc returned */
	uint32_t lib, cache;
};

/* A block of libc's own. */
struct glibc_name {
	uint64_t addr;
	const char *what;
};

/* A big block in a mapping of its own. */
struct glibc_direct {
	uint64_t base, total, chunk;
};

/* List heads like a main arena's, from which no ring of arenas leads back. */
struct glibc_lost {
	uint64_t bins;
	const struct map *map;
};

struct glibc_state {
	struct glibc *libs;
	size_t nr, cap;
	struct glibc_lost lost[GLIBC_LOST_MAX];
	size_t nr_lost;
	const struct target_module *unused; /* has a malloc that nobody has called yet; or NULL */
	struct scatter memory;
	size_t direct_heap; /* HEAP_ALL none */
	struct glibc_direct *direct;
	size_t nr_direct, cap_direct;
	bool collected; /* marks and names are there */
	struct glibc_mark *marks;
	size_t nr_marks, cap_marks;
	uint64_t cache_counted,
		cache_listed; /* blocks by the caches' counters, and in their lists */
	struct glibc_name *names;
	size_t nr_names, cap_names;
	/* The first thing wrong with the thread caches. */
	uint64_t fault_addr;
	char fault[160];
	size_t fault_lib;
	/* Of what is at vector_offset from every thread pointer; 0 unknown. */
	uint64_t vector_module, vector_offset;
	size_t threads_inside; /* threads that stand in the middle of malloc or free */
};

static inline uint64_t glibc_load(const uint8_t *p, unsigned int word)
{
	uint64_t wide;
	uint32_t narrow;

	if (word == 8) {
		__builtin_memcpy(&wide, p, 8);
		return wide;
	}
	__builtin_memcpy(&narrow, p, 4);
	return narrow;
}

static inline uint64_t glibc_align_up(uint64_t x, uint64_t unit)
{
	return (x + unit - 1) & ~(unit - 1);
}

/* Where the first chunk lies in memory that begins at start. */
static inline uint64_t glibc_first_chunk(const struct glibc *g, uint64_t start)
{
	return glibc_align_up(start + 2 * g->word, g->align) - 2 * g->word;
}

static inline uint64_t glibc_min_size(const struct glibc *g)
{
	return 4ull * g->word;
}

/*
 * Can malloc have given a chunk of this size for so many bytes? What is too small to be a chunk of
 * its own stays with the one that it was cut off from.
 */
static inline bool glibc_fits_request(const struct glibc *g, uint64_t chunk_bytes, uint64_t bytes)
{
	uint64_t least = glibc_align_up(bytes + g->word, g->align);

	return chunk_bytes >= least && chunk_bytes - least < glibc_min_size(g);
}

/* What a link in a thread cache or fast list means; `at` is where it stands. */
static inline uint64_t glibc_reveal(enum glibc_links links, uint64_t at, uint64_t stored)
{
	return links == LINKS_SAFE ? (at >> 12) ^ stored : stored;
}

static inline uint64_t glibc_next_field(uint64_t bins, unsigned int word)
{
	return bins + 2ull * GLIBC_BINS * word + 16;
}

/* glibc_find.c: all copies, with their arenas. */
void glibc_find_libs(struct glibc_state *s, struct target *t);
/* Takes on shape i of malloc_state; false: it is not one of this machine's. */
bool glibc_use_shape(struct glibc *g, size_t i);
/* Mutex and flags of an arena that is alive. */
bool glibc_looks_alive(struct glibc *g, uint64_t start);
/* How many of the heads in an array of bins are the heads of lists. */
size_t glibc_count_heads(struct glibc *g, uint64_t bins);
void glibc_add_arena(struct glibc *g, uint64_t addr);
/* Keeps *g, its arenas included, as one of s. */
void glibc_add_lib(struct glibc_state *s, struct glibc *g, const struct map *m);
/* glibc_lost.c: what is left of the copies whose main arena is damaged. */
void glibc_find_lost(struct glibc_state *s, struct target *t);
/* glibc_par.c: reads mp_ if it can be found. Before the pieces are known. */
void glibc_find_par(struct glibc *g);
/* glibc_pieces.c: where the arenas' memory is; fills heap_max. */
void glibc_find_pieces(struct glibc *g);
/* The piece of any arena that holds addr, or NULL; *ret_arena may be NULL. */
struct glibc_piece *glibc_piece_of(const struct glibc *g, uint64_t addr,
				   struct glibc_arena **ret_arena);
/* glibc_mmapped.c */
void glibc_find_direct(struct glibc_state *s, struct target *t);
const struct glibc_direct *glibc_direct_of(const struct glibc_state *s, uint64_t addr);
/* glibc_threads.c: thread caches and arenas from each thread's own memory. */
void glibc_find_threads(struct glibc_state *s, struct heaps *h);
/* glibc_tcache.c: the blocks in thread caches. */
const struct glibc_cache_layout *glibc_cache_layout(const struct glibc *g, uint64_t chunk_bytes);
/* 0: not of a cache; 1: of one with nothing in it, or of zeros; 2: of one with blocks. */
int glibc_cache_shape(const struct glibc *g, uint64_t addr, const struct glibc_cache_layout *l);
/* Without registers: by shape, among all blocks. */
void glibc_guess_caches(struct glibc *g);
void glibc_collect_caches(struct glibc_state *s);
/* Has every list of this cache as many blocks as its counter says, all of the list's size? */
bool glibc_cache_proven(const struct glibc_state *s, const struct glibc *g, uint64_t addr,
			const struct glibc_cache_layout *l);
/* glibc_orphans.c: adds the caches of threads that a fork left behind. */
void glibc_find_orphans(struct glibc_state *s);
/* glibc_fast.c: marks the chunks in fast lists; decides on links where caches did not. */
void glibc_collect_fast(struct glibc *g);
/* Marks a chunk of that piece; false: it is marked already. */
bool glibc_set_fast(const struct glibc *g, struct glibc_piece *piece, uint64_t chunk);
/* glibc_fastmap.c: the same for an arena with long lists. False: that would take much memory. */
bool glibc_map_fast(struct glibc *g, struct glibc_arena *a);
/* glibc_names.c */
void glibc_collect_names(struct glibc_state *s, struct target *t);
/* Is the block with nr as its first word the vector of a thread that has ended? */
bool glibc_is_vector(struct glibc_state *s, const struct glibc *g, uint64_t addr, uint64_t nr,
		     uint64_t chunk_bytes);
/* glibc_inside.c: threads that are stopped between the instructions of malloc. */
size_t glibc_threads_inside(struct glibc_state *s, struct target *t);
/* See heap_ops. */
void glibc_in_hand(struct heaps *h, void *state, heap_hand take, void *context);
/*
 * glibc_walk.c. Lists of freed blocks and names of libc's own: needed by every walk, the same for
 * all; once.
 */
void glibc_collect(struct glibc_state *s, struct target *t);
int glibc_walk(struct walk *w, void *state, size_t i);
/* The first fault is kept. */
void glibc_fault(uint64_t *addr, char *text, size_t cap, uint64_t at, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

#endif
