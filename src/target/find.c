/* From what the user typed to a pid: numbers, names, near names, several matches, threads. */
#include "target/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "target/proc.h"
#include "target/process.h"

#define COMM_MAX 15
#define NEAR_MAX 3	/* names suggested */
#define LISTED_MAX 8	/* pids listed */
#define NEAR_DISTANCE 2 /* letters */

bool find_name_fits(const struct process_info *p, const char *name)
{
	if (!*name)
		return false;
	if (!strcmp(p->comm, name))
		return true;
	if (p->exe && !strcmp(text_base_name(p->exe), name))
		return true;
	return p->argv0 && !strcmp(text_base_name(p->argv0), name);
}

/* The best few different names seen so far, nearest first. */
struct near_names {
	char names[NEAR_MAX][64];
	unsigned int distances[NEAR_MAX];
	size_t nr;
};

static void near_offer(struct near_names *near, const char *wanted, const char *name)
{
	unsigned int distance = text_distance(wanted, name);
	size_t at;

	/* Part of a longer name counts as near; one letter is part of everything. */
	if (distance > NEAR_DISTANCE && strlen(wanted) >= 3 && strcasestr(name, wanted))
		distance = NEAR_DISTANCE;
	if (!*name || distance > NEAR_DISTANCE || distance >= strlen(wanted))
		return;
	for (size_t i = 0; i < near->nr; i++) {
		if (!strcmp(near->names[i], name))
			return;
	}
	for (at = 0; at < near->nr && near->distances[at] <= distance; at++)
		;
	if (at == NEAR_MAX)
		return;
	if (near->nr < NEAR_MAX)
		near->nr++;
	for (size_t i = near->nr - 1; i > at; i--) {
		memcpy(near->names[i], near->names[i - 1], sizeof(near->names[i]));
		near->distances[i] = near->distances[i - 1];
	}
	snprintf(near->names[at], sizeof(near->names[at]), "%s", name);
	near->distances[at] = distance;
}

static int no_such_name(const char *target, const struct near_names *near, struct error *e)
{
	struct str list = STR_INIT;

	error_set(e, -ESRCH, EXIT_TARGET, "no process is called '%s'", target);
	for (size_t i = 0; i < near->nr; i++)
		str_printf(&list, "%s'%s'", i ? ", " : "", near->names[i]);
	if (near->nr)
		error_hint(e, "near names: %s", list.data);
	else
		error_hint(e, "give a pid, or the name as 'ps -e' shows it");
	str_release(&list);
	return -ESRCH;
}

/* False: ended meanwhile, or only a zombie is left. */
static bool read_living(int32_t pid, struct process_info *ret)
{
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return false;
	r = process_read_at(dir, pid, ret);
	close(dir);
	if (r < 0)
		return false;
	if (!process_is_zombie(ret))
		return true;
	process_info_release(ret);
	return false;
}

static int find_by_name(const char *target, int32_t **ret_pids, size_t *ret_nr, struct error *e)
{
	struct near_names near = {.nr = 0};
	int32_t *pids, *found = NULL;
	size_t nr_pids, nr = 0, cap = 0;
	int32_t self = (int32_t)getpid();
	int r;

	r = proc_list_pids(&pids, &nr_pids);
	if (r < 0) {
		error_set(e, r, EXIT_TARGET, "cannot list /proc: %s", error_strerror(r));
		return r;
	}
	for (size_t i = 0; i < nr_pids; i++) {
		struct process_info p;

		if (pids[i] == self || !read_living(pids[i], &p))
			continue;
		if (find_name_fits(&p, target))
			ARRAY_PUSH(found, nr, cap, pids[i]);
		near_offer(&near, target, p.comm);
		if (strlen(p.comm) == COMM_MAX)
			near_offer(&near, target, process_name(&p));
		process_info_release(&p);
	}
	free(pids);
	if (!nr) {
		free(found);
		return no_such_name(target, &near, e);
	}
	*ret_pids = found;
	*ret_nr = nr;
	return 0;
}

static int find_by_pid(const char *target, int32_t *ret_pid, struct error *e)
{
	struct process_info p;
	unsigned long value;
	int r;

	errno = 0;
	value = strtoul(target, NULL, 10);
	if (errno || value > INT32_MAX) {
		error_set(e, -ESRCH, EXIT_TARGET, "no such process: %s", target);
		return -ESRCH;
	}
	r = process_read((int32_t)value, &p, e);
	if (r < 0)
		return r;
	if (p.tgid != p.pid) {
		error_set(e, -ESRCH, EXIT_TARGET, "%d is a thread of process %d ('%s')", p.pid,
			  p.tgid, p.comm);
		error_hint(e, "give the process: %d", p.tgid);
		process_info_release(&p);
		return -ESRCH;
	}
	*ret_pid = p.pid;
	process_info_release(&p);
	return 0;
}

int process_find_all(const char *target, int32_t **ret_pids, size_t *ret_nr, struct error *e)
{
	int32_t pid;
	int r;

	if (!*target) {
		error_set(e, -EINVAL, EXIT_USAGE, "the target is empty");
		error_hint(e, "give a pid or the name of a process");
		return -EINVAL;
	}
	if (target[strspn(target, "0123456789")])
		return find_by_name(target, ret_pids, ret_nr, e);
	r = find_by_pid(target, &pid, e);
	if (r < 0)
		return r;
	*ret_pids = mem_alloc(sizeof(pid));
	**ret_pids = pid;
	*ret_nr = 1;
	return 0;
}

static int several(const char *target, const int32_t *pids, size_t nr, struct error *e)
{
	struct str list = STR_INIT;

	error_set(e, -EEXIST, EXIT_TARGET, "%zu processes are called '%s'", nr, target);
	for (size_t i = 0; i < nr && i < LISTED_MAX; i++)
		str_printf(&list, "%s%d", i ? ", " : "", pids[i]);
	if (nr > LISTED_MAX)
		str_printf(&list, " and %zu more", nr - LISTED_MAX);
	error_hint(e, "give one of their pids: %s", list.data);
	str_release(&list);
	return -EEXIST;
}

int process_find_one(const char *target, int *ret_pid, struct error *e)
{
	int32_t *pids;
	size_t nr;
	int r;

	r = process_find_all(target, &pids, &nr, e);
	if (r < 0)
		return r;
	if (nr > 1)
		r = several(target, pids, nr, e);
	else
		*ret_pid = pids[0];
	free(pids);
	return r;
}
