/*
 * From options to a running program. All descriptors made here are closed on exec; of the table's
 * the child takes that mark off, so the program inherits what seep inherited and that one, which
 * the recorder closes before the program's own code runs. A static program inherits none: it is
 * held at the end of its exec, and the recorder that is put in there makes a table of its own.
 */
#include "target/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/catch_exec.h"
#include "target/freeze.h"
#include "target/launch_private.h"
#include "target/program.h"
#include "target/registers.h"

#define EXEC_LIMIT_NS 10000000000ull /* a file on a slow disk */

int launch_watch(struct launch *l, int fd, enum launch_event event, int32_t pid)
{
	struct epoll_event e = {.events = EPOLLIN};

	e.data.u64 = (uint64_t)event << 32 | (uint32_t)pid;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* ---- the list of processes ---- */

struct launch_process *launch_find(const struct launch *l, int32_t pid)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->processes[i]->seen.pid == pid && !l->processes[i]->seen.ended)
			return l->processes[i];
	return NULL;
}

void launch_note(struct launched *p)
{
	struct process_info now;

	if (process_read(p->pid, &now, NULL) < 0)
		return;
	process_info_release(&p->info);
	p->info = now;
}

static void process_free(struct launch_process *p)
{
	process_info_release(&p->seen.info);
	launch_table_release(&p->seen.table);
	if (p->pidfd >= 0)
		close(p->pidfd);
	free(p);
}

struct launch_process *launch_add(struct launch *l, int32_t pid, struct launch_table *table)
{
	struct launch_process *p = mem_alloc(sizeof(*p));

	p->seen.pid = pid;
	p->seen.image = 1;
	p->seen.is_first = pid == l->first_pid;
	p->seen.table = *table;
	*table = (struct launch_table)LAUNCH_TABLE_INIT;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec of itself */
	if (p->pidfd < 0 || launch_watch(l, p->pidfd, LAUNCH_EVENT_PROCESS, pid) < 0) {
		process_free(p);
		return NULL;
	}
	launch_note(&p->seen);
	ARRAY_PUSH(l->processes, l->nr, l->cap, p);
	return p;
}

void launch_remove(struct launch *l, struct launch_process *p)
{
	size_t i = 0;

	while (l->processes[i] != p)
		i++;
	memmove(&l->processes[i], &l->processes[i + 1], (l->nr - i - 1) * sizeof(p));
	l->nr--;
	process_free(p);
}

/* ---- the child's side ---- */

struct child {
	const struct launch_options *options;
	const struct program *program;
	const struct launch *launch;
	int table_fd; /* NO_TABLE: a static program has its own */
	int told;     /* pipe: errno of a failed exec; exec itself closes it */
	int wait;     /* pipe: its other end is closed once we are traced; -1: nobody will */
};

#define NO_TABLE 999999

static int set_environment(const struct child *c)
{
	const char *old = getenv("LD_PRELOAD");
	const char *recorder = c->options->recorder;
	size_t len = strlen(recorder);
	char *preload, *session;
	int r;

	/* Within another recorded program ours is there already. */
	if (old && !strncmp(old, recorder, len) && (!old[len] || old[len] == ':'))
		preload = mem_strdup(old);
	else
		preload = old && *old ? mem_printf("%s:%s", recorder, old) : mem_strdup(recorder);
	session = mem_printf("%d:%d:%d:%d:%s", WIRE_VERSION, c->table_fd, (int)getpid(),
			     c->launch->follow, c->launch->socket_name);
	r = setenv("LD_PRELOAD", preload, 1) | setenv("SEEP_REC", session, 1);
	free(preload);
	free(session);
	return r;
}

/* What is no ELF file and no #! script is the shell's, as with execvp(). */
static void exec_by_shell(const struct child *c)
{
	char *const *argv = c->options->argv;
	size_t nr = 0;
	char **with_shell;

	while (argv[nr])
		nr++;
	with_shell = mem_alloc_array(nr + 2, sizeof(*with_shell));
	with_shell[0] = (char *)"/bin/sh";
	with_shell[1] = c->program->path;
	for (size_t i = 1; i <= nr; i++)
		with_shell[i + 1] = argv[i];
	execv(with_shell[0], with_shell);
}

/* What a static program becomes, and its children, may be dynamic ones. */
static int prepare(const struct child *c)
{
	if (c->table_fd != NO_TABLE && fcntl(c->table_fd, F_SETFD, 0) < 0)
		return -1;
	return set_environment(c);
}

