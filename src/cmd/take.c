/* Taking a snapshot of a recorded process; see take.h. */
#include "cmd/take.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/identity.h"
#include "cmd/symbolize.h"
#include "model/load.h"
#include "model/snapshot.h"
#include "target/fd_look.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/table.h"

/* What only a live process can tell: regions, threads, modules whose file was replaced. */
static void look_at_process(struct snapshot *s, int32_t pid)
{
	struct process_thread *threads = NULL;
	struct maps maps = MAPS_INIT;
	size_t nr = 0;

	if (maps_read(pid, &maps, NULL) == 0) {
		for (size_t i = 0; i < maps.nr; i++) {
			const struct map *m = &maps.items[i];
			struct region r = {.start = m->start,
					   .end = m->end,
					   .offset = m->offset,
					   .prot = m->prot,
					   .owner = NO_INDEX};

			r.path = strings_add(&s->strings, m->path);
			ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, r);
		}
		for (size_t i = 0; i < s->nr_modules; i++) {
			const struct map *m = maps_find(&maps, s->modules[i].start);

			if (m && m->deleted && !(s->modules[i].flags & MODULE_UNLOADED))
				s->modules[i].flags |= MODULE_REPLACED;
		}
		maps_release(&maps);
	}
	if (process_threads(pid, &threads, &nr, NULL) == 0) {
		for (size_t i = 0; i < nr; i++)
			ARRAY_PUSH(s->threads, s->nr_threads, s->cap_threads,
				   ((struct thread_info){
					   .tid = threads[i].tid,
					   .name = strings_add(&s->strings, threads[i].name),
					   .heap = NO_INDEX,
				   }));
		free(threads);
	}
}

static int say_state(const struct wire_header *h, struct error *e)
{
	switch (h->state) {
	case WIRE_STATE_RECORDING:
		return 0;
	case WIRE_STATE_NOT_USED:
		error_set(e, -1, EXIT_TARGET,
			  "nothing was recorded: the program supplies its own malloc");
		error_hint(e, "the recorder sees programs that use a library's malloc");
		return -1;
	case WIRE_STATE_FAILED:
		return error_set(e, -1, EXIT_TARGET, "the recorder could not start: %s",
				 h->status_error);
	}
	error_set(e, -1, EXIT_TARGET, "the recorder did not start in this process");
	error_hint(e, "a static or setuid program ignores preloaded libraries");
	return -1;
}

static int take(struct table *t, const struct process_info *who, bool ended,
		const struct take_options *o, struct snapshot *ret, struct error *e)
{
	struct snapshot s;
	struct fd_look fds = FD_LOOK_INIT;
	struct cut cut;
	int err;

	err = table_cut(t, ended, &cut, e);
	if (err < 0)
		return err;
	err = say_state(&cut.header, e);
	if (err < 0) {
		cut_release(&cut);
		return err;
	}
	if (!ended)
		fd_look(&fds, who->pid, t, &cut);
	snapshot_init(&s);
	identity_fill(&s, who, t->layout.image);
	load_recording(&s, &(struct load_input){
				   .header = &cut.header,
				   .nodes = cut.nodes,
				   .node_blocks = cut.node_blocks,
				   .node_bytes = cut.node_bytes,
				   .node_temps = cut.node_temps,
				   .node_samples = cut.node_samples,
				   .sample_blocks = cut.sample_blocks,
				   .sample_bytes = cut.sample_bytes,
				   .sample_temps = cut.sample_temps,
				   .nr_nodes = cut.nr_nodes,
				   .blocks = cut.blocks,
				   .nr_blocks = cut.nr_blocks,
				   .pool_blocks = cut.pool_blocks,
				   .nr_pool_blocks = cut.nr_pool_blocks,
				   .handles = cut.handles,
				   .nr_handles = cut.nr_handles,
				   .with_descriptors = fds.known,
				   .gone = fds.gone,
				   .nr_gone = fds.nr_gone,
				   .unseen_descriptors = fds.unseen,
				   .marks = cut.marks,
				   .nr_marks = cut.nr_marks,
				   .tags = cut.tags,
				   .nr_tags = cut.nr_tags,
				   .modules = cut.modules,
				   .nr_modules = cut.nr_modules,
				   .taken_monotonic_ns = cut.taken_monotonic_ns,
				   .frees = cut.frees,
				   .unseen = cut.unseen,
				   .broken_rows = cut.broken_rows,
				   .exe = who->exe ? who->exe : "",
				   .with_blocks = !o->no_blocks,
			   });
	s.taken_realtime_ns = clock_realtime_ns();
	s.losses.torn = cut.torn;
	s.at_exit = ended;
	cut_release(&cut);
	fd_look_release(&fds);
	if (!ended)
		look_at_process(&s, who->pid);
	if (!o->no_symbols)
		symbolize_snapshot(&s,
				   &(struct symbolize_options){
					   .symbols = o->symbols,
					   .no_debuginfod = o->no_debuginfod,
					   .offline = ended,
					   .progress = o->progress,
				   },
				   NULL);
	*ret = s;
	return 0;
}

int take_from_pid(int32_t pid, const struct take_options *o, struct snapshot *ret, struct error *e)
{
	struct process_info who = PROCESS_INFO_INIT;
	struct table t;
	int err = process_read(pid, &who, e);

	if (err < 0)
		return err;
	err = table_open_pid(pid, &t, e);
	if (err == 0) {
		err = take(&t, &who, false, o, ret, e);
		table_close(&t);
	}
	process_info_release(&who);
	return err;
}

int take_from_fd(int table_fd, const struct process_info *who, bool ended,
		 const struct take_options *o, struct snapshot *ret, struct error *e)
{
	struct table t;
	int err = table_open_fd(table_fd, &t, e);

	if (err < 0)
		return err;
	t.pid = who->pid;
	err = take(&t, who, ended, o, ret, e);
	table_close(&t);
	return err;
}
