/* A process of the bench, and the entries that are found in it. Behind <cmocka.h>. */
#ifndef ENTRIES_VIEW_H
#define ENTRIES_VIEW_H

#include "base/error.h"
#include "inject/entries.h"
#include "target/target.h"

#include "inject_lab.h"

struct view {
	struct inject_run run;
	struct target *target;
	struct entries entries;
	struct error error;
	int result; /* of entries_find() */
};

static inline bool view_open(struct view *v, struct inject_lab *lab, const char *command)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};

	*v = (struct view){.entries = ENTRIES_INIT};
	if (!inject_run_start(lab, command, &v->run))
		return false;
	assert_int_equal(target_open_pid(v->run.pid, &live, &v->target, &v->error), 0);
	v->result = entries_find(v->target, &v->entries, &v->error);
	return true;
}

static inline void view_close(struct view *v)
{
	entries_release(&v->entries);
	target_close(v->target);
	inject_run_stop(&v->run);
}

#endif
