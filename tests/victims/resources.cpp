/*
 * Threads that acquire and release what is no memory, from known sites: descriptors in every way
 * that libc has, and things of the program's own, by functions that are hard to stand in front of.
 *
 * resources [THREADS]
 *
 * Reads commands, one a line: "fence" (all threads stop; prints the truth; the next line lets them
 * go on), "range" (closes whatever there is far above), "end". Besides, a thread waits in accept()
 * all the time, is cancelled there, and replaced.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "truth.h"

#define MAX_THREADS 16
#define SLOTS 12
#define FIRST_OWN 600 /* numbers that dup2() is asked for */

static int thread_count = 3;
static volatile bool stop, over;
static pthread_barrier_t barrier;

/* ---- things of our own: what their functions get and give is checked ---- */

struct two {
	void *thing;
	uint64_t check;
};

extern "C" {
/* Nine arguments, of which some are on the stack, a double among them, and two words of result. */
NOINLINE struct two thing_get(long a, long b, long c, long d, long e, long f, long g, double h,
			      long i)
{
	truth_check(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 &&
			    h == 8.5 && i == 9,
		    "arguments have changed");
	return {malloc(20), 77};
}

NOINLINE int thing_put(int why, void *thing, double check)
{
	truth_check(why == 3 && check == 0.25, "arguments of the end have changed");
	free(thing);
	return 0;
}

/* Fails now and then, and leaves then what was there. */
NOINLINE int out_open(const char *name, void **ret, int fail)
{
	truth_check(!strcmp(name, "name"), "a name has changed");
	if (fail)
		return -1;
	*ret = malloc(30);
	return 0;
}

/* The same: then it is open still. */
NOINLINE int out_close(void *p, int fail)
{
	if (fail)
		return 5;
	free(p);
	return 0;
}

/* Too short for a jump, and another function behind it. */
__asm__(".text\n.globl tiny\n.type tiny, @function\ntiny:\n	xor %eax, %eax\n	ret\n"
	".size tiny, . - tiny\n");

static int next_number = 7; /* as small as a descriptor, and nothing like an address */
NOINLINE int number_inner(int fail)
{
	return fail ? -1 : __atomic_add_fetch(&next_number, 1, __ATOMIC_RELAXED);
}

/* One that calls another of its kind. */
NOINLINE int number_get(int fail)
{
	int n = number_inner(fail);

	truth_touch(&n);
	if (fail == 2)
		throw 42;
	return n;
}

NOINLINE void number_put(int n)
{
	truth_check(n > 7, "a number has changed");
}

/* Numbers that no descriptor ever has. */
NOINLINE int ticket_get(void)
{
	static int next = 0x7ffffff0;

	return __atomic_add_fetch(&next, 1, __ATOMIC_RELAXED);
}

NOINLINE void ticket_put(int n)
{
	truth_check(n > 0x7ffffff0, "a ticket has changed");
}
}

/* ---- sites ---- */

struct held {
	struct truth_site *site[2];
	int fd[2];
	FILE *file;
	DIR *dir;
	void *thing, *out;
	int number;
};

static struct truth_site *by_open_site, *by_fopen_site, *by_opendir_site, *by_socket_site,
	*by_pipe_site, *by_pair_site, *by_dup_site, *by_dup2_site, *by_fcntl_site, *by_event_site,
	*by_epoll_site, *by_thing_site, *by_out_site, *by_number_site;

static void born(struct held *h, int i, struct truth_site *site)
{
	h->site[i] = site;
	truth_born(site, h, 0);
}

#define BY(name, code)                                                                             \
	extern "C" NOINLINE void by_##name(struct held *h)                                         \
	{                                                                                          \
		code;                                                                              \
	}
