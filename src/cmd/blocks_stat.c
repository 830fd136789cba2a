/* seep blocks --stat: how many blocks of which size, and by which sizes it grew. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "cmd/cmd.h"
#include "model/sheet.h"
#include "model/snapshot.h"
#include "model/strings.h"

struct count {
	struct blocks_source *source;
	struct strings *texts;
	struct histogram *histogram;
	bool by_class;
	bool only_totals;     /* sub-heaps whose bytes are in other heaps' blocks do not count */
	uint32_t *heap_texts; /* by heap; NULL: heaps are put together */
	size_t nr_heaps;
	uint32_t *class_texts; /* by class id and array, + 1; 0: not looked up */
	size_t nr_class_texts;
};

static uint32_t class_text(struct count *c, const struct block_facts *b)
{
	size_t at = (size_t)b->class_id * 2 + b->is_array;

	if (b->class_id == CLASS_NONE)
		return 0;
	if (at >= c->nr_class_texts) {
		size_t nr = at * 2 + 64;

		c->class_texts = mem_realloc(c->class_texts, nr * sizeof(*c->class_texts));
		memset(c->class_texts + c->nr_class_texts, 0,
		       (nr - c->nr_class_texts) * sizeof(*c->class_texts));
		c->nr_class_texts = nr;
	}
	if (!c->class_texts[at])
		c->class_texts[at] = strings_add(c->texts, blocks_class_text(c->source, b->class_id,
									     b->is_array)) +
				     1;
	return c->class_texts[at] - 1;
}

static int count_block(void *context, const struct block_facts *b)
{
	struct count *c = context;

	if (c->only_totals && blocks_heap(c->source, b->heap).flags & HEAP_NESTED)
		return 0;
	if (c->by_class)
		histogram_add_to_group(c->histogram, class_text(c, b), b->size);
	else
		histogram_add(c->histogram, b->heap < c->nr_heaps ? c->heap_texts[b->heap] : 0,
			      b->size);
	return 0;
}

uint32_t blocks_heap_text(const struct blocks_source *s, size_t heap, struct strings *texts)
{
	struct blocks_heap h = blocks_heap(s, heap), other;
	struct str text = STR_INIT;
	bool same = false;
	uint32_t id;

	str_add(&text, *h.name ? h.name : h.allocator);
	for (size_t i = 0; i < blocks_nr_heaps(s); i++) {
		other = blocks_heap(s, i);
		same = same || (i != heap && strcmp(h.name, other.name) == 0);
	}
	if (same && *h.name)
		str_printf(&text, " (%s)", h.allocator);
	id = strings_add(texts, text.data);
	str_release(&text);
	return id;
}

int blocks_count(struct blocks_source *s, size_t heap, int by, struct strings *texts,
		 struct histogram *ret)
{
	struct count c = {
		.source = s,
		.texts = texts,
		.histogram = ret,
		.by_class = by == BLOCKVIEW_BY_CLASS,
		.only_totals = by != BLOCKVIEW_BY_HEAP,
	};
	struct error e = {0};
	int rc;

	if (by == BLOCKVIEW_BY_HEAP) {
		c.nr_heaps = blocks_nr_heaps(s);
		c.heap_texts = mem_alloc_array(c.nr_heaps, sizeof(*c.heap_texts));
		for (size_t i = 0; i < c.nr_heaps; i++)
			c.heap_texts[i] = blocks_heap_text(s, i, texts);
	}
	rc = blocks_each(s, heap, count_block, &c, &e);
	free(c.heap_texts);
	free(c.class_texts);
	return rc < 0 ? cmd_fail(&e) : EXIT_DONE;
}

int blocks_check_pair(const struct blocks_command *c, const struct blocks_source *older,
		      const struct blocks_source *newer)
{
	struct error e = {0};

	if (snapshot_same_process(&older->look.snapshot, &newer->look.snapshot, &e) == 0)
		return EXIT_DONE;
	if (!c->force)
		return cmd_fail(&e);
	cmd_warn("%s", e.message);
	return EXIT_DONE;
}

