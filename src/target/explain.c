/*
 * Why a process cannot be read, in a sentence with a hint.
 *
 * The kernel says only ESRCH, EACCES or EPERM. What lies behind is looked up afterwards, so the
 * answer may be about a process that has changed meanwhile; then the plain errno is told.
 */
#include "target/process.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "target/proc.h"

/* "root (uid 0)", or "uid 4711" for a user without a name here. */
static void user_name(uint32_t uid, char *ret, size_t size)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	if (!getpwuid_r(uid, &entry, text, sizeof(text), &found) && found)
		snprintf(ret, size, "%s (uid %u)", found->pw_name, uid);
	else
		snprintf(ret, size, "uid %u", uid);
}

/*
 * A process of ours whose files in /proc belong to root has been made undumpable: it changed its
 * user or group, runs a program we may not read, or asked for it (prctl PR_SET_DUMPABLE).
 */
static bool is_undumpable(int dir, const struct process_info *p)
{
	struct stat st;

	return !fstatat(dir, "maps", &st, 0) && st.st_uid == 0 && p->euid != 0;
}

static bool same_user(const struct process_info *p)
{
	return p->uid == getuid() && p->euid == geteuid();
}

static void explain_denied(int32_t pid, int dir, const struct process_info *p, int err,
			   const char *what, struct error *e)
{
	char owner[128];

	error_set(e, err, EXIT_TARGET, "cannot read %s of process %d: %s", what, pid,
		  error_strerror(err));
	user_name(p->uid, owner, sizeof(owner));
	if (geteuid() == 0)
		error_hint(e, "root lacks the capability SYS_PTRACE here (a container?): start it "
			      "with --cap-add=SYS_PTRACE, or run seep outside");
	else if (!same_user(p))
		error_hint(e, "process %d belongs to %s: run seep as root or as that user", pid,
			   owner);
	else if (is_undumpable(dir, p))
		error_hint(e,
			   "process %d is protected from its own user (not dumpable: it changed "
			   "its user, or asked for it): run seep as root",
			   pid);
	else
		error_hint(e,
			   "process %d may have more rights than seep, or a security module "
			   "forbids it: run seep as root",
			   pid);
}

/* There may be a process that only we cannot see, or one that has this pid inside a container. */
static int explain_missing(int32_t pid, struct error *e)
{
	struct process_info p;
	size_t nr = 0;
	int32_t *pids = NULL;

	error_set(e, -ESRCH, EXIT_TARGET, "no such process: %d", pid);
	if (access("/proc/self/stat", R_OK) < 0) {
		error_set(e, -ESRCH, EXIT_TARGET, "cannot read /proc: it is not mounted");
		error_hint(e, "mount it with: mount -t proc proc /proc");
		return -ESRCH;
	}
	if (pid > 0 && (!kill(pid, 0) || errno == EPERM)) {
		error_hint(e, "it exists, but /proc does not show it (mounted with hidepid, or for "
			      "another pid namespace): run seep as root");
		return -ESRCH;
	}
	if (proc_list_pids(&pids, &nr) < 0)
		return -ESRCH;
	for (size_t i = 0; i < nr; i++) {
		if (process_read(pids[i], &p, NULL) < 0)
			continue;
		if (p.ns_pid == pid && p.ns_pid != p.pid) {
			error_hint(e, "inside a container %d is '%s'; from here it is %d", pid,
				   p.comm, p.pid);
			process_info_release(&p);
			break;
		}
		process_info_release(&p);
	}
	free(pids);
	return -ESRCH;
}

/* Not even what everybody may see can be read. */
static void explain_closed(int32_t pid, int err, const char *what, struct error *e)
{
	if (err == -ESRCH) {
		error_set(e, err, EXIT_TARGET, "process %d has just ended", pid);
		return;
	}
	error_set(e, err, EXIT_TARGET, "cannot read %s of process %d: %s", what, pid,
		  error_strerror(err));
	if (err == -EACCES || err == -EPERM)
		error_hint(e, "it belongs to another user, and /proc is mounted with hidepid: run "
			      "seep as root or as that user");
}

