/*
 * seep blocks --top: the chain that people follow by hand. Which heap holds (or grew) most, which
 * size in it, some blocks of that size, what they are, and who made them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "cmd/cmd.h"
#include "model/lines.h"
#include "model/sheet.h"
#include "model/strings.h"

#define EXAMPLES 5
#define SHARES 5
/* Every so many blocks one is kept; when there are too many of them, every other one goes. */
#define SAMPLE_CAP 1024

struct tally {
	uint64_t blocks, bytes;
	uint32_t id; /* of a class (times two, and one for arrays) or a stack; NO_INDEX: unknown */
};

struct tallies {
	struct map index; /* id -> index + 1 */
	struct tally *items;
	size_t nr, cap;
};

/* The blocks of the chosen size in the chosen heap. */
struct top {
	const struct blocks_command *command;
	struct blocks_source *source, *older; /* older NULL: one target */
	struct strings *texts;
	struct histogram before, after; /* by heap and size */
	uint32_t heap_text;
	uint64_t size;
	bool *heaps, *older_heaps; /* see chosen_heaps() */
	struct map old;		   /* addresses of such blocks in the older target */
	bool only_new;		   /* examples are blocks that were not there before */
	uint64_t blocks, bytes, new_blocks;
	uint64_t tallied_bytes;		 /* of those that examples are taken from */
	uint64_t oldest_ns, youngest_ns; /* AGE_UNKNOWN, 0: no age is known */
	struct tallies classes, stacks;
	struct block_facts *sample;
	size_t nr_sample, cap_sample;
	uint64_t stride, met;
};

static void tally(struct tallies *t, uint32_t id, uint64_t bytes)
{
	bool added;
	uint64_t *at = map_at(&t->index, id, &added);

	if (added) {
		ARRAY_PUSH(t->items, t->nr, t->cap, ((struct tally){.id = id}));
		*at = t->nr;
	}
	t->items[*at - 1].blocks++;
	t->items[*at - 1].bytes += bytes;
}

static void tallies_release(struct tallies *t)
{
	map_release(&t->index);
	free(t->items);
}

static int by_bytes(const void *va, const void *vb)
{
	const struct tally *a = va, *b = vb;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a->id > b->id) - (a->id < b->id);
}

static void sample_block(struct top *t, const struct block_facts *b)
{
	size_t kept = 0;

	if (t->met++ % t->stride)
		return;
	if (t->nr_sample == SAMPLE_CAP) {
		for (size_t i = 0; i < t->nr_sample; i += 2)
			t->sample[kept++] = t->sample[i];
		t->nr_sample = kept;
		t->stride *= 2;
		if ((t->met - 1) % t->stride)
			return;
	}
	ARRAY_PUSH(t->sample, t->nr_sample, t->cap_sample, *b);
}

static bool is_chosen(const struct top *t, const bool *heaps, const struct blocks_source *s,
		      const struct block_facts *b)
{
	if (b->size != t->size)
		return false;
	return b->heap < blocks_nr_heaps(s) ? heaps[b->heap] : t->heap_text == 0;
}

/* By heap of a source: is it the chosen one? */
static bool *chosen_heaps(const struct top *t, const struct blocks_source *s)
{
	bool *heaps = mem_alloc_array(blocks_nr_heaps(s), sizeof(*heaps));

	for (size_t i = 0; i < blocks_nr_heaps(s); i++)
		heaps[i] = blocks_heap_text(s, i, t->texts) == t->heap_text;
	return heaps;
}

static int note_old(void *context, const struct block_facts *b)
{
	struct top *t = context;

	if (is_chosen(t, t->older_heaps, t->older, b))
		map_set(&t->old, b->addr, 1);
	return 0;
}

static int look_at_block(void *context, const struct block_facts *b)
{
	struct top *t = context;
	struct block_facts known = *b;
	bool is_new;

	if (!is_chosen(t, t->heaps, t->source, b))
		return 0;
	blocks_find_class(t->source, &known);
	t->blocks++;
	t->bytes += b->size;
	is_new = !map_get(&t->old, b->addr, NULL);
	t->new_blocks += is_new;
	if (t->only_new && !is_new)
		return 0;
	t->tallied_bytes += b->size;
	tally(&t->classes, known.class_id ? known.class_id * 2 + known.is_array : NO_INDEX,
	      b->size);
	tally(&t->stacks, b->stack, b->size);
	if (b->age_ns != AGE_UNKNOWN) {
		if (t->oldest_ns == AGE_UNKNOWN || b->age_ns > t->oldest_ns)
			t->oldest_ns = b->age_ns;
		if (t->youngest_ns > b->age_ns)
			t->youngest_ns = b->age_ns;
	}
	sample_block(t, &known);
	return 0;
}

