/* seep blocks --at: the block that holds an address, its header, its neighbours, who made it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "cmd/cmd.h"
#include "model/heaps.h"
#include "model/lines.h"
#include "model/sheet.h"
#include "model/snapshot.h"

/* Where an address is that is in no block. */
static int tell_nowhere(const struct blocks_source *s, uint64_t addr)
{
	const struct snapshot *snap = &s->look.snapshot;
	struct error e = {0};
	const char *path;

	for (size_t i = 0; i < snap->nr_regions; i++) {
		const struct region *r = &snap->regions[i];
		struct str name = STR_INIT;

		if (addr < r->start || addr >= r->end)
			continue;
		path = strings_get(&snap->strings, r->path);
		text_printable(&name, path, strlen(path));
		error_set(&e, -ENOENT, EXIT_TARGET, "0x%llx is in no block of %s: it is in %s",
			  (unsigned long long)addr, s->look.label,
			  name.len ? name.data : "memory without a name");
		error_hint(&e, s->look.target
				       ? "seep map says what a region is for"
				       : "a snapshot knows busy blocks only; look at the process");
		str_release(&name);
		return cmd_fail(&e);
	}
	error_set(&e, -ENOENT, EXIT_TARGET, "0x%llx is in no block of %s: nothing is mapped there",
		  (unsigned long long)addr, s->look.label);
	return cmd_fail(&e);
}

/* "0x… is 16 bytes into a busy block of 3,080 bytes (3,072 asked for), heap main (glibc)". */
static void say_where(struct blocks_source *s, uint64_t addr, const struct block_facts *b,
		      struct sheet *sheet)
{
	struct blocks_heap heap = blocks_heap(s, b->heap);
	struct str out = STR_INIT;

	str_printf(&out, "0x%llx is ", (unsigned long long)addr);
	if (addr < b->addr)
		str_add(&out, "in the header of");
	else if (addr == b->addr)
		str_add(&out, "the beginning of");
	else
		str_printf(&out, "%s bytes into", format_count(addr - b->addr).text);
	str_printf(&out, " a %s block of %s bytes", block_state_name(b->state),
		   format_count(b->usable ? b->usable : b->size).text);
	if (b->is_requested && b->usable)
		str_printf(&out, " (%s asked for)", format_count(b->size).text);
	if (*heap.name)
		str_printf(&out, ", heap %s (%s)", heap.name, heap.allocator);
	if (b->what)
		str_printf(&out, "\nit is %s", b->what);
	if (b->tid)
		str_printf(&out, "\nkept by thread %d", b->tid);
	sheet_set_heading(sheet, "%s", out.data);
	str_release(&out);
}

/* The header's lines, decoded by the allocator's walker, below the heading. */
static void say_header(struct blocks_source *s, const struct block_facts *b, struct sheet *sheet)
{
	const struct heap_block block = {
		.addr = b->addr,
		.size = b->usable,
		.start = b->start,
		.total = b->total,
		.heap = b->heap,
		.state = (enum block_state)b->state,
		.tid = b->tid,
		.what = b->what,
	};
	struct str out = STR_INIT;
	char *line, *save = NULL;

	if (!s->look.heaps || b->total == 0 || b->heap == NO_INDEX)
		return;
	heaps_describe(s->look.heaps, &block, &out);
	for (line = strtok_r(out.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		sheet_note(sheet, "header: %s", line);
	str_release(&out);
}

static void add_row(const struct blocks_command *c, struct blocks_source *s, struct sheet *sheet,
		    const char *relation, struct block_facts *b)
{
	struct blocks_command quiet = *c;
	struct blocks_row row;

	/* What was asked for is this block's content. */
	if (strcmp(relation, "this") != 0)
		quiet.content = false;
	blocks_row_classify(s, b);
	blocks_row_init(&row, &quiet, s, b);
	blockview_around_add(sheet, relation, &row.view);
	blocks_row_release(&row);
}

static void add_rows(const struct blocks_command *c, struct blocks_source *s, struct sheet *sheet,
		     struct blocks_around *around)
{
	if (c->content) {
		blocks_content_note(s, &around->this);
		blocks_resolve(s);
	}
	if (around->has_before)
		add_row(c, s, sheet, "before", &around->before);
	add_row(c, s, sheet, "this", &around->this);
	if (around->has_after)
		add_row(c, s, sheet, "after", &around->after);
}

/* Would seep refs know of it? */
static bool is_in_graph(const struct blocks_source *s, const struct block_facts *b)
{
	return block_is_busy(b) && !(blocks_heap(s, b->heap).flags & HEAP_NESTED) &&
	       (s->look.target || s->look.snapshot.has_references);
}

static void say_how_to_go_on(const struct blocks_command *c, const struct block_facts *b,
			     struct sheet *sheet)
{
	struct str target = STR_INIT;

	text_quote(&target, c->target);
	sheet_note(sheet, "who points to it, and what keeps it alive: seep refs %s 0x%llx",
		   target.data, (unsigned long long)b->addr);
	str_release(&target);
}

static void fill(const struct blocks_command *c, struct blocks_source *s, uint64_t addr,
		 struct blocks_around *around, struct sheet *sheet)
{
	const struct block_facts *b = &around->this;
	const struct lines *lines = block_filter_lines(&s->filter, b->stack);

	blockview_around_init(sheet);
	say_where(s, addr, b, sheet);
	add_rows(c, s, sheet, around);
	sheet_total_text(sheet, "form", "at");
	sheet_total(sheet, "address", CELL_ADDRESS, addr);
	if (addr >= b->addr)
		sheet_total(sheet, "offset", CELL_COUNT, addr - b->addr);
	if (lines)
		blockview_stack(sheet, "stack", "made by", lines);
	else if (block_is_busy(b))
		sheet_note(sheet, "who made it is not known: the recorder did not see it");
	say_header(s, b, sheet);
	if (is_in_graph(s, b))
		say_how_to_go_on(c, b, sheet);
}

int blocks_at(const struct blocks_command *c)
{
	const struct blocks_wants wants = {.memory = c->content, .stacks = true};
	struct blocks_source s = {0};
	struct blocks_around around;
	struct error e = {0};
	struct sheet sheet;
	uint64_t addr;
	int status, err;

	if (parse_hex(c->at, &addr) < 0)
		return cmd_usage_error("blocks", "--at: '%s' is not an address", c->at);
	if (blocks_open(&s, c->target, &c->look, &wants, &e) < 0)
		return cmd_fail(&e);
	err = blocks_find(&s, addr, &around);
	if (err < 0) {
		status = err == -ENOENT ? tell_nowhere(&s, addr)
					: cmd_fail(&(struct error){
						  .err = err,
						  .status = EXIT_TARGET,
						  .message = "the heaps cannot be read",
					  });
	} else {
		fill(c, &s, addr, &around, &sheet);
		look_done_reading(&s.look);
		status = blocks_show(c, &s, &sheet);
		sheet_release(&sheet);
	}
	blocks_close(&s);
	return status;
}
