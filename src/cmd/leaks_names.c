/* What a leak is called: its site, its class, its heap, its contents; see leaks.h. */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "cmd/leaks.h"
#include "model/content.h"
#include "model/lines.h"
#include "model/site.h"

static void name_site(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_look *l = context;

	if (leak->facts.stack != NO_INDEX)
		blocks_site_text(&l->graph.source, leak->facts.stack, out);
}

static void name_class(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_look *l = context;

	str_add(out,
		blocks_class_text(&l->graph.source, leak->facts.class_id, leak->facts.is_array));
}

static void name_heap(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_look *l = context;

	str_add(out, blocks_heap(&l->graph.source, leak->facts.heap).name);
}

static void name_content(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_look *l = context;
	struct target *t = l->graph.source.look.target;
	const struct content_options options = {.word_bytes = target_word_bytes(t)};
	uint8_t bytes[CONTENT_BYTES];
	size_t want = leak->facts.size < sizeof(bytes) ? (size_t)leak->facts.size : sizeof(bytes);
	size_t got = target_read(t, leak->addr, bytes, want);

	content_preview(bytes, got, got == leak->facts.size, &options, out);
}

struct leak_namer leaks_namer(struct leaks_look *l)
{
	return (struct leak_namer){
		.site = name_site,
		.class_name = name_class,
		.heap = name_heap,
		.content = l->o->content ? name_content : NULL,
		.context = l,
	};
}

static void label_alike(struct leaks_look *l, const struct leak *leak, struct str *out)
{
	enum leak_group_by by = (enum leak_group_by)l->o->group;
	struct str class_name = STR_INIT;

	if (by == LEAK_BY_BEST || by == LEAK_BY_SITE) {
		name_site(l, leak, out);
		if (out->len)
			return;
	}
	if (by == LEAK_BY_BEST || by == LEAK_BY_CLASS)
		name_class(l, leak, &class_name);
	if (by == LEAK_BY_SITE)
		str_add(out, "site not recorded");
	else if (by == LEAK_BY_CLASS && !class_name.len)
		str_add(out, "no class");
	else if (by == LEAK_BY_CLASS)
		str_add(out, class_name.data);
	else
		leakview_shape(leak, class_name.data, out);
	str_release(&class_name);
}

void leaks_label(void *context, const struct leak *leak, struct str *out)
{
	label_alike(context, leak, out);
	if (leak->is_late)
		str_add(out, ", lost at the end");
}

/* Functions and modules, no lines and no addresses: an edited file or a new build keeps them. */
static void add_stack_text(const struct lines *lines, struct str *out)
{
	for (size_t i = lines->inner; i < lines->outer; i++) {
		const struct line *line = &lines->items[i];

		str_printf(out, "%s|%s\n", text_base_name(line->module), line->function);
		if (!*line->function && *line->module)
			str_printf(out, "+%" PRIx64 "\n", line->module_offset);
	}
}

void leaks_fingerprint_text(struct leaks_look *l, const struct leak *leak, struct str *out)
{
	const struct lines *lines = block_filter_lines(&l->graph.source.filter, leak->facts.stack);

	str_printf(out, "%s\n", leak_state_name(leak->state));
	if (lines) {
		add_stack_text(lines, out);
		return;
	}
	name_class(l, leak, out);
	str_printf(out, "\nsize %" PRIu64 " members %u\n", leak->facts.size, leak->members);
}
