/* Leaks as sheets: groups, single leaks. */
#ifndef SEEP_MODEL_LEAKVIEW_H
#define SEEP_MODEL_LEAKVIEW_H

#include <stdint.h>

#include "model/leaks.h"

struct sheet;
struct str;

/* Sums over everything that was looked at. */
struct leak_totals {
	uint64_t leaked_blocks, leaked_bytes, leaks; /* leaks: heads */
	uint64_t possible_blocks, possible_bytes, possible_leaks;
	uint64_t reachable_blocks, reachable_bytes;
};

/* What a view needs to be told of a leak; appends nothing where nothing is known. */
struct leak_namer {
	void (*site)(void *context, const struct leak *leak, struct str *out);
	void (*class_name)(void *context, const struct leak *leak, struct str *out);
	void (*heap)(void *context, const struct leak *leak, struct str *out);
	void (*content)(void *context, const struct leak *leak,
			struct str *out); /* NULL: not asked */
	void *context;
};

/* Totals under the names that stay: leaked_blocks, leaked_bytes, possible_blocks … */
void leakview_totals(const struct leak_totals *t, struct sheet *sheet);
/* A row a group; the namer makes no labels here, groups have theirs. */
void leakview_groups(const struct leak_list *l, const struct leak_groups *g, struct sheet *ret);
/* A row a leak. */
void leakview_list(const struct leak_list *l, const struct leak_namer *namer, struct sheet *ret);
/* "cycle of 2 blocks", "block of 3080 bytes", with the class where it is known. */
void leakview_shape(const struct leak *leak, const char *class_name, struct str *out);

#endif
