/*
 * seep blocks --list: single blocks. With a limit only so many of them (and as many again) are ever
 * held: of fifteen million blocks the twenty largest need no memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "cmd/cmd.h"
#include "model/sheet.h"
#include "model/snapshot.h"

#define KEPT_MORE 4096

struct kept {
	struct block_facts *items;
	size_t nr, cap;
	uint64_t limit; /* 0: all */
	int (*compare)(const void *, const void *);
	uint64_t blocks, bytes; /* of all that matched */
};

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_addr(const void *va, const void *vb)
{
	const struct block_facts *a = va, *b = vb;

	return compare_u64(a->addr, b->addr);
}

static int by_size(const void *va, const void *vb)
{
	const struct block_facts *a = va, *b = vb;
	int rc = compare_u64(b->size, a->size);

	return rc ? rc : by_addr(a, b);
}

/* The oldest first, those of unknown age last. */
static int by_age(const void *va, const void *vb)
{
	const struct block_facts *a = va, *b = vb;
	int rc = compare_u64(b->age_ns + 1, a->age_ns + 1);

	return rc ? rc : by_addr(a, b);
}

static void sort(struct kept *k, int (*compare)(const void *, const void *))
{
	if (k->nr)
		qsort(k->items, k->nr, sizeof(*k->items), compare);
}

static void drop_rest(struct kept *k)
{
	sort(k, k->compare);
	if (k->limit && k->nr > k->limit)
		k->nr = (size_t)k->limit;
}

static int keep(void *context, const struct block_facts *b)
{
	struct kept *k = context;

	k->blocks++;
	k->bytes += b->size;
	ARRAY_PUSH(k->items, k->nr, k->cap, *b);
	if (k->limit && k->nr >= k->limit + k->limit + KEPT_MORE)
		drop_rest(k);
	return 0;
}

/* In the order of addresses, whatever the list's is: then memory is read once, from end to end. */
static void look_into(const struct blocks_command *c, struct blocks_source *s, struct kept *k)
{
	sort(k, by_addr);
	for (size_t i = 0; i < k->nr; i++) {
		blocks_row_classify(s, &k->items[i]);
		if (c->content)
			blocks_content_note(s, &k->items[i]);
	}
	blocks_resolve(s);
	if (k->compare != by_addr)
		sort(k, k->compare);
}

static void fill(const struct blocks_command *c, struct blocks_source *s, struct kept *k,
		 struct sheet *sheet)
{
	blockview_list_init(sheet);
	sheet_set_heading(sheet, "%s: %s matching %s, %s", s->look.label,
			  format_count(k->blocks).text, k->blocks == 1 ? "block" : "blocks",
			  format_bytes(k->bytes).text);
	for (size_t i = 0; i < k->nr; i++) {
		struct blocks_row row;

		blocks_row_init(&row, c, s, &k->items[i]);
		blockview_list_add(sheet, &row.view);
		blocks_row_release(&row);
	}
	sheet->rows_left_out = k->blocks - k->nr;
	sheet_total_text(sheet, "form", "list");
	sheet_total(sheet, "busy_blocks", CELL_COUNT, s->busy_blocks);
	sheet_total(sheet, "busy_bytes", CELL_BYTES, s->busy_bytes);
	sheet_total(sheet, "matching_blocks", CELL_COUNT, k->blocks);
	sheet_total(sheet, "matching_bytes", CELL_BYTES, k->bytes);
}

int blocks_list(const struct blocks_command *c)
{
	const struct blocks_wants wants = {
		.filter = c->filter, .memory = c->content, .stacks = true};
	struct kept k = {
		.limit = blocks_limit(c),
		.compare = c->sort == BLOCKS_SORT_ADDR	? by_addr
			   : c->sort == BLOCKS_SORT_AGE ? by_age
							: by_size,
	};
	struct blocks_source s = {0};
	struct error e = {0};
	struct sheet sheet;
	int status;

	if (blocks_open(&s, c->target, &c->look, &wants, &e) < 0)
		return cmd_fail(&e);
	if (blocks_each(&s, BLOCKS_ALL_HEAPS, keep, &k, &e) < 0) {
		status = cmd_fail(&e);
		goto out;
	}
	if (k.limit && k.nr > k.limit)
		drop_rest(&k);
	look_into(c, &s, &k);
	fill(c, &s, &k, &sheet);
	look_done_reading(&s.look);
	status = blocks_show(c, &s, &sheet);
	sheet_release(&sheet);
out:
	free(k.items);
	blocks_close(&s);
	return status;
}
