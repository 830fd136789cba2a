/* Identity of a process from /proc/PID/{stat,status,cmdline,exe}, and its threads. */
#include "target/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "target/proc.h"

/* PF_KTHREAD in field 9 of /proc/PID/stat (include/linux/sched.h). */
#define FLAG_KERNEL_THREAD 0x00200000

/*
 * "pid (comm) state ppid …": comm may itself hold blanks, brackets and newlines, so it ends at the
 * last ')'. Fields are numbered as in proc(5), from 1.
 */
static int parse_stat(const char *text, struct process_info *p)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned long long flags = 0;
	size_t len;

	if (!open || !close || close < open)
		return -EPROTO;
	len = (size_t)(close - open - 1);
	if (len >= sizeof(p->comm))
		len = sizeof(p->comm) - 1;
	memcpy(p->comm, open + 1, len);
	p->comm[len] = 0;
	/*      3  4  5   6   7   8   9    10..21 skipped                                     22 */
	if (sscanf(close + 1,
		   " %c %" SCNd32 " %*s %*s %*s %*s %llu %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
		   " %*s %*s %" SCNu64,
		   &p->state, &p->ppid, &flags, &p->start_ticks) != 4)
		return -EPROTO;
	p->kernel_thread = flags & FLAG_KERNEL_THREAD;
	return 0;
}

