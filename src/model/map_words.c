/* Regions in words; see map_words.h. */
#include "model/map_words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "model/region_names.h"
#include "model/regions.h"
#include "model/snapshot.h"

static const char ellipsis[] = "…";

void region_prot_text(uint8_t prot, char ret[PROT_TEXT])
{
	ret[0] = prot & 1 ? 'r' : '-';
	ret[1] = prot & 2 ? 'w' : '-';
	ret[2] = prot & 4 ? 'x' : '-';
	ret[3] = prot & 8 ? 's' : 'p';
	ret[4] = 0;
}

void region_flags_text(uint32_t vm_flags, struct str *out)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = {
		{REGION_VM_LOCKED, "locked"},
		{REGION_VM_HUGE, "huge"},
		{REGION_VM_NO_HUGE, "no-huge"},
		{REGION_VM_NO_DUMP, "no-dump"},
		{REGION_VM_NO_FORK, "no-fork"},
		{REGION_VM_WIPE_FORK, "wipe-on-fork"},
		{REGION_VM_IO, "io"},
		{REGION_VM_NO_RESERVE, "no-reserve"},
		{REGION_VM_GROWS_DOWN, "grows-down"},
		{REGION_VM_HUGETLB, "hugetlb"},
		{REGION_VM_SEALED, "sealed"},
		{REGION_VM_USERFAULT, "userfault"},
	};
	size_t before = out->len;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!(vm_flags & words[i].flag))
			continue;
		if (out->len > before)
			str_add_char(out, ' ');
		str_add(out, words[i].word);
	}
}

static const char *text_of(const struct snapshot *s, uint32_t string)
{
	return strings_get(&s->strings, string);
}

static void add_heap(const struct snapshot *s, uint32_t heap, struct str *out)
{
	const struct heap_row *h = &s->heaps[heap];
	const char *name = text_of(s, h->name);

	str_printf(out, "%s %s", text_of(s, h->allocator),
		   *name ? name : heap_kind_name((enum heap_kind)h->kind));
}

static void add_thread(const struct snapshot *s, uint32_t thread, struct str *out)
{
	const struct thread_info *t = &s->threads[thread];

	if (t->tid == s->identity.pid)
		str_add(out, "main thread");
	else
		str_printf(out, "thread %d", t->tid);
	if (*text_of(s, t->name))
		str_printf(out, " %s", text_of(s, t->name));
}

/* The name without what says only that it has none. */
static void add_given_name(const char *path, struct str *out)
{
	size_t len;
	const char *given = region_given_name(path, &len);

	if (!given) {
		str_add(out, path);
		return;
	}
	while (len && *given == ' ') {
		given++;
		len--;
	}
	str_add_len(out, given, len);
}

void region_owner_text(const struct snapshot *s, size_t i, struct str *out)
{
	const struct region *r = &s->regions[i];
	enum region_owner what = region_owner_of((enum region_kind)r->kind);

	if (r->owner == NO_INDEX)
		what = REGION_OWNER_NONE;
	switch (what) {
	case REGION_OWNER_HEAP:
		add_heap(s, r->owner, out);
		return;
	case REGION_OWNER_THREAD:
		add_thread(s, r->owner, out);
		return;
	case REGION_OWNER_MODULE:
		str_add(out, text_of(s, s->modules[r->owner].path));
		return;
	default:
		if (r->kind == REGION_STACK)
			str_add(out, "no thread, by its size and guard");
		else
			add_given_name(text_of(s, r->path), out);
		return;
	}
}

static bool inside_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void cut_end(struct str *out, size_t from, size_t max)
{
	size_t len = max > strlen(ellipsis) ? max - strlen(ellipsis) : 0;

	while (len && inside_character(out->data[from + len]))
		len--;
	str_truncate(out, from + len);
	str_add(out, ellipsis);
}

/* The last part of a path tells most, and the beginning of a long one more than its end. */
static void cut_path(struct str *out, size_t from, size_t max)
{
	const char *slash = strrchr(out->data + from, '/');
	char *base;

	if (!slash || !slash[1])
		return cut_end(out, from, max);
	base = mem_strdup(strlen(slash) + strlen(ellipsis) <= max ? slash : slash + 1);
	str_truncate(out, from);
	if (*base == '/')
		str_add(out, ellipsis);
	str_add(out, base);
	if (out->len - from > max)
		cut_end(out, from, max);
	free(base);
}

static void cut(struct str *out, size_t from, size_t max)
{
	if (max == 0 || out->len - from <= max)
		return;
	if (out->data[from] == '/')
		cut_path(out, from, max);
	else
		cut_end(out, from, max);
}

/* A heap that has less than half of what the kernel made one region. */
static void add_part(const struct snapshot *s, const struct region_claim *claim, struct str *out)
{
	if (claim->heap == NO_INDEX)
		return;
	str_printf(out, "%s of it ", format_bytes(claim->bytes).text);
	add_heap(s, claim->heap, out);
}

/* Where heaps lie in the region: how many blocks, and whether it is all theirs. */
static void add_claim(const struct region *r, const struct region_claim *claim, struct str *out)
{
	uint64_t size = r->end - r->start;

	if (r->kind == REGION_BLOCK && claim->spans > 1)
		str_printf(out, ", %s blocks", format_count(claim->spans).text);
	if (claim->nr_heaps > 1 && claim->bytes > 0)
		str_printf(out, ", %u heaps", claim->nr_heaps);
	/* The rest of a page, or of a huge page, is not worth a word. */
	if (claim->bytes > 0 && claim->bytes < size - size / 8 && r->kind != REGION_RESERVED)
		str_printf(out, " (%s of it)", format_bytes(claim->bytes).text);
}

void region_detail_text(const struct snapshot *s, const struct region_claim *claims, size_t i,
			size_t max, struct str *out)
{
	const struct region *r = &s->regions[i];
	enum region_section section = region_section(s, i);
	const char *word = region_section_name(section);
	size_t from = out->len, behind = *word ? strlen(word) + 1 : 0;

	region_owner_text(s, i, out);
	if (r->kind == REGION_HEAP || r->kind == REGION_BLOCK)
		add_claim(r, &claims[i], out);
	else if (r->kind == REGION_UNKNOWN && out->len == from)
		add_part(s, &claims[i], out);
	cut(out, from, max > behind ? max - behind : max);
	if (behind)
		str_printf(out, " %s", word);
}
