/*
 * Loses blocks at every stage of its end: lastly HOW. Prints "SIZE WHEN" for each first, WHEN being
 * "early" (before it ends) or "late" (by an exit handler or destructor), then a line when main is
 * left, and one for each handler and destructor as it runs. Its status is 6 where it can choose.
 *
 *   return   main returns                         exit     main calls exit()
 *   thread   another thread calls exit()          signal   a signal's handler does
 *   quick    quick_exit(), handlers of its own    err      err(), inside the C library
 *   leave    main calls pthread_exit()            exec     becomes "lastly return"
 *   fork     a child returns from main as well    storm    exit() in the handler of a timer's
 * signal twice    two threads call exit() at once               that comes while blocks are made
 */
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <err.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define STATUS 6

enum { EARLY = 101, BY_OBJECT = 2001, BY_HANDLER = 2002, IN_HANDLER = 2003, BY_DESTRUCTOR = 2005 };

/* volatile: written and never read, which a compiler would leave out. */
static void *volatile of_object, *volatile of_handler, *volatile of_destructor,
							       *volatile freed, *volatile lost;
static bool silent;

static void say(const char *what)
{
	if (silent)
		return;
	puts(what);
	fflush(stdout);
}

static void run(void *(*what)(void *), bool wait)
{
	pthread_t thread;

	if (pthread_create(&thread, nullptr, what, nullptr) == 0 && wait)
		pthread_join(thread, nullptr);
}

struct Object {
	~Object()
	{
		say("object");
		of_object = nullptr;
	}
};

/* Frees what it has, as most do: that is no leak, before or after. */
struct Owner {
	void *kept = malloc(4000);
	~Owner()
	{
		say("owner");
		if (!silent)
			free(kept);
	}
};

static Object object;
static Owner owner;

__attribute__((destructor)) static void destroy()
{
	say("destructor");
	of_destructor = nullptr;
}

NOINLINE static void first_handler()
{
	say("first handler");
	of_handler = nullptr;
}

static void *lose_late(void *)
{
	lost = memset(malloc(IN_HANDLER), 0, IN_HANDLER);
	lost = nullptr;
	return nullptr;
}

NOINLINE static void second_handler()
{
	say("second handler");
	if (silent)
		return;
	free(freed);
	freed = nullptr; /* what comes next may be put there */
	run(lose_late, true);
}

static void at_quick_exit_handler()
{
	say("quick handler");
}

/* By a thread that ends, so that no copies stay. */
static void *prepare(void *)
{
	lost = memset(malloc(EARLY), 0, EARLY);
	lost = nullptr;
	of_object = malloc(BY_OBJECT);
	of_handler = malloc(BY_HANDLER);
	of_destructor = malloc(BY_DESTRUCTOR);
	freed = malloc(3000);
	return nullptr;
}

static void *end_in_thread(void *)
{
	exit(STATUS);
}

static void end_in_handler(int)
{
	exit(STATUS);
}

NOINLINE static void storm()
{
	struct itimerval soon = {{0, 0}, {0, 20000}};

	signal(SIGALRM, end_in_handler);
	setitimer(ITIMER_REAL, &soon, nullptr);
	for (size_t i = 1;; i = i * 7 % 4001 + 1)
		free(malloc(i));
}

static void fork_child()
{
	pid_t child = fork();

	if (child == 0) {
		silent = true;
		free(malloc(100)); /* its first one: the recorder wakes */
	} else {
		waitpid(child, nullptr, 0);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";
	auto is = [how](const char *name) { return strcmp(how, name) == 0; };

	if (is("storm")) {
		silent = true;
		storm();
	}
	run(prepare, true);
	atexit(first_handler);
	atexit(second_handler);
	at_quick_exit(at_quick_exit_handler);
	printf("%d early\n%d late\n%d late\n%d late\n%d late\nleaving\n", EARLY, BY_OBJECT,
	       BY_HANDLER, IN_HANDLER, BY_DESTRUCTOR);
	fflush(stdout);
	if (is("exit"))
		exit(STATUS);
	if (is("thread"))
		run(end_in_thread, true);
	if (is("twice")) {
		run(end_in_thread, false);
		exit(STATUS);
	}
	if (is("signal")) {
		signal(SIGUSR1, end_in_handler);
		raise(SIGUSR1);
	}
	if (is("quick"))
		quick_exit(STATUS);
	if (is("err")) {
		fclose(stderr);
		errx(STATUS, "it ends here");
	}
	if (is("leave"))
		pthread_exit(nullptr);
	if (is("exec"))
		execl("/proc/self/exe", argv[0], "return", nullptr);
	if (is("fork"))
		fork_child();
	return STATUS;
}
