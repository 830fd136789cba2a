/* One block as a view sees it, and asking a filter about it. */
#ifndef SEEP_MODEL_BLOCK_FILTER_H
#define SEEP_MODEL_BLOCK_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter;
struct lines;
struct snapshot;

#define AGE_UNKNOWN UINT64_MAX

struct block_facts {
	uint64_t addr;
	uint64_t size;	 /* as requested where the recorder saw it, otherwise as usable */
	uint64_t usable; /* 0 unknown */
	uint64_t start;	 /* of header and block; 0 unknown, then total too */
	uint64_t total;
	uint64_t age_ns; /* AGE_UNKNOWN */
	uint32_t heap;	 /* index, NO_INDEX: of no heap that is known */
	uint32_t stack;	 /* index into the snapshot's stacks, NO_INDEX unknown */
	uint32_t class_id;
	int32_t tid;	  /* cached: by which thread; 0 unknown */
	uint8_t state;	  /* enum block_state */
	uint8_t is_array; /* of objects of that class */
	bool is_requested;
	const char *what; /* internal, overhead: what it is; NULL */
};

/* What a filter may ask beyond the facts; texts are never NULL. */
struct block_names {
	const char *heap, *allocator, *class_name;
	uint64_t heap_addr;
};

struct block_filter {
	const struct filter *filter;	 /* NULL: everything that is busy */
	const struct snapshot *snapshot; /* of the stacks */
	struct lines *lines;		 /* by stack, made when first asked for */
	size_t nr_lines;
	bool asks_stacks;
	bool any_state; /* the filter speaks of states; otherwise only busy blocks match */
};

/* Both must outlive the block filter. */
void block_filter_init(struct block_filter *f, const struct filter *filter,
		       const struct snapshot *s);
void block_filter_release(struct block_filter *f);
bool block_filter_match(struct block_filter *f, const struct block_facts *b,
			const struct block_names *names);
/* Lines of a stack, kept until the filter is released; NULL for NO_INDEX. */
const struct lines *block_filter_lines(struct block_filter *f, uint32_t stack);
/* Busy, the C library's own included. */
bool block_is_busy(const struct block_facts *b);

#endif
