/* Which line of a stack to blame. */
#include "model/site.h"

#include <inttypes.h>

#include "base/str.h"
#include "model/lines.h"

struct site site_of(const struct lines *l)
{
	struct site site = {.inner = l->inner, .lead = l->inner};

	for (size_t i = l->inner; i < l->outer; i++) {
		if (l->items[i].kind == LINE_OWN) {
			site.lead = i;
			break;
		}
	}
	site.host = site.lead;
	if (l->items[site.lead].inlined && site.lead + 1 < l->nr)
		site.host++;
	return site;
}

static void add_field(struct str *out, const char *text)
{
	str_add(out, text);
	str_add_char(out, '\n');
}

void site_key(const struct lines *l, const struct site *site, struct str *out)
{
	const struct line *line = &l->items[site->lead];

	if (line->kind == LINE_MARK) {
		str_printf(out, "mark %u", line->special);
		return;
	}
	add_field(out, line->module);
	add_field(out, line->function);
	if (line->line) {
		add_field(out, line->file);
		str_printf(out, "%" PRIu32, line->line);
		/* The same inlined line in two callers is two places to look at. */
		if (site->host != site->lead) {
			const struct line *host = &l->items[site->host];

			str_printf(out, "\n%s\n%" PRIu32, host->function, host->line);
		}
		return;
	}
	str_printf(out, "+%" PRIx64, line->module_offset);
}
