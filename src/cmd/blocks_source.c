/* Where blocks come from; see blocks_source.h. */
#include "cmd/blocks_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "cmd/symbolize.h"
#include "model/filter.h"
#include "model/lines.h"
#include "model/references.h"
#include "model/site.h"
#include "sym/demangle.h"

static unsigned int wanted_of(const struct blocks_wants *wants)
{
	unsigned int wanted = LOOK_FIND_HEAPS | LOOK_RECORDER | LOOK_RECORDED_BLOCKS;

	if (wants->memory || filter_asks_class(wants->filter))
		wanted |= LOOK_MEMORY;
	if (wants->references)
		wanted |= LOOK_REFERENCES;
	return wanted;
}

static void name_stacks(struct blocks_source *s, const struct look_options *o)
{
	struct symbolize_options symbolize = {.symbols = o->symbols, .progress = o->progress};

	if (!s->look.snapshot.symbols_resolved && s->look.snapshot.nr_stacks)
		symbolize_snapshot(&s->look.snapshot, &symbolize, NULL);
}

static bool has_python(const struct blocks_source *s)
{
	for (size_t i = 0; i < blocks_nr_heaps(s); i++) {
		if (strcmp(blocks_heap(s, i).allocator, "python") == 0)
			return true;
	}
	return false;
}

/* Without blocks there is no answer, and an empty one would be wrong. */
int blocks_refuse_blind(const struct blocks_source *s, struct error *e)
{
	const char *unwalked = NULL;

	for (size_t i = 0; i < blocks_nr_heaps(s); i++) {
		struct blocks_heap heap = blocks_heap(s, i);

		if (heap.flags & HEAP_HAS_BLOCKS && !(heap.flags & HEAP_NESTED))
			return 0;
		if (!(heap.flags & HEAP_HAS_BLOCKS) && heap.kind == HEAP_UNKNOWN && !unwalked)
			unwalked = *heap.allocator ? heap.allocator : "unknown";
	}
	if (!unwalked)
		return 0;
	error_set(e, -ENOTSUP, EXIT_TARGET, "the blocks of %s are not known: its allocator is %s",
		  s->look.label, unwalked);
	error_hint(
		e,
		"the recorder knows them: seep run -- PROGRAM, or seep attach for those to come");
	return -ENOTSUP;
}

int blocks_open(struct blocks_source *s, const char *operand, const struct look_options *o,
		const struct blocks_wants *wants, struct error *e)
{
	bool stacks = wants->stacks || filter_asks_stacks(wants->filter);
	struct look_options options = *o;
	struct look look;
	int err;

	memset(s, 0, sizeof(*s));
	options.wanted = wanted_of(wants);
	options.no_symbols = o->no_symbols || !stacks;
	err = look_at(operand, &options, &look, e);
	if (err < 0)
		return err;
	blocks_adopt(s, &look, wants);
	if (!wants->blind && s->look.snapshot.nr_blocks == 0)
		err = blocks_refuse_blind(s, e);
	if (err < 0) {
		blocks_close(s);
		return err;
	}
	if (!options.no_symbols)
		name_stacks(s, o);
	return 0;
}

void blocks_adopt(struct blocks_source *s, struct look *look, const struct blocks_wants *wants)
{
	memset(s, 0, sizeof(*s));
	s->look = *look;
	*look = (struct look){.operand = NULL};
	block_filter_init(&s->filter, wants->filter, &s->look.snapshot);
	if (s->look.target) {
		window_init(&s->window, s->look.target, 0);
		s->vtables = vtables_new(s->look.target);
		if (has_python(s))
			s->pytypes = pytypes_new(s->look.target);
		s->with_classes = wants->classes || filter_asks_class(wants->filter);
		s->joined =
			mem_alloc_array(s->look.snapshot.nr_blocks / 64 + 1, sizeof(*s->joined));
	}
}

void blocks_give_back(struct blocks_source *s, struct look *ret)
{
	for (size_t i = 0; i < s->nr_class_texts; i++)
		free(s->class_texts[i]);
	free(s->class_texts);
	free(s->joined);
	free(s->pointers);
	vtables_free(s->vtables);
	pytypes_free(s->pytypes);
	if (s->look.target)
		window_release(&s->window);
	block_filter_release(&s->filter);
	*ret = s->look;
	memset(s, 0, sizeof(*s));
}

void blocks_close(struct blocks_source *s)
{
	struct look look;

	if (!s->look.label)
		return;
	blocks_give_back(s, &look);
	look_release(&look);
}

size_t blocks_nr_heaps(const struct blocks_source *s)
{
	return s->look.heaps ? heaps_nr(s->look.heaps) : s->look.snapshot.nr_heaps;
}

struct blocks_heap blocks_heap(const struct blocks_source *s, size_t i)
{
	const struct strings *texts = &s->look.snapshot.strings;
	const struct heap_row *row;
	const struct heap *heap;

