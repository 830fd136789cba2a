/*
 * Children made in every way, while another thread of the parent allocates. Each process that
 * counts prints its own line; only the parent's blocks belong to the parent.
 *
 * forker [fork|clone|vfork|spawn|system|all] [--wait]
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "truth.h"

#define TIMES 10

extern char **environ;
static atomic_bool stop_busy;
static struct truth_site *parent_site, *child_site, *busy_site;

static NOINLINE void allocate_in_parent(int count)
{
	for (int i = 0; i < count; i++)
		truth_born(parent_site, malloc(opaque(111)), 111);
}

static NOINLINE void allocate_in_child(int count)
{
	void *kept = NULL;

	for (int i = 0; i < count; i++) {
		kept = truth_born(child_site, malloc(opaque(222)), 222);
		if (i % 2) {
			truth_died(child_site, 222);
			free(kept);
		}
	}
}

/* Runs all the time, so that a fork finds this thread anywhere, in the allocator as well. */
static NOINLINE void *keep_busy(void *arg)
{
	while (!stop_busy) {
		void *p = truth_born(busy_site, malloc(opaque(333)), 333);

		truth_died(busy_site, 333);
		free(p);
	}
	return arg;
}

static void reap(pid_t pid, const char *what)
{
	int status = -1;

	truth_check(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, what);
}

static void child_lives(const char *at)
{
	truth_forget();
	allocate_in_child(100);
	truth_print("forker", at);
	_exit(0);
}

static void by_fork(void)
{
	for (int i = 0; i < TIMES; i++) {
		pid_t pid = fork();

		if (pid == 0)
			child_lives("fork child");
		allocate_in_parent(5);
		reap(pid, "the child of fork ends well");
	}
}

/* As fork, but behind the C library's back: no handler of pthread_atfork runs. */
static void by_clone(void)
{
	for (int i = 0; i < TIMES; i++) {
		pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

		if (pid == 0)
			child_lives("clone child");
		allocate_in_parent(5);
		reap(pid, "the child of clone ends well");
	}
}

/* A child that shares our memory, on a stack of its own, and ends without exec. */
static int shares_memory(void *arg)
{
	truth_touch(arg);
	_exit(0);
}

static void by_shared_clone(void)
{
	size_t size = 256 * 1024;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		return;
	for (int i = 0; i < TIMES; i++)
		reap(clone(shares_memory, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL),
		     "the child that shares memory ends well");
	munmap(stack, size);
}

static void by_vfork(void)
{
	for (int i = 0; i < TIMES; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		reap(pid, "the child of vfork ends well");
		allocate_in_parent(5);
	}
}

static void by_spawn(void)
{
	char *const args[] = {(char *)"true", NULL};
	pid_t pid = -1;

	for (int i = 0; i < TIMES; i++) {
		truth_check(posix_spawn(&pid, "/bin/true", NULL, NULL, args, environ) == 0,
			    "posix_spawn works");
		reap(pid, "the child of posix_spawn ends well");
		allocate_in_parent(5);
	}
}

static void by_system(void)
{
	for (int i = 0; i < TIMES; i++) {
		truth_check(system("exit 0") == 0, "system works");
		allocate_in_parent(5);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = {
		{"fork", by_fork},   {"clone", by_clone}, {"clone", by_shared_clone},
		{"vfork", by_vfork}, {"spawn", by_spawn}, {"system", by_system},
	};
	const char *way = argc > 1 && argv[1][0] != '-' ? argv[1] : "all";
	pthread_t busy;

	parent_site = truth_at("allocate_in_parent");
	child_site = truth_at("allocate_in_child");
	busy_site = truth_at("keep_busy");
	if (pthread_create(&busy, NULL, keep_busy, NULL) != 0)
		return 1;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(way, "all") == 0 || strcmp(way, ways[i].name) == 0)
			ways[i].run();
	stop_busy = true;
	pthread_join(busy, NULL);
	truth_print("forker", "end");
	truth_wait(argc, argv);
	return truth_status();
}
