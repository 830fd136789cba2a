/* Beside the running program: clock, requests, signals, and the ends of processes. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "target/drain.h"
#include "target/launch_private.h"
#include "target/proc.h"

/* Half a step of the clock: first while its steps are 16 ms, later while they are a second. */
#define QUICK_NS 8000000
#define SLOW_NS 500000000
#define EVENTS 32

static int set_timer(struct launch *l, long ns)
{
	struct itimerspec every = {{.tv_nsec = ns}, {.tv_nsec = ns}};

	if (timerfd_settime(l->timer, 0, &every, NULL) < 0)
		return -errno;
	l->timer_slow = ns == SLOW_NS;
	return 0;
}

int launch_clock_start(struct launch *l)
{
	return set_timer(l, l->mode.kind == WIRE_MODE_FULL ? DRAIN_NS : QUICK_NS);
}

static void look_for_failure(struct launched *p, const struct launch_events *events)
{
	struct launch_table_status status;

	if (p->failed)
		return;
	launch_table_status(&p->table, &status);
	p->failed = status.state == WIRE_STATE_NOT_USED || status.state == WIRE_STATE_FAILED;
	if (p->failed)
		events->failed(p, events->context);
}

/* A process in a sandbox may be ended for a system call. */
static bool is_sandboxed(int32_t pid)
{
	struct str text = STR_INIT;
	int dir = proc_open(pid);
	bool known = dir >= 0 && proc_read_file(dir, "status", &text) == 0;
	size_t len;
	const char *mode = known ? proc_find_line(text.data, "Seccomp", &len) : NULL;
	bool sandboxed = !mode || strtol(mode, NULL, 10) != 0;

	str_release(&text);
	if (dir >= 0)
		close(dir);
	return sandboxed;
}

static void look_at_exit(struct launched *p, enum launch_exit where,
			 const struct launch_events *events)
{
	if (p->ended || !events->at_exit || !launch_table_at_exit(&p->table, where))
		return;
	launch_table_see_exit(&p->table, where, !is_sandboxed(p->pid));
	p->seen |= where;
	events->at_exit(p, where, events->context);
	launch_table_end_exit(&p->table, where);
}

void launch_tick(struct launch *l, const struct launch_events *events)
{
	struct timespec ts;
	uint64_t now_ns, expirations;
	bool hurry = l->exits || l->mode.kind == WIRE_MODE_FULL;

	if (read(l->timer, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	for (size_t i = 0; i < l->nr; i++) {
		hurry |= launch_table_tick(&l->processes[i]->seen.table, now_ns);
		look_for_failure(&l->processes[i]->seen, events);
		look_at_exit(&l->processes[i]->seen, LAUNCH_EXIT_BEFORE, events);
		look_at_exit(&l->processes[i]->seen, LAUNCH_EXIT_AFTER, events);
		if (events->drain && l->mode.kind == WIRE_MODE_FULL)
			events->drain(&l->processes[i]->seen, events->context);
	}
	if (!hurry && !l->timer_slow)
		set_timer(l, SLOW_NS);
}

/* As waitpid(2) would give it. */
static int wait_status_of(const siginfo_t *si)
{
	if (si->si_code == CLD_EXITED)
		return (si->si_status & 0xff) << 8;
	return si->si_status | (si->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

struct waiting {
	const struct launch_events *events;
	int wait_status; /* of the first */
	bool leave;
	bool orphans; /* there may be children left to collect */
};

static void report_end(struct launched *p, const struct launch_events *events)
{
	look_for_failure(p, events);
	events->ended(p, events->context);
}

/* It stays on the list: its report waits until nobody needs us for anything quicker. */
static void first_ended(struct launch *l, struct launch_process *p, struct waiting *w)
{
	siginfo_t si = {0};

	if (waitid(P_PID, (id_t)l->first_pid, &si, WEXITED | WNOHANG) < 0) {
		if (errno != ECHILD)
			return;
		/* It was killed under our eyes, and who looked at it has collected it. */
		si = (siginfo_t){.si_code = CLD_KILLED, .si_pid = l->first_pid};
		si.si_status = SIGKILL;
	}
	if (!si.si_pid)
		return;
	p->seen.ended = true;
	p->seen.wait_status = w->wait_status = wait_status_of(&si);
	l->first_pid = 0;
	close(p->pidfd);
	p->pidfd = -1;
}

static void process_ended(struct launch *l, int32_t pid, struct waiting *w)
{
	struct launch_process *p = launch_find(l, pid);

	if (!p)
		return;
	if (p->seen.is_first) {
		first_ended(l, p, w);
		return;
	}
	p->seen.ended = true;
	report_end(&p->seen, w->events);
	launch_remove(l, p);
}

/*
 * With follow we are the reaper of all descendants whose parents have ended, so that a daemon stays
 * in sight, and so that we know when the last one has gone.
 */
static void collect(struct launch *l, struct waiting *w)
{
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOWAIT | WNOHANG) < 0 && errno == ECHILD)
			w->orphans = false;
		if (!si.si_pid)
			return;
		process_ended(l, si.si_pid, w);
		waitpid(si.si_pid, NULL, WNOHANG); /* the first has been collected already */
	}
}

static void handle(struct launch *l, const struct epoll_event *event, struct waiting *w)
{
	switch ((enum launch_event)(event->data.u64 >> 32)) {
	case LAUNCH_EVENT_SIGNAL:
		w->leave |= launch_signals_handle(&l->signals, l->first_pid);
		break;
	case LAUNCH_EVENT_TIMER:
		launch_tick(l, w->events);
		break;
	case LAUNCH_EVENT_SOCKET:
		launch_serve(l);
		break;
	case LAUNCH_EVENT_PROCESS:
		process_ended(l, (int32_t)(uint32_t)event->data.u64, w);
		break;
	case LAUNCH_EVENT_OTHER:
		break;
	}
}

int launch_wait(struct launch *l, const struct launch_events *events, int *ret_wait_status,
		struct error *e)
{
	struct waiting w = {.events = events, .orphans = l->follow};
	struct epoll_event ready[EVENTS];

	while (l->first_pid || (!w.leave && (l->nr > 1 || w.orphans))) {
		int nr = epoll_wait(l->epoll, ready, EVENTS, -1);

		if (nr < 0 && errno != EINTR)
			return error_set(e, -errno, EXIT_INTERNAL, "cannot wait for process %d: %s",
					 (int)l->first_pid, error_strerror(errno));
		for (int i = 0; i < nr; i++)
			handle(l, &ready[i], &w);
		if (l->follow)
			collect(l, &w);
	}
	while (l->nr) {
		report_end(&l->processes[0]->seen, events);
		launch_remove(l, l->processes[0]);
	}
	*ret_wait_status = w.wait_status;
	return 0;
}
