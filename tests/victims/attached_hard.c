/*
 * A program that does what is awkward while the recorder is put in and taken out: it forks children
 * that allocate, loads and unloads a library that does, is interrupted by signals on a stack of
 * their own wherever it stands, starts other programs, and frees what others have allocated.
 *
 * attached_hard LIBRARY      prints "ready"; at a line or the end of its input it ends, and says
 *                            how often each has been done and what went wrong
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin.h"

#define NOINLINE __attribute__((noinline))

static volatile bool over;
static uint64_t forks, loads, signals, starts, allocations, wrong;
static const char *library;
static void *volatile handed;

static void count(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

static NOINLINE void allocate(unsigned int seed)
{
	char *p[32];

	for (unsigned int i = 0; i < 32; i++) {
		size_t size = 1 + (seed * 31 + i * 77) % 900;

		p[i] = malloc(size);
		memset(p[i], (int)i, size);
	}
	for (unsigned int i = 0; i < 32; i++) {
		if (p[i][0] != (char)i)
			count(&wrong);
		free(p[i]);
	}
	count(&allocations);
}

static void *fork_all_the_time(void *arg)
{
	int status;

	while (!over) {
		pid_t child = fork();

		if (child == 0) {
			for (unsigned int i = 0; i < 50; i++)
				allocate(i);
			_exit(wrong ? 1 : 7);
		}
		if (waitpid(child, &status, 0) != child || status != 7 << 8)
			count(&wrong);
		count(&forks);
	}
	return arg;
}

static void leaked(void *p, size_t size)
{
	(void)size;
	free(p);
}

static void *load_all_the_time(void *arg)
{
	static const struct plugin_host host = {.leaked = leaked};

	while (!over) {
		void *handle = dlopen(library, RTLD_NOW);
		void (*run)(const struct plugin_host *, int) =
			handle ? (void (*)(const struct plugin_host *, int))dlsym(handle,
										  "plugin_run")
			       : NULL;

		if (!run) {
			count(&wrong);
			break;
		}
		run(&host, 5);
		dlclose(handle);
		count(&loads);
	}
	return arg;
}

static void *start_all_the_time(void *arg)
{
	char *const words[] = {"true", NULL};
	extern char **environ;
	int status;
	pid_t child;

	while (!over) {
		if (posix_spawnp(&child, "true", NULL, NULL, words, environ) ||
		    waitpid(child, &status, 0) != child || status)
			count(&wrong);
		count(&starts);
	}
	return arg;
}

/* One thread allocates, the other frees. */
static void *hand_over(void *arg)
{
	while (!over) {
		void *p = __atomic_exchange_n(&handed, NULL, __ATOMIC_ACQ_REL);

		if (p)
			free(p);
		else
			__atomic_store_n(&handed, malloc(300), __ATOMIC_RELEASE);
		count(&allocations);
	}
	return arg;
}

/* On the signals' own stack; it may have interrupted malloc, so it must not call it. */
static void on_signal(int sig)
{
	volatile char room[2000];

	for (size_t i = 0; i < sizeof(room); i++)
		room[i] = (char)sig;
	count(&signals);
}

static void *be_interrupted(void *arg)
{
	const stack_t stack = {.ss_sp = arg, .ss_size = 65536};
	sigset_t alarms;

	sigaltstack(&stack, NULL);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	for (unsigned int i = 0; !over; i++)
		allocate(i);
	return NULL;
}

static bool say(void)
{
	printf("{\"forks\":%lu,\"loads\":%lu,\"signals\":%lu,\"starts\":%lu,\"allocations\":%lu,"
	       "\"wrong\":%lu}\n",
	       forks, loads, signals, starts, allocations, wrong);
	return !wrong;
}

int main(int argc, char **argv)
{
	static void *(*const all[])(void *) = {fork_all_the_time,  load_all_the_time,
					       start_all_the_time, hand_over,
					       hand_over,	   be_interrupted};
	const struct itimerval often = {{0, 500}, {0, 500}};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
	pthread_t threads[sizeof(all) / sizeof(all[0])];
	sigset_t alarms;
	char c;

	if (argc < 2)
		return 2;
	library = argv[1];
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	sigaction(SIGALRM, &sa, NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		pthread_create(&threads[i], NULL, all[i], malloc(65536));
	setitimer(ITIMER_REAL, &often, NULL);
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
	over = true;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		pthread_join(threads[i], NULL);
	return say() ? 0 : 1;
}
