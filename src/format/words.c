/* Lines, sites and stacks in words. */
#include "format/words.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/site.h"
#include "model/snapshot.h"

const char *mark_text(uint8_t special)
{
	switch (special) {
	case FRAME_CUT:
		return "[cut off at the depth limit]";
	case FRAME_NO_CFI:
		return "[no unwind information for the caller]";
	default:
		return "[no stack recorded]";
	}
}

static void add_printable(struct str *out, const char *text)
{
	text_printable(out, text, strlen(text));
}

void words_kind(struct str *out, const char *kind)
{
	size_t len = strlen(kind);

	if (len >= 2 && kind[0] == '[')
		text_printable(out, kind + 1, len - 2);
	else
		text_printable(out, kind, len);
}

void words_build_id(struct str *out, const struct line *line)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < line->build_id_len && i < BUILD_ID_MAX; i++) {
		str_add_char(out, digits[line->build_id[i] >> 4]);
		str_add_char(out, digits[line->build_id[i] & 15]);
	}
}

void words_name(struct str *out, const struct line *line)
{
	if (line->kind == LINE_MARK) {
		str_add(out, mark_text(line->special));
	} else if (line->function[0]) {
		add_printable(out, line->function);
	} else if (line->module[0]) {
		add_printable(out, text_base_name(line->module));
		str_printf(out, "+0x%" PRIx64, line->module_offset);
	} else {
		str_printf(out, "0x%" PRIx64, line->address);
	}
}

void words_place(struct str *out, const struct line *line, bool whole)
{
	if (line->file[0]) {
		add_printable(out, whole ? line->file : text_base_name(line->file));
		if (line->line)
			str_printf(out, ":%" PRIu32, line->line);
	} else if (line->function[0]) {
		words_module(out, line, whole);
	} else if (line->build_id_len) {
		str_add(out, "build-id ");
		words_build_id(out, line);
	}
}

void words_module(struct str *out, const struct line *line, bool whole)
{
	add_printable(out, whole ? line->module : text_base_name(line->module));
}

/* "place in name", or the name with its module where no source is known. */
static void add_line(struct str *out, const struct line *line, bool whole)
{
	if (line->file[0]) {
		words_place(out, line, whole);
		str_add(out, " in ");
		words_name(out, line);
		return;
	}
	words_name(out, line);
	if (line->function[0] && line->function_offset)
		str_printf(out, "+0x%" PRIx32, line->function_offset);
	if (line->function[0] && line->module[0]) {
		str_add(out, " in ");
		words_module(out, line, whole);
	}
}

void words_site(struct str *out, const struct lines *lines, const struct site *site, bool whole)
{
	const struct line *host = &lines->items[site->host];

	add_line(out, &lines->items[site->lead], whole);
	if (site->host != site->lead) {
		str_add(out, " (inlined in ");
		words_name(out, host);
		if (host->file[0]) {
			str_add(out, ", ");
			words_place(out, host, whole);
		}
		str_add_char(out, ')');
	}
	if (site->inner != site->lead) {
		str_add(out, " through ");
		words_name(out, &lines->items[site->inner]);
	}
}

static void words_tags(struct str *out, const struct lines *lines)
{
	struct str tags = STR_INIT;

	lines_tags(lines, &tags);
	if (tags.len)
		add_printable(out, tags.data);
	else
		str_add(out, "(no tag)");
	str_release(&tags);
}

void words_face(struct str *out, enum listing_group group, const struct lines *lines, bool whole)
{
	struct site site = site_of(lines);
	const struct line *lead = &lines->items[site.lead];

	if (group == GROUP_TAG)
		words_tags(out, lines);
	else if (group == GROUP_FUNCTION)
		words_name(out, lead);
	else if (group != GROUP_MODULE)
		words_site(out, lines, &site, whole);
	else if (lead->module[0])
		words_module(out, lead, whole);
	else
		str_add(out, "[no module]");
}
