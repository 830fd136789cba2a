/*
 * Two looks at one address space: what is new, gone, grown.
 *
 * The kernel joins and splits regions as it likes, so they are not compared one by one: regions of
 * one origin that overlap, on either side, are one row ("[heap]" before and after; three
 * mappings that became one).
 */
#ifndef SEEP_MODEL_MAPDIFF_H
#define SEEP_MODEL_MAPDIFF_H

#include <stdbool.h>

struct error;
struct mapview_options;
struct sheet;
struct snapshot;

/*
 * Rows by kind and the part "regions" with what changed, the largest change of resident and swapped
 * memory first (of size, where that is not known). o: group and free_gaps do not count, sort NULL
 * is that order. by_address false: the two are different processes; no part, and addresses mean
 * nothing. 0, or -EINVAL with *e (EXIT_USAGE): no such column. *ret only on success.
 */
int mapdiff_fill(const struct snapshot *before, const struct snapshot *after, bool by_address,
		 const struct mapview_options *o, struct sheet *ret, struct error *e);

#endif
