/*
 * How fast leaks are found in a process, part by part: leak_speed PID. A line of JSON; nanoseconds,
 * of the processor for this thread and by the clock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"
#include "heap/heap.h"
#include "heap/reachable.h"
#include "model/leak_heads.h"
#include "target/target.h"

struct moment {
	uint64_t cpu_ns, clock_ns;
};

static uint64_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct moment now(void)
{
	return (struct moment){read_clock(CLOCK_PROCESS_CPUTIME_ID), read_clock(CLOCK_MONOTONIC)};
}

static void say(const char *what, struct moment from, struct moment to)
{
	printf("\"%s_cpu_ns\": %" PRIu64 ", \"%s_ns\": %" PRIu64 ", ", what,
	       to.cpu_ns - from.cpu_ns, what, to.clock_ns - from.clock_ns);
}

static int fail(const struct error *e)
{
	fprintf(stderr, "leak_speed: %s\n", e->message);
	return 1;
}

int main(int argc, char **argv)
{
	struct reachable_account account;
	struct leak_heads heads;
	struct error e = {0};
	struct target *t;
	struct heaps *h;
	struct roots roots;
	struct reach *r;
	struct rusage use;
	struct moment opened, found, began = now();

	if (argc != 2)
		return 2;
	if (target_open_pid(atoi(argv[1]), NULL, &t, &e) < 0 || heaps_find(t, &h, &e) < 0)
		return fail(&e);
	opened = now();
	roots_find(t, h, 0, &roots);
	if (reachable_find(t, h, &roots, &r, &account, NULL, &e) < 0)
		return fail(&e);
	found = now();
	leak_heads_find(r, REACH_LEAKED, &heads);
	getrusage(RUSAGE_SELF, &use);
	printf("{\"blocks\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"leaked\": %" PRIu64 ", ",
	       account.blocks, account.bytes, heads.blocks);
	say("open", began, opened);
	say("reach", opened, found);
	say("heads", found, now());
	printf("\"walk_ns\": %" PRIu64 ", \"scan_ns\": %" PRIu64 ", \"mark_ns\": %" PRIu64
	       ", \"pause_ns\": %" PRIu64 ", \"tool_kib\": %ld}\n",
	       account.walk_ns, account.scan_ns, account.mark_ns, target_how(t)->pause_ns,
	       use.ru_maxrss);
	leak_heads_release(&heads);
	reach_free(r);
	roots_release(&roots);
	heaps_free(h);
	target_close(t);
	return 0;
}
