/* See fd_look.h. */
#include "target/fd_look.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/foreign_fd.h"
#include "target/proc.h"

void fd_look_begin(struct fd_look *l, int32_t pid)
{
	l->dir = proc_open(pid);
	if (l->dir >= 0 && foreign_numbers(l->dir, &l->before, &l->nr_before) < 0)
		l->before = NULL;
}

void fd_look_end(struct fd_look *l)
{
	int32_t *after;
	size_t nr, i = 0, j = 0;

	if (!l->before || foreign_numbers(l->dir, &after, &nr) < 0)
		return;
	l->open = mem_alloc_array(nr + 1, sizeof(*l->open));
	l->seen = mem_alloc_array(l->nr_before + nr + 1, sizeof(*l->seen));
	while (i < l->nr_before || j < nr) {
		int64_t a = i < l->nr_before ? l->before[i] : INT64_MAX;
		int64_t b = j < nr ? after[j] : INT64_MAX;

		if (a == b)
			l->open[l->nr_open++] = (int32_t)a;
		l->seen[l->nr_seen++] = (int32_t)(a < b ? a : b);
		i += a <= b;
		j += b <= a;
	}
	free(after);
}

void fd_look_release(struct fd_look *l)
{
	if (l->dir >= 0)
		close(l->dir);
	free(l->before);
	free(l->open);
	free(l->seen);
	*l = (struct fd_look)FD_LOOK_INIT;
}
