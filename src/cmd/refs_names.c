/* What roots and blocks are called, and whose a root is; see refs.h. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/refs.h"
#include "cmd/stack_slots.h"
#include "model/lines.h"
#include "target/process.h"

static const char *thread_name(const struct refs_run *run, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(run->graph->source.look.target, &nr);

	for (size_t i = 0; i < nr; i++) {
		if (threads[i].tid == tid)
			return threads[i].name;
	}
	return "";
}

/* All modules' thread-local variables, which lie directly below a thread's structure. */
static uint64_t local_bytes(const struct refs_run *run)
{
	size_t nr;
	const struct target_module *modules = target_modules(run->graph->source.look.target, &nr);
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += (modules[i].tls_bytes + 63) & ~63ull;
	return sum;
}

enum thread_part { THREAD_RANGE, THREAD_OWN, THREAD_LOCAL };

/* What of a thread an address in its stack's mapping is. */
static enum thread_part part_of_thread(const struct refs_run *run, const struct root_range *range,
				       uint64_t where)
{
	size_t nr;
	const struct target_thread *threads = target_threads(run->graph->source.look.target, &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t tp = threads[i].tp;

		if (threads[i].tid != range->tid || tp < range->start || tp >= range->end)
			continue;
		if (where >= tp)
			return THREAD_OWN;
		if (tp - where <= local_bytes(run))
			return THREAD_LOCAL;
	}
	return THREAD_RANGE;
}

static const char *name_of_range(const struct refs_run *run, const struct root_range *range,
				 uint64_t where)
{
	switch (range->tid ? part_of_thread(run, range, where) : THREAD_RANGE) {
	case THREAD_OWN:
		return "thread's own data";
	case THREAD_LOCAL:
		return "thread-local storage";
	case THREAD_RANGE:
		break;
	}
	return root_kind_name(range->kind);
}

static void add_thread(const struct refs_run *run, int32_t tid, struct str *out)
{
	const char *name = thread_name(run, tid);

	str_printf(out, " of thread %d", tid);
	if (*name) {
		str_add(out, " (");
		text_printable(out, name, strlen(name));
		str_add_char(out, ')');
	}
}

static void add_mapping(const struct root_range *range, struct str *out)
{
	if (!*range->path)
		return;
	str_add_char(out, ' ');
	text_printable(out, range->path, strlen(range->path));
}

/* A variable, or a place in a module's data that has no name. */
static void describe_global(const struct refs_run *run, uint64_t where, struct refs_root_text *ret)
{
	size_t len;
	bool known;

	str_add_char(&ret->before, ' ');
	len = ret->before.len;
	known = variables_name(run->variables, where, &ret->before, &ret->behind, &ret->base);
	ret->always_offset = !known && ret->before.len > len;
}

void refs_root_text(const struct refs_run *run, uint64_t where, struct refs_root_text *ret)
{
	const struct root_range *range;

	*ret = (struct refs_root_text){.before = STR_INIT, .behind = STR_INIT};
	if (where & REACHABLE_WORD) {
		const struct root_word *word = &run->graph->roots.words[where & ~REACHABLE_WORD];

		str_add(&ret->before, word->what);
		if (word->kind == ROOT_REGISTER)
			add_thread(run, word->tid, &ret->before);
		return;
	}
	if (where & REACHABLE_OWN) {
		str_add(&ret->before, "the C library's own");
		return;
	}
	range = roots_find_range(&run->graph->roots, where);
	if (!range)
		return;
	str_add(&ret->before, name_of_range(run, range, where));
	if (range->kind == ROOT_GLOBAL)
		describe_global(run, where, ret);
	else if (range->tid)
		add_thread(run, range->tid, &ret->before);
	else
		add_mapping(range, &ret->before);
}

void refs_root_text_release(struct refs_root_text *text)
{
	str_release(&text->before);
	str_release(&text->behind);
}

void refs_root_detail(const struct refs_run *run, uint64_t where, struct str *out)
{
	const struct root_range *range;

	if (where & (REACHABLE_WORD | REACHABLE_OWN))
		return;
	range = roots_find_range(&run->graph->roots, where);
	if (range && range->kind == ROOT_STACK && range->tid)
		stack_slots_describe(run->slots, range->tid, where, out);
}

static const struct ref_root *row_of(const struct refs_run *run, size_t hit)
{
	return &run->graph->source.look.snapshot.ref_roots[run->graph->hits.items[hit].where];
}

void refs_describe_root(const struct refs_run *run, size_t hit, struct str *out)
{
	uint64_t where = run->graph->hits.items[hit].where;
	struct refs_root_text text;

	if (!graph_has_memory(run->graph)) {
		references_describe_root(&run->graph->source.look.snapshot, row_of(run, hit), out);
		return;
	}
	refs_root_text(run, where, &text);
	str_add(out, text.before.data);
	if (text.always_offset || (text.base && where != text.base))
		str_printf(out, "+0x%llx", (unsigned long long)(where - text.base));
	str_add(out, text.behind.data);
	refs_root_detail(run, where, out);
	refs_root_text_release(&text);
}

uint64_t refs_root_address(const struct refs_run *run, size_t hit)
{
	uint64_t where = run->graph->hits.items[hit].where;

	if (!graph_has_memory(run->graph))
		return row_of(run, hit)->where;
	return where & (REACHABLE_WORD | REACHABLE_OWN) ? 0 : where;
}