/* Sums by heap: what the sizes of one make together. */
static void sum_heaps(const struct histogram *from, struct histogram *to)
{
	const struct histogram_entry *e;
	size_t pos = 0;

	while ((e = histogram_next(from, &pos)))
		histogram_add_to_group(to, e->heap, e->bytes);
}

/* Heap and size that hold most, or grew most. False: nothing did. */
static bool choose(struct top *t, struct histogram_change *ret_heap,
		   struct histogram_change *ret_size)
{
	struct histogram heaps_before = {0}, heaps_after = {0}, before = {0}, after = {0};
	struct histogram_changes heaps, sizes;
	bool found = false;

	sum_heaps(&t->before, &heaps_before);
	sum_heaps(&t->after, &heaps_after);
	histogram_diff(&heaps_before, &heaps_after, &heaps);
	memset(&sizes, 0, sizeof(sizes));
	if (heaps.nr && histogram_change_bytes(&heaps.items[0]) > 0) {
		*ret_heap = heaps.items[0];
		histogram_pick(&t->before, ret_heap->heap, &before);
		histogram_pick(&t->after, ret_heap->heap, &after);
		histogram_diff(&before, &after, &sizes);
		*ret_size = sizes.items[0];
		t->heap_text = ret_heap->heap;
		t->size = ret_size->size;
		found = true;
	}
	histogram_changes_release(&heaps);
	histogram_changes_release(&sizes);
	histogram_release(&heaps_before);
	histogram_release(&heaps_after);
	histogram_release(&before);
	histogram_release(&after);
	return found;
}

static const char *share_text(uint64_t part, uint64_t whole, char buffer[32])
{
	uint64_t permille = permille_of(part, whole);

	snprintf(buffer, 32, "%llu.%llu %%", (unsigned long long)permille / 10,
		 (unsigned long long)permille % 10);
	return buffer;
}

static void say_choice(struct top *t, const struct histogram_change *heap,
		       const struct histogram_change *size, struct sheet *sheet)
{
	const char *name = strings_get(t->texts, t->heap_text);
	char share[32], of_heap[32];
	struct str out = STR_INIT;

	str_printf(&out, "%s: %s busy blocks, %s\n", t->source->look.label,
		   format_count(t->source->busy_blocks).text,
		   format_bytes(t->source->busy_bytes).text);
	if (!*name)
		name = "of no known name";
	if (t->older) {
		str_printf(&out, "heap %s grew most: %s\n", name,
			   format_bytes_delta(histogram_change_bytes(heap)).text);
		str_printf(&out, "blocks of %s bytes grew most in it: %s blocks, %s",
			   format_count(t->size).text,
			   format_count_delta(histogram_change_count(size)).text,
			   format_bytes_delta(histogram_change_bytes(size)).text);
	} else {
		str_printf(&out, "heap %s holds most: %s, %s\n", name,
			   format_bytes(heap->bytes_after).text,
			   share_text(heap->bytes_after, t->source->busy_bytes, share));
		str_printf(&out, "blocks of %s bytes make most of it: %s %s, %s, %s",
			   format_count(t->size).text, format_count(size->count_after).text,
			   size->count_after == 1 ? "block" : "blocks",
			   format_bytes(size->bytes_after).text,
			   share_text(size->bytes_after, heap->bytes_after, of_heap));
	}
	str_printf(&out, t->only_new ? "\nsome of the new ones:" : "\nsome of them:");
	sheet_set_heading(sheet, "%s", out.data);
	str_release(&out);
}

