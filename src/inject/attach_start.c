/* A static program recorded from its start; see attach_at_start() in attach.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "inject/attach.h"
#include "inject/preflight.h"
#include "inject/symbols.h"
#include "target/launch_table.h"
#include "target/module_file.h"
#include "target/process.h"
#include "target/target.h"

/*
 * What gives the first thread its thread pointer, which hooks find their thread by: glibc's
 * csu/libc-tls.c and musl's src/env/__init_tls.c, long before either calls malloc. Of a program
 * that has neither, nobody knows whether it ever has one.
 */
static const char *const tls_names[] = {"__libc_setup_tls", "__init_tls", "__init_tp", NULL};

static void note_tls(void *arg, const struct symbol *s)
{
	bool *found = arg;

	for (size_t i = 0; tls_names[i]; i++)
		if (!strcmp(s->name, tls_names[i]))
			*found = true;
}

static int check_thread_pointer(struct target *t, struct error *e)
{
	const struct target_module *m = target_main_module(t);
	int fd = m ? module_file_open(t, m) : -1;
	bool found = false;

	if (fd >= 0) {
		symbols_each(fd, tls_names, note_tls, &found);
		close(fd);
	}
	if (found)
		return 0;
	error_set(e, -ENOTSUP, EXIT_TARGET,
		  "cannot record process %d from its start: its C library is not known",
		  target_process(t)->pid);
	error_hint(e, "of static programs those with glibc or musl can be");
	return -ENOTSUP;
}

int attach_at_start(int32_t pid, struct mode mode, struct launch_table *ret_table, struct error *e)
{
	struct launch_table table = LAUNCH_TABLE_INIT;
	struct attach a = {0};
	struct preflight p;
	int r = 0;

	preflight_at_start(pid, &p);
	if (preflight_refuses(&p, e))
		r = e->err;
	if (!r)
		r = check_thread_pointer(p.target, e);
	if (!r)
		r = attach_plan(&p, mode, &a, e);
	if (!r) {
		a.table = ret_table ? &table : NULL;
		r = attach_run(&a, e);
		attach_release(&a);
	}
	preflight_release(&p);
	if (r < 0)
		launch_table_release(&table);
	else if (ret_table)
		*ret_table = table;
	return r;
}
