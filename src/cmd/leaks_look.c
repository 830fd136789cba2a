/* One look at what a target has lost, and what is left out of it; see leaks.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "cmd/leaks.h"
#include "model/lines.h"

void leaks_collect_look(struct leaks_look *l)
{
	struct leak_totals *t = &l->totals;
	void (*collect)(struct leak_list *, const struct reach *, const struct leak_heads *,
			enum reach_state) = l->o->indirect ? leaks_collect_all : leaks_collect;
	struct leak_heads possible;

	leak_heads_find(l->graph.reach, REACH_LEAKED, &l->heads);
	collect(&l->leaks, l->graph.reach, &l->heads, REACH_LEAKED);
	t->leaks = l->heads.nr;
	t->leaked_blocks = l->heads.blocks;
	t->leaked_bytes = l->heads.bytes;
	leak_heads_find(l->graph.reach, REACH_POSSIBLE, &possible);
	if (l->o->possible)
		collect(&l->leaks, l->graph.reach, &possible, REACH_POSSIBLE);
	t->possible_leaks = possible.nr;
	t->possible_blocks = possible.blocks;
	t->possible_bytes = possible.bytes;
	leak_heads_release(&possible);
	t->reachable_blocks = l->graph.account.blocks - t->leaked_blocks - t->possible_blocks;
	t->reachable_bytes = l->graph.account.bytes - t->leaked_bytes - t->possible_bytes;
	for (size_t i = 0; i < l->leaks.nr; i++)
		blocks_know(&l->graph.source, &l->leaks.items[i].facts);
}

static int refuse_content(const struct leaks_look *l, struct error *e)
{
	error_set(e, -ENODATA, EXIT_FILE, "snapshot '%s' holds no contents of memory",
		  l->graph.source.look.operand);
	error_hint(e, "without --content it answers; a core has contents (seep core)");
	return -ENODATA;
}

int leaks_look(const char *target, const struct leaks_options *o, struct leaks_look *l,
	       struct error *e)
{
	struct look_options options = o->look;
	struct progress progress;
	int err;

	memset(l, 0, sizeof(*l));
	l->o = o;
	options.progress = &progress;
	progress_start(&progress, STDERR_FILENO, "looking for leaks", 0);
	err = graph_open(&l->graph, target, &options, e);
	if (err == 0) {
		if (o->content && !graph_has_memory(&l->graph))
			err = refuse_content(l, e);
		if (err == 0)
			err = graph_find(&l->graph, o->no_other_roots ? GRAPH_NO_OTHER_ROOTS : 0,
					 e);
		if (err == 0)
			leaks_collect_look(l);
		else
			leaks_look_release(l);
	}
	progress_end(&progress);
	return err;
}

void leaks_look_release(struct leaks_look *l)
{
	leaks_release(&l->leaks);
	leak_heads_release(&l->heads);
	graph_close(&l->graph);
	memset(l, 0, sizeof(*l));
}

uint64_t *leaks_addresses(const struct leaks_look *l, size_t *ret_nr)
{
	uint64_t *addresses = mem_alloc_array((size_t)l->heads.blocks, sizeof(*addresses));
	struct reach_cursor c = {0};
	size_t nr = 0;

	for (uint32_t id = 0; id < reach_ids(l->graph.reach); id++) {
		if (reach_is_block(l->graph.reach, id) &&
		    reach_state(l->graph.reach, id) == REACH_LEAKED)
			addresses[nr++] = reach_next_address(l->graph.reach, id, &c);
	}
	*ret_nr = nr;
	return addresses;
}

static bool has_address(const uint64_t *addresses, size_t nr, uint64_t addr)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addresses[middle] < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < nr && addresses[low] == addr;
}

/* What only this look saw is not lost for good: no total may count it. */
static void forget(struct leak_totals *t, const struct leak *leak)
{
	uint64_t blocks = leak->members + leak->held_blocks;

	if (leak->state != REACH_LEAKED)
		return;
	t->leaks--;
	t->leaked_blocks -= blocks;
	t->leaked_bytes -= leak_total_bytes(leak);
	t->reachable_blocks += blocks;
	t->reachable_bytes += leak_total_bytes(leak);
}

void leaks_keep_repeated(struct leaks_look *l, const uint64_t *addresses, size_t nr)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->leaks.nr; i++) {
		struct leak *leak = &l->leaks.items[i];

		if (has_address(addresses, nr, leak->addr)) {
			l->leaks.items[kept++] = *leak;
			continue;
		}
		forget(&l->totals, leak);
		l->left_out.not_repeated++;
	}
	l->leaks.nr = kept;
}