/* Evenly spread over all of them. */
static void add_examples(struct top *t, struct sheet *sheet)
{
	size_t nr =
		t->command->limit == UINT64_MAX || t->command->limit == 0
			? EXAMPLES
			: (size_t)(t->command->limit < SAMPLE_CAP ? t->command->limit : SAMPLE_CAP);
	struct blocks_row row;

	if (nr > t->nr_sample)
		nr = t->nr_sample;
	for (size_t i = 0; t->command->content && i < nr; i++)
		blocks_content_note(t->source, &t->sample[i * t->nr_sample / nr]);
	blocks_resolve(t->source);
	for (size_t i = 0; i < nr; i++) {
		/* Classified when it was met. */
		blocks_row_init(&row, t->command, t->source, &t->sample[i * t->nr_sample / nr]);
		blockview_list_add(sheet, &row.view);
		blocks_row_release(&row);
	}
}

static void sort(struct tallies *t)
{
	if (t->nr)
		qsort(t->items, t->nr, sizeof(*t->items), by_bytes);
}

static bool any_known(const struct tallies *t)
{
	return t->nr > 1 || (t->nr == 1 && t->items[0].id != NO_INDEX);
}

static void add_classes(struct top *t, struct sheet *sheet)
{
	struct sheet *part;

	sort(&t->classes);
	if (!any_known(&t->classes)) {
		if (t->source->vtables)
			sheet_note(sheet,
				   "what they are is not known: they are no objects of a C++ "
				   "class with type information, nor of Python");
		return;
	}
	part = blockview_share_part(sheet, "classes", "what they are");
	for (size_t i = 0; i < t->classes.nr && i < SHARES; i++) {
		const struct tally *c = &t->classes.items[i];
		bool known = c->id != NO_INDEX;

		blockview_share_add(part,
				    known ? blocks_class_text(t->source, c->id / 2, c->id & 1)
					  : "(no class)",
				    c->blocks, c->bytes, t->tallied_bytes);
	}
}

static void add_stacks(struct top *t, struct sheet *sheet)
{
	struct sheet *part;
	const struct lines *lines;

	sort(&t->stacks);
	if (!any_known(&t->stacks)) {
		sheet_note(sheet,
			   "who made them is not known: the recorder did not see it (seep run "
			   "records from the start, seep attach from now on)");
		return;
	}
	part = blockview_share_part(sheet, "stacks", "who made them");
	for (size_t i = 0; i < t->stacks.nr && i < SHARES; i++) {
		const struct tally *k = &t->stacks.items[i];
		struct str site = STR_INIT;

		blocks_site_text(t->source, k->id, &site);
		blockview_share_add(part, site.len ? site.data : "(not recorded)", k->blocks,
				    k->bytes, t->tallied_bytes);
		str_release(&site);
	}
	for (size_t i = 0; i < t->stacks.nr; i++) {
		lines = block_filter_lines(&t->source->filter, t->stacks.items[i].id);
		if (!lines)
			continue;
		blockview_stack(sheet, "stack", "the first of these, with its callers", lines);
		break;
	}
}

/* Other sizes of the same heap, so that the choice can be judged. */
static void add_sizes(struct top *t, struct sheet *sheet)
{
	struct histogram sizes = {0};
	struct histogram_entry rows[SHARES];
	struct sheet *part;
	size_t nr;

	histogram_pick(&t->after, t->heap_text, &sizes);
	nr = histogram_top(&sizes, HISTOGRAM_BY_BYTES, rows, SHARES);
	part = blockview_share_part(sheet, "sizes", "sizes that hold most in this heap");
	for (size_t i = 0; i < nr; i++) {
		char *name = mem_printf("%s bytes", format_count(rows[i].size).text);

		blockview_share_add(part, name, rows[i].count, rows[i].bytes, sizes.bytes);
		free(name);
	}
	histogram_release(&sizes);
}

static void add_totals(const struct top *t, struct sheet *sheet)
{
	sheet_total_text(sheet, "form", "top");
	sheet_total(sheet, "busy_blocks", CELL_COUNT, t->source->busy_blocks);
	sheet_total(sheet, "busy_bytes", CELL_BYTES, t->source->busy_bytes);
	sheet_total_text(sheet, "heap", strings_get(t->texts, t->heap_text));
	sheet_total(sheet, "size", CELL_COUNT, t->size);
	sheet_total(sheet, "blocks", CELL_COUNT, t->blocks);
	sheet_total(sheet, "bytes", CELL_BYTES, t->bytes);
	if (t->older)
		sheet_total(sheet, "new_blocks", CELL_COUNT, t->new_blocks);
	if (t->oldest_ns != AGE_UNKNOWN)
		sheet_note(sheet, "the youngest of them is %s old, the oldest %s",
			   format_duration(t->youngest_ns).text,
			   format_duration(t->oldest_ns).text);
}