	if (i >= blocks_nr_heaps(s))
		return (struct blocks_heap){.name = "", .allocator = "", .fault = ""};
	if (s->look.heaps) {
		heap = heaps_get(s->look.heaps, i);
		return (struct blocks_heap){heap->name,	 heap->allocator, heap->fault, heap->addr,
					    heap->flags, heap->figures,	  heap->kind};
	}
	row = &s->look.snapshot.heaps[i];
	return (struct blocks_heap){strings_get(texts, row->name),
				    strings_get(texts, row->allocator),
				    strings_get(texts, row->fault),
				    row->addr,
				    row->flags,
				    row->figures,
				    (enum heap_kind)row->kind};
}

/* What a walk needs beside the source. */
struct pass {
	struct blocks_source *s;
	blocks_visit visit;
	void *context;
};

static int pass_on(struct pass *p, struct block_facts *b)
{
	struct blocks_source *s = p->s;
	struct blocks_heap heap = blocks_heap(s, b->heap);
	struct block_names names = {
		.heap = heap.name,
		.allocator = heap.allocator,
		.heap_addr = heap.addr,
		.class_name = "",
	};

	if (block_is_busy(b) && !(heap.flags & HEAP_NESTED)) {
		s->busy_blocks++;
		s->busy_bytes += b->size;
		s->known_blocks += b->is_requested;
		s->unknown_blocks += !b->is_requested && b->state == BLOCK_BUSY;
	}
	if (s->with_classes && block_is_busy(b)) {
		blocks_find_class(s, b);
		names.class_name = blocks_class_text(s, b->class_id, b->is_array);
	}
	if (!block_filter_match(&s->filter, b, &names))
		return 0;
	return p->visit(p->context, b);
}

static uint64_t age_of(const struct block *b)
{
	return b->age_ms == UINT32_MAX ? AGE_UNKNOWN : (uint64_t)b->age_ms * 1000000;
}

