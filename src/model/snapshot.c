/* Life, sums and consistency of a snapshot; see snapshot.h. */
#include "model/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

void snapshot_init(struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	strings_init(&s->strings);
	ARRAY_PUSH(s->nodes, s->nr_nodes, s->cap_nodes,
		   ((struct stack_node){.parent = 0, .frame = NO_INDEX, .special = FRAME_NONE}));
}

void snapshot_release(struct snapshot *s)
{
	if (!s)
		return;
	strings_release(&s->strings);
	free(s->modules);
	free(s->frames);
	free(s->symbols);
	free(s->nodes);
	free(s->stacks);
	free(s->blocks);
	free(s->threads);
	free(s->regions);
	memset(s, 0, sizeof(*s));
}

/* Sums of hostile counters stick at the top instead of wrapping round to something small. */
static void add_up(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

static uint64_t less(uint64_t whole, uint64_t part)
{
	return whole > part ? whole - part : 0;
}

void snapshot_sum(struct snapshot *s)
{
	struct totals t = {0};

	for (size_t i = 0; i < s->nr_stacks; i++) {
		const struct stack *k = &s->stacks[i];

		add_up(&t.live_blocks, k->live_blocks);
		add_up(&t.live_bytes, k->live_bytes);
		add_up(&t.total_blocks, k->total_blocks);
		add_up(&t.total_bytes, k->total_bytes);
		add_up(&t.temporary_blocks, k->temporary_blocks);
	}
	/* Blocks that were counted but found no room in the live table were not freed by that. */
	t.freed_blocks = less(less(t.total_blocks, t.live_blocks), s->losses.dropped_blocks);
	t.freed_bytes = less(less(t.total_bytes, t.live_bytes), s->losses.dropped_bytes);
	s->totals = t;
}

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
	const uint32_t texts[] = {id->name, id->exe, id->command, id->host, s->allocator};
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
	const size_t nrs[] = {s->strings.nr, s->nr_modules, s->nr_frames,
			      s->nr_symbols, s->nr_nodes,   s->nr_stacks};

	for (size_t i = 0; i < sizeof(nrs) / sizeof(nrs[0]); i++)
		if (nrs[i] >= NO_INDEX)
			return error_set(e, -EINVAL, EXIT_FILE, "an array has %zu rows", nrs[i]);
	if (!s->has_blocks && s->nr_blocks)
		return error_set(e, -EINVAL, EXIT_FILE,
				 "there are %zu blocks in a snapshot without blocks", s->nr_blocks);
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
	if (n->special > FRAME_NO_CFI)
		return error_set(e, -EINVAL, EXIT_FILE, "node %zu is of unknown kind %u", i,
				 n->special);
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
	return 0;
}

static int check_memory(const struct snapshot *s, struct error *e)
{
	int err;

	for (size_t i = 0; i < s->nr_blocks; i++) {
		err = check_index("block", i, "stack", s->blocks[i].stack, s->nr_stacks, e);
		if (err)
			return err;
	}
	for (size_t i = 0; i < s->nr_threads; i++) {
		err = check_text(s, "thread", i, s->threads[i].name, e);
		if (err)
			return err;
	}
	for (size_t i = 0; i < s->nr_regions; i++) {
		const struct region *r = &s->regions[i];

		err = check_text(s, "region", i, r->path, e);
		if (err)
			return err;
		if (r->start > r->end)
			return error_set(e, -EINVAL, EXIT_FILE, "region %zu ends before it starts",
					 i);
		if (r->prot > 15)
			return error_set(e, -EINVAL, EXIT_FILE,
					 "region %zu has unknown protection %u", i, r->prot);
	}
	return 0;
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
		err = check_memory(s, e);
	return err;
}

static int differ(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int differ(struct error *e, const char *format, ...)
{
	char how[384];
	va_list ap;

	va_start(ap, format);
	vsnprintf(how, sizeof(how), format, ap);
	va_end(ap);
	error_set(e, -EINVAL, EXIT_USAGE, "the snapshots are not of the same process: %s", how);
	error_hint(e, "--force compares them all the same");
	return -EINVAL;
}

/* The kernel adds " (deleted)" to the path of a program whose file was replaced meanwhile. */
static bool same_path(const char *a, const char *b)
{
	static const char mark[] = " (deleted)";
	size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	if (strncmp(a, b, n) != 0)
		return false;
	return (!a[n] || !strcmp(a + n, mark)) && (!b[n] || !strcmp(b + n, mark));
}

int snapshot_same_process(const struct snapshot *a, const struct snapshot *b, struct error *e)
{
	const struct identity *x = &a->identity, *y = &b->identity;
	const char *exe_a = strings_get(&a->strings, x->exe);
	const char *exe_b = strings_get(&b->strings, y->exe);

	if (strncmp(x->boot_id, y->boot_id, sizeof(x->boot_id)) != 0) {
		const char *host_a = strings_get(&a->strings, x->host);
		const char *host_b = strings_get(&b->strings, y->host);

		if (strcmp(host_a, host_b) != 0)
			return differ(e, "one ran on '%.64s', the other on '%.64s'", host_a,
				      host_b);
		return differ(e, "the machine was booted in between");
	}
	if (x->pid != y->pid)
		return differ(e, "process %" PRId32 " ('%.64s') and process %" PRId32 " ('%.64s')",
			      x->pid, strings_get(&a->strings, x->name), y->pid,
			      strings_get(&b->strings, y->name));
	if (x->start_ticks != y->start_ticks)
		return differ(e, "process %" PRId32 " was started anew in between", x->pid);
	if (x->image != y->image && x->image && y->image)
		return differ(e,
			      "process %" PRId32 " executed another program in between (image "
			      "%" PRIu32 ", then %" PRIu32 ")",
			      x->pid, x->image, y->image);
	if ((!x->image || !y->image) && !same_path(exe_a, exe_b))
		return differ(e, "process %" PRId32 " ran '%.128s', then '%.128s'", x->pid, exe_a,
			      exe_b);
	return 0;
}

uint32_t snapshot_find_module(const struct snapshot *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr_modules; i++) {
		const struct module *m = &s->modules[i];

		if (addr >= m->start && addr < m->end && !(m->flags & MODULE_UNLOADED))
			return (uint32_t)i;
	}
	return NO_INDEX;
}

bool losses_any(const struct losses *l)
{
	return l->dropped_blocks || l->dropped_bytes || l->unknown_frees || l->lost_frees ||
	       l->cut_stacks || l->stopped_stacks || l->missing_stacks || l->torn;
}
