/*
 * Threads that wait without a time limit, one in each way that a stop ends with EINTR, while many
 * others have allocated, so that a recorder has memory for each of them. At the end it says which
 * of the waits have come back although nothing has happened.
 *
 * attach_waits THREADS    prints "ready"; a line of input ends it
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#define THREADS_MAX 1000
#define STACK_BYTES 65536

static int epoll, semaphores, ring;
static aio_context_t aio;
static sigset_t signals;
static pthread_barrier_t barrier;

static long in_epoll_wait(void)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, -1);
}

static long in_epoll_pwait2(void)
{
	struct epoll_event event;

	return syscall(SYS_epoll_pwait2, epoll, &event, 1, NULL, NULL, 8);
}

static long in_sigwaitinfo(void)
{
	return sigwaitinfo(&signals, NULL);
}

static long in_semop(void)
{
	struct sembuf down = {0, -1, 0};

	return semop(semaphores, &down, 1);
}

static long in_io_getevents(void)
{
	struct io_event event;

	return syscall(SYS_io_getevents, aio, 1, 1, &event, NULL);
}

static long in_io_uring(void)
{
	return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

static struct way {
	const char *name;
	long (*wait)(void);
	bool always;	    /* every system has it */
	volatile int error; /* -1: it waits still */
} ways[] = {
	{"epoll_wait", in_epoll_wait, true, -1},      {"epoll_pwait2", in_epoll_pwait2, false, -1},
	{"sigwaitinfo", in_sigwaitinfo, true, -1},    {"semop", in_semop, true, -1},
	{"io_getevents", in_io_getevents, false, -1}, {"io_uring_enter", in_io_uring, false, -1},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void *run(void *context)
{
	struct way *way = context;

	pthread_barrier_wait(&barrier);
	errno = 0;
	way->error = way->wait() < 0 ? errno : 0;
	return NULL;
}

static void *hold(void *context)
{
	(void)context;
	pthread_barrier_wait(&barrier);
	for (;;) {
		free(malloc(100));
		usleep(20000);
	}
	return NULL;
}

static void begin_waits(void)
{
	struct io_uring_params parameters = {0};

	epoll = epoll_create1(EPOLL_CLOEXEC);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	semctl(semaphores, 0, SETVAL, 0);
	ring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
	syscall(SYS_io_setup, 4, &aio);
	sigemptyset(&signals);
	sigaddset(&signals, SIGRTMIN + 4);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

int main(int argc, char **argv)
{
	unsigned int threads = argc > 1 ? (unsigned int)atoi(argv[1]) : 100;
	pthread_attr_t attributes;
	pthread_t thread;

	if (threads > THREADS_MAX)
		return 2;
	begin_waits();
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_barrier_init(&barrier, NULL, threads + WAYS + 1);
	for (size_t i = 0; i < WAYS; i++)
		pthread_create(&thread, NULL, run, &ways[i]);
	for (unsigned int i = 0; i < threads; i++)
		pthread_create(&thread, &attributes, hold, NULL);
	pthread_barrier_wait(&barrier);
	printf("ready\n");
	fflush(stdout);
	getchar();
	for (size_t i = 0; i < WAYS; i++) {
		int error = ways[i].error;

		/* What this system does not have comes back at once, with another error. */
		if (error == 0 || error == EINTR || (ways[i].always && error != -1))
			printf("%s %d\n", ways[i].name, error);
	}
	semctl(semaphores, 0, IPC_RMID);
	return 0;
}
