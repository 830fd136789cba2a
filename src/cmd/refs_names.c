/* What roots and blocks are called, and whose a root is; see refs.h. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/refs.h"
#include "model/lines.h"
#include "target/process.h"

static const char *thread_name(const struct refs_run *run, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(run->source.look.target, &nr);

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
	const struct target_module *modules = target_modules(run->source.look.target, &nr);
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
	const struct target_thread *threads = target_threads(run->source.look.target, &nr);

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

/* "global shop_table+0x40", "stack of thread 12 (worker)". */
void refs_describe_root(const struct refs_run *run, uint64_t where, struct str *out)
{
	const struct root_range *range;

	if (where & REACHABLE_WORD) {
		const struct root_word *word = &run->roots.words[where & ~REACHABLE_WORD];

		str_add(out, word->what);
		if (word->kind == ROOT_REGISTER)
			add_thread(run, word->tid, out);
		return;
	}
	if (where & REACHABLE_OWN) {
		str_add(out, "the C library's own");
		return;
	}
	range = roots_find_range(&run->roots, where);
	if (!range)
		return;
	str_add(out, name_of_range(run, range, where));
	if (range->kind == ROOT_GLOBAL) {
		str_add_char(out, ' ');
		variables_name(run->variables, where, out);
	} else if (range->tid) {
		add_thread(run, range->tid, out);
	} else if (*range->path) {
		str_add_char(out, ' ');
		text_printable(out, range->path, strlen(range->path));
	}
}

/* "block of 48 bytes, shop::Order, made at order_new (shop.c:51)" */
void refs_describe_block(struct refs_run *run, uint32_t id, struct str *out)
{
	struct block_facts b = {
		.addr = reach_address(run->reach, id),
		.size = reach_size(run->reach, id),
		.stack = NO_INDEX,
		.age_ns = AGE_UNKNOWN,
	};
	struct str site = STR_INIT;
	const char *class_name;

	b.usable = b.size;
	blocks_know(&run->source, &b);
	class_name = blocks_class_text(&run->source, b.class_id, b.is_array);
	str_printf(out, "block of %s bytes", format_count(b.size).text);
	if (*class_name)
		str_printf(out, ", %s", class_name);
	if (b.stack != NO_INDEX)
		blocks_site_text(&run->source, b.stack, &site);
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
	const struct root_range *range = roots_find_range(&run->roots, where);
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
	word = &run->roots.words[where & ~REACHABLE_WORD];
	if (word->kind == ROOT_REGISTER)
		return KEY_REGISTERS | (uint32_t)word->tid;
	return KEY_KERNEL | (where & ~REACHABLE_WORD);
}

void refs_owners_find(const struct refs_run *run, struct refs_owners *ret)
{
	struct refs_owners o = {.items = NULL};
	struct map by_key = MAP_INIT;

	o.of_hit = mem_alloc_array(run->hits.nr, sizeof(*o.of_hit));
	for (size_t i = 0; i < run->hits.nr; i++) {
		uint64_t key = key_of(run, run->hits.items[i].where), *at;
		bool added;

		at = map_at(&by_key, key, &added);
		if (added) {
			*at = o.nr;
			ARRAY_PUSH(o.items, o.nr, o.cap, ((struct refs_owner){key, i}));
		}
		o.of_hit[i] = (uint32_t)*at;
	}
	map_release(&by_key);
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
	uint64_t where = run->hits.items[o->hit].where;
	const struct root_range *range = roots_find_range(&run->roots, where);

	if (!range || range->kind != ROOT_GLOBAL) {
		refs_describe_root(run, where, out);
		if (o->key & KEY_RANGE)
			str_printf(out, " at 0x%llx", (unsigned long long)(o->key & ~KEY_RANGE));
		return;
	}
	str_printf(out, "%s ", root_kind_name(range->kind));
	if (o->key & KEY_RANGE)
		text_printable(out, path_base(range->path), strlen(path_base(range->path)));
	else
		variables_name(run->variables, o->key, out);
}
