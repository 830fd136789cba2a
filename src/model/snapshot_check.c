/* Does a snapshot keep every promise of snapshot.h? Whoever passes here may index without asking.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "model/regions.h"
#include "model/snapshot.h"

/* "stack 12 refers to node 99, but there are 40" unless index < nr. */
static int check_index(const char *who, size_t i, const char *what, uint64_t index, size_t nr,
		       struct error *e)
{
	if (index < nr)
		return 0;
	return error_set(e, -EINVAL, EXIT_FILE,
			 "%s %zu refers to %s %" PRIu64 ", but there are %zu", who, i, what, index,
			 nr);
}

static int check_text(const struct snapshot *s, const char *who, size_t i, uint32_t id,
		      struct error *e)
{
	return check_index(who, i, "text", id, s->strings.nr, e);
}

static int check_identity(const struct snapshot *s, struct error *e)
{
	const struct identity *id = &s->identity;
	const uint32_t texts[] = {id->name, id->exe,	  id->command,
				  id->host, s->allocator, s->method};
	int err;

	if (!memchr(id->boot_id, '\0', sizeof(id->boot_id)))
		return error_set(e, -EINVAL, EXIT_FILE, "the boot id does not end");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		err = check_text(s, "field", i, texts[i], e);
		if (err)
			return err;
	}
	return 0;
}

static int check_strings(const struct strings *t, struct error *e)
{
	if (!t->nr || !t->len || t->data[0] || t->offsets[0])
		return error_set(e, -EINVAL, EXIT_FILE, "the first text is not empty");
	if (t->data[t->len - 1])
		return error_set(e, -EINVAL, EXIT_FILE, "the last text does not end");
	for (size_t i = 0; i < t->nr; i++) {
		int err = check_index("text", i, "byte", t->offsets[i], t->len, e);

		if (err)
			return err;
	}
	return 0;
}

/* Everything that is named by a 32-bit index must leave NO_INDEX free. */
static int check_counts(const struct snapshot *s, struct error *e)
{
	const size_t nrs[] = {s->strings.nr, s->nr_modules,  s->nr_frames, s->nr_symbols,
			      s->nr_nodes,   s->nr_stacks,   s->nr_heaps,  s->nr_threads,
			      s->nr_marks,   s->nr_resources};

	for (size_t i = 0; i < sizeof(nrs) / sizeof(nrs[0]); i++)
		if (nrs[i] >= NO_INDEX)
			return error_set(e, -EINVAL, EXIT_FILE, "an array has %zu rows", nrs[i]);
	if (!s->has_blocks && s->nr_blocks)
		return error_set(e, -EINVAL, EXIT_FILE,
				 "there are %zu blocks in a snapshot without blocks", s->nr_blocks);
	if (!s->has_heaps && s->nr_heaps)
		return error_set(e, -EINVAL, EXIT_FILE,
				 "there are %zu heaps in a snapshot without heaps", s->nr_heaps);
	return 0;
}

static int check_modules(const struct snapshot *s, struct error *e)
{
	for (size_t i = 0; i < s->nr_modules; i++) {
		const struct module *m = &s->modules[i];
		int err = check_text(s, "module", i, m->path, e);

		if (err)
			return err;
		if (m->start > m->end)
			return error_set(e, -EINVAL, EXIT_FILE, "module %zu ends before it starts",
					 i);
		if (m->build_id_len > BUILD_ID_MAX)
			return error_set(e, -EINVAL, EXIT_FILE,
					 "module %zu has a build-id of %u bytes", i,
					 m->build_id_len);
	}
	return 0;
}

static int check_frames(const struct snapshot *s, struct error *e)
{
	for (size_t i = 0; i < s->nr_frames; i++) {
		const struct frame *f = &s->frames[i];
		uint64_t end = (uint64_t)f->symbols_first + f->symbols_nr;
		int err = 0;

		if (f->module != NO_INDEX)
			err = check_index("frame", i, "module", f->module, s->nr_modules, e);
		if (!err && f->symbols_nr)
			err = check_index("frame", i, "symbol", end - 1, s->nr_symbols, e);
		if (err)
			return err;
	}
	for (size_t i = 0; i < s->nr_symbols; i++) {
		int err = check_text(s, "symbol", i, s->symbols[i].function, e);

		if (!err)
			err = check_text(s, "symbol", i, s->symbols[i].file, e);
		if (err)
			return err;
	}
	return 0;
}

