/*
 * How long is this program kept from going on? It holds many blocks, and a thread that only
 * allocates and frees measures the longest time between two calls. Reads commands from standard
 * input, one a line:
 *
 *   watch    starts the thread, which answers "watching"
 *   tell     ends it; answers {"calls":N,"longest_ns":N}
 *
 * The end of the input ends the program.
 *
 * pause [BLOCKS]
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "truth.h"

#define BLOCK_BYTES 48
#define TURN_BYTES 200

static struct {
	pthread_t thread;
	bool running;
	atomic_bool stop;
	uint64_t calls, longest_ns;
} watch;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Returns the time, which ends the gap that began at `before`. */
static uint64_t end_gap(uint64_t before)
{
	uint64_t now = now_ns();

	if (now - before > watch.longest_ns)
		watch.longest_ns = now - before;
	return now;
}

/* A halt is seen wherever it comes between "watching" and the end. */
static NOINLINE void *turn(void *arg)
{
	uint64_t before = now_ns();

	dprintf(STDOUT_FILENO, "watching\n");
	while (!watch.stop) {
		void *p = malloc(opaque(TURN_BYTES));

		truth_touch(p);
		free(p);
		before = end_gap(before);
		watch.calls++;
	}
	end_gap(before);
	return arg;
}

static NOINLINE int hold(long count)
{
	struct truth_site *s = truth_at(__func__);

	for (long i = 0; i < count; i++)
		if (!truth_born(s, malloc(opaque(BLOCK_BYTES)), BLOCK_BYTES))
			return -1;
	return 0;
}

static void start_watch(void)
{
	if (watch.running)
		return;
	watch.stop = false;
	watch.calls = watch.longest_ns = 0;
	watch.running = pthread_create(&watch.thread, NULL, turn, NULL) == 0;
}

static void end_watch(void)
{
	if (watch.running) {
		watch.stop = true;
		pthread_join(watch.thread, NULL);
		watch.running = false;
	}
	dprintf(STDOUT_FILENO, "{\"calls\":%" PRIu64 ",\"longest_ns\":%" PRIu64 "}\n", watch.calls,
		watch.longest_ns);
}

/* Unbuffered, a byte at a time: standard input through stdio would allocate. */
static size_t read_line(char *line, size_t room)
{
	size_t len = 0;
	ssize_t n;
	char c;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		if (c == '\n') {
			line[len] = '\0';
			return len;
		}
		if (len < room - 1)
			line[len++] = c;
	}
	line[0] = '\0';
	return 0;
}

int main(int argc, char **argv)
{
	char line[32];

	if (hold(argc > 1 ? atol(argv[1]) : 1000000) < 0)
		return 1;
	truth_print("pause", "ready");
	while (read_line(line, sizeof(line)) > 0) {
		if (strcmp(line, "watch") == 0)
			start_watch();
		else if (strcmp(line, "tell") == 0)
			end_watch();
	}
	return 0;
}