int process_explain(int32_t pid, int err, const char *what, struct error *e)
{
	struct process_info p;
	int dir, r;

	/* Many callers only try, and the rest of this costs several reads. */
	if (!e)
		return err;
	dir = proc_open(pid);
	if (dir < 0) {
		explain_missing(pid, e);
		return err;
	}
	r = process_read_at(dir, pid, &p);
	if (r < 0) {
		close(dir);
		explain_closed(pid, r, what, e);
		return err;
	}
	if (process_is_zombie(&p)) {
		error_set(e, err, EXIT_TARGET, "process %d has ended (zombie)", pid);
		error_hint(e, "its memory is gone; only its parent, process %d, can remove it",
			   p.ppid);
	} else if (p.kernel_thread) {
		error_set(e, err, EXIT_TARGET, "process %d ('%s') is a kernel thread", pid, p.comm);
		error_hint(e, "kernel threads have no memory of their own");
	} else if (err == -EACCES || err == -EPERM) {
		explain_denied(pid, dir, &p, err, what, e);
	} else {
		error_set(e, err, EXIT_TARGET, "cannot read %s of process %d: %s", what, pid,
			  error_strerror(err));
	}
	close(dir);
	process_info_release(&p);
	return err;
}

static uint64_t status_number(int dir, const char *key)
{
	struct str text = STR_INIT;
	uint64_t value = 0;

	if (!proc_read_file(dir, "status", &text))
		proc_find_value(text.data, key, &value);
	str_release(&text);
	return value;
}

/* Yama's setting (Documentation/admin-guide/LSM/Yama.rst); 0 also without Yama. */
static int yama_scope(void)
{
	struct str text = STR_INIT;
	int scope = 0;

	if (!io_read_file("/proc/sys/kernel/yama/ptrace_scope", 64, &text))
		scope = atoi(text.data);
	str_release(&text);
	return scope;
}

/* Only what the user namespace's owner, or root outside, may trace. */
static bool other_user_namespace(int dir)
{
	char *theirs = NULL, *ours = NULL;
	bool differ = false;
	int self = proc_open(getpid());

	if (self >= 0 && !proc_read_link(dir, "ns/user", &theirs) &&
	    !proc_read_link(self, "ns/user", &ours))
		differ = strcmp(theirs, ours) != 0;
	if (self >= 0)
		close(self);
	free(theirs);
	free(ours);
	return differ;
}

static void explain_traced(int32_t pid, int err, uint64_t tracer, struct error *e)
{
	struct process_info p;

	if (!process_read((int32_t)tracer, &p, NULL)) {
		struct str name = STR_INIT;

		text_printable(&name, p.comm, strlen(p.comm));
		error_set(e, err, EXIT_TARGET,
			  "cannot stop process %d: it is traced by process %d ('%s')", pid,
			  (int)tracer, name.data);
		str_release(&name);
		process_info_release(&p);
	} else {
		error_set(e, err, EXIT_TARGET, "cannot stop process %d: it is traced by process %d",
			  pid, (int)tracer);
	}
	error_hint(e, "a process has one tracer (debugger, strace) at a time: end that one");
}

/* True: it was one of the reasons that are peculiar to tracing. */
static bool explain_trace_denied(int32_t pid, int dir, const struct process_info *p, int err,
				 struct error *e)
{
	uint64_t tracer = status_number(dir, "TracerPid");
	int scope = yama_scope();

	if (tracer) {
		explain_traced(pid, err, tracer, e);
		return true;
	}
	if (geteuid() == 0 ? scope < 3 : !same_user(p) || is_undumpable(dir, p))
		return false;
	error_set(e, err, EXIT_TARGET, "cannot stop process %d: %s", pid, error_strerror(err));
	if (scope == 1)
		error_hint(e, "the system lets a user trace only his own children "
			      "(kernel.yama.ptrace_scope is 1): run seep as root");
	else if (scope == 2)
		error_hint(e,
			   "the system lets only root trace (kernel.yama.ptrace_scope is 2): run "
			   "seep as root");
	else if (scope >= 3)
		error_hint(e, "the system forbids tracing until it is started anew "
			      "(kernel.yama.ptrace_scope is 3)");
	else if (other_user_namespace(dir))
		error_hint(e,
			   "process %d lives in another user namespace (a container?): run seep as "
			   "root, or inside",
			   pid);
	else
		error_hint(e,
			   "process %d may have more rights than seep, or a security module "
			   "forbids it: run seep as root",
			   pid);
	return true;
}

int process_explain_trace(int32_t pid, int err, struct error *e)
{
	struct process_info p;
	bool explained = false;
	int dir;

	if (!e)
		return err;
	dir = err == -EPERM ? proc_open(pid) : -1;
	if (dir >= 0 && !process_read_at(dir, pid, &p)) {
		if (!process_is_zombie(&p) && !p.kernel_thread)
			explained = explain_trace_denied(pid, dir, &p, err, e);
		process_info_release(&p);
	}
	if (dir >= 0)
		close(dir);
	return explained ? err : process_explain(pid, err, "memory", e);
}