static void run_child(const struct child *c)
{
	char none;
	int err;

	if (c->wait >= 0 && read(c->wait, &none, 1) < 0)
		_exit(126);
	launch_signals_restore(&c->launch->signals);
	if (prepare(c) == 0) {
		if (c->program->by_shell)
			exec_by_shell(c);
		else
			execv(c->program->path, c->options->argv);
	}
	err = errno;
	if (write(c->told, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

/* ---- the launcher's side ---- */

/* 0: exec succeeded, otherwise its errno, and the child has been collected. */
static int wait_for_exec(int told, int32_t pid)
{
	int err = 0;
	ssize_t got;

	do {
		got = read(told, &err, sizeof(err));
	} while (got < 0 && errno == EINTR);
	if (got == 0)
		return 0;
	waitpid(pid, NULL, 0);
	return got == sizeof(err) ? err : EIO;
}

static int exec_failed(const struct program *p, int err, struct error *e)
{
	error_set(e, -err, EXIT_TARGET, "cannot run '%s': %s", p->path, error_strerror(err));
	if (err == E2BIG)
		error_hint(e, "arguments and environment are too long together");
	if (err == EACCES)
		error_hint(e, "is its file system mounted noexec?");
	return -err;
}

/* It may have ended before we could look: then the kernel does not say any more what it ran. */
static void note_program(struct process_info *info, const struct program *p)
{
	char *path;

	if (!info->exe || *info->exe)
		return;
	path = realpath(p->image, NULL);
	if (!path)
		return;
	free(info->exe);
	info->exe = path;
}

/* Our ends of its pipes: -1 closed. */
struct pipes {
	int told[2], wait[2];
};

static void pipe_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int pipes_open(struct pipes *p, bool waits)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}};
	if (pipe2(p->told, O_CLOEXEC) < 0)
		return -errno;
	return waits && pipe2(p->wait, O_CLOEXEC) < 0 ? -errno : 0;
}

static void pipes_close(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		pipe_end(&p->told[i]);
		pipe_end(&p->wait[i]);
	}
}

/*
 * A program that waits for it is traced until its exec is done. False: it is not held there, and if
 * it could not be traced, it never will be: it must not go on.
 */
static bool hold_at_exec(struct pipes *p, int32_t pid)
{
	bool seized = ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXEC) == 0;

	if (!seized)
		kill(pid, SIGKILL);
	pipe_end(&p->wait[1]);
	return seized && catch_exec_follow(pid, pid, freeze_now_ns() + EXEC_LIMIT_NS) == pid;
}

