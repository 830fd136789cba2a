/* A block as a row: its heap, class and site as texts, and what is in it when that is asked for. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "model/content.h"

/* "block of 3,080", "block of 64 + 16", "libfoo.so+0x1a40". */
static bool name_word(void *context, uint64_t word, struct str *out)
{
	struct blocks_source *s = context;
	const struct target_module *module = target_find_module(s->look.target, word);
	const struct blocks_pointer *p;

	if (module) {
		const char *name = strrchr(module->path, '/');

		str_printf(out, "%s+0x%llx", name ? name + 1 : module->path,
			   (unsigned long long)(word - module->start));
		return true;
	}
	p = blocks_pointer(s, word);
	if (!p)
		return false;
	str_printf(out, "%sblock of %s",
		   p->state == BLOCK_BUSY || p->state == BLOCK_INTERNAL ? "" : "freed ",
		   format_count(p->size).text);
	if (word != p->addr)
		str_printf(out, " + %llu", (unsigned long long)(word - p->addr));
	return true;
}

static size_t shown_bytes(const struct block_facts *b)
{
	uint64_t bytes = b->usable ? b->usable : b->size;

	return bytes < CONTENT_BYTES ? (size_t)bytes : CONTENT_BYTES;
}

void blocks_row_classify(struct blocks_source *s, struct block_facts *b)
{
	if (b->class_id == CLASS_NONE && block_is_busy(b))
		blocks_find_class(s, b);
}

void blocks_content_note(struct blocks_source *s, const struct block_facts *b)
{
	size_t width = target_word_bytes(s->look.target), nr = shown_bytes(b) / width;
	uint64_t word;

	for (size_t i = 0; i < nr && i < CONTENT_WORDS; i++) {
		if (!window_word(&s->window, b->addr + i * width, &word))
			return;
		if (heaps_find_heap(s->look.heaps, word) != HEAP_ALL)
			ARRAY_PUSH(s->pointers, s->nr_pointers, s->cap_pointers,
				   ((struct blocks_pointer){.word = word}));
	}
}

/* Appends a preview of a block's content. False: its memory cannot be read. */
static bool blocks_preview(struct blocks_source *s, const struct block_facts *b, struct str *out)
{
	const struct content_options o = {
		.word_bytes = target_word_bytes(s->look.target),
		.name = name_word,
		.context = s,
	};
	uint64_t bytes = b->usable ? b->usable : b->size;
	size_t len = shown_bytes(b);
	uint8_t buffer[CONTENT_BYTES];

	if (!target_read_all(s->look.target, b->addr, buffer, len))
		return false;
	content_preview(buffer, len, len == bytes, &o, out);
	return true;
}

static char *content_of(struct blocks_source *s, const struct block_facts *b)
{
	struct str text = STR_INIT;

	if (!blocks_preview(s, b, &text))
		str_add(&text, "(not readable)");
	return str_detach(&text);
}

static char *heap_of(const struct blocks_source *s, uint32_t heap)
{
	struct blocks_heap h = blocks_heap(s, heap);

	return mem_strdup(*h.name ? h.name : h.allocator);
}

void blocks_row_init(struct blocks_row *r, const struct blocks_command *c, struct blocks_source *s,
		     struct block_facts *facts)
{
	struct str site = STR_INIT;

	memset(r, 0, sizeof(*r));
	blocks_site_text(s, facts->stack, &site);
	r->site = str_detach(&site);
	r->heap = heap_of(s, facts->heap);
	if (c->content && s->look.target && block_is_busy(facts))
		r->content = content_of(s, facts);
	r->view = (struct blockview_block){
		.facts = facts,
		.heap = r->heap,
		.class_name = blocks_class_text(s, facts->class_id, facts->is_array),
		.site = r->site,
		.content = r->content,
	};
}

void blocks_row_release(struct blocks_row *r)
{
	free(r->heap);
	free(r->site);
	free(r->content);
}
