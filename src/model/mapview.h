/*
 * The address space as tables: by kind, by region or by owner, and around one address. What
 * `seep map` shows.
 *
 *   rows        one a kind, and their sum
 *   regions     (part) one a region, ascending; or one an owner
 *   totals      of the whole process, whatever the filter leaves
 */
#ifndef SEEP_MODEL_MAPVIEW_H
#define SEEP_MODEL_MAPVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct filter;
struct sheet;
struct snapshot;

enum map_group { MAP_BY_REGION, MAP_BY_OWNER };

struct mapview_options {
	const char *label;	     /* "redis-server (pid 4242)": begins the heading */
	const struct filter *filter; /* of mapview_filter_parse(); NULL: all regions */
	bool summary;		     /* no part with regions */
	bool all_columns;	     /* of regions: those for programs too */
	bool free_gaps;		     /* rows of kind "free" between regions; without a filter */
	enum map_group group;
	const char *sort;  /* key of a column of the last table; NULL: as it is */
	size_t limit;	   /* rows of the last table; 0: all */
	size_t detail_max; /* see region_detail_text() */
};

/* Words: kind prot path owner section flags; size rss pss uss dirty swap locked huge private addr.
 */
int mapview_filter_parse(const char *text, struct filter **ret, struct error *e);

/* 0, or -EINVAL with *e (EXIT_USAGE): no such column. *ret only on success. */
int mapview_fill(const struct snapshot *s, const struct mapview_options *o, struct sheet *ret,
		 struct error *e);
/*
 * The region that holds addr, or the gap, and its neighbours, in the form of the part "regions".
 * Always fills. The heading tells where addr lies.
 */
void mapview_fill_at(const struct snapshot *s, const struct mapview_options *o, uint64_t addr,
		     struct sheet *ret);
/* Kinds in the order in which they are listed: REGION_KINDS of them. */
extern const uint8_t mapview_kinds[];

#endif
