/* State of a process; see condition.h. */
#include "target/condition.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "target/cgroup.h"
#include "target/proc.h"
#include "target/process.h"

#define LOOKS 10
#define BETWEEN_NS 10000000
#define LOCKED_PERCENT 90 /* so much of all mappings is as good as all */

static uint64_t value_or_0(const char *text, const char *key)
{
	uint64_t value = 0;

	proc_find_value(text, key, &value);
	return value;
}

static char state_of(const char *status)
{
	size_t len;
	const char *line = proc_find_line(status, "State", &len);

	return line && len ? *line : '?';
}

static bool catches(const char *status, int sig)
{
	size_t len;
	const char *line = proc_find_line(status, "SigCgt", &len);

	return line && strtoull(line, NULL, 16) >> (sig - 1) & 1;
}

/* The file of one thread. */
static bool read_thread(int dir, int32_t tid, const char *name, struct str *text)
{
	char path[64];

	str_clear(text);
	snprintf(path, sizeof(path), "task/%d/%s", tid, name);
	return proc_read_file(dir, path, text) == 0;
}

/* Is the call that it waits in one that lends its memory to a child? */
static bool thread_is_in_vfork(int dir, int32_t tid)
{
	struct str text = STR_INIT;
	unsigned long long first = 0;
	uint64_t flags = 0;
	bool vforks = false;
	long nr = -1;
	int mem;

	if (read_thread(dir, tid, "syscall", &text) && sscanf(text.data, "%ld %llx", &nr, &first)) {
		if (nr == SYS_clone)
			flags = first;
		else if (nr == SYS_clone3 &&
			 (mem = openat(dir, "mem", O_RDONLY | O_CLOEXEC)) >= 0) {
			if (pread(mem, &flags, sizeof(flags), (off_t)first) != sizeof(flags))
				flags = 0;
			close(mem);
		}
		vforks = nr == SYS_vfork || flags & CLONE_VFORK;
	}
	str_release(&text);
	return vforks;
}

/* What one look at all threads shows. waiting_tid is the first that waits; how often it has. */
static int look(int dir, struct condition *c, uint64_t *ret_waits)
{
	struct str text = STR_INIT;
	bool any_runs = false;
	int32_t *tids;
	size_t nr;
	int r = proc_list_numbers(dir, "task", &tids, &nr);

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	c->threads_nr = nr;
	c->waiting_tid = 0;
	c->in_vfork = c->stopped = c->shadow_stack = false;
	c->seccomp = 0;
	for (size_t i = 0; i < nr; i++) {
		unsigned int mode;
		size_t len;
		const char *line;
		char state;

		if (!read_thread(dir, tids[i], "status", &text))
			continue;
		state = state_of(text.data);
		if (state == 'T')
			c->stopped = true;
		else if (state != 'Z' && state != 'X')
			any_runs = true;
		if (state == 'D' && !c->waiting_tid) {
			c->waiting_tid = tids[i];
			*ret_waits = value_or_0(text.data, "voluntary_ctxt_switches");
		}
		mode = (unsigned int)value_or_0(text.data, "Seccomp");
		if (mode > c->seccomp)
			c->seccomp = mode;
		line = proc_find_line(text.data, "x86_Thread_features", &len);
		if (line && memmem(line, len, "shstk", 5))
			c->shadow_stack = true;
		if (state == 'D' && !c->in_vfork && thread_is_in_vfork(dir, tids[i])) {
			c->in_vfork = true;
			c->waiting_tid = tids[i];
		}
	}
	c->stopped = c->stopped && !any_runs;
	free(tids);
	str_release(&text);
	return 0;
}

/*
 * Waiting for a disk takes a moment, and so does a vfork() that soon calls exec. A thread that has
 * gone on in between, however briefly, is one that can be stopped.
 */
static int look_for_some_time(int dir, struct condition *c)
{
	const struct timespec between = {.tv_nsec = BETWEEN_NS};
	uint64_t waits = 0, before = 0;
	int32_t tid = 0;
	int r = 0;

	for (int i = 0; i < LOOKS; i++) {
		if (i)
			nanosleep(&between, NULL);
		r = look(dir, c, &waits);
		if (r < 0 || !c->waiting_tid)
			return r;
		if (i && !c->in_vfork && (c->waiting_tid != tid || waits != before)) {
			c->waiting_tid = 0;
			return 0;
		}
		tid = c->waiting_tid;
		before = waits;
	}
	return r;
}

