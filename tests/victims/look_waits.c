/*
 * Threads that wait, one in each way of waiting that the system has, most of them for a time.
 * At the end it says of each what it returned, after how many milliseconds; of the process, how
 * many signals came (SIGCHLD) and what there was to wait for.
 *
 * look_waits MILLISECONDS    prints "ready" once all of them wait
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long wait_ms;
static int pipe_fds[2];
static volatile sig_atomic_t children_signals;
static pthread_barrier_t barrier;

static struct timespec span(void)
{
	return (struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000};
}

static struct timespec until(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	now.tv_sec += wait_ms / 1000;
	now.tv_nsec += wait_ms % 1000 * 1000000;
	if (now.tv_nsec >= 1000000000) {
		now.tv_sec++;
		now.tv_nsec -= 1000000000;
	}
	return now;
}

static int in_nanosleep(void)
{
	struct timespec t = span();

	return nanosleep(&t, NULL);
}

static int in_clock_nanosleep(void)
{
	struct timespec t = until(CLOCK_MONOTONIC);

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int in_poll(void)
{
	return poll(NULL, 0, (int)wait_ms);
}

static int in_select(void)
{
	struct timeval t = {wait_ms / 1000, wait_ms % 1000 * 1000};

	return select(0, NULL, NULL, NULL, &t);
}

static int in_cond(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec t = until(CLOCK_REALTIME);
	int r;

	pthread_mutex_lock(&lock);
	r = pthread_cond_timedwait(&cond, &lock, &t);
	pthread_mutex_unlock(&lock);
	return r;
}

static int in_sem(void)
{
	struct timespec t = until(CLOCK_REALTIME);
	sem_t sem;

	sem_init(&sem, 0, 0);
	return sem_timedwait(&sem, &t);
}

static int epoll_of(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
	return ep;
}

static int in_epoll(void)
{
	struct epoll_event event;
	int nothing[2];

	if (pipe(nothing))
		return -1;
	return epoll_wait(epoll_of(nothing[0]), &event, 1, (int)wait_ms);
}

static int in_epoll_forever(void)
{
	struct epoll_event event;

	return epoll_wait(epoll_of(pipe_fds[0]), &event, 1, -1);
}

static int in_sigtimedwait(void)
{
	struct timespec t = span();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	return sigtimedwait(&set, NULL, &t);
}

/* Its end is a signal to the thread itself. */
static int in_sigwaitinfo(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 4);
	return sigwaitinfo(&set, NULL) == SIGRTMIN + 4 ? 4 : -1;
}

static int in_semop(void)
{
	int id = semget(IPC_PRIVATE, 1, 0600), r;
	struct timespec t = span();
	struct sembuf down = {0, -1, 0};

	r = semtimedop(id, &down, 1, &t);
	semctl(id, 0, IPC_RMID);
	return r;
}

static int in_read(void)
{
	char c;

	return (int)read(pipe_fds[0], &c, 1);
}

static int in_waitpid(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct timespec t = span();

		nanosleep(&t, NULL);
		_exit(5);
	}
	return waitpid(-1, &status, 0) == child ? WEXITSTATUS(status) : -1;
}

static struct way {
	const char *name;
	int (*wait)(void);
	int result, error;
	long took_ms;
	pthread_t thread;
} ways[] = {
	{.name = "nanosleep", .wait = in_nanosleep},
	{.name = "clock_nanosleep", .wait = in_clock_nanosleep},
	{.name = "poll", .wait = in_poll},
	{.name = "select", .wait = in_select},
	{.name = "cond", .wait = in_cond},
	{.name = "sem", .wait = in_sem},
	{.name = "epoll", .wait = in_epoll},
	{.name = "epoll_forever", .wait = in_epoll_forever},
	{.name = "sigtimedwait", .wait = in_sigtimedwait},
	{.name = "sigwaitinfo", .wait = in_sigwaitinfo},
	{.name = "semtimedop", .wait = in_semop},
	{.name = "read", .wait = in_read},
	{.name = "waitpid", .wait = in_waitpid},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void *run(void *context)
{
	struct way *way = context;
	struct timespec began, now;

	pthread_barrier_wait(&barrier);
	clock_gettime(CLOCK_MONOTONIC, &began);
	errno = 0;
	way->result = way->wait();
	way->error = errno;
	clock_gettime(CLOCK_MONOTONIC, &now);
	way->took_ms = (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
	return NULL;
}

static void count_child(int sig)
{
	(void)sig;
	children_signals++;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	sigaddset(&set, SIGRTMIN + 4);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	struct sigaction count = {.sa_handler = count_child, .sa_flags = SA_RESTART};
	struct timespec more;
	int left;

	wait_ms = argc > 1 ? atol(argv[1]) : 1000;
	if (pipe(pipe_fds))
		return 8;
	block_signals();
	sigaction(SIGCHLD, &count, NULL);
	pthread_barrier_init(&barrier, NULL, WAYS + 1);
	for (size_t i = 0; i < WAYS; i++)
		pthread_create(&ways[i].thread, NULL, run, &ways[i]);
	pthread_barrier_wait(&barrier);
	printf("ready\n");
	fflush(stdout);
	more = until(CLOCK_MONOTONIC);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &more, NULL) == EINTR)
		;
	for (size_t i = 0; i < WAYS; i++) {
		if (ways[i].wait == in_sigwaitinfo)
			pthread_kill(ways[i].thread, SIGRTMIN + 4);
	}
	/* Both that wait for input are to see some. */
	if (write(pipe_fds[1], "xx", 2) != 2)
		return 8;
	for (size_t i = 0; i < WAYS; i++) {
		pthread_join(ways[i].thread, NULL);
		printf("{\"name\":\"%s\",\"result\":%d,\"errno\":%d,\"ms\":%ld}\n", ways[i].name,
		       ways[i].result, ways[i].error, ways[i].took_ms);
	}
	errno = 0;
	left = (int)waitpid(-1, NULL, WNOHANG);
	printf("{\"name\":\"process\",\"result\":%d,\"errno\":%d,\"signals\":%d}\n", left, errno,
	       (int)children_signals);
	return 0;
}