static int check_node(const struct snapshot *s, size_t i, struct error *e)
{
	const struct stack_node *n = &s->nodes[i];

	if (n->parent >= i)
		return error_set(e, -EINVAL, EXIT_FILE,
				 "node %zu has parent %" PRIu32 ", which does not come before it",
				 i, n->parent);
	if (n->special > FRAME_TAG)
		return error_set(e, -EINVAL, EXIT_FILE, "node %zu is of unknown kind %u", i,
				 n->special);
	if (check_text(s, "node", i, n->tag, e))
		return -EINVAL;
	if (n->special == FRAME_NONE)
		return check_index("node", i, "frame", n->frame, s->nr_frames, e);
	if (n->frame != NO_INDEX)
		return error_set(e, -EINVAL, EXIT_FILE, "node %zu is a mark and has a frame", i);
	return 0;
}

static int check_nodes(const struct snapshot *s, struct error *e)
{
	const struct stack_node *root = s->nodes;

	if (!s->nr_nodes || root->parent || root->frame != NO_INDEX || root->special != FRAME_NONE)
		return error_set(e, -EINVAL, EXIT_FILE, "the stacks have no root");
	for (size_t i = 1; i < s->nr_nodes; i++) {
		int err = check_node(s, i, e);

		if (err)
			return err;
	}
	for (size_t i = 0; i < s->nr_stacks; i++) {
		int err = check_index("stack", i, "node", s->stacks[i].node, s->nr_nodes, e);

		if (err)
			return err;
	}
	for (size_t i = 0; i < s->nr_resources; i++) {
		int err = check_index("resource", i, "node", s->resources[i].node, s->nr_nodes, e);

		if (err)
			return err;
	}
	return 0;
}

/* The same for a reference that may be none. */
static int check_optional(const char *who, size_t i, const char *what, uint32_t index, size_t nr,
			  struct error *e)
{
	return index == NO_INDEX ? 0 : check_index(who, i, what, index, nr, e);
}

/* "heap 3 is of unknown kind 9" unless kind < nr. */
static int check_kind(const char *who, size_t i, unsigned int kind, unsigned int nr,
		      struct error *e)
{
	if (kind < nr)
		return 0;
	return error_set(e, -EINVAL, EXIT_FILE, "%s %zu is of unknown kind %u", who, i, kind);
}

/* A heap lies in one that comes before it, so that climbing up always ends. */
static int check_heap(const struct snapshot *s, size_t i, struct error *e)
{
	const struct heap_row *h = &s->heaps[i];
	int err = check_text(s, "heap", i, h->allocator, e);

	if (!err)
		err = check_text(s, "heap", i, h->name, e);
	if (!err)
		err = check_text(s, "heap", i, h->fault, e);
	if (!err)
		err = check_kind("heap", i, h->kind, HEAP_UNKNOWN + 1, e);
	if (err)
		return err;
	if (h->parent != NO_INDEX && h->parent >= i)
		return error_set(e, -EINVAL, EXIT_FILE,
				 "heap %zu lies in heap %" PRIu32 ", which does not come before it",
				 i, h->parent);
	return 0;
}

static int check_span(const struct snapshot *s, size_t i, struct error *e)
{
	const struct heap_span *p = &s->spans[i];

	if (p->start > p->committed_end || p->committed_end > p->end)
		return error_set(e, -EINVAL, EXIT_FILE, "span %zu ends before it starts", i);
	if (i && p->start < s->spans[i - 1].start)
		return error_set(e, -EINVAL, EXIT_FILE, "span %zu starts before the one before it",
				 i);
	return check_index("span", i, "heap", p->heap, s->nr_heaps, e);
}

static int check_heaps(const struct snapshot *s, struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < s->nr_heaps && !err; i++)
		err = check_heap(s, i, e);
	for (size_t i = 0; i < s->nr_spans && !err; i++)
		err = check_span(s, i, e);
	for (size_t i = 0; i < s->nr_checks && !err; i++) {
		err = check_text(s, "check", i, s->checks[i].what, e);
		if (!err)
			err = check_optional("check", i, "heap", s->checks[i].heap, s->nr_heaps, e);
	}
	return err;
}