static int open_one(const struct blocks_command *c, const char *operand, struct blocks_source *ret)
{
	const struct blocks_wants wants = {
		.filter = c->filter,
		.memory = c->by == BLOCKVIEW_BY_CLASS,
		.classes = c->by == BLOCKVIEW_BY_CLASS,
	};
	struct error e = {0};

	if (blocks_open(ret, operand, &c->look, &wants, &e) < 0)
		return cmd_fail(&e);
	return EXIT_DONE;
}

static enum histogram_order order_of(const struct blocks_command *c)
{
	return c->sort == BLOCKS_SORT_BLOCKS ? HISTOGRAM_BY_COUNT
	       : c->sort == BLOCKS_SORT_SIZE ? HISTOGRAM_BY_SIZE
					     : HISTOGRAM_BY_BYTES;
}

static struct blockview_stat view_of(const struct blocks_command *c, const struct blocks_source *s,
				     const struct strings *texts)
{
	return (struct blockview_stat){
		.texts = texts,
		.by = (enum blockview_by)c->by,
		.order = order_of(c),
		.limit = blocks_limit(c),
		.busy_blocks = s->busy_blocks,
		.busy_bytes = s->busy_bytes,
	};
}

static int stat_one(const struct blocks_command *c, struct strings *texts)
{
	struct histogram h = {0};
	struct blocks_source s = {0};
	struct blockview_stat view;
	struct sheet sheet;
	int status = open_one(c, c->target, &s);

	if (status == EXIT_DONE)
		status = blocks_count(&s, BLOCKS_ALL_HEAPS, c->by, texts, &h);
	if (status == EXIT_DONE) {
		look_done_reading(&s.look);
		view = view_of(c, &s, texts);
		blockview_stat(&sheet, &h, &view);
		sheet_set_heading(&sheet, "%s: %s busy %s, %s", s.look.label,
				  format_count(s.busy_blocks).text,
				  s.busy_blocks == 1 ? "block" : "blocks",
				  format_bytes(s.busy_bytes).text);
		status = blocks_show(c, &s, &sheet);
		sheet_release(&sheet);
	}
	histogram_release(&h);
	blocks_close(&s);
	return status;
}

static int show_growth(const struct blocks_command *c, struct blocks_source *older,
		       struct blocks_source *newer, const struct histogram *before,
		       const struct histogram *after, const struct strings *texts)
{
	struct blockview_stat view = view_of(c, newer, texts);
	struct histogram_changes changes;
	struct sheet sheet;
	int status;

	histogram_diff(before, after, &changes);
	blockview_growth(&sheet, &changes, &view);
	sheet_set_heading(&sheet, "%s since %s: %s busy blocks, %s (before: %s, %s)",
			  newer->look.label, older->look.label,
			  format_count(newer->busy_blocks).text,
			  format_bytes(newer->busy_bytes).text,
			  format_count(older->busy_blocks).text,
			  format_bytes(older->busy_bytes).text);
	if ((older->known_blocks > 0) != (newer->known_blocks > 0))
		sheet_note(&sheet, "only one of the two knows what sizes the program asked for: "
				   "the same blocks may count under two sizes");
	status = blocks_show(c, newer, &sheet);
	sheet_release(&sheet);
	histogram_changes_release(&changes);
	return status;
}

static int stat_two(const struct blocks_command *c, struct strings *texts)
{
	struct histogram before = {0}, after = {0};
	struct blocks_source older = {0}, newer = {0};
	int status = open_one(c, c->older, &older);

	if (status == EXIT_DONE)
		status = open_one(c, c->target, &newer);
	if (status == EXIT_DONE)
		status = blocks_check_pair(c, &older, &newer);
	if (status == EXIT_DONE)
		status = blocks_count(&newer, BLOCKS_ALL_HEAPS, c->by, texts, &after);
	if (status == EXIT_DONE) {
		look_done_reading(&newer.look);
		status = blocks_count(&older, BLOCKS_ALL_HEAPS, c->by, texts, &before);
	}
	if (status == EXIT_DONE)
		status = show_growth(c, &older, &newer, &before, &after, texts);
	histogram_release(&before);
	histogram_release(&after);
	blocks_close(&older);
	blocks_close(&newer);
	return status;
}

int blocks_stat(const struct blocks_command *c)
{
	struct strings texts;
	int status;

	strings_init(&texts);
	status = c->older ? stat_two(c, &texts) : stat_one(c, &texts);
	strings_release(&texts);
	return status;
}
