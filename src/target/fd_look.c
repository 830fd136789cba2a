/* See fd_look.h. */
#include "target/fd_look.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/cut_told.h"
#include "target/foreign_fd.h"
#include "target/proc.h"
#include "target/table.h"

/*
 * A number that is opened and closed all the time may be open when the kernel is asked, and closed
 * when the recorder is; and a thread may have to wait for a processor right after it was opened. So
 * they are asked again and again, after naps, an eighth of a second in all.
 */
#define LOOKS 12
#define NAP_NS 1000000
#define NAP_MOST_NS 16000000

struct looking {
	int dir;
	const struct table *table;
	uint32_t kind;
	/* What the kernel said last, and after that the recorder; both ascending. */
	int32_t *numbers;
	size_t nr_numbers;
	struct wire_block *handles;
	size_t nr_handles;
};

static bool find_kind(const struct cut *cut, uint32_t *ret)
{
	for (size_t i = 0; i < cut->nr_tags; i++) {
		if (strcmp(cut->tags[i].name, WIRE_KIND_DESCRIPTORS) != 0)
			continue;
		*ret = (uint32_t)i;
		return true;
	}
	return false;
}

static bool ask(struct looking *k)
{
	free(k->numbers);
	free(k->handles);
	k->numbers = NULL;
	k->handles = NULL;
	return foreign_numbers(k->dir, &k->numbers, &k->nr_numbers) == 0 &&
	       cut_read_handles(k->table, k->kind, &k->handles, &k->nr_handles, NULL) == 0;
}

static int by_number(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_open(const struct looking *k, uint64_t handle)
{
	int32_t number = (int32_t)handle;

	return handle <= INT32_MAX && k->nr_numbers &&
	       bsearch(&number, k->numbers, k->nr_numbers, sizeof(number), by_number);
}

static int by_addr(const void *a, const void *b)
{
	const struct wire_block *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static const struct wire_block *find_handle(const struct looking *k, uint64_t handle)
{
	const struct wire_block wanted = {.addr = handle};

	return k->nr_handles ? bsearch(&wanted, k->handles, k->nr_handles, sizeof(wanted), by_addr)
			     : NULL;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Not open, and the very same is in the table before and after. */
static void find_gone(const struct looking *k, const struct cut *cut, struct fd_look *l)
{
	l->gone = mem_alloc_array(cut->nr_handles, sizeof(*l->gone));
	for (size_t i = 0; i < cut->nr_handles; i++) {
		const struct wire_block *b = &cut->handles[i], *now = find_handle(k, b->addr);

		if ((cut->nodes[b->node].pc & WIRE_PC_TAG_NUMBER) == k->kind &&
		    !is_open(k, b->addr) && now && now->size == b->size)
			l->gone[l->nr_gone++] = b->addr;
	}
	if (l->nr_gone)
		qsort(l->gone, l->nr_gone, sizeof(*l->gone), by_value);
}

/* Of these candidates, those that the kernel still has and the recorder still has not. */
static size_t keep_unseen(const struct looking *k, int32_t *candidates, size_t nr)
{
	size_t kept = 0;

	for (size_t i = 0; i < nr; i++)
		if (is_open(k, (uint64_t)candidates[i]) && !find_handle(k, (uint64_t)candidates[i]))
			candidates[kept++] = candidates[i];
	return kept;
}

static bool look(struct looking *k, const struct cut *cut, struct fd_look *l)
{
	struct timespec nap = {.tv_nsec = NAP_NS};
	int32_t *candidates;
	bool good = ask(k);
	size_t nr;

	if (!good)
		return false;
	find_gone(k, cut, l);
	nr = k->nr_numbers;
	candidates = mem_alloc_array(nr, sizeof(*candidates));
	if (nr)
		memcpy(candidates, k->numbers, nr * sizeof(*candidates));
	nr = keep_unseen(k, candidates, nr);
	for (int i = 1; i < LOOKS && nr && good; i++) {
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < NAP_MOST_NS)
			nap.tv_nsec *= 2;
		good = ask(k);
		if (good)
			nr = keep_unseen(k, candidates, nr);
	}
	free(candidates);
	l->unseen = nr;
	return good;
}

void fd_look(struct fd_look *l, int32_t pid, const struct table *t, const struct cut *cut)
{
	struct looking k = {.table = t};

	if (!find_kind(cut, &k.kind))
		return;
	k.dir = proc_open(pid);
	if (k.dir < 0)
		return;
	l->known = look(&k, cut, l);
	free(k.numbers);
	free(k.handles);
	close(k.dir);
}

void fd_look_release(struct fd_look *l)
{
	free(l->gone);
	*l = (struct fd_look)FD_LOOK_INIT;
}
