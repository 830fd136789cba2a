/*
 * Stopping and releasing threads; see freeze.h.
 *
 * PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)) rather than PTRACE_ATTACH: no SIGSTOP is sent, so
 * the process's parent and its own signal handling notice nothing.
 */
#include "target/freeze.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/ahead.h"
#include "target/proc.h"
#include "target/registers.h"

#define NS_PER_MS 1000000ull
/* A thread that is awaited, and gets no processor to stop on. */
#define ADOPT_TRIES 20
/* How long the others stand still because of one that does not. */
#define STOP_LIMIT_NS (250 * NS_PER_MS)
/* So long after all were asked to stop, a thread asleep in the kernel is taken as it is. */
#define KERNEL_SLEEP_NS (20 * NS_PER_MS)
/* How often one is looked at that has not stopped yet. */
#define LOOK_NS NS_PER_MS
#define SPIN_NS (NS_PER_MS / 2)
#define LATE_NS (2 * NS_PER_MS)
#define NAP_NS 100000
/* Threads that start others while they are being stopped: far fewer rounds are ever needed. */
#define ROUNDS_MAX 1000

uint64_t freeze_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void freeze_init(struct freeze *f, int32_t pid, int dir)
{
	*f = (struct freeze){.pid = pid, .dir = dir};
}

void freeze_release(struct freeze *f)
{
	freeze_go(f);
	free(f->threads);
	if (f->dir >= 0)
		close(f->dir);
	*f = (struct freeze){.dir = -1};
}

char freeze_thread_state(int dir, int32_t tid)
{
	struct str text = STR_INIT;
	const char *close_bracket;
	char path[48], state = 0;

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	if (!proc_read_file(dir, path, &text)) {
		close_bracket = strrchr(text.data, ')');
		if (close_bracket && close_bracket[1] == ' ')
			state = close_bracket[2];
	}
	str_release(&text);
	return state;
}

bool freeze_is_over(char state)
{
	return !state || strchr("ZXx", state);
}

/* "call arguments… sp pc", or "-1 sp pc" in a page fault; "running". */
bool freeze_read_sleeper(int dir, int32_t tid, struct sleeper *ret)
{
	struct str text = STR_INIT;
	struct sleeper s = {0};
	unsigned long long sp, pc;
	char path[48];
	bool known;

	snprintf(path, sizeof(path), "task/%d/syscall", tid);
	known = !proc_read_file(dir, path, &text) &&
		(sscanf(text.data, "%ld %*x %*x %*x %*x %*x %*x %llx %llx", &s.call, &sp, &pc) ==
			 3 ||
		 sscanf(text.data, "%ld %llx %llx", &s.call, &sp, &pc) == 3);
	str_release(&text);
	if (!known)
		return false;
	*ret = (struct sleeper){.call = s.call, .sp = sp, .pc = pc};
	return true;
}

bool freeze_in_vfork(int dir, int32_t tid)
{
	struct sleeper s;

	return freeze_thread_state(dir, tid) == 'D' && freeze_read_sleeper(dir, tid, &s) &&
	       (s.call == SYS_vfork || s.call == SYS_clone || s.call == SYS_clone3);
}

/* As waitpid() would give it. */
static int status_of_end(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

/* Is it a process that seep has started itself, whose end somebody else here waits for? */
static bool is_own_child(pid_t tid)
{
	struct str text = STR_INIT;
	int dir = proc_open(tid);
	bool known = dir >= 0 && proc_read_file(dir, "status", &text) == 0;
	const char *group = NULL, *parent = NULL;
	size_t len;
	bool is_own;

	if (known) {
		group = proc_find_line(text.data, "Tgid", &len);
		parent = proc_find_line(text.data, "PPid", &len);
	}
	is_own = group && parent && strtol(group, NULL, 10) == tid &&
		 strtol(parent, NULL, 10) == getpid();
	str_release(&text);
	if (dir >= 0)
		close(dir);
	return is_own;
}

/* 1: *ret_status has what tid reports; 0: it reports nothing; or negative errno. */
static int take_report(pid_t tid, int *ret_status)
{
	siginfo_t info = {.si_pid = 0};
	pid_t got;

	if (waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) < 0)
		return errno == EINTR ? 0 : -ESRCH;
	if (!info.si_pid)
		return 0;
	if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED && is_own_child(tid)) {
		*ret_status = status_of_end(&info);
		return 1;
	}
	got = waitpid(tid, ret_status, __WALL | WNOHANG);
	if (got < 0 && errno != EINTR)
		return -ESRCH;
	return got == tid;
}