static bool shares_memory(int32_t a, int32_t b)
{
	return a != b && syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

/* Among its children, and its parent: nobody else is likely to. */
static int32_t find_sharer(int dir, int32_t pid)
{
	struct str text = STR_INIT;
	int32_t sharer = 0, *tids;
	struct process_info p;
	size_t nr;

	if (proc_list_numbers(dir, "task", &tids, &nr) < 0)
		return 0;
	for (size_t i = 0; i < nr && !sharer; i++) {
		char *at, *end;

		if (!read_thread(dir, tids[i], "children", &text))
			continue;
		for (at = text.data; !sharer; at = end) {
			long child = strtol(at, &end, 10);

			if (end == at)
				break;
			if (child > 0 && shares_memory(pid, (int32_t)child))
				sharer = (int32_t)child;
		}
	}
	free(tids);
	str_release(&text);
	if (!sharer && process_read_at(dir, pid, &p) == 0) {
		if (p.ppid > 0 && shares_memory(pid, p.ppid))
			sharer = p.ppid;
		process_info_release(&p);
	}
	return sharer;
}

/* "Max address space     8589934592     unlimited     bytes": the first is the limit in force. */
static uint64_t limit_of(int dir, const char *name)
{
	struct str text = STR_INIT;
	uint64_t limit = UINT64_MAX, number;
	const char *line;
	char *end;

	if (proc_read_file(dir, "limits", &text) == 0) {
		line = strstr(text.data, name);
		line = line ? line + strlen(name) : "";
		number = strtoull(line, &end, 10);
		if (end != line)
			limit = number;
	}
	str_release(&text);
	return limit;
}

/* "unconfined", "kernel" and the like are no confinement; the text may end in a NUL or newline. */
static void read_label(int dir, char *ret, size_t size)
{
	struct str text = STR_INIT;

	*ret = 0;
	if (proc_read_file(dir, "attr/current", &text) == 0 && *text.data) {
		text.data[strcspn(text.data, "\n")] = 0;
		if (strcmp(text.data, "unconfined") != 0 && strcmp(text.data, "kernel") != 0 &&
		    !strstr(text.data, ":unconfined_t:"))
			snprintf(ret, size, "%s", text.data);
	}
	str_release(&text);
}

static void read_tracer(uint64_t tracer, struct condition *c)
{
	struct process_info p;

	c->tracer = (int32_t)tracer;
	if (tracer && process_read(c->tracer, &p, NULL) == 0) {
		snprintf(c->tracer_name, sizeof(c->tracer_name), "%s", p.comm);
		process_info_release(&p);
	}
}

int condition_read(int32_t pid, struct condition *ret)
{
	struct condition c = {.threads_nr = 0};
	struct str status = STR_INIT;
	uint64_t size, locked;
	int dir = proc_open(pid), r;

	if (dir < 0)
		return dir;
	r = look_for_some_time(dir, &c);
	if (!r)
		r = proc_read_file(dir, "status", &status);
	if (!r) {
		size = value_or_0(status.data, "VmSize");
		locked = value_or_0(status.data, "VmLck");
		read_tracer(value_or_0(status.data, "TracerPid"), &c);
		c.catches_traps = catches(status.data, SIGTRAP);
		c.all_locked = locked && locked / LOCKED_PERCENT >= size / 100;
		c.sharer = find_sharer(dir, pid);
		c.address_limit = limit_of(dir, "Max address space");
		c.address_used = size;
		c.data_limit = limit_of(dir, "Max data size");
		c.data_used = value_or_0(status.data, "VmData");
		c.memory_room = cgroup_memory_room(dir);
		read_label(dir, c.confined, sizeof(c.confined));
		*ret = c;
	}
	str_release(&status);
	close(dir);
	return r == -ENOENT ? -ESRCH : r;
}
