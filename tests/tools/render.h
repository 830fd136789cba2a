/* A listing of two hand-made snapshots as the text of one format. */
#ifndef RENDER_H
#define RENDER_H

#include <stdlib.h>

#include "base/error.h"
#include "base/term.h"
#include "format/format.h"
#include "model/listing.h"

struct render {
	struct listing_options listing;
	struct view view;
	struct format_options options;
};

static inline struct render render_defaults(void)
{
	return (struct render){
		.view = {.before_name = "one.seep", .after_name = "two.seep"},
		.options = {.palette = term_palette(-1, COLOUR_NEVER),
			    .stacks = 3,
			    .version = "1.2"},
	};
}

/* The text, to be freed; NULL with *e filled when the format refused. before NULL: a report. */
static inline char *render(struct render *r, const struct snapshot *before,
			   const struct snapshot *after,
			   int (*write)(struct out *, const struct view *,
					const struct format_options *, struct error *),
			   struct error *e)
{
	struct listing listing;
	struct out out;
	char *text = NULL;

	listing_make(&listing, before, after, &r->listing);
	r->view.listing = &listing;
	out_init(&out, NULL, NULL);
	if (write(&out, &r->view, &r->options, e) == 0 && out_finish(&out) == 0)
		text = str_detach(&out.text);
	out_release(&out);
	listing_release(&listing);
	return text;
}

#endif