/*
 * Not waitpid() without WNOHANG: a thread group's leader that has ended before the others never
 * reports, and a thread asleep in the kernel not for long.
 */
int freeze_wait(pid_t tid, uint64_t deadline_ns, int *ret_status)
{
	uint64_t began = freeze_now_ns(), now;

	for (;;) {
		int r = take_report(tid, ret_status);

		if (r)
			return r < 0 ? r : 0;
		now = freeze_now_ns();
		if (now >= deadline_ns)
			return -ETIMEDOUT;
		if (now - began < SPIN_NS)
			sched_yield();
		else
			nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
	}
}

static bool is_known(const struct freeze *f, int32_t tid)
{
	size_t low = 0, high = f->nr_sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->threads[middle].tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < f->nr_sorted && f->threads[low].tid == tid)
		return true;
	for (size_t i = f->nr_sorted; i < f->nr; i++) {
		if (f->threads[i].tid == tid)
			return true;
	}
	return false;
}

static int list_threads(const struct freeze *f, int32_t **ret, size_t *ret_nr)
{
	int r = proc_list_numbers(f->dir, "task", ret, ret_nr);

	return r == -ENOENT ? -ESRCH : r;
}

void freeze_collect_ended(void *context)
{
	const struct freeze *f = context;
	int32_t *tids;
	size_t nr;

	if (list_threads(f, &tids, &nr) < 0)
		return;
	for (size_t i = 0; i < nr; i++) {
		siginfo_t info;

		/* The first thread's end is its process's, and that is not ours to collect. */
		if (tids[i] != f->pid && freeze_is_over(freeze_thread_state(f->dir, tids[i])))
			waitid(P_PID, (id_t)tids[i], &info, WEXITED | WNOHANG | __WALL);
	}
	free(tids);
}

/* 1: seized; 0: it has ended. */
static int seize(struct freeze *f, int32_t tid)
{
	struct frozen_thread thread = {.tid = tid};
	int err;

	if (!ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD)) {
		ARRAY_PUSH(f->threads, f->nr, f->cap, thread);
		return 1;
	}
	err = errno;
	if (err == ESRCH)
		return 0;
	if (err == EPERM) {
		/* What has ended cannot be traced: no matter of permission. */
		if (freeze_is_over(freeze_thread_state(f->dir, tid)))
			return 0;
	}
	return -err;
}

/* Whatever it reports, it is brought to where it has stopped, or has ended. */
static void note_report(struct frozen_thread *thread, int status)
{
	int sig;

	if (!WIFSTOPPED(status)) {
		thread->state = FROZEN_GONE;
		return;
	}
	sig = WSTOPSIG(status);
	if (status >> 16 == PTRACE_EVENT_STOP) {
		thread->state = FROZEN_STOPPED;
		thread->group_stopped = sig != SIGTRAP;
		/* At once: should we be killed, nothing shows either. */
		if (!thread->group_stopped)
			registers_hide_stop(thread->tid);
		return;
	}
	/* A signal of its own, on its way: it takes it, and stops right after. */
	if (ptrace(PTRACE_CONT, thread->tid, NULL, status >> 16 ? 0 : sig) < 0)
		thread->state = FROZEN_GONE;
}