/* Last number of "NSpid:  4242  17": the pid in the innermost namespace. */
static int32_t innermost_pid(const char *status, int32_t otherwise)
{
	const char *line, *at;
	size_t len;

	line = proc_find_line(status, "NSpid", &len);
	if (!line || !len)
		return otherwise;
	at = line + len;
	while (at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return (int32_t)strtol(at, NULL, 10);
}

static void parse_status(const char *status, struct process_info *p)
{
	const char *line;
	uint64_t tgid;
	size_t len;

	if (proc_find_value(status, "Tgid", &tgid) && tgid <= INT32_MAX)
		p->tgid = (int32_t)tgid;
	line = proc_find_line(status, "Uid", &len);
	if (line)
		sscanf(line, "%" SCNu32 " %" SCNu32, &p->uid, &p->euid);
	p->ns_pid = innermost_pid(status, p->pid);
}

/* Arguments are NUL-separated and may be overwritten by the process with anything. */
static void parse_cmdline(struct str *text, struct process_info *p)
{
	p->argv0 = mem_strdup(text->data);
	while (text->len && !text->data[text->len - 1])
		text->len--;
	for (size_t i = 0; i < text->len; i++) {
		if (!text->data[i])
			text->data[i] = ' ';
	}
	p->command = mem_strndup(text->data, text->len);
}

static void read_exe(int dir, struct process_info *p)
{
	static const char suffix[] = " (deleted)";
	size_t len;

	if (proc_read_link(dir, "exe", &p->exe) < 0) {
		p->exe = mem_strdup("");
		return;
	}
	len = strlen(p->exe);
	if (len >= sizeof(suffix) && !strcmp(p->exe + len - sizeof(suffix) + 1, suffix)) {
		p->exe[len - sizeof(suffix) + 1] = 0;
		p->exe_deleted = true;
	}
}

static void read_boot_id(char *ret, size_t size)
{
	ssize_t got;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	ret[0] = 0;
	if (fd < 0)
		return;
	got = read(fd, ret, size - 1);
	close(fd);
	ret[got > 0 ? (size_t)got : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

int process_read_at(int dir, int32_t pid, struct process_info *ret)
{
	struct process_info p = {.pid = pid, .tgid = pid, .ns_pid = pid};
	struct str text = STR_INIT;
	int r;

	r = proc_read_file(dir, "stat", &text);
	if (!r)
		r = parse_stat(text.data, &p);
	if (r < 0)
		goto out;
	str_clear(&text);
	r = proc_read_file(dir, "status", &text);
	if (r < 0)
		goto out;
	parse_status(text.data, &p);
	str_clear(&text);
	/* Not there for a kernel thread or a zombie, and no harm. */
	if (proc_read_file(dir, "cmdline", &text) < 0)
		str_clear(&text);
	parse_cmdline(&text, &p);
	read_exe(dir, &p);
	*ret = p;
out:
	str_release(&text);
	return r == -ENOENT ? -ESRCH : r;
}

int process_read(int32_t pid, struct process_info *ret, struct error *e)
{
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return process_explain(pid, dir, "state", e);
	r = process_read_at(dir, pid, ret);
	close(dir);
	if (r < 0)
		return process_explain(pid, r, "state", e);
	read_boot_id(ret->boot_id, sizeof(ret->boot_id));
	return 0;
}

void process_info_release(struct process_info *p)
{
	if (!p)
		return;
	free(p->exe);
	free(p->argv0);
	free(p->command);
	*p = (struct process_info)PROCESS_INFO_INIT;
}

/* The kernel's name for a process is the beginning of the name by which it was started. */
static bool started_as(const struct process_info *p, const char *name)
{
	return *p->comm && text_starts_with(name, p->comm);
}

/* Like redis: argv[0] has become a sentence, which begins with the name it was called by. */
static bool keeps_title(const struct process_info *p)
{
	const char *exe = p->exe ? text_base_name(p->exe) : "";

	return !started_as(p, exe) && p->argv0 && started_as(p, p->argv0) &&
	       p->argv0[strlen(p->comm)] == ' ';
}

const char *process_name(const struct process_info *p)
{
	const char *exe = p->exe ? text_base_name(p->exe) : "";
	const char *argv0 = p->argv0 ? text_base_name(p->argv0) : "";

	/* One file with several names (busybox): the one that was called. */
	if (*exe && (started_as(p, exe) || !started_as(p, argv0)) && !keeps_title(p))
		return exe;
	return started_as(p, argv0) || !*p->comm ? argv0 : p->comm;
}

bool process_is_zombie(const struct process_info *p)
{
	return p->state == 'Z' || p->state == 'X' || p->state == 'x';
}

/* A first thread that has ended is a zombie until the last one ends. */
static bool any_thread_lives(int dir)
{
	struct process_info p = PROCESS_INFO_INIT;
	struct str text = STR_INIT;
	bool lives = false;
	int32_t *tids;
	char path[40];
	size_t nr;

	if (proc_list_numbers(dir, "task", &tids, &nr) < 0)
		return false;
	for (size_t i = 0; i < nr && !lives; i++) {
		snprintf(path, sizeof(path), "task/%d/stat", tids[i]);
		str_clear(&text);
		lives = !proc_read_file(dir, path, &text) && !parse_stat(text.data, &p) &&
			!process_is_zombie(&p);
	}
	str_release(&text);
	free(tids);
	return lives;
}

int process_check_at(int dir, uint64_t start_ticks)
{
	struct process_info p = PROCESS_INFO_INIT;
	struct str text = STR_INIT;
	int r;

	r = proc_read_file(dir, "stat", &text);
	if (!r)
		r = parse_stat(text.data, &p);
	str_release(&text);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	if (p.start_ticks != start_ticks)
		return -ESTALE;
	return process_is_zombie(&p) && !any_thread_lives(dir) ? -ESRCH : 0;
}

uint64_t process_heap_start(int32_t pid)
{
	struct str text = STR_INIT;
	int dir = proc_open(pid), skip = 44; /* fields 3 to 46; start_brk is the 47th */
	const char *at = NULL;
	uint64_t start = 0;

	if (dir >= 0 && proc_read_file(dir, "stat", &text) == 0)
		at = strrchr(text.data, ')');
	for (at = at ? strchr(at, ' ') : NULL; at && skip; skip--)
		at = strchr(at + 1, ' ');
	if (at)
		start = strtoull(at + 1, NULL, 10);
	str_release(&text);
	if (dir >= 0)
		close(dir);
	return start;
}

int process_check(int32_t pid, uint64_t start_ticks)
{
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return dir;
	r = process_check_at(dir, start_ticks);
	close(dir);
	return r;
}

bool process_has_thread(int32_t pid, int32_t ns_tid)
{
	struct str status = STR_INIT;
	int dir = proc_open(pid);
	bool found = false;
	int32_t *tids;
	size_t nr;

	/* What may not be seen may be there. */
	if (dir < 0 || proc_list_numbers(dir, "task", &tids, &nr) < 0) {
		if (dir >= 0)
			close(dir);
		return kill(pid, 0) == 0 || errno != ESRCH;
	}
	for (size_t i = 0; i < nr && !found; i++) {
		char path[40];

		snprintf(path, sizeof(path), "task/%d/status", tids[i]);
		str_clear(&status);
		found = proc_read_file(dir, path, &status) == 0 &&
			innermost_pid(status.data, tids[i]) == ns_tid;
	}
	str_release(&status);
	free(tids);
	close(dir);
	return found;
}

int process_threads(int32_t pid, struct process_thread **ret, size_t *ret_nr, struct error *e)
{
	struct process_thread *threads = NULL;
	struct str name = STR_INIT;
	size_t nr = 0, nr_tids;
	int32_t *tids;
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return process_explain(pid, dir, "threads", e);
	r = proc_list_numbers(dir, "task", &tids, &nr_tids);
	if (r < 0) {
		close(dir);
		return process_explain(pid, r == -ENOENT ? -ESRCH : r, "threads", e);
	}
	threads = mem_alloc_array(nr_tids, sizeof(*threads));
	for (size_t i = 0; i < nr_tids; i++) {
		char path[40];

		snprintf(path, sizeof(path), "task/%d/comm", tids[i]);
		str_clear(&name);
		if (proc_read_file(dir, path, &name) < 0)
			continue;
		if (name.len && name.data[name.len - 1] == '\n')
			name.data[name.len - 1] = 0;
		threads[nr].tid = tids[i];
		snprintf(threads[nr].name, sizeof(threads[nr].name), "%s", name.data);
		nr++;
	}
	free(tids);
	str_release(&name);
	close(dir);
	*ret = threads;
	*ret_nr = nr;
	return 0;
}
