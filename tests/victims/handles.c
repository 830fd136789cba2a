/*
 * Acquires and releases descriptors, tickets and blocks of memory by generations, and says what it
 * holds: the truth for tests of marks and trends of resources.
 *
 * Reads commands, one a line, and answers each with a line of truth:
 *
 *   get N       one function for each acquires N descriptors, N tickets and N blocks of SIZE bytes
 *   put G N     releases as many of those that are of generation G
 *   mark        what comes is of the next generation
 *   rate MS     from now on one more ticket every MS milliseconds, until the next command
 *   hide        closes a descriptor by a system call of its own
 *   nothing else ends it, as the end of input does
 */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "truth.h"

#define ITEMS 4096
#define GENERATIONS 16
#define SIZE 100

struct item {
	int generation; /* -1: released */
	int fd, ticket;
	void *block;
};

static struct item items[ITEMS];
static struct {
	int made, released;
} generations[GENERATIONS];
static int nr_items, generation, tickets_by_rate, last_ticket;

/* Found by their names: not static. */
int ticket_get(void);
void ticket_put(int ticket);

NOINLINE int ticket_get(void)
{
	truth_touch(&last_ticket);
	return ++last_ticket;
}

NOINLINE void ticket_put(int ticket)
{
	truth_touch(&ticket);
}

static NOINLINE void by_dup(struct item *i)
{
	i->fd = dup(STDIN_FILENO);
	truth_check(i->fd >= 0, "no descriptor");
}

static NOINLINE void by_ticket(struct item *i)
{
	i->ticket = ticket_get();
	truth_touch(i);
}

static NOINLINE void by_malloc(struct item *i)
{
	i->block = malloc(SIZE);
	truth_check(i->block != NULL, "no memory");
}

static NOINLINE void by_rate(void)
{
	int ticket = ticket_get();

	truth_touch(&ticket);
	tickets_by_rate++;
}

static void get(int nr)
{
	while (nr-- && nr_items < ITEMS) {
		struct item *i = &items[nr_items++];

		i->generation = generation;
		by_dup(i);
		by_ticket(i);
		by_malloc(i);
		generations[generation].made++;
	}
}

static void put(int of, int nr)
{
	for (int k = 0; k < nr_items && nr; k++) {
		struct item *i = &items[k];

		if (i->generation != of)
			continue;
		truth_check(!close(i->fd), "close failed");
		ticket_put(i->ticket);
		free(i->block);
		i->generation = -1;
		generations[of].released++;
		nr--;
	}
}

static void hide(void)
{
	for (int k = 0; k < nr_items; k++) {
		if (items[k].generation < 0)
			continue;
		truth_check(!syscall(SYS_close, items[k].fd), "close failed");
		return;
	}
}

static void tell(void)
{
	printf("{\"pid\":%d,\"failures\":%u,\"by_rate\":%d,\"generations\":[", (int)getpid(),
	       truth_failures, tickets_by_rate);
	for (int g = 0; g <= generation; g++)
		printf("%s{\"made\":%d,\"held\":%d}", g ? "," : "", generations[g].made,
		       generations[g].made - generations[g].released);
	printf("]}\n");
	fflush(stdout);
}

/* Waits for the next line; meanwhile a ticket every `ms`, unless that is 0. */
static bool next_line(char *line, int size, int ms)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	while (ms && !poll(&input, 1, ms))
		by_rate();
	return fgets(line, size, stdin) != NULL;
}

int main(void)
{
	static char in[4096], out[4096];
	char line[64];
	int a, b, ms = 0;

	/* Of what is allocated, nothing is libc's. */
	setvbuf(stdin, in, _IOFBF, sizeof(in));
	setvbuf(stdout, out, _IOFBF, sizeof(out));
	tell();
	while (next_line(line, sizeof(line), ms)) {
		ms = 0;
		if (sscanf(line, "get %d", &a) == 1)
			get(a);
		else if (sscanf(line, "put %d %d", &a, &b) == 2)
			put(a, b);
		else if (!strcmp(line, "mark\n") && generation + 1 < GENERATIONS)
			generation++;
		else if (sscanf(line, "rate %d", &a) == 1)
			ms = a;
		else if (!strcmp(line, "hide\n"))
			hide();
		else
			break;
		tell();
	}
	return truth_status();
}
