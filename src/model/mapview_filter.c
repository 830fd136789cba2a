/* The filter's words about regions. */
#include <string.h>

#include "model/filter.h"
#include "model/map_words.h"
#include "model/mapview_private.h"
#include "model/snapshot.h"

enum field {
	FIELD_KIND = FILTER_ANY + 1,
	FIELD_PROT,
	FIELD_PATH,
	FIELD_OWNER,
	FIELD_SECTION,
	FIELD_FLAGS,
	FIELD_SIZE,
	FIELD_RSS,
	FIELD_PSS,
	FIELD_USS,
	FIELD_DIRTY,
	FIELD_SWAP,
	FIELD_LOCKED,
	FIELD_HUGE,
	FIELD_PRIVATE,
	FIELD_ADDR,
};

static const struct filter_word words[] = {
	{"kind", FIELD_KIND, FILTER_TEXT},	   {"prot", FIELD_PROT, FILTER_TEXT},
	{"path", FIELD_PATH, FILTER_TEXT},	   {"owner", FIELD_OWNER, FILTER_TEXT},
	{"section", FIELD_SECTION, FILTER_TEXT},   {"flags", FIELD_FLAGS, FILTER_TEXT},
	{"size", FIELD_SIZE, FILTER_NUMBER},	   {"rss", FIELD_RSS, FILTER_NUMBER},
	{"pss", FIELD_PSS, FILTER_NUMBER},	   {"uss", FIELD_USS, FILTER_NUMBER},
	{"dirty", FIELD_DIRTY, FILTER_NUMBER},	   {"swap", FIELD_SWAP, FILTER_NUMBER},
	{"locked", FIELD_LOCKED, FILTER_NUMBER},   {"huge", FIELD_HUGE, FILTER_NUMBER},
	{"private", FIELD_PRIVATE, FILTER_NUMBER}, {"addr", FIELD_ADDR, FILTER_NUMBER},
};

static const struct filter_grammar grammar = {
	.words = words,
	.nr = sizeof(words) / sizeof(words[0]),
	.hint = "fields: kind prot path owner section flags (with ~ = !~ !=), size rss pss uss "
		"dirty swap locked huge private addr (with < <= = >= >); "
		"e.g. 'kind=heap and rss>1M'",
};

int mapview_filter_parse(const char *text, struct filter **ret, struct error *e)
{
	return filter_parse_as(&grammar, text, ret, e);
}

struct row {
	const struct snapshot *s;
	size_t region;
	struct str *buffer;
};

static const char *text_of(const void *context, unsigned int id)
{
	const struct row *row = context;
	const struct region *r = &row->s->regions[row->region];
	char prot[PROT_TEXT];

	str_clear(row->buffer);
	switch (id) {
	case FIELD_KIND:
		return region_kind_name((enum region_kind)r->kind);
	case FIELD_PATH:
		return strings_get(&row->s->strings, r->path);
	case FIELD_SECTION:
		return region_section_name(region_section(row->s, row->region));
	case FIELD_PROT:
		region_prot_text(r->prot, prot);
		str_add(row->buffer, prot);
		break;
	case FIELD_FLAGS:
		region_flags_text(r->vm_flags, row->buffer);
		break;
	default:
		region_owner_text(row->s, row->region, row->buffer);
		break;
	}
	return row->buffer->data;
}

static uint64_t figure_of(const struct region *r, unsigned int id)
{
	struct map_use use;

	map_use_of(r, &use);
	switch (id) {
	case FIELD_SIZE:
		return use.size;
	case FIELD_RSS:
		return use.rss;
	case FIELD_PSS:
		return use.pss;
	case FIELD_USS:
		return use.uss;
	case FIELD_DIRTY:
		return use.dirty;
	case FIELD_SWAP:
		return use.swap;
	case FIELD_LOCKED:
		return use.locked;
	case FIELD_HUGE:
		return use.huge;
	case FIELD_PRIVATE:
		return use.private_bytes;
	default:
		return r->start;
	}
}

static bool number_of(const void *context, unsigned int id, int64_t *ret)
{
	const struct row *row = context;
	uint64_t value = figure_of(&row->s->regions[row->region], id);

	if (id != FIELD_SIZE && id != FIELD_ADDR && !row->s->has_region_use)
		return false;
	*ret = value > INT64_MAX ? INT64_MAX : (int64_t)value;
	return true;
}

bool mapview_filter_match(const struct snapshot *s, const struct filter *f, size_t i,
			  struct str *buffer)
{
	static const struct filter_asker asker = {text_of, number_of};
	const struct row row = {s, i, buffer};

	return filter_ask(f, &asker, &row);
}