static int show(struct top *t, const struct histogram_change *heap,
		const struct histogram_change *size)
{
	struct sheet sheet;
	int status;

	blockview_list_init(&sheet);
	say_choice(t, heap, size, &sheet);
	add_examples(t, &sheet);
	add_classes(t, &sheet);
	add_stacks(t, &sheet);
	add_sizes(t, &sheet);
	add_totals(t, &sheet);
	look_done_reading(&t->source->look);
	status = blocks_show(t->command, t->source, &sheet);
	sheet_release(&sheet);
	return status;
}

/* Nothing is there, or nothing grew: that is an answer too. */
static int show_nothing(struct top *t)
{
	struct sheet sheet;
	int status;

	blockview_list_init(&sheet);
	sheet_set_heading(&sheet, "%s: %s", t->source->look.label,
			  t->older ? "no heap grew" : "no busy blocks");
	sheet_total_text(&sheet, "form", "top");
	sheet_total(&sheet, "busy_blocks", CELL_COUNT, t->source->busy_blocks);
	sheet_total(&sheet, "busy_bytes", CELL_BYTES, t->source->busy_bytes);
	status = blocks_show(t->command, t->source, &sheet);
	sheet_release(&sheet);
	return status;
}

static int look_closer(struct top *t)
{
	struct histogram_change heap, size;
	struct error e = {0};

	if (!choose(t, &heap, &size))
		return show_nothing(t);
	t->heaps = chosen_heaps(t, t->source);
	if (t->older) {
		t->older_heaps = chosen_heaps(t, t->older);
		if (blocks_each(t->older, BLOCKS_ALL_HEAPS, note_old, t, &e) < 0)
			return cmd_fail(&e);
		t->only_new = true;
	}
	if (blocks_each(t->source, BLOCKS_ALL_HEAPS, look_at_block, t, &e) < 0)
		return cmd_fail(&e);
	return show(t, &heap, &size);
}

static int open_both(struct top *t, struct blocks_source *older)
{
	const struct blocks_command *c = t->command;
	const struct blocks_wants wants = {
		.filter = c->filter, .memory = c->content, .stacks = true};
	const struct blocks_wants less = {.filter = c->filter};
	struct error e = {0};
	int status;

	if (c->older) {
		if (blocks_open(older, c->older, &c->look, &less, &e) < 0)
			return cmd_fail(&e);
		t->older = older;
	}
	if (blocks_open(t->source, c->target, &c->look, &wants, &e) < 0)
		return cmd_fail(&e);
	status = c->older ? blocks_check_pair(c, older, t->source) : EXIT_DONE;
	if (status == EXIT_DONE && c->older)
		status = blocks_count(older, BLOCKS_ALL_HEAPS, BLOCKVIEW_BY_HEAP, t->texts,
				      &t->before);
	if (status == EXIT_DONE)
		status = blocks_count(t->source, BLOCKS_ALL_HEAPS, BLOCKVIEW_BY_HEAP, t->texts,
				      &t->after);
	return status;
}

int blocks_top(const struct blocks_command *c)
{
	struct blocks_source source = {0}, older = {0};
	struct strings texts;
	struct top t = {
		.command = c,
		.source = &source,
		.texts = &texts,
		.stride = 1,
		.oldest_ns = AGE_UNKNOWN,
		.youngest_ns = AGE_UNKNOWN,
	};
	int status;

	strings_init(&texts);
	status = open_both(&t, &older);
	if (status == EXIT_DONE)
		status = look_closer(&t);
	histogram_release(&t.before);
	histogram_release(&t.after);
	map_release(&t.old);
	tallies_release(&t.classes);
	tallies_release(&t.stacks);
	free(t.sample);
	free(t.heaps);
	free(t.older_heaps);
	blocks_close(&source);
	blocks_close(&older);
	strings_release(&texts);
	return status;
}
