/* A progress line on a terminal; see progress.h. */
#include "base/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "base/term.h"
#include "base/units.h"

#define FIRST_AFTER_NS 1000000000ull
#define AGAIN_AFTER_NS 100000000ull

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void progress_start(struct progress *p, int fd, const char *what, uint64_t total)
{
	if (!p)
		return;
	*p = (struct progress){.fd = fd, .what = what, .total = total};
	p->terminal = term_is_tty(fd);
	p->start_ns = now_ns();
}

static void show(struct progress *p)
{
	char line[160];
	int n;

	if (p->total) {
		uint64_t done = p->done < p->total ? p->done : p->total;

		n = snprintf(line, sizeof(line), "\r\033[K%s  %u %%", p->what,
			     (unsigned int)((double)done * 100 / (double)p->total));
	} else {
		n = snprintf(line, sizeof(line), "\r\033[K%s  %s", p->what,
			     format_count(p->done).text);
	}
	if (n > 0 && (size_t)n < sizeof(line))
		(void)io_write_all(p->fd, line, (size_t)n);
	p->shown = true;
}

void progress_step(struct progress *p, uint64_t more)
{
	uint64_t now;

	if (!p)
		return;
	p->done += more;
	if (!p->terminal)
		return;
	now = now_ns();
	if (now - p->start_ns < FIRST_AFTER_NS || now - p->shown_ns < AGAIN_AFTER_NS)
		return;
	p->shown_ns = now;
	show(p);
}

void progress_end(struct progress *p)
{
	static const char wipe[] = "\r\033[K";

	if (!p || !p->shown)
		return;
	(void)io_write_all(p->fd, wipe, sizeof(wipe) - 1);
	p->shown = false;
}