/* A walk mostly meets the recorder's blocks in their order. */
static size_t find_recorded(struct blocks_source *s, uint64_t addr)
{
	const struct snapshot *snap = &s->look.snapshot;
	size_t low = 0, high = snap->nr_blocks, at = s->next_recorded;

	if (at < high && snap->blocks[at].addr == addr) {
		s->next_recorded = at + 1;
		return at;
	}
	if (at < high && snap->blocks[at].addr > addr && at > 0 && snap->blocks[at - 1].addr < addr)
		return SIZE_MAX;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (snap->blocks[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	s->next_recorded = low;
	if (low == snap->nr_blocks || snap->blocks[low].addr != addr)
		return SIZE_MAX;
	s->next_recorded = low + 1;
	return low;
}

/*
 * The recorder's tables were read an instant before or after: an address may have become another
 * block. One that is smaller than what was asked for is certainly another.
 */
static void join(struct blocks_source *s, struct block_facts *b)
{
	size_t at = find_recorded(s, b->addr);
	const struct block *known;

	if (at == SIZE_MAX)
		return;
	if (s->joined)
		s->joined[at / 64] |= 1ull << (at % 64);
	known = &s->look.snapshot.blocks[at];
	if (known->size > b->usable || known->stack == NO_INDEX)
		return;
	b->size = known->size;
	b->is_requested = true;
	b->stack = known->stack;
	b->age_ns = age_of(known);
}

struct block_facts blocks_facts(struct blocks_source *s, const struct heap_block *from)
{
	struct block_facts b = {
		.addr = from->addr,
		.size = from->size,
		.usable = from->size,
		.start = from->start,
		.total = from->total,
		.age_ns = AGE_UNKNOWN,
		.heap = (uint32_t)from->heap,
		.stack = NO_INDEX,
		.tid = from->tid,
		.state = (uint8_t)from->state,
		.what = from->what,
	};

	if (s->look.snapshot.nr_blocks && block_is_busy(&b))
		join(s, &b);
	return b;
}

static int visit_walked(void *context, const struct heap_block *from)
{
	struct pass *p = context;
	struct block_facts b = blocks_facts(p->s, from);

	return pass_on(p, &b);
}

struct block_facts blocks_facts_of_row(const struct block *row)
{
	return (struct block_facts){
		.addr = row->addr,
		.size = row->size,
		.age_ns = age_of(row),
		.heap = row->heap,
		.stack = row->stack,
		.state = row->state,
		.is_requested = row->stack != NO_INDEX,
	};
}

/* Blocks that only the recorder knows: of an allocator whose heaps cannot be walked. */
static int visit_unwalked(struct pass *p)
{
	const struct snapshot *snap = &p->s->look.snapshot;

	for (size_t i = 0; i < snap->nr_blocks; i++) {
		const struct block *row = &snap->blocks[i];
		struct block_facts b = blocks_facts_of_row(row);
		size_t heap;
		int rc;

		if (p->s->joined[i / 64] >> (i % 64) & 1)
			continue;
		heap = heaps_find_heap(p->s->look.heaps, row->addr);
		if (heap != HEAP_ALL && heaps_get(p->s->look.heaps, heap)->flags & HEAP_HAS_BLOCKS)
			continue; /* freed, or made, between two instants */
		b.heap = heap == HEAP_ALL ? NO_INDEX : (uint32_t)heap;
		rc = pass_on(p, &b);
		if (rc)
			return rc;
	}
	return 0;
}

static int each_row(struct pass *p, size_t heap)
{
	const struct snapshot *snap = &p->s->look.snapshot;

	for (size_t i = 0; i < snap->nr_blocks; i++) {
		struct block_facts b = blocks_facts_of_row(&snap->blocks[i]);
		int rc;

		if (heap != BLOCKS_ALL_HEAPS && b.heap != heap)
			continue;
		rc = pass_on(p, &b);
		if (rc)
			return rc;
	}
	return 0;
}

int blocks_each(struct blocks_source *s, size_t heap, blocks_visit visit, void *context,
		struct error *e)
{
	struct pass p = {.s = s, .visit = visit, .context = context};
	int rc;

	s->busy_blocks = 0;
	s->busy_bytes = 0;
	s->known_blocks = 0;
	s->unknown_blocks = 0;
	s->next_recorded = 0;
	if (!s->look.heaps)
		return each_row(&p, heap);
	rc = heaps_walk(s->look.heaps, heap == BLOCKS_ALL_HEAPS ? HEAP_ALL : heap, visit_walked, &p,
			e);
	if (rc == 0 && heap == BLOCKS_ALL_HEAPS)
		rc = visit_unwalked(&p);
	return rc;
}

static uint32_t heap_of(struct blocks_source *s, uint64_t addr)
{
	size_t at;

	if (s->look.heaps) {
		at = heaps_find_heap(s->look.heaps, addr);
		return at == HEAP_ALL ? NO_INDEX : (uint32_t)at;
	}
	return snapshot_find_heap(&s->look.snapshot, addr);
}

void blocks_know(struct blocks_source *s, struct block_facts *b)
{
	b->heap = heap_of(s, b->addr);
	if (s->look.snapshot.nr_blocks)
		join(s, b);
	blocks_find_class(s, b);
}

/*
 * One numbering for both: C++ classes are even, Python's types odd, 0 and 1 are nothing. Of a
 * snapshot with references it is the text's number.
 */
void blocks_find_class(struct blocks_source *s, struct block_facts *b)
{
	uint64_t size = b->usable ? b->usable : b->size;
	uint32_t id;

	if (!s->look.target) {
		id = references_find(&s->look.snapshot, b->addr);
		b->class_id =
			id == NO_INDEX ? CLASS_NONE : s->look.snapshot.ref_blocks[id].class_name;
		return;
	}
	if (!s->vtables)
		return;
	b->class_id =
		vtables_class_of_block(s->vtables, &s->window, b->addr, size, &b->is_array) * 2;
	if (b->class_id != CLASS_NONE || !s->pytypes)
		return;
	id = pytypes_of_block(s->pytypes, &s->window, b->addr, size);
	b->class_id = id == PYTYPE_NONE ? CLASS_NONE : id * 2 + 1;
}

static char *make_class_text(const char *name, bool is_array)
{
	static const char introduction[] = "typeinfo for ";
	struct str mangled = STR_INIT, text = STR_INIT;
	size_t skip = 0;

	str_printf(&mangled, "_ZTI%s", name);
	demangle(mangled.data, &text);
	if (strncmp(text.data, introduction, strlen(introduction)) == 0)
		skip = strlen(introduction);
	str_clear(&mangled);
	str_printf(&mangled, "%s%s", text.data + skip, is_array ? "[]" : "");
	str_release(&text);
	return str_detach(&mangled);
}

const char *blocks_class_text(struct blocks_source *s, uint32_t class_id, bool is_array)
{
	size_t at = (size_t)class_id / 2 * 2 + is_array;

	/* A snapshot has the text, of arrays too. */
	if (!s->look.target)
		return strings_get(&s->look.snapshot.strings, class_id);
	if (class_id == CLASS_NONE || !s->vtables)
		return "";
	if (class_id & 1)
		return s->pytypes ? pytypes_name(s->pytypes, class_id / 2) : "";
	if (at >= s->nr_class_texts) {
		size_t nr = ((size_t)vtables_nr(s->vtables) + 1) * 2;

		s->class_texts = mem_realloc(s->class_texts, nr * sizeof(*s->class_texts));
		memset(s->class_texts + s->nr_class_texts, 0,
		       (nr - s->nr_class_texts) * sizeof(*s->class_texts));
		s->nr_class_texts = nr;
	}
	if (!s->class_texts[at])
		s->class_texts[at] =
			make_class_text(vtables_name(s->vtables, class_id / 2), is_array);
	return s->class_texts[at];
}

void blocks_site_text(struct blocks_source *s, uint32_t stack, struct str *out)
{
	const struct lines *lines = block_filter_lines(&s->filter, stack);
	const struct line *lead;

	if (!lines)
		return;
	lead = &lines->items[site_of(lines).lead];
	if (*lead->function)
		str_add(out, lead->function);
	else if (*lead->module)
		str_printf(out, "%s+0x%llx", text_base_name(lead->module),
			   (unsigned long long)lead->module_offset);
	else
		str_printf(out, "0x%llx", (unsigned long long)lead->address);
	if (*lead->file)
		str_printf(out, " (%s:%u)", text_base_name(lead->file), lead->line);
}
