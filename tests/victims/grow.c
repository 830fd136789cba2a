/*
 * Grows, stays and shrinks on command, and says how much it holds: the truth for tests of trends.
 *
 * Reads commands from standard input, one a line, and answers each with a line "held BYTES":
 *
 *   add BYTES     holds so much more, at once
 *   drop BYTES    gives so much back, at once
 *   rate BYTES    from now on grows by so much a second (negative: shrinks; 0: stays)
 *   fill BYTES    from now on approaches so much more, ever more slowly: 1/4 of what lacks each 100
 * ms held          nothing else quit          ends, as the end of input does
 *
 * Memory is taken in whole pages from one anonymous mapping without huge pages, so that what is
 * held is what the kernel counts as anonymous and resident. Amounts are kept exactly, pages follow.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ROOM ((uint64_t)4 << 30)
#define TICK_MS 10

struct holder {
	char *memory;
	uint64_t page;
	double held;	   /* bytes that are meant to be held */
	uint64_t resident; /* bytes that are: whole pages */
	double rate;	   /* bytes a second */
	double lacking;	   /* bytes still to come by fill */
	double last_s;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Makes the pages follow what is meant to be held. */
static void settle(struct holder *h)
{
	uint64_t wanted;

	if (h->held < 0)
		h->held = 0;
	if (h->held > (double)ROOM)
		h->held = (double)ROOM;
	wanted = (uint64_t)h->held / h->page * h->page;
	if (wanted > h->resident)
		memset(h->memory + h->resident, 1, wanted - h->resident);
	else if (wanted < h->resident)
		madvise(h->memory + wanted, h->resident - wanted, MADV_DONTNEED);
	h->resident = wanted;
}

/* What the time since the last call has brought. */
static void pass_time(struct holder *h)
{
	double now = now_s(), elapsed = now - h->last_s, left = h->lacking;

	h->last_s = now;
	h->held += h->rate * elapsed;
	for (; elapsed > 0 && left > 0; elapsed -= 0.01)
		left *= 0.9716; /* 3/4 in ten steps */
	h->held += h->lacking - left;
	h->lacking = left;
	settle(h);
}

/* False: quit. */
static int obey(struct holder *h, const char *line)
{
	char word[16] = "";
	double amount = 0;

	if (sscanf(line, "%15s %lf", word, &amount) < 1)
		return 1;
	pass_time(h);
	if (!strcmp(word, "quit"))
		return 0;
	if (!strcmp(word, "add"))
		h->held += amount;
	else if (!strcmp(word, "drop"))
		h->held -= amount;
	else if (!strcmp(word, "rate"))
		h->rate = amount;
	else if (!strcmp(word, "fill"))
		h->lacking = amount;
	else if (strcmp(word, "held")) {
		printf("unknown command '%s'\n", word);
		return 1;
	}
	settle(h);
	printf("held %" PRIu64 "\n", h->resident);
	return 1;
}

/* One line or nothing, without buffering ahead of poll(). Negative: end of input. */
static int read_line(char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		if (read(STDIN_FILENO, line + len, 1) != 1)
			return -1;
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = 0;
	return (int)len;
}

int main(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	struct holder h = {.page = (uint64_t)sysconf(_SC_PAGESIZE), .last_s = now_s()};
	char line[128];

	h.memory = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h.memory == MAP_FAILED)
		return 1;
	madvise(h.memory, ROOM, MADV_NOHUGEPAGE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("pid %d\n", getpid());
	for (;;) {
		if (poll(&input, 1, h.rate || h.lacking > 1 ? TICK_MS : -1) == 0) {
			pass_time(&h);
			continue;
		}
		if (read_line(line, sizeof(line)) < 0 || !obey(&h, line))
			return 0;
	}
}
