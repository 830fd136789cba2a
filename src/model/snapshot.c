/* Life, sums and identity of a snapshot; see snapshot.h. Its consistency: snapshot_check.c. */
#include "model/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define SUB_SPANS_MAX 4096 /* in one outer span; a hostile file may have any number */

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
	free(s->resources);
	free(s->blocks);
	free(s->marks);
	free(s->generations);
	free(s->resource_generations);
	free(s->mark_handles);
	free(s->threads);
	free(s->regions);
	free(s->heaps);
	free(s->spans);
	free(s->checks);
	free(s->ref_blocks);
	free(s->ref_edges);
	free(s->ref_owners);
	free(s->ref_roots);
	free(s->ref_patterns);
	free(s->modes);
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
		add_up(&t.live_samples, k->live_samples);
		add_up(&t.total_samples, k->total_samples);
	}
	/* Blocks that were counted but found no room in the live table were not freed by that. */
	t.freed_blocks = less(less(t.total_blocks, t.live_blocks), s->losses.dropped_blocks);
	t.freed_bytes = less(less(t.total_bytes, t.live_bytes), s->losses.dropped_bytes);
	/* Nor were those that a pool has handed on. */
	t.freed_bytes = less(t.freed_bytes, s->pooled_bytes);
	s->totals = t;
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
	bool boots_known = *x->boot_id && *y->boot_id;

	if (boots_known && strncmp(x->boot_id, y->boot_id, sizeof(x->boot_id)) != 0) {
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
	if (boots_known && x->start_ticks != y->start_ticks)
		return differ(e, "process %" PRId32 " was started anew in between", x->pid);
	if (x->image != y->image && x->image && y->image)
		return differ(e,
			      "process %" PRId32 " executed another program in between (image "
			      "%" PRIu32 ", then %" PRIu32 ")",
			      x->pid, x->image, y->image);
	if ((!x->image || !y->image) && !same_path(exe_a, exe_b))
		return differ(e, "process %" PRId32 " ran '%.128s', then '%.128s'", x->pid, exe_a,
			      exe_b);
	if (!boots_known && (*x->boot_id || *y->boot_id))
		return differ(e, "a core does not tell which start of process %" PRId32 " it is of",
			      x->pid);
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

uint32_t snapshot_find_heap(const struct snapshot *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_spans, most;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->spans[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	/* Spans of sub-heaps that lie in front of addr may stand between it and the outer one. */
	most = low < SUB_SPANS_MAX ? low : SUB_SPANS_MAX;
	for (size_t i = low; i > low - most; i--) {
		if (addr < s->spans[i - 1].end)
			return s->spans[i - 1].heap;
	}
	return NO_INDEX;
}

/* It was chosen with the probability 1 - exp(-size / mean); see wire/sample.h. */
double block_weight(const struct block *b)
{
	double size = b->size ? (double)b->size : 1;

	return b->sampled ? -1 / expm1(-ldexp(size, 1 - b->sampled)) : 1;
}
