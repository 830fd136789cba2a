/* Diff, report and every format on snapshots from anywhere: what can be read can be shown. */
#include <stdlib.h>
#include <string.h>

#include "../tools/meter_snapshots.h"
#include "base/error.h"
#include "base/term.h"
#include "driver.h"
#include "file/seepfile.h"
#include "format/format.h"
#include "model/generations.h"
#include "model/listing.h"
#include "model/resources.h"

static void show(const struct snapshot *before, const struct snapshot *after,
		 const struct format *format, enum listing_group group)
{
	const struct listing_options options = {.group = group, .sort = SORT_SITE};
	const struct format_options how = {
		.palette = term_palette(-1, COLOUR_NEVER),
		.stacks = 5,
		.full = true,
		.version = "0",
	};
	struct resource_listings resources;
	struct listing listing;
	struct view view = {
		.listing = &listing,
		.before_name = "before",
		.after_name = "after",
	};
	struct error e = {0};
	struct out out;

	listing_make(&listing, before, after, &options);
	resource_listings_make(&resources, before, after, &options);
	view.resources = resources.listings;
	view.kinds = resources.kinds;
	view.nr_resources = resources.nr;
	out_init(&out, NULL, NULL);
	if (format->write(&out, &view, &how, &e) < 0)
		FUZZ_MUST(e.message[0]);
	else
		FUZZ_MUST(out.text.len > 0 && strlen(out.text.data) == out.text.len);
	out_release(&out);
	resource_listings_release(&resources);
	listing_release(&listing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seepfile_damage damage;
	struct snapshot s, meter;

	if (seepfile_read_bytes(data, size, "fuzz", &s, &damage, NULL) < 0)
		return 0;
	meter_before(&meter);
	for (const struct format *format = formats; format->name; format++) {
		enum listing_group group = format->by_stack ? GROUP_STACK : GROUP_SITE;

		show(NULL, &s, format, group);
		show(&s, &meter, format, group);
		show(&meter, &s, format, group);
	}
	/* Of each mark, too. */
	for (size_t g = 0; g <= s.nr_marks && g < 3; g++) {
		generations_only(&s, g);
		show(NULL, &s, &formats[0], GROUP_SITE);
	}
	snapshot_release(&meter);
	snapshot_release(&s);
	return 0;
}
