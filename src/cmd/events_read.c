/* See events_read.h. */
#include "cmd/events_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/symbolize.h"
#include "format/words.h"
#include "model/lines.h"
#include "model/load.h"
#include "model/site.h"

static enum wire_event_kind kind_of(const struct wire_event *event)
{
	return (enum wire_event_kind)(event->seq_kind & 0xff);
}

const char *event_kind_name(const struct wire_event *event)
{
	static const char *const names[WIRE_EVENT_KINDS] = {
		[WIRE_EVENT_ALLOC] = "alloc",
		[WIRE_EVENT_FREE] = "free",
		[WIRE_EVENT_REALLOC_FREE] = "realloc",
		[WIRE_EVENT_RESTORE] = "restore",
		[WIRE_EVENT_VOID] = "void",
	};
	const char *name = names[kind_of(event)];

	return name ? name : "unknown";
}

/* ---- what is in it ---- */

static void count(struct events_totals *t, const struct wire_event *e)
{
	switch (kind_of(e)) {
	case WIRE_EVENT_ALLOC:
		t->allocated_blocks++;
		t->allocated_bytes += e->size;
		break;
	case WIRE_EVENT_VOID:
		t->allocated_blocks--;
		t->allocated_bytes -= e->size;
		break;
	case WIRE_EVENT_FREE:
	case WIRE_EVENT_REALLOC_FREE:
		t->freed_blocks += e->node != 0;
		t->freed_bytes += e->size;
		t->unknown_frees += !e->node;
		break;
	case WIRE_EVENT_RESTORE:
		t->freed_blocks -= e->node != 0;
		t->freed_bytes -= e->size;
		t->unknown_frees -= !e->node;
		break;
	case WIRE_EVENT_KINDS:
		break;
	}
	if (!t->events || e->ms < t->first_ms)
		t->first_ms = e->ms;
	if (e->ms > t->last_ms)
		t->last_ms = e->ms;
	t->events++;
}

/* Totals, and how often each node occurs. */
static void count_all(struct events_file *f, uint64_t *seen)
{
	struct wire_event *room = mem_alloc_array(EVENTFILE_CHUNK_ROWS, sizeof(*room));

	for (size_t c = 0; c < f->file.nr_chunks; c++) {
		size_t nr = eventfile_read(&f->file, c, room);

		for (size_t i = 0; i < nr; i++) {
			count(&f->totals, &room[i]);
			if (room[i].node)
				seen[room[i].node]++;
		}
	}
	free(room);
}

/* The recorder's tree as a snapshot, because that is what knows names. */
static void load_stacks(struct events_file *f, const uint64_t *seen)
{
	const struct eventfile_info *info = &f->file.info;
	uint64_t *none = mem_alloc_array(f->file.nr_nodes, sizeof(*none));
	struct wire_header *h = aligned_alloc(_Alignof(struct wire_header), sizeof(*h));

	if (!h)
		abort();
	memset(h, 0, sizeof(*h));
	h->began_monotonic_ns = info->began_monotonic_ns;
	snapshot_init(&f->snapshot);
	load_recording(&f->snapshot, &(struct load_input){
					     .header = h,
					     .nodes = f->file.nodes,
					     .node_blocks = seen,
					     .node_bytes = none,
					     .node_temps = none,
					     .nr_nodes = f->file.nr_nodes,
					     .modules = f->file.modules,
					     .nr_modules = f->file.nr_modules,
					     .exe = info->exe,
				     });
	f->snapshot.identity.pid = info->pid;
	f->snapshot.identity.start_ticks = info->start_ticks;
	f->snapshot.identity.image = info->image;
	memcpy(f->snapshot.identity.boot_id, info->boot_id, sizeof(info->boot_id));
	f->snapshot.identity.name = strings_add(&f->snapshot.strings, info->name);
	f->snapshot.identity.exe = strings_add(&f->snapshot.strings, info->exe);
	for (size_t i = 0; i < f->snapshot.nr_stacks; i++)
		f->stack_node[f->snapshot.stacks[i].id] = f->snapshot.stacks[i].node;
	free(none);
	free(h);
}

int events_file_open(const char *path, const struct events_options *o, struct events_file *ret,
		     struct error *e)
{
	struct events_file f = {0};
	uint64_t *seen;
	int err = eventfile_open(path, &f.file, e);

	if (err < 0)
		return err;
	f.stack_node = mem_alloc_array(f.file.nr_nodes, sizeof(*f.stack_node));
	f.sites = mem_alloc_array(f.file.nr_nodes, sizeof(*f.sites));
	seen = mem_alloc_array(f.file.nr_nodes, sizeof(*seen));
	count_all(&f, seen);
	load_stacks(&f, seen);
	free(seen);
	if (!o->no_symbols)
		symbolize_snapshot(&f.snapshot,
				   &(struct symbolize_options){.symbols = o->symbols,
							       .progress = o->progress},
				   NULL);
	*ret = f;
	return 0;
}

void events_file_close(struct events_file *f)
{
	for (size_t i = 0; i < f->file.nr_nodes; i++)
		free(f->sites[i]);
	free(f->sites);
	free(f->stack_node);
	snapshot_release(&f->snapshot);
	eventfile_close(&f->file);
}

/* ---- names ---- */

static char *make_site(struct events_file *f, uint32_t node)
{
	const struct wrapper_names none = {0};
	struct str text = STR_INIT;
	struct lines lines;
	struct site site;

	if (!f->stack_node[node])
		return mem_strdup("");
	lines_init(&lines);
	lines_of_stack(&lines, &f->snapshot, f->stack_node[node], &none);
	site = site_of(&lines);
	words_site(&text, &lines, &site, false);
	lines_release(&lines);
	return str_detach(&text);
}

const char *event_site(struct events_file *f, const struct wire_event *event)
{
	if (event->node >= f->file.nr_nodes)
		return "";
	if (!f->sites[event->node])
		f->sites[event->node] = make_site(f, event->node);
	return f->sites[event->node];
}

/* ---- in order ---- */

struct each {
	uint64_t from_ms, to_ms;
	bool (*call)(const struct wire_event *event, void *context);
	void *context;
};

/* False: no more are wanted. */
static bool hand_out(const struct each *x, const struct wire_event *events, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (events[i].ms >= x->from_ms && events[i].ms <= x->to_ms &&
		    !x->call(&events[i], x->context))
			return false;
	return true;
}

void events_each(struct events_file *f, uint64_t from_ms, uint64_t to_ms,
		 bool (*call)(const struct wire_event *event, void *context), void *context)
{
	const struct each x = {from_ms, to_ms, call, context};
	struct wire_event *room = mem_alloc_array(EVENTFILE_CHUNK_ROWS, sizeof(*room));
	uint32_t first_ms, last_ms;

	for (size_t c = 0; c < f->file.nr_chunks; c++) {
		eventfile_times(&f->file, c, &first_ms, &last_ms);
		if (last_ms >= from_ms && first_ms <= to_ms &&
		    !hand_out(&x, room, eventfile_read(&f->file, c, room)))
			break;
	}
	free(room);
}
