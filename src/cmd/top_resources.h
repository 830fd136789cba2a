/* What a watched process holds that is no memory, where that is recorded; over time. */
#ifndef SEEP_CMD_TOP_RESOURCES_H
#define SEEP_CMD_TOP_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/top_series.h"
#include "target/recorded.h"

/* One more or less is not a direction. */
#define TOP_FLOOR_HANDLES 1

struct top_resource {
	char *kind;	  /* "[file descriptors]" */
	uint64_t handles; /* at the last sample */
	struct top_series series;
};

struct top_resources {
	bool known;	   /* false: it is not recorded, or that may not be read */
	uint64_t since_ns; /* the recording that these are of */
	struct top_resource *items;
	size_t nr;
};

/* One more sample; another recording begins anew. */
void top_resources_sample(struct top_resources *r, int32_t pid, const struct recorded *recorded,
			  uint64_t now_ns);
void top_resources_judge(struct top_resources *r);
void top_resources_release(struct top_resources *r);

#endif
