/*
 * A signal handler that forks at any time, in the middle of malloc too; the child returns from it,
 * allocates on, and ends well.
 *
 * handler-forks fork|_Fork|syscall|clone FORKS [onstack] [--wait]
 *
 * One thread, small blocks: nobody holds a lock of the allocator when the handler comes, so that
 * all of this goes well without a recorder.
 */
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "truth.h"

#define WAIT_US 50 /* at least: up to eight times as long */
#define ROUNDS_OF_CHILD 100
#define DEPTH 40

static struct truth_site *main_site;
static const char *way;
static int (*plain_fork)(void);
static volatile int rounds_left = -1; /* of a child; -1: the parent */
static volatile unsigned int forks;
static volatile int armed;
static volatile unsigned int ended_badly;
static char alternate[64 * 1024];

static int make_child(void)
{
	if (!strcmp(way, "syscall"))
		return (int)syscall(SYS_fork);
	if (!strcmp(way, "clone"))
		return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	return plain_fork();
}

static void fork_in_handler(int signal)
{
	int saved = errno, status = -1;
	pid_t child;

	(void)signal;
	if (rounds_left >= 0)
		return;
	child = make_child();
	if (child == 0) {
		rounds_left = ROUNDS_OF_CHILD;
	} else {
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			ended_badly = ended_badly + 1;
		forks = forks + 1;
		armed = 0;
	}
	errno = saved;
}

static NOINLINE void allocate(unsigned int round)
{
	size_t size = 16 + round % 300;
	void *p = truth_born(main_site, malloc(opaque(size)), size), *q;

	truth_died(main_site, size);
	q = realloc(p, size + 40);
	truth_born(main_site, q, size + 40);
	truth_died(main_site, size + 40);
	free(q);
	p = truth_born(main_site, calloc(1, opaque(size)), size);
	truth_died(main_site, size);
	free(p);
}

/* Stacks of many kinds, so that the recorder does not know all of them. */
static NOINLINE unsigned int wander(unsigned int depth, unsigned int round)
{
	volatile unsigned int frame[8];

	frame[depth % 8] = depth;
	if (depth == 0)
		allocate(round);
	else if (round >> (depth % 16) & 1)
		return wander(depth - 1, round) + frame[depth % 8];
	else
		return wander(depth - 1, round) * 3 + frame[depth % 8];
	return 1;
}

/* Once: however long a fork takes, the program gets on before the next. */
static void arm(unsigned int round)
{
	const struct itimerval timer = {.it_value.tv_usec =
						WAIT_US * (1 + round * 2654435761u % 8)};

	armed = 1;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void run(unsigned int wanted)
{
	for (unsigned int round = 0; rounds_left >= 0 || forks < wanted; round++) {
		if (!armed && rounds_left < 0)
			arm(forks);
		truth_touch((void *)(uintptr_t)wander(round % 3 ? 2 : round % DEPTH, round / 7));
		if (rounds_left > 0 && --rounds_left == 0)
			_exit(truth_status());
	}
}

int main(int argc, char **argv)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
	unsigned int wanted = argc > 2 ? (unsigned int)atoi(argv[2]) : 0;

	way = argc > 1 ? argv[1] : "fork";
	if (!strcmp(way, "_Fork"))
		plain_fork = (int (*)(void))dlsym(RTLD_DEFAULT, way);
	if (!plain_fork)
		plain_fork = fork; /* POSIX has _Fork since 2024 */
	if (argc > 3 && !strcmp(argv[3], "onstack")) {
		sigaltstack(&stack, NULL);
		action.sa_flags |= SA_ONSTACK;
	}
	main_site = truth_at("allocate");
	truth_print("handler_forks", "start");
	truth_wait(argc, argv);
	sigaction(SIGALRM, &action, NULL);
	run(wanted);
	truth_note("ended_badly", "%u", ended_badly);
	truth_print("handler_forks", "end");
	truth_wait(argc, argv);
	return truth_status();
}
