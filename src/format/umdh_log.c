/* UMDH's snapshot log: the modules, then one line for every block, its stack when first met. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "format/format.h"
#include "format/umdh.h"
#include "model/listing.h"
#include "model/snapshot.h"

static void add_module(struct str *out, const struct snapshot *s, const struct module *m)
{
	const char *path = strings_get(&s->strings, m->path);

	str_printf(out, "//    %16" PRIX64 " %8" PRIX64 " ", m->start, m->end - m->start);
	text_printable(out, path, strlen(path));
	str_add(out, "\r\n");
}

static void add_header(struct str *out, const struct snapshot *s, const char *version)
{
	const char *host = strings_get(&s->strings, s->identity.host);
	time_t seconds = (time_t)(s->taken_realtime_ns / 1000000000);
	struct tm tm;
	char when[32] = "1970-01-01 00:00";

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	str_printf(out, "// \r\n// UMDH: version %s: Logtime %s - Machine=", version, when);
	text_printable(out, host, strlen(host));
	str_printf(out, " - PID=%" PRId32 "\r\n// \r\n\r\n", s->identity.pid);
	str_printf(out, "// Written by seep %s\r\n// Loaded modules: \r\n", version);
	str_add(out, "//     Base Size Module\r\n");
	for (size_t m = 0; m < s->nr_modules; m++) {
		if (!(s->modules[m].flags & MODULE_UNLOADED))
			add_module(out, s, &s->modules[m]);
	}
	str_add(out, "//\r\n// Process modules enumerated.\r\n");
}

/* Where the process's heap begins; snapshots know of one heap. */
static uint64_t heap_address(const struct snapshot *s)
{
	for (size_t i = 0; i < s->nr_regions; i++) {
		if (strcmp(strings_get(&s->strings, s->regions[i].path), "[heap]") == 0)
			return s->regions[i].start;
	}
	return 0;
}

/* Return addresses, as the readers expect them: names are looked up when logs are compared. */
static void add_addresses(struct str *out, const struct snapshot *s, uint32_t node)
{
	for (; node; node = s->nodes[node].parent) {
		const struct stack_node *n = &s->nodes[node];
		const struct frame *f = n->frame < s->nr_frames ? &s->frames[n->frame] : NULL;

		if (!f || n->special != FRAME_NONE)
			continue;
		if (f->module < s->nr_modules && (s->modules[f->module].flags & MODULE_RECORDER))
			continue;
		str_printf(out, "\t%" PRIX64 "\r\n", f->pc);
	}
}

static int compare_blocks(const void *pa, const void *pb)
{
	const struct block *const *a = pa, *const *b = pb;

	return (*a)->addr < (*b)->addr ? -1 : (*a)->addr > (*b)->addr;
}

static void add_block(struct str *out, const struct snapshot *s, const struct block *b,
		      bool *printed)
{
	const struct stack *stack = &s->stacks[b->stack];
	uint32_t id = umdh_id(s, stack->id, stack->node);
	bool first = id && !printed[b->stack];

	if (first)
		str_add(out, "\r\n");
	str_printf(out,
		   "%" PRIX64 " bytes + %" PRIX64 " at %" PRIX64 " by BackTrace%" PRIX32 "\r\n",
		   b->size, umdh_overhead(s, b->size), b->addr, id);
	if (!first)
		return;
	add_addresses(out, s, stack->node);
	str_add(out, "\r\n");
	printed[b->stack] = true;
}

/* By stack: did the filter and suppressions leave it in the listing? */
static bool *listed_stacks(const struct listing *l)
{
	bool *by_change = mem_alloc_array(l->changes.nr, sizeof(*by_change));
	bool *listed = mem_alloc_array(l->after->nr_stacks, sizeof(*listed));

	for (size_t r = 0; r < l->nr_shown; r++) {
		for (size_t i = 0; i < l->rows[r].nr; i++)
			by_change[l->members[l->rows[r].first + i]] = true;
	}
	for (size_t k = 0; k < l->after->nr_stacks; k++)
		listed[k] = by_change[l->changes.of_after[k]];
	free(by_change);
	return listed;
}

static void add_blocks(struct out *o, const struct listing *l)
{
	const struct snapshot *s = l->after;
	const struct block **blocks = mem_alloc_array(s->nr_blocks, sizeof(const struct block *));
	bool *listed = listed_stacks(l);
	bool *printed = mem_alloc_array(s->nr_stacks, sizeof(*printed));
	size_t nr = 0;

	for (size_t i = 0; i < s->nr_blocks; i++) {
		uint32_t stack = s->blocks[i].stack;

		if (stack != NO_INDEX && listed[stack])
			blocks[nr++] = &s->blocks[i];
	}
	if (nr)
		qsort(blocks, nr, sizeof(const struct block *), compare_blocks);
	for (size_t i = 0; i < nr; i++) {
		add_block(&o->text, s, blocks[i], printed);
		out_step(o);
	}
	free(printed);
	free(listed);
	free(blocks);
}

int umdh_log(struct out *o, const struct view *v, const struct format_options *options,
	     struct error *e)
{
	static const char rule[] = "- - - - - - - - - -";
	const struct snapshot *s = v->listing->after;
	uint64_t heap = heap_address(s);

	if (!s->has_blocks) {
		error_set(e, -ENODATA, EXIT_FILE,
			  "cannot write '%s' as a UMDH log: it holds no single blocks",
			  v->after_name);
		error_hint(e, "take the snapshot with its blocks, or use --format text");
		return -ENODATA;
	}
	add_header(&o->text, s, options->version);
	str_printf(&o->text, "\r\n*%s Start of data for heap @ %" PRIX64 " %s\r\n\r\n", rule, heap,
		   rule);
	str_add(&o->text, "REQUESTED bytes + OVERHEAD at ADDRESS by BackTraceID\r\n"
			  "     STACK if not already dumped.\r\n\r\n");
	str_printf(&o->text, "*%s Heap %" PRIX64 " Hogs %s\r\n\r\n", rule, heap, rule);
	add_blocks(o, v->listing);
	str_printf(&o->text, "\r\n*%s End of data for heap @ %" PRIX64 " %s\r\n\r\n", rule, heap,
		   rule);
	return 0;
}
