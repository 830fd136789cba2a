/*
 * Keeps its memory in places of known sizes, and says which keeps how much: its process id, then
 * lines "NAME BLOCKS BYTES", then "ready"; and waits for its standard input to end. Bytes are those
 * that may be used of the blocks.
 *
 * Everything is made by threads, so that no stale copies lie in the main thread's stack.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "truth.h"

#define BUCKETS 1024
#define ENTRIES 8000
#define LIST 1000
#define SHARED 300

/* What a place keeps. */
struct kept {
	const char *name;
	uint64_t blocks, bytes;
};

static struct kept in_map = {"map", 0, 0}, in_stack = {"stack", 0, 0}, in_tls = {"tls", 0, 0};
static struct kept in_shared = {"shared", 0, 0}, in_static = {"static", 0, 0};

struct entry {
	struct entry *next, *previous;
	char *text;
};

/* volatile: they are written and never read, which a compiler would leave out. */
static struct entry **volatile kept_map;
static void *volatile kept_left, *volatile kept_right;
static __thread void *volatile kept_tls;
static pthread_barrier_t barrier;

static void *make(struct kept *kept, size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		exit(2);
	kept->blocks++;
	kept->bytes += malloc_usable_size(p);
	return p;
}

static struct entry *make_list(struct kept *kept, int nr, size_t text)
{
	struct entry *first = NULL;

	for (int i = 0; i < nr; i++) {
		struct entry *e = make(kept, sizeof(*e));

		e->text = make(kept, text);
		e->next = first;
		if (first)
			first->previous = e;
		first = e;
	}
	return first;
}

/* The first of a table's entries points back to none: only the table holds it. */
static void *make_map(void *unused)
{
	struct entry **map = make(&in_map, BUCKETS * sizeof(*map));

	for (int i = 0; i < BUCKETS; i++)
		map[i] = make_list(&in_map, ENTRIES / BUCKETS, 1000);
	kept_map = map;
	return unused;
}

static void *make_shared(void *unused)
{
	void *volatile *holder = make(&in_static, 64);
	void *list = make_list(&in_shared, SHARED, 1000);

	holder[1] = list;
	kept_left = list;
	kept_right = (void *)holder;
	return unused;
}

/* Of the threads that live: where a helper puts what they keep, so that they never see it. */
static void *volatile *volatile place;

static NOINLINE void *live_with_stack(void *unused)
{
	void *volatile on_stack = NULL;

	place = &on_stack;
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	truth_touch(on_stack);
	return unused;
}

static void *live_with_storage(void *unused)
{
	place = &kept_tls;
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return unused;
}

static void *fill_stack(void *unused)
{
	*place = make_list(&in_stack, LIST, 1000);
	return unused;
}

static void *fill_storage(void *unused)
{
	*place = make_list(&in_tls, LIST / 2, 1000);
	return unused;
}

static void run(void *(*what)(void *), int stays)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, what, NULL))
		exit(2);
	if (!stays) {
		pthread_join(thread, NULL);
		return;
	}
	pthread_detach(thread);
	pthread_barrier_wait(&barrier);
}

int main(void)
{
	const struct kept *all[] = {&in_map, &in_stack, &in_tls, &in_shared, &in_static};
	char line[64];

	pthread_barrier_init(&barrier, NULL, 2);
	run(make_map, 0);
	run(make_shared, 0);
	run(live_with_stack, 1);
	run(fill_stack, 0);
	run(live_with_storage, 1);
	run(fill_storage, 0);
	printf("pid %d\n", (int)getpid());
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		printf("%s %llu %llu\n", all[i]->name, (unsigned long long)all[i]->blocks,
		       (unsigned long long)all[i]->bytes);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
