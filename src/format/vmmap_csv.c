/* VMMap's CSV; see vmmap_csv.h. */
#include "format/vmmap_csv.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "model/map_use.h"
#include "model/map_words.h"
#include "model/regions.h"
#include "model/snapshot.h"

#define LINE_END "\r\r\n"

enum vm_type {
	VM_IMAGE,
	VM_MAPPED_FILE,
	VM_SHAREABLE,
	VM_HEAP,
	VM_STACK,
	VM_PRIVATE,
	VM_TYPES,
};

/* As in the table by type, and as in the rows of allocations. */
static const struct {
	const char *summary, *row;
} type_names[VM_TYPES] = {
	[VM_IMAGE] = {"Image", "Image (ASLR)"},
	[VM_MAPPED_FILE] = {"Mapped File", "Mapped File"},
	[VM_SHAREABLE] = {"Shareable", "Shareable"},
	[VM_HEAP] = {"Heap", "Heap (Private Data)"},
	[VM_STACK] = {"Stack", "Thread Stack"},
	[VM_PRIVATE] = {"Private Data", "Private Data"},
};

/* Neighbouring regions of one owner: what one call of the system gave, as Windows sees it. */
struct allocation {
	size_t first, last; /* regions */
	enum vm_type type;
	struct map_use use;
};

struct writer {
	const struct snapshot *s;
	struct str *out;
	bool wide; /* addresses of 64 bits */
	struct str text;
};

static enum vm_type type_of(const struct region *r)
{
	switch ((enum region_kind)r->kind) {
	case REGION_IMAGE:
		return VM_IMAGE;
	case REGION_MAPPED_FILE:
		return VM_MAPPED_FILE;
	case REGION_SHARED:
	case REGION_DEVICE:
	case REGION_KERNEL:
	case REGION_RECORDER:
		return VM_SHAREABLE;
	case REGION_HEAP:
	case REGION_BLOCK:
		return VM_HEAP;
	case REGION_STACK:
	case REGION_GUARD:
		return VM_STACK;
	case REGION_RESERVED:
		return r->owner == NO_INDEX ? VM_PRIVATE : VM_HEAP;
	default:
		return VM_PRIVATE;
	}
}

/* One field; *first: no comma before it. */
static void add(struct writer *w, const char *text, bool first)
{
	str_add(w->out, first ? "\"" : ",\"");
	for (; *text; text++) {
		if (*text == '"')
			str_add_char(w->out, '"');
		str_add_char(w->out, *text);
	}
	str_add_char(w->out, '"');
}

static void add_foreign(struct writer *w, const char *text)
{
	struct str printable = STR_INIT;

	text_printable(&printable, text, strlen(text));
	add(w, printable.data, false);
	str_release(&printable);
}

/* Nothing is blank. */
static void add_count(struct writer *w, uint64_t n)
{
	add(w, n ? format_count(n).text : "", false);
}

static void add_kib(struct writer *w, uint64_t bytes)
{
	add_count(w, bytes / 1024);
}

static void add_line(struct writer *w, const char *const *fields, size_t nr, bool comma)
{
	for (size_t i = 0; i < nr; i++)
		add(w, fields[i], i == 0);
	str_add(w->out, comma ? "," LINE_END : LINE_END);
}

/* Size … Locked WS, the same in both tables. */
static void add_use(struct writer *w, const struct map_use *u)
{
	uint64_t own = u->anonymous < u->uss ? u->anonymous : u->uss;

	add_kib(w, u->size);
	add_kib(w, u->committed);
	add_kib(w, u->private_bytes);
	add_kib(w, u->rss);
	add_kib(w, own);
	add_kib(w, u->rss > own ? u->rss - own : 0);
	add_kib(w, u->shared_clean + u->shared_dirty);
	add_kib(w, u->locked);
}

static void add_type(struct writer *w, const char *name, const struct map_use *u, bool total)
{
	add(w, name, true);
	add_use(w, u);
	/* Blocks of the sum have no separators in real exports. */
	str_clear(&w->text);
	str_printf(&w->text, "%llu", (unsigned long long)u->regions);
	add(w, u->regions ? w->text.data : "", false);
	add_kib(w, total ? 0 : u->largest);
	str_add(w->out, LINE_END);
}

