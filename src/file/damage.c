/* The sentence that tells what a damaged file lacks. */
#include <stdio.h>

#include "base/str.h"
#include "base/units.h"
#include "file/find.h"
#include "file/load.h"
#include "file/seepfile.h"

/* "all 120 regions", "1,234 of 5,000 blocks" for each array that lacks some. */
static size_t list_missing(const struct load *l, struct str *out)
{
	size_t nr = 0;

	for (int id = 0; id < TABLE_NR; id++) {
		uint64_t want = l->meta.table_rows[id], have = l->good_rows[id];

		if (have >= want)
			continue;
		str_add(out, nr++ ? ", " : "");
		if (have)
			str_printf(out, "%s of ", format_count(want - have).text);
		else
			str_add(out, "all ");
		str_printf(out, "%s %s", format_count(want).text, tables[id].name);
	}
	return nr;
}

static void tell_cause(const struct load *l, const struct chunk_list *list, size_t chunks,
		       struct str *out)
{
	if (!list->indexed && l->chunks_good >= chunks)
		str_add(out, "the index at its end is missing or damaged");
	else if (list->has_end)
		str_printf(out, "damaged, %zu of %zu chunks are left", l->chunks_good, chunks);
	else
		str_printf(out, "cut short, %zu of %zu chunks are left", l->chunks_good, chunks);
}

bool load_damage(const struct load *l, const struct chunk_list *list, struct seepfile_damage *ret)
{
	size_t chunks = l->meta.chunks > list->nr ? (size_t)l->meta.chunks : list->nr;
	struct str what = STR_INIT;

	*ret = (struct seepfile_damage){.chunks_good = l->chunks_good};
	if (l->complete && !l->chunks_bad && list->indexed)
		return false;
	tell_cause(l, list, chunks, &what);
	str_add(&what, ": ");
	if (!list_missing(l, &what))
		str_add(&what, "no data");
	str_add(&what, " missing");
	ret->damaged = true;
	ret->references_lost = l->references_lost;
	ret->chunks_bad = chunks - l->chunks_good;
	snprintf(ret->what, sizeof(ret->what), "%s", what.data);
	str_release(&what);
	return true;
}