uint64_t refs_root_into(const struct refs_run *run, size_t hit)
{
	const struct root_hit *h = &run->graph->hits.items[hit];
	uint64_t word = 0;

	if (!graph_has_memory(run->graph))
		return row_of(run, hit)->into;
	if (h->where & REACHABLE_WORD)
		word = run->graph->roots.words[h->where & ~REACHABLE_WORD].value;
	else if (h->where & REACHABLE_OWN)
		word = h->where & ~REACHABLE_OWN;
	else
		target_read_word(run->graph->source.look.target, h->where, &word);
	return refs_into(run->graph->reach, word,
			 reach_address(run->graph->reach, h->edge & ~REACH_WEAK));
}

uint64_t refs_into(const struct reach *r, uint64_t word, uint64_t addr)
{
	return reach_untagged(r, word) == word ? word - addr : REF_FAR;
}

/* "block of 48 bytes, shop::Order, made at order_new (shop.c:51)" */
void refs_describe_block(struct refs_run *run, uint32_t id, struct str *out)
{
	struct block_facts b = {
		.addr = reach_address(run->graph->reach, id),
		.size = reach_size(run->graph->reach, id),
		.stack = NO_INDEX,
		.age_ns = AGE_UNKNOWN,
	};
	struct str site = STR_INIT;
	const char *class_name;

	b.usable = b.size;
	blocks_know(&run->graph->source, &b);
	class_name = blocks_class_text(&run->graph->source, b.class_id, b.is_array);
	str_printf(out, "block of %s bytes", format_count(b.size).text);
	if (*class_name)
		str_printf(out, ", %s", class_name);
	if (b.stack != NO_INDEX)
		blocks_site_text(&run->graph->source, b.stack, &site);
	if (site.len)
		str_printf(out, ", made at %s", site.data);
	str_release(&site);
}

/* --- owners --- */

/* Which kind of key it is: addresses of variables have none of these bits. */
#define KEY_THREAD (1ull << 62) /* and the thread, and what of it */
#define KEY_RANGE (1ull << 61)	/* and where it begins */
#define KEY_REGISTERS (1ull << 60)
#define KEY_KERNEL (1ull << 59)
#define KEY_LIBRARY (1ull << 58)

static uint64_t key_of_range(const struct refs_run *run, uint64_t where)
{
	const struct root_range *range = roots_find_range(&run->graph->roots, where);
	uint64_t start;

	if (!range)
		return KEY_RANGE;
	if (range->kind == ROOT_GLOBAL) {
		start = variables_start(run->variables, where);
		return start ? start : KEY_RANGE | (range->module ? range->module->start : 0);
	}
	if (!range->tid)
		return KEY_RANGE | range->start;
	return KEY_THREAD | (uint64_t)(uint32_t)range->tid << 8 | part_of_thread(run, range, where);
}

static uint64_t key_of(const struct refs_run *run, uint64_t where)
{
	const struct root_word *word;

	if (where & REACHABLE_OWN)
		return KEY_LIBRARY;
	if (!(where & REACHABLE_WORD))
		return key_of_range(run, where);
	word = &run->graph->roots.words[where & ~REACHABLE_WORD];
	if (word->kind == ROOT_REGISTER)
		return KEY_REGISTERS | (uint32_t)word->tid;
	return KEY_KERNEL | (where & ~REACHABLE_WORD);
}

/* As they are in the snapshot. */
static void read_owners(const struct refs_run *run, struct refs_owners *o)
{
	const struct snapshot *s = &run->graph->source.look.snapshot;

	o->nr = o->cap = s->nr_ref_owners;
	o->items = mem_alloc_array(o->nr, sizeof(*o->items));
	for (size_t i = 0; i < o->nr; i++)
		o->items[i].key = i;
	for (size_t i = 0; i < s->nr_ref_roots; i++)
		o->of_hit[i] = s->ref_roots[i].owner;
}

static void find_owners(const struct refs_run *run, struct refs_owners *o)
{
	struct map by_key = MAP_INIT;

	for (size_t i = 0; i < run->graph->hits.nr; i++) {
		uint64_t key = key_of(run, run->graph->hits.items[i].where), *at;
		bool added;

		at = map_at(&by_key, key, &added);
		if (added) {
			*at = o->nr;
			ARRAY_PUSH(o->items, o->nr, o->cap, ((struct refs_owner){key, i}));
		}
		o->of_hit[i] = (uint32_t)*at;
	}
	map_release(&by_key);
}

void refs_owners_find(const struct refs_run *run, struct refs_owners *ret)
{
	struct refs_owners o = {.items = NULL};

	o.of_hit = mem_alloc_array(run->graph->hits.nr, sizeof(*o.of_hit));
	if (graph_has_memory(run->graph))
		find_owners(run, &o);
	else
		read_owners(run, &o);
	*ret = o;
}

void refs_owners_release(struct refs_owners *o)
{
	free(o->items);
	free(o->of_hit);
	*o = (struct refs_owners){.items = NULL};
}

void refs_describe_owner(const struct refs_run *run, const struct refs_owner *o, struct str *out)
{
	const struct snapshot *s = &run->graph->source.look.snapshot;
	const struct root_range *range;
	struct refs_root_text text;
	uint64_t where;

	if (!graph_has_memory(run->graph)) {
		str_add(out, strings_get(&s->strings, s->ref_owners[o->key].name));
		return;
	}
	where = run->graph->hits.items[o->hit].where;
	range = roots_find_range(&run->graph->roots, where);
	refs_root_text(run, where, &text);
	if (range && range->kind == ROOT_GLOBAL && o->key & KEY_RANGE) {
		str_printf(out, "%s ", root_kind_name(range->kind));
		text_printable(out, text_base_name(range->path),
			       strlen(text_base_name(range->path)));
	} else {
		str_printf(out, "%s%s", text.before.data, text.behind.data);
		if (o->key & KEY_RANGE)
			str_printf(out, " at 0x%llx", (unsigned long long)(o->key & ~KEY_RANGE));
	}
	refs_root_text_release(&text);
}
