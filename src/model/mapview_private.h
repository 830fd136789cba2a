/* What the files behind mapview.h share. */
#ifndef SEEP_MODEL_MAPVIEW_PRIVATE_H
#define SEEP_MODEL_MAPVIEW_PRIVATE_H

#include <stdbool.h>

#include "base/str.h"
#include "model/map_use.h"
#include "model/mapview.h"
#include "model/regions.h"
#include "model/sheet.h"

/* One table in the making. */
struct mapview {
	const struct snapshot *s;
	const struct mapview_options *o;
	struct region_claim *claims; /* NULL when no region is shown */
	struct map_space space;	     /* see mapview_space() */
	/* Of all regions, whatever the filter leaves. */
	struct map_use total, kinds[REGION_KINDS];
	struct map_footprint cost;
	struct str text; /* for whatever is put together */
};

void mapview_init(struct mapview *v, const struct snapshot *s, const struct mapview_options *o);
void mapview_release(struct mapview *v);
/* Where nothing is mapped; found out once. */
const struct map_space *mapview_space(struct mapview *v);

/* Does the filter leave region i? */
bool mapview_filter_match(const struct snapshot *s, const struct filter *f, size_t i,
			  struct str *buffer);
/* Sums by kind, of the regions that the filter leaves; ret has room for REGION_KINDS. */
void mapview_sum(const struct mapview *v, struct map_use *ret);
/* "regions" of a sheet; rows by region or by owner. */
void mapview_add_regions(struct mapview *v, struct sheet *s);
/* By o->sort, a column's key with or without "_bytes", and cut to o->limit. -EINVAL: no such. */
int mapview_sort(struct sheet *sheet, const struct mapview_options *o, struct error *e);
/* A figure of smaps: unknown where the snapshot has none. */
void mapview_use(const struct snapshot *s, struct sheet *sheet, uint64_t bytes);

#endif