#define BY_FD(name, call)                                                                          \
	BY(name, {                                                                                 \
		h->fd[0] = call;                                                                   \
		truth_check(h->fd[0] >= 0, "no descriptor by " #name);                             \
		born(h, 0, by_##name##_site);                                                      \
	})

BY_FD(open, open("/dev/null", O_RDONLY))
BY_FD(socket, socket(AF_UNIX, SOCK_STREAM, 0))
BY_FD(dup, dup(STDIN_FILENO))
BY_FD(fcntl, fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 20))
BY_FD(event, eventfd(0, 0))
BY_FD(epoll, epoll_create1(EPOLL_CLOEXEC))
BY(pipe, {
	truth_check(!pipe(h->fd), "no pipe");
	born(h, 0, by_pipe_site);
	born(h, 1, by_pipe_site);
})
BY(pair, {
	truth_check(!socketpair(AF_UNIX, SOCK_STREAM, 0, h->fd), "no pair");
	born(h, 0, by_pair_site);
	born(h, 1, by_pair_site);
})
BY(fopen, {
	h->file = fopen("/dev/null", "r");
	truth_check(h->file != NULL, "no file");
	born(h, 0, by_fopen_site);
})
BY(opendir, {
	h->dir = opendir("/");
	truth_check(h->dir != NULL, "no folder");
	born(h, 0, by_opendir_site);
})
BY(thing, {
	struct two t = thing_get(1, 2, 3, 4, 5, 6, 7, 8.5, 9);
	truth_check(t.check == 77, "the second word of a result has changed");
	h->thing = t.thing;
	born(h, 0, by_thing_site);
})
BY(out, {
	void *p = NULL;
	truth_check(out_open("name", &p, 1) == -1 && !p, "a failure has changed");
	truth_check(!out_open("name", &h->out, 0), "nothing opened");
	truth_check(out_close(h->out, 1) == 5, "a failure to close has changed");
	born(h, 0, by_out_site);
})
BY(number, {
	bool thrown = false;
	truth_check(number_get(1) == -1, "a failure has changed");
	/* The inner one has acquired, and nobody gets it. */
	try {
		number_get(2);
	} catch (int n) {
		thrown = n == 42;
	}
	truth_check(thrown, "an exception was lost");
	h->number = number_get(0);
	born(h, 0, by_number_site);
})

static void drop(struct held *h)
{
	for (int i = 0; i < 2; i++)
		if (h->site[i])
			truth_died(h->site[i], 0);
	if (h->file)
		fclose(h->file);
	if (h->dir)
		closedir(h->dir);
	if (h->thing)
		thing_put(3, h->thing, 0.25);
	if (h->out)
		truth_check(!out_close(h->out, 0), "nothing closed");
	if (h->number)
		number_put(h->number);
	for (int i = 0; i < 2; i++)
		if (h->fd[i])
			truth_check(!close(h->fd[i]), "close failed");
	memset(h, 0, sizeof(*h));
}

/* The number that is asked for was this thread's before, as a rule. */
extern "C" NOINLINE void by_dup2(struct held *own, int number)
{
	if (own->fd[0])
		truth_died(own->site[0], 0);
	own->fd[0] = dup2(STDIN_FILENO, number);
	truth_check(own->fd[0] == number, "dup2 failed");
	truth_check(dup2(number, number) == number, "dup2 of itself failed");
	born(own, 0, by_dup2_site);
}

/* ---- threads ---- */

static void *work(void *arg)
{
	static void (*const all[])(struct held *) = {
		by_open, by_socket, by_dup,	by_fcntl, by_event, by_epoll,  by_pipe,
		by_pair, by_fopen,  by_opendir, by_thing, by_out,   by_number,
	};
	const unsigned int nr = sizeof(all) / sizeof(all[0]);
	long me = (long)arg;
	struct held slots[SLOTS] = {}, own = {};

	for (unsigned int i = 0; !over; i++) {
		struct held *h = &slots[i * 7 % SLOTS];

		if (stop) {
			pthread_barrier_wait(&barrier);
			pthread_barrier_wait(&barrier);
		}
		drop(h);
		all[(i + (unsigned int)me) % nr](h);
		if (i % 5 == 0)
			by_dup2(&own, FIRST_OWN + (int)me);
	}
	return NULL;
}

static void *waits(void *arg)
{
	int listener = (int)(long)arg;

	for (;;)
		truth_check(accept(listener, NULL, NULL) < 0, "somebody has come");
	return NULL;
}

static pthread_t start_waiter(int listener)
{
	pthread_t t;

	truth_check(!pthread_create(&t, NULL, waits, (void *)(long)listener), "no thread");
	return t;
}

static void cancel(pthread_t t)
{
	void *how = NULL;

	truth_check(!pthread_cancel(t) && !pthread_join(t, &how) && how == PTHREAD_CANCELED,
		    "a thread was not cancelled");
}

static int make_listener(void)
{
	struct sockaddr_un any = {AF_UNIX, ""};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	truth_check(fd >= 0 && !bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)) &&
			    !listen(fd, 1),
		    "no listener");
	return fd;
}

/* There are none so high: it is quick, whatever other numbers are held. */
static void close_all_above(unsigned int first)
{
	struct timespec a, b;
	int ticket = ticket_get();

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	close_range(first, ~0u, 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	truth_check(b.tv_sec - a.tv_sec < 2, "close_range took long");
	ticket_put(ticket);
}

static void fence(const char *at)
{
	stop = true;
	pthread_barrier_wait(&barrier);
	truth_print("resources", at);
}

static void go_on(void)
{
	stop = false;
	pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS], waiter;
	char line[64];
	int listener;

	if (argc > 1)
		thread_count = atoi(argv[1]);
#define SITE(name) by_##name##_site = truth_at("by_" #name)
	SITE(open), SITE(fopen), SITE(opendir), SITE(socket), SITE(pipe), SITE(pair), SITE(dup);
	SITE(dup2), SITE(fcntl), SITE(event), SITE(epoll), SITE(thing), SITE(out), SITE(number);
	pthread_barrier_init(&barrier, NULL, (unsigned int)thread_count + 1);
	listener = make_listener();
	waiter = start_waiter(listener);
	for (long i = 0; i < thread_count; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	truth_print("resources", "start");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "end\n") != 0) {
		if (!strcmp(line, "fence\n")) {
			fence("fence");
			if (!fgets(line, sizeof(line), stdin))
				break;
			go_on();
		} else if (!strcmp(line, "cancel\n")) {
			cancel(waiter);
			waiter = start_waiter(listener);
			truth_print("resources", "cancel");
		} else if (!strcmp(line, "range\n")) {
			close_all_above(1u << 20);
			truth_print("resources", "range");
		}
	}
	over = true;
	for (int i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	cancel(waiter);
	truth_print("resources", "end");
	return truth_status();
}