static void add_page_tables(struct writer *w, uint64_t bytes)
{
	add(w, "Page Table", true);
	for (size_t i = 0; i < 5; i++)
		add_kib(w, bytes);
	for (size_t i = 0; i < 5; i++)
		add(w, "", false);
	str_add(w->out, LINE_END);
}

static void add_free(struct writer *w)
{
	struct map_space space;
	static const char *const unusable[] = {"Unusable", "", "", "", "", "", "", "", "", "", ""};

	map_space_of(w->s, &space);
	add_line(w, unusable, 11, false);
	add(w, "Free", true);
	add_kib(w, space.free_bytes);
	for (size_t i = 0; i < 7; i++)
		add(w, "", false);
	str_clear(&w->text);
	str_printf(&w->text, "%zu", space.nr);
	add(w, w->text.data, false);
	add_kib(w, space.largest_bytes);
	str_add(w->out, LINE_END);
	map_space_release(&space);
}

static void add_summary(struct writer *w)
{
	static const char *const titles[] = {"Type",	  "Size",	"Committed",	"Private",
					     "Total WS",  "Private WS", "Shareable WS", "Shared WS",
					     "Locked WS", "Blocks",	"Largest"};
	struct map_use sums[VM_TYPES] = {{.regions = 0}}, total = {.regions = 0}, one;
	uint64_t tables = w->s->figures.page_tables;

	for (size_t i = 0; i < w->s->nr_regions; i++) {
		map_use_of(&w->s->regions[i], &one);
		map_use_add(&sums[type_of(&w->s->regions[i])], &one);
		map_use_add(&total, &one);
	}
	total.size += tables;
	total.committed += tables;
	total.private_bytes += tables;
	total.rss += tables;
	total.anonymous += tables;
	total.uss += tables;
	add_line(w, titles, 11, true);
	add_type(w, "Total", &total, true);
	for (size_t i = 0; i < VM_TYPES; i++)
		add_type(w, type_names[i].summary, &sums[i], false);
	add_page_tables(w, tables);
	add_free(w);
	str_add(w->out, LINE_END);
}

/* A guard has no right of its own to tell; beside others it becomes a word. */
static void protection_text(const struct writer *w, size_t first, size_t last, struct str *out)
{
	unsigned int prot = 0;
	bool guard = false, reserved = true, copied = false;

	for (size_t i = first; i <= last; i++) {
		const struct region *r = &w->s->regions[i];

		prot |= r->prot;
		guard |= r->kind == REGION_GUARD;
		reserved &= r->kind == REGION_RESERVED;
		copied |= r->anonymous || !(r->prot & 2) ||
			  *strings_get(&w->s->strings, r->path) != '/' || (r->prot & 8);
	}
	if (!(prot & 7)) {
		str_add(out, reserved ? "Reserved" : "No access");
		return;
	}
	if (prot & 4)
		str_add(out, prot & 3 ? "Execute/" : "Execute");
	if ((prot & 2) && !copied && w->s->has_region_use)
		str_add(out, prot & 4 ? "Copy on Write" : "Copy on write");
	else if (prot & 2)
		str_add(out, "Read/Write");
	else if (prot & 1)
		str_add(out, "Read");
	if (guard)
		str_add(out, "/Guard");
}

static void detail_text(const struct writer *w, const struct allocation *a, struct str *out)
{
	size_t i = a->first;
	const struct region *r;

	/* A guard may be nobody's; the stack above it tells more. */
	if (a->type == VM_STACK)
		i = a->last;
	r = &w->s->regions[i];
	if (a->type == VM_STACK && r->owner != NO_INDEX) {
		str_printf(out, "Thread ID: %d", w->s->threads[r->owner].tid);
	} else if (a->type == VM_HEAP && r->owner != NO_INDEX) {
		str_printf(out, "Heap ID: %u [", r->owner + 1);
		region_owner_text(w->s, i, out);
		str_add_char(out, ']');
	} else {
		region_owner_text(w->s, i, out);
	}
}

