/* See leftovers.h. */
#include "target/leftovers.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/proc.h"
#include "target/remote_call.h"

/* Pids in /proc/PID/task/TID/children; more than this many at once are not looked at. */
#define CHILDREN_MAX 65536

struct zombie {
	char state;
	int parent, exit_signal;
	unsigned int exit_code;
};

/* Fields of proc(5): 3 state, 4 ppid, 38 exit_signal, 52 exit_code; after the last ')'. */
static bool read_zombie(int dir, struct zombie *z)
{
	struct str text = STR_INIT;
	char *field, *save = NULL, *start;
	bool whole = false;

	if (!proc_read_file(dir, "stat", &text) && (start = strrchr(text.data, ')'))) {
		int nr = 3;

		for (field = strtok_r(start + 1, " \n", &save); field;
		     field = strtok_r(NULL, " \n", &save), nr++) {
			if (nr == 3)
				z->state = *field;
			else if (nr == 4)
				z->parent = atoi(field);
			else if (nr == 38)
				z->exit_signal = atoi(field);
			else if (nr == 52)
				z->exit_code = (unsigned int)strtoul(field, NULL, 10);
		}
		whole = nr > 52;
	}
	str_release(&text);
	return whole;
}

static bool has_our_mark(int dir)
{
	struct str text = STR_INIT;
	bool marked;

	marked = !proc_read_file(dir, "oom_score_adj", &text) &&
		 !strcmp(text.data, CLONE_OOM_SCORE "\n");
	str_release(&text);
	return marked;
}

static bool is_ours(int dir, int32_t parent)
{
	struct zombie z = {0};

	if (!read_zombie(dir, &z) || z.state != 'Z' || z.parent != parent || z.exit_signal != 0)
		return false;
	if (z.exit_code == REMOTE_CALL_EXIT << 8)
		return true;
	return z.exit_code == SIGKILL && has_our_mark(dir);
}

/* How many pid namespaces deep a process lives, and its pid on level `level` (from 0). */
static int pid_on_level(int dir, int level, int32_t *ret_pid)
{
	struct str text = STR_INIT;
	const char *line = NULL;
	size_t len;
	int levels = 0;

	if (!proc_read_file(dir, "status", &text))
		line = proc_find_line(text.data, "NSpid", &len);
	while (line && *line >= '0' && *line <= '9') {
		int32_t pid = (int32_t)strtol(line, (char **)&line, 10);

		if (levels++ == level)
			*ret_pid = pid;
		line += strspn(line, " \t");
	}
	str_release(&text);
	return levels;
}

static void look_at_child(int32_t child, int32_t parent, int level, int32_t **pids, size_t *nr,
			  size_t *cap)
{
	int dir = proc_open(child);
	int32_t pid = 0;

	if (dir < 0)
		return;
	if (is_ours(dir, parent) && pid_on_level(dir, level, &pid) > level && pid > 0)
		ARRAY_PUSH(*pids, *nr, *cap, pid);
	close(dir);
}

void leftovers_find(int dir, int32_t pid, int32_t **ret, size_t *ret_nr)
{
	int32_t *tids, *pids = NULL, ignored;
	size_t nr_tids, nr = 0, cap = 0, seen = 0;
	struct str text = STR_INIT;
	int level = pid_on_level(dir, -1, &ignored) - 1;

	*ret = NULL;
	*ret_nr = 0;
	if (level < 0 || proc_list_numbers(dir, "task", &tids, &nr_tids) < 0)
		return;
	for (size_t i = 0; i < nr_tids; i++) {
		char path[48], *at, *end;

		snprintf(path, sizeof(path), "task/%d/children", tids[i]);
		str_clear(&text);
		if (proc_read_file(dir, path, &text) < 0)
			continue;
		for (at = text.data; *at && seen < CHILDREN_MAX; at = end, seen++) {
			long child = strtol(at, &end, 10);

			if (end == at)
				break;
			look_at_child((int32_t)child, pid, level, &pids, &nr, &cap);
			end += strspn(end, " \n");
		}
	}
	str_release(&text);
	free(tids);
	*ret = pids;
	*ret_nr = nr;
}