void leaks_mark_late(struct leaks_look *l, const struct leaks_known *k)
{
	l->earlier = k->earlier_totals;
	for (size_t i = 0; l->earlier && i < l->leaks.nr; i++) {
		struct leak *leak = &l->leaks.items[i];

		leak->is_late = leak->state == REACH_LEAKED &&
				!has_address(k->earlier, k->nr_earlier, leak->addr);
		if (!leak->is_late)
			continue;
		l->late_blocks += leak->members + leak->held_blocks;
		l->late_bytes += leak_total_bytes(leak);
	}
}

void leaks_weaken(struct leaks_look *l)
{
	struct leak_totals *t = &l->totals;

	l->is_weakened = true;
	t->possible_leaks += t->leaks;
	t->possible_blocks += t->leaked_blocks;
	t->possible_bytes += t->leaked_bytes;
	t->leaks = t->leaked_blocks = t->leaked_bytes = 0;
	for (size_t i = 0; i < l->leaks.nr; i++)
		l->leaks.items[i].state = REACH_POSSIBLE;
}

static const struct block *find_block(const struct snapshot *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_blocks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->blocks[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->nr_blocks && s->blocks[low].addr == addr ? &s->blocks[low] : NULL;
}

static bool is_old(const struct snapshot *since, const struct leak *leak)
{
	const struct block *then = find_block(since, leak->addr);

	/* A block of another size is another block at the same place. */
	return then && (then->size == leak->facts.size || then->size == leak->facts.usable);
}

/* Everything that decides; one leak at a time. */
struct sieve {
	struct leaks_look *l;
	const struct snapshot *since; /* NULL: not asked */
	struct suppressions *suppressions;
	struct leak_baseline *baseline;
};

static bool is_suppressed(struct sieve *s, const struct leak *leak)
{
	const struct lines *lines =
		block_filter_lines(&s->l->graph.source.filter, leak->facts.stack);
	struct suppression *rule;

	if (!s->suppressions || !lines)
		return false;
	rule = suppressions_find(s->suppressions, lines);
	if (!rule)
		return false;
	rule->stacks++;
	rule->blocks += leak->members + leak->held_blocks;
	rule->bytes += leak_total_bytes(leak);
	return true;
}

static bool is_accepted(struct sieve *s, const struct leak *leak)
{
	struct str text = STR_INIT;
	bool known;

	if (!s->baseline)
		return false;
	leaks_fingerprint_text(s->l, leak, &text);
	known = leak_baseline_meet(s->baseline, leak_fingerprint(text.data));
	str_release(&text);
	return known;
}

static bool passes(struct sieve *s, const struct leak *leak)
{
	const struct leaks_options *o = s->l->o;
	struct leaks_left_out *out = &s->l->left_out;

	if (leak_total_bytes(leak) < o->min_bytes) {
		out->small++;
	} else if (o->min_age_ns &&
		   (leak->facts.age_ns == AGE_UNKNOWN || leak->facts.age_ns < o->min_age_ns)) {
		out->young++;
	} else if (s->since && is_old(s->since, leak)) {
		out->old++;
	} else if (is_suppressed(s, leak)) {
		out->suppressed++;
		out->suppressed_bytes += leak_total_bytes(leak);
	} else if (is_accepted(s, leak)) {
		out->in_baseline++;
		out->in_baseline_bytes += leak_total_bytes(leak);
	} else {
		return true;
	}
	return false;
}

int leaks_leave_out(struct leaks_look *l, struct leaks_known *k, struct error *e)
{
	struct sieve s = {
		.l = l,
		.since = k->has_since ? &k->since : NULL,
		.suppressions = k->has_suppressions ? &k->suppressions : NULL,
		.baseline = k->has_baseline ? &k->baseline : NULL,
	};
	size_t kept = 0;
	int err = 0;

	if (s.since)
		err = snapshot_same_process(s.since, &l->graph.source.look.snapshot, e);
	if (err < 0)
		return err;
	for (size_t i = 0; i < l->leaks.nr; i++) {
		if (passes(&s, &l->leaks.items[i]))
			l->leaks.items[kept++] = l->leaks.items[i];
	}
	l->leaks.nr = kept;
	return 0;
}