static void add_address(struct writer *w, uint64_t addr, bool nested)
{
	str_clear(&w->text);
	str_printf(&w->text, w->wide ? "%s%016llX" : "%s%08llX", nested ? "  " : "",
		   (unsigned long long)addr);
	add(w, w->text.data, true);
}

/* blocks 0: blank. */
static void add_row(struct writer *w, uint64_t addr, const struct allocation *a,
		    const struct map_use *u, uint64_t blocks)
{
	const struct region *r = &w->s->regions[a->first];
	bool moved =
		a->type != VM_IMAGE || r->owner == NO_INDEX || w->s->modules[r->owner].bias != 0;

	add_address(w, addr, blocks == 0);
	add(w, moved ? type_names[a->type].row : "Image", false);
	add_use(w, u);
	add_count(w, blocks);
}

static void add_allocation(struct writer *w, const struct allocation *a)
{
	struct allocation one = *a;
	struct map_use use;
	struct str detail = STR_INIT;

	detail_text(w, a, &detail);
	add_row(w, w->s->regions[a->first].start, a, &a->use, a->last - a->first + 1);
	str_clear(&w->text);
	protection_text(w, a->first, a->last, &w->text);
	add(w, w->text.data, false);
	add_foreign(w, detail.data);
	str_add(w->out, LINE_END);
	for (size_t i = a->first; i <= a->last; i++) {
		const char *section = region_section_name(region_section(w->s, i));

		one.first = one.last = i;
		map_use_of(&w->s->regions[i], &use);
		add_row(w, w->s->regions[i].start, &one, &use, 0);
		str_clear(&w->text);
		protection_text(w, i, i, &w->text);
		add(w, w->text.data, false);
		if (*section) {
			str_clear(&detail);
			str_printf(&detail, ".%s", section);
		}
		add_foreign(w, a->type == VM_STACK ? "" : detail.data);
		str_add(w->out, LINE_END);
	}
	str_release(&detail);
}

static bool goes_on(const struct snapshot *s, size_t i, enum vm_type type)
{
	const struct region *below = &s->regions[i], *r = below + 1;

	if (i + 1 >= s->nr_regions || r->start != below->end || type_of(r) != type)
		return false;
	switch (type) {
	case VM_IMAGE:
		return r->owner == below->owner && (r->owner != NO_INDEX || r->path == below->path);
	case VM_HEAP:
		return r->owner == below->owner && r->owner != NO_INDEX;
	case VM_STACK:
		return below->kind == REGION_GUARD && r->kind == REGION_STACK;
	case VM_MAPPED_FILE:
		return r->path == below->path;
	default:
		return false;
	}
}

static void add_details(struct writer *w)
{
	static const char *const titles[] = {"Address",	  "Type",      "Size",	     "Committed",
					     "Private",	  "Total WS",  "Private WS", "Shareable WS",
					     "Shared WS", "Locked WS", "Blocks",     "Protection",
					     "Details"};
	struct map_use one;
	size_t i = 0;

	add_line(w, titles, 13, true);
	while (i < w->s->nr_regions) {
		struct allocation a = {.first = i, .last = i, .type = type_of(&w->s->regions[i])};

		map_use_of(&w->s->regions[i], &a.use);
		while (goes_on(w->s, a.last, a.type)) {
			map_use_of(&w->s->regions[++a.last], &one);
			map_use_add(&a.use, &one);
		}
		add_allocation(w, &a);
		i = a.last + 1;
	}
	str_add(w->out, LINE_END);
}

void vmmap_csv_write(const struct snapshot *s, struct str *out)
{
	struct writer w = {.s = s, .out = out, .text = STR_INIT};

	for (size_t i = 0; i < s->nr_regions; i++)
		w.wide |= s->regions[i].end > 1ull << 32;
	add(&w, "Process:", true);
	add_foreign(&w, strings_get(&s->strings, s->identity.name));
	str_add(out, LINE_END);
	add(&w, "PID:", true);
	str_printf(&w.text, "%d", s->identity.pid);
	add(&w, w.text.data, false);
	str_add(out, LINE_END LINE_END);
	add_summary(&w);
	add_details(&w);
	str_release(&w.text);
}