static void end(int32_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* It has begun, and is not taken back; that nothing is recorded is told as of any program. */
static int go_on_without(const struct launch_options *o, struct launch_table *table,
			 struct error *e)
{
	const struct error why = *e;
	int r = launch_table_create(1, RLIM_INFINITY, o->mode, table, e);

	if (r == 0)
		launch_table_fail(table, why.message);
	return r;
}

/* The words are about a process by its number; who has typed a program knows of none. */
static void reword(const struct program *p, struct error *e)
{
	const struct error said = *e;
	const char *why = strncmp(said.message, "cannot ", 7) ? NULL : strstr(said.message, ": ");

	error_set(e, said.err, said.status, "cannot record '%s': %s", p->image,
		  why ? why + strlen(": ") : said.message);
	error_hint(e, "%s", said.hint);
}

/* It is held before its first instruction: if it cannot be recorded, it need not run. */
static int record_static(const struct launch_options *o, const struct program *p, int32_t pid,
			 struct launch_table *table, struct error *e)
{
	int r = o->into_static(pid, o->mode, table, e);
	struct registers_place place;

	if (r < 0 && registers_get_place(pid, &place)) {
		end(pid);
		reword(p, e);
	} else if (r < 0) {
		r = go_on_without(o, table, e);
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return r;
}

static int cannot_hold(int32_t pid, const struct program *p, struct error *e)
{
	end(pid);
	error_set(e, -EPERM, EXIT_TARGET, "cannot record '%s': it cannot be traced", p->image);
	error_hint(e, "it is statically linked: the recorder comes in by ptrace, which a sandbox "
		      "or a debugger may take away");
	return -EPERM;
}

/* From fork to exec. */
static int start_process(const struct launch *l, const struct launch_options *o,
			 const struct program *program, struct launch_table *table,
			 struct pipes *pipes, int32_t *ret_pid, struct error *e)
{
	struct child child = {o, program, l, NO_TABLE, pipes->told[1], pipes->wait[0]};
	bool held = false;
	pid_t pid;
	int err;

	if (!program->is_static)
		child.table_fd = table->fd;
	pid = fork();
	if (pid == 0) {
		pipe_end(&pipes->wait[1]);
		run_child(&child);
	}
	err = errno;
	pipe_end(&pipes->told[1]);
	if (pid < 0)
		return error_set(e, -err, EXIT_TARGET, "cannot start a process: %s",
				 error_strerror(err));
	if (program->is_static)
		held = hold_at_exec(pipes, pid);
	err = wait_for_exec(pipes->told[0], pid);
	if (err)
		return exec_failed(program, err, e);
	*ret_pid = pid;
	if (!program->is_static)
		return 0;
	return held ? record_static(o, program, pid, table, e) : cannot_hold(pid, program, e);
}

static int start_program(struct launch *l, const struct launch_options *o,
			 const struct program *program, struct launch_table *table, struct error *e)
{
	struct pipes pipes;
	int32_t pid = 0;
	int r = pipes_open(&pipes, program->is_static);

	if (r < 0)
		error_set(e, r, EXIT_TARGET, "cannot make a pipe: %s", error_strerror(r));
	else
		r = start_process(l, o, program, table, &pipes, &pid, e);
	pipes_close(&pipes);
	if (r < 0)
		return r;
	l->first_pid = pid;
	if (!launch_add(l, pid, table))
		return error_set(e, -errno, EXIT_INTERNAL, "cannot watch process %d: %s", (int)pid,
				 error_strerror(errno));
	note_program(&l->processes[0]->seen.info, program);
	return 0;
}

/* Where 0, 1 or 2 are closed, our own descriptors must not take their places. */
static int fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			return -errno;
	return 0;
}

static int open_all(struct launch *l)
{
	int r = fill_standard();

	if (r < 0)
		return r;
	r = launch_signals_open(&l->signals);
	if (r < 0)
		return r;
	if (l->follow && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return -errno;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->epoll < 0 || l->timer < 0)
		return -errno;
	r = launch_watch(l, l->signals.fd, LAUNCH_EVENT_SIGNAL, 0);
	if (r == 0)
		r = launch_watch(l, l->timer, LAUNCH_EVENT_TIMER, 0);
	if (r == 0)
		r = launch_serve_open(l);
	return r == 0 ? launch_clock_start(l) : r;
}

/* Each followed child takes two descriptors. The program itself keeps the limit that it was given.
 */
static void lift_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static uint64_t address_space_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_AS, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* Its recorder does not see the end coming. */
static int check_static(const struct launch_options *o, const struct program *p, struct error *e)
{
	if (!p->is_static || (!o->exits && o->into_static))
		return 0;
	if (!o->into_static)
		return error_set(e, -ENOTSUP, EXIT_TARGET,
				 "cannot record '%s': it is statically linked", p->image);
	error_set(e, -ENOTSUP, EXIT_TARGET,
		  "cannot look for leaks at the end of '%s': it is statically linked", p->image);
	error_hint(e, "look while it runs (seep leaks), or at what is live at its end (--at-exit)");
	return -ENOTSUP;
}

int launch_start(const struct launch_options *o, struct launch **ret, struct error *e)
{
	struct launch *l = mem_alloc(sizeof(*l));
	struct program program = PROGRAM_INIT;
	struct launch_table table = LAUNCH_TABLE_INIT;
	int r;

	l->epoll = l->timer = l->listener = l->signals.fd = -1;
	l->follow = o->follow;
	l->exits = o->exits;
	l->mode = o->mode;
	r = program_open(o->argv[0], &program, e);
	if (r < 0)
		goto out;
	r = open_all(l);
	if (r < 0) {
		error_set(e, r, EXIT_TARGET, "cannot prepare the launch: %s", error_strerror(r));
		goto out;
	}
	r = check_static(o, &program, e);
	if (r == 0 && !program.is_static)
		r = launch_table_create(1, address_space_limit(), l->mode, &table, e);
	if (r == 0 && !program.is_static)
		launch_table_ask_exits(&table, l->exits);
	if (r == 0)
		r = start_program(l, o, &program, &table, e);
	if (r == 0 && l->follow)
		lift_descriptor_limit();
out:
	launch_table_release(&table);
	program_release(&program);
	if (r < 0)
		launch_free(l);
	else
		*ret = l;
	return r;
}

const struct launched *launch_first(const struct launch *l)
{
	return &l->processes[0]->seen;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void launch_free(struct launch *l)
{
	if (!l)
		return;
	if (l->follow)
		prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	while (l->nr)
		launch_remove(l, l->processes[0]);
	free(l->processes);
	launch_signals_close(&l->signals);
	close_if_open(l->listener);
	close_if_open(l->timer);
	close_if_open(l->epoll);
	free(l);
}
