/* What seep heaps (one look, two looks) and its --watch share. */
#ifndef SEEP_CMD_HEAPS_H
#define SEEP_CMD_HEAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/look.h"
#include "model/histogram.h"

struct heapdiff;
struct sheet;

struct heaps_options {
	struct look_options look;
	int format;	    /* enum show_format */
	int sort;	    /* index of the choices */
	uint64_t limit;	    /* 0: all */
	const char *output; /* NULL: standard output */
	bool check, force;
	uint64_t watch_ns; /* 0: once */
	uint64_t count;	   /* looks; 0: until it ends */
};

/* A look with the sizes of the busy blocks. */
struct heaps_look {
	struct look look;
	struct histogram sizes;
	bool has_sizes;
};

/* 0, or negative errno with *e and nothing to release. The target may go on afterwards. */
int heaps_look_at(const char *operand, const struct heaps_options *o, struct heaps_look *ret,
		  struct error *e);
void heaps_look_release(struct heaps_look *l);

/* The recorder knows the sizes asked for, a walk those usable: they are not to be mixed. */
bool heaps_sizes_compare(const struct heaps_look *a, const struct heaps_look *b);

/* Exit statuses. */
int heaps_show_one(const struct heaps_look *l, const struct heaps_options *o);
int heaps_show_change(const struct heaps_look *before, const struct heaps_look *after,
		      const struct heaps_options *o);
int heaps_watch(const char *operand, const struct heaps_options *o);

#endif