static int check_block(const struct snapshot *s, size_t i, struct error *e)
{
	const struct block *b = &s->blocks[i];
	int err = check_optional("block", i, "stack", b->stack, s->nr_stacks, e);

	if (!err)
		err = check_optional("block", i, "heap", b->heap, s->nr_heaps, e);
	if (!err)
		err = check_kind("block", i, b->state, BLOCK_STATES, e);
	if (!err)
		err = check_kind("block", i, b->sampled, SAMPLED_MAX + 1, e);
	return err;
}

static int check_owner(const struct snapshot *s, size_t i, struct error *e)
{
	const struct region *r = &s->regions[i];

	switch (region_owner_of(r->kind)) {
	case REGION_OWNER_MODULE:
		return check_optional("region", i, "module", r->owner, s->nr_modules, e);
	case REGION_OWNER_HEAP:
		return check_optional("region", i, "heap", r->owner, s->nr_heaps, e);
	case REGION_OWNER_THREAD:
		return check_optional("region", i, "thread", r->owner, s->nr_threads, e);
	case REGION_OWNER_NONE:
		break;
	}
	if (r->owner != NO_INDEX)
		return error_set(e, -EINVAL, EXIT_FILE, "region %zu is of kind %u and has an owner",
				 i, r->kind);
	return 0;
}

static int check_region(const struct snapshot *s, size_t i, struct error *e)
{
	const struct region *r = &s->regions[i];
	int err = check_text(s, "region", i, r->path, e);

	if (!err)
		err = check_kind("region", i, r->kind, REGION_KINDS, e);
	if (!err)
		err = check_owner(s, i, e);
	if (err)
		return err;
	if (r->start > r->end)
		return error_set(e, -EINVAL, EXIT_FILE, "region %zu ends before it starts", i);
	if (r->prot > 15)
		return error_set(e, -EINVAL, EXIT_FILE, "region %zu has unknown protection %u", i,
				 r->prot);
	return 0;
}

static int check_generation(const struct snapshot *s, const char *what, size_t i,
			    const struct generation_row *g, const char *of, size_t nr_of,
			    struct error *e)
{
	int err = check_index(what, i, of, g->stack, nr_of, e);

	return err ? err : check_index(what, i, "generation", g->generation, s->nr_marks + 1, e);
}

static int check_marks(const struct snapshot *s, struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < s->nr_marks && !err; i++)
		err = check_text(s, "mark", i, s->marks[i].name, e);
	for (size_t i = 0; i < s->nr_mark_handles && !err; i++) {
		err = check_index("handles", i, "mark", s->mark_handles[i].mark, s->nr_marks, e);
		if (!err)
			err = check_text(s, "handles", i, s->mark_handles[i].kind, e);
	}
	for (size_t i = 0; i < s->nr_generations && !err; i++)
		err = check_generation(s, "generation", i, &s->generations[i], "stack",
				       s->nr_stacks, e);
	for (size_t i = 0; i < s->nr_resource_generations && !err; i++)
		err = check_generation(s, "generation of resources", i, &s->resource_generations[i],
				       "resource", s->nr_resources, e);
	return err;
}

static int check_memory(const struct snapshot *s, struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < s->nr_blocks && !err; i++)
		err = check_block(s, i, e);
	for (size_t i = 0; i < s->nr_threads && !err; i++) {
		err = check_text(s, "thread", i, s->threads[i].name, e);
		if (!err)
			err = check_optional("thread", i, "heap", s->threads[i].heap, s->nr_heaps,
					     e);
	}
	for (size_t i = 0; i < s->nr_regions && !err; i++)
		err = check_region(s, i, e);
	return err;
}

int snapshot_check(const struct snapshot *s, struct error *e)
{
	int err = check_counts(s, e);

	if (!err)
		err = check_strings(&s->strings, e);
	if (!err)
		err = check_identity(s, e);
	if (!err)
		err = check_modules(s, e);
	if (!err)
		err = check_frames(s, e);
	if (!err)
		err = check_nodes(s, e);
	if (!err)
		err = check_marks(s, e);
	if (!err)
		err = check_heaps(s, e);
	if (!err)
		err = check_memory(s, e);
	if (!err)
		err = references_check(s, e);
	return err;
}