/* A thread that has not stopped: can it be waited for? 0, or -ETIMEDOUT: not any longer. */
static int judge_late(struct freeze *f, struct frozen_thread *thread, uint64_t began,
		      uint64_t asked_ns)
{
	char state = freeze_thread_state(f->dir, thread->tid);
	uint64_t now = freeze_now_ns();

	if (freeze_is_over(state))
		thread->state = FROZEN_GONE;
	else if (state == 'D' &&
		 (now - asked_ns >= KERNEL_SLEEP_NS || freeze_in_vfork(f->dir, thread->tid)))
		thread->state = FROZEN_KERNEL;
	else if (now - began > STOP_LIMIT_NS)
		return -ETIMEDOUT;
	return 0;
}

/* asked_ns: when all were asked to stop, whom this one keeps waiting. 0, or -ETIMEDOUT. */
static int await(struct freeze *f, struct frozen_thread *thread, uint64_t asked_ns)
{
	uint64_t began = freeze_now_ns();
	int status, r = 0;

	while (thread->state == FROZEN_SEIZED && !r) {
		r = freeze_wait(thread->tid, freeze_now_ns() + LOOK_NS, &status);
		if (!r)
			note_report(thread, status);
		else if (r == -ETIMEDOUT)
			r = judge_late(f, thread, began, asked_ns);
		else
			thread->state = FROZEN_GONE;
	}
	return r == -ETIMEDOUT ? r : 0;
}

/* Returns when. */
static uint64_t interrupt(struct freeze *f, size_t from)
{
	uint64_t now;
	struct ahead ahead;

	ahead_begin(&ahead);
	now = freeze_now_ns();
	if (!f->began_ns)
		f->began_ns = now;
	/* Those that stand still would stop once more when they go on. */
	for (size_t i = from; i < f->nr; i++)
		if (f->threads[i].state == FROZEN_SEIZED)
			ptrace(PTRACE_INTERRUPT, f->threads[i].tid, NULL, NULL);
	ahead_end(&ahead);
	return now;
}

/* One round: every thread that is not held yet. Returns how many there were. */
static int stop_round(struct freeze *f)
{
	size_t nr_tids, known = f->nr;
	uint64_t asked_ns;
	int32_t *tids;
	int r = list_threads(f, &tids, &nr_tids);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr_tids; i++) {
		if (is_known(f, tids[i]))
			continue;
		r = seize(f, tids[i]);
		if (r < 0)
			break;
	}
	free(tids);
	if (r < 0)
		return r;
	if (!known)
		f->nr_sorted = f->nr;
	asked_ns = interrupt(f, known);
	for (size_t i = known; i < f->nr; i++) {
		r = await(f, &f->threads[i], asked_ns);
		if (r < 0)
			return r;
	}
	return (int)(f->nr - known);
}

static bool any_held(const struct freeze *f)
{
	for (size_t i = 0; i < f->nr; i++) {
		if (f->threads[i].state == FROZEN_STOPPED || f->threads[i].state == FROZEN_KERNEL)
			return true;
	}
	return false;
}

/* Those that could not be let go after an earlier stop are still ours. */
static int stop_late_ones(struct freeze *f)
{
	uint64_t asked_ns = f->nr ? interrupt(f, 0) : 0;
	int r = 0;

	for (size_t i = 0; i < f->nr && !r; i++)
		r = await(f, &f->threads[i], asked_ns);
	return r;
}

int freeze_stop(struct freeze *f)
{
	int r = stop_late_ones(f);

	if (!r) {
		for (int round = 0; round < ROUNDS_MAX; round++) {
			r = stop_round(f);
			if (r <= 0)
				break;
		}
	}
	if (r > 0)
		r = -ETIMEDOUT;
	if (!r && !any_held(f))
		r = -ESRCH;
	if (r < 0)
		freeze_go(f);
	return r;
}

/* At the end of exec a result is still on its way into its registers: behind that it can be used.
 */
