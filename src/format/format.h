/*
 * The formats in which a listing can be written, one file each, named in the table of format.c.
 * Formats turn rows and totals into text: they compute nothing that another format would need too.
 * doc/adding-a-format.md shows how to add one.
 */
#ifndef SEEP_FORMAT_FORMAT_H
#define SEEP_FORMAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct error;
struct listing;
struct palette;
struct suppressions;

/*
 * Where a format writes: appends to text, and says out_step() between rows, so that a listing of
 * any length needs little memory. Without a sink everything stays in text.
 */
struct out {
	struct str text;
	int (*sink)(void *context, const void *data,
		    size_t len); /* 0 or negative errno; NULL none */
	void *context;
	int err; /* of the sink; once set, nothing more is handed over */
};

void out_init(struct out *o, int (*sink)(void *, const void *, size_t), void *context);
void out_release(struct out *o);
void out_step(struct out *o);
/* Hands over the rest. 0 or the sink's first error. */
int out_finish(struct out *o);

/* What is to be written. */
struct view {
	const struct listing *listing;
	/* Handles of resources, a listing for each kind, by blocks: none of it is memory. */
	const struct listing *resources;
	const char *const *kinds; /* "[sqlite3_open]" */
	size_t nr_resources;
	const char *before_name,
		*after_name; /* files as the user named them; before NULL: report */
	const char *before_damage, *after_damage; /* NULL: whole */
	const char *forced; /* why the two should not be compared; NULL: they may */
	/* By module of the newer snapshot: why it has no names, or NULL. NULL: nobody asked. */
	const char **why_nameless;
	bool no_symbols; /* names were not wanted */
};

struct format_options {
	const struct palette *palette; /* never NULL */
	uint64_t stacks;	       /* text: rows whose stacks are shown */
	bool full;	     /* text: every stack of those rows, every line, whole paths */
	bool decimal;	     /* umdh: decimal figures */
	const char *version; /* of seep */
};

struct format {
	const char *name;
	/* 0, or a negative errno with *e when this listing cannot be written in this format. */
	int (*write)(struct out *o, const struct view *v, const struct format_options *options,
		     struct error *e);
	bool shows_everything; /* rows are not limited unless asked for: made for machines */
	bool by_stack;	       /* can only show single stacks */
};

/* In the order of "text|json|csv|umdh"; ends with name NULL. */
extern const struct format formats[];

int format_text(struct out *o, const struct view *v, const struct format_options *options,
		struct error *e);
int format_json(struct out *o, const struct view *v, const struct format_options *options,
		struct error *e);
int format_csv(struct out *o, const struct view *v, const struct format_options *options,
	       struct error *e);
int format_umdh(struct out *o, const struct view *v, const struct format_options *options,
		struct error *e);

#endif
