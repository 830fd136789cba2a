/* Asking, seizing, following; see catch_exec.h. */
#include "target/catch_exec.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/fanotify.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/exec_stack.h"
#include "target/freeze.h"
#include "target/process.h"

#define PATIENCE_NS 1000000000ull /* for one start */
#define SCRIPT_US 1000 /* after so long without a hold the question must be about a script */

static void let_go(int32_t tid)
{
	int status;

	if (ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0 || errno != ESRCH)
		return;
	/* It runs: it never came to its exec. */
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 &&
	    freeze_wait(tid, freeze_now_ns() + PATIENCE_NS, &status) == 0)
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
}

/* A thread that was seized when it was there already is known by its registers. */
int32_t catch_exec_follow(int32_t tid, int32_t pid, uint64_t deadline_ns)
{
	int32_t who = tid;
	int status;

	for (;;) {
		int r = freeze_wait(who, deadline_ns, &status), event;

		/* A thread that executes becomes its process. */
		if (r == -ESRCH && who != pid) {
			who = pid;
			continue;
		}
		if (r < 0 || !WIFSTOPPED(status)) {
			if (r < 0)
				let_go(who);
			return 0;
		}
		event = status >> 16;
		if (event == PTRACE_EVENT_EXEC ||
		    (event == PTRACE_EVENT_STOP && exec_stack_is_fresh(who)))
			return who;
		if (event == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP)
			ptrace(PTRACE_LISTEN, who, NULL, NULL);
		else
			ptrace(PTRACE_CONT, who, NULL,
			       (void *)(long)(event ? 0 : WSTOPSIG(status)));
	}
}

/*
 * The question that is open. The kernel asks about a program before it begins with exec, but about
 * the interpreter of a script in the middle of it, when it holds a lock that seizing waits for.
 * Then the question is answered by a signal that comes while we wait. The lock is free before the
 * program runs, and so that we are there in time, the thread is kept on our processor until we have
 * it: it cannot go on where we want to.
 */
static struct {
	int starts, fd; /* fd: -1 none is open */
	int32_t tid;
	cpu_set_t its, ours; /* processors, as they are to be afterwards */
	volatile sig_atomic_t late, together;
} question = {.fd = -1};

/* Only system calls: this runs in a signal handler. */
static void come_together(void)
{
	const struct sched_param first = {.sched_priority = 1};
	cpu_set_t one;
	int cpu = 0;

	if (sched_getaffinity(question.tid, sizeof(question.its), &question.its) < 0 ||
	    sched_getaffinity(0, sizeof(question.ours), &question.ours) < 0)
		return;
	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &question.its))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		return;
	question.together = 1;
	sched_setaffinity(question.tid, sizeof(one), &one);
	sched_setscheduler(0, SCHED_FIFO, &first);
}

/* pid: what the thread is called once it has become its process. */
static void part(int32_t pid)
{
	const struct sched_param none = {0};

	if (!question.together)
		return;
	question.together = 0;
	if (sched_setaffinity(question.tid, sizeof(question.its), &question.its) < 0)
		sched_setaffinity(pid, sizeof(question.its), &question.its);
	sched_setscheduler(0, SCHED_OTHER, &none);
	sched_setaffinity(0, sizeof(question.ours), &question.ours);
}

static void answer(void)
{
	struct fanotify_response yes = {.fd = question.fd, .response = FAN_ALLOW};

	if (question.fd < 0)
		return;
	if (write(question.starts, &yes, sizeof(yes)) < 0)
		errno = 0; /* the thread was killed meanwhile */
	close(question.fd);
	question.fd = -1;
}

/* Armed again, it is our end. */
static void answer_late(int signal)
{
	int saved = errno;

	(void)signal;
	question.late = 1;
	come_together();
	answer();
	alarm(CATCH_WATCHDOG_S);
	errno = saved;
}

static void set_alarm(void)
{
	struct sigaction late = {.sa_handler = answer_late, .sa_flags = (int)SA_RESETHAND};
	struct itimerval soon = {.it_value.tv_usec = SCRIPT_US};

	question.late = 0;
	sigaction(SIGALRM, &late, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

/* Seizes the thread that the question is about, and answers. */
static bool seize(int32_t tid, int32_t pid)
{
	bool seized;

	question.tid = tid;
	set_alarm();
	seized = ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACEEXEC) == 0;
	alarm(0);
	signal(SIGALRM, SIG_DFL);
	alarm(CATCH_WATCHDOG_S);
	answer();
	if (seized && question.late && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	part(pid);
	return seized;
}

static int32_t process_of(int32_t tid)
{
	struct process_info info;
	int32_t pid;

	if (process_read(tid, &info, NULL) < 0)
		return 0;
	pid = info.tgid;
	process_info_release(&info);
	return pid;
}

int32_t catch_exec(int starts, int fd, int32_t tid, const char **ret_why)
{
	int32_t pid;

	question.starts = starts;
	question.fd = fd;
	alarm(CATCH_WATCHDOG_S);
	pid = tid == getpid() ? 0 : process_of(tid);
	if (!pid || !seize(tid, pid)) {
		answer();
		if (tid != getpid())
			*ret_why = "it cannot be traced, or is traced already";
		pid = 0;
	} else {
		pid = catch_exec_follow(tid, pid, freeze_now_ns() + PATIENCE_NS);
	}
	alarm(0);
	return pid;
}