int freeze_adopt(struct freeze *f)
{
	struct frozen_thread thread = {.tid = f->pid};
	int r = -ETIMEDOUT;

	if (ptrace(PTRACE_SETOPTIONS, f->pid, NULL, PTRACE_O_TRACESYSGOOD) < 0)
		return -errno;
	ARRAY_PUSH(f->threads, f->nr, f->cap, thread);
	interrupt(f, 0);
	if (ptrace(PTRACE_CONT, f->pid, NULL, NULL) < 0)
		return -errno;
	for (int i = 0; i < ADOPT_TRIES && r == -ETIMEDOUT; i++)
		r = await(f, &f->threads[0], freeze_now_ns());
	if (!r && !any_held(f))
		r = -ESRCH;
	if (r < 0)
		freeze_go(f);
	return r;
}

/* The thread, held already or newly; NULL: it cannot be. */
static struct frozen_thread *take_thread(struct freeze *f, int32_t tid)
{
	for (size_t i = 0; i < f->nr; i++) {
		if (f->threads[i].tid == tid)
			return &f->threads[i];
	}
	return seize(f, tid) > 0 ? &f->threads[f->nr - 1] : NULL;
}

int freeze_stop_one(struct freeze *f, size_t *at, int32_t *ret_tid)
{
	struct frozen_thread *thread;
	size_t nr_tids;
	int32_t *tids;
	int r = list_threads(f, &tids, &nr_tids);

	if (r < 0)
		return r;
	r = -ENOENT;
	while (*at < nr_tids && r < 0) {
		thread = take_thread(f, tids[(*at)++]);
		if (!thread)
			continue;
		f->began_ns = freeze_now_ns();
		ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
		if (!await(f, thread, f->began_ns) && thread->state == FROZEN_STOPPED) {
			*ret_tid = thread->tid;
			r = 0;
		} else {
			freeze_go(f);
		}
	}
	free(tids);
	return r;
}

uint64_t freeze_pause_ns(const struct freeze *f)
{
	return f->paused_ns + (f->began_ns ? freeze_now_ns() - f->began_ns : 0);
}

/*
 * It has not stopped yet, so it cannot be let go. It may any moment; if it does not, the end of our
 * thread lets it go.
 */
static void release_late(struct frozen_thread *thread)
{
	uint64_t deadline = freeze_now_ns() + LATE_NS;
	int status;

	thread->state = FROZEN_SEIZED;
	while (thread->state == FROZEN_SEIZED && !freeze_wait(thread->tid, deadline, &status))
		note_report(thread, status);
	if (thread->state == FROZEN_STOPPED && !ptrace(PTRACE_DETACH, thread->tid, NULL, 0))
		thread->state = FROZEN_GONE;
}

/* Only those that are let go are forgotten. */
static void forget_released(struct freeze *f)
{
	size_t nr = 0;

	for (size_t i = 0; i < f->nr; i++) {
		if (f->threads[i].state == FROZEN_SEIZED)
			f->threads[nr++] = f->threads[i];
	}
	f->nr = nr;
	f->nr_sorted = 0;
}

void freeze_go(struct freeze *f)
{
	struct ahead ahead;

	ahead_begin(&ahead);
	for (size_t i = 0; i < f->nr; i++) {
		/* It cannot be let go when it was killed meanwhile: then its end is to be noted. */
		if (f->threads[i].state == FROZEN_STOPPED &&
		    ptrace(PTRACE_DETACH, f->threads[i].tid, NULL, 0) < 0)
			f->threads[i].state = FROZEN_SEIZED;
	}
	if (f->began_ns)
		f->paused_ns += freeze_now_ns() - f->began_ns;
	f->began_ns = 0;
	ahead_end(&ahead);
	for (size_t i = 0; i < f->nr; i++) {
		if (f->threads[i].state == FROZEN_SEIZED || f->threads[i].state == FROZEN_KERNEL)
			release_late(&f->threads[i]);
	}
	forget_released(f);
}
