/* Where the last pointer was; and, in the good ones, where one still is. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "leaks.h"

static void *volatile kept, *volatile kept_too;
static volatile uintptr_t kept_number;
static __thread void *volatile kept_by_thread;

CASE(global_cleared)
{
	kept = malloc(70);
	if (bad)
		kept = NULL;
}

static char *volatile cache;

static void remember(size_t size, int bad)
{
	if (!bad)
		free(cache);
	cache = malloc(size);
}

CASE(cache_overwritten)
{
	remember(21, bad);
	remember(22, bad);
}

CASE(global_structure)
{
	void **table = calloc(4, sizeof(*table));

	kept = table;
	table[3] = strdup("held by a block that a global holds");
	if (bad)
		table[3] = NULL;
}

CASE(global_to_second_word)
{
	/* A pointer to the second word counts in full. */
	kept = (char *)malloc(80) + (bad ? 4096 : 8);
}

/* What is not in memory is not found. */
CASE(masked)
{
	uintptr_t p = (uintptr_t)malloc(71);

	kept_number = bad ? p ^ 0x5555555555555555u : p;
}

CASE(only_in_freed_memory)
{
	void **holder = malloc(2000);

	holder[100] = malloc(72);
	if (!bad)
		kept = holder[100];
	free(holder);
}

CASE(mapping_unmapped)
{
	void **table = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	table[5] = malloc(73);
	if (!bad)
		free(table[5]);
	munmap(table, 4096);
}

CASE(written_to_a_pipe)
{
	void *p = malloc(74), *back = NULL;
	int ends[2];

	if (pipe(ends) || write(ends[1], &p, sizeof(p)) != sizeof(p))
		return;
	p = NULL;
	if (!bad && read(ends[0], &back, sizeof(back)) == sizeof(back))
		free(back);
	close(ends[0]);
	close(ends[1]);
}

static void run_thread(void *(*what)(void *), void *argument, void **result)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, what, argument) == 0)
		pthread_join(thread, result);
}

static void *end_with_storage(void *bad)
{
	kept_by_thread = malloc(75);
	if (!bad)
		free(kept_by_thread);
	return NULL;
}

CASE(thread_ended)
{
	run_thread(end_with_storage, bad ? (void *)&kept_number : NULL, NULL);
}

static void *give_result(void *unused)
{
	(void)unused;
	return malloc(76);
}

CASE(result_of_a_thread)
{
	void *result = NULL;

	run_thread(give_result, NULL, bad ? NULL : &result);
	free(result);
}

static void *take_argument(void *block)
{
	leak_touch(block);
	return NULL;
}

CASE(argument_of_a_thread)
{
	void *block = malloc(78);

	run_thread(take_argument, block, NULL);
	if (!bad)
		free(block);
}

static pthread_key_t key;

static void *set_specific(void *unused)
{
	pthread_setspecific(key, malloc(79));
	return unused;
}

CASE(key_without_destructor)
{
	pthread_key_create(&key, bad ? NULL : free);
	run_thread(set_specific, NULL, NULL);
}

static void free_kept(void)
{
	free(kept);
	kept = NULL;
}

static void drop_kept(void)
{
	kept = NULL;
}

CASE(dropped_at_exit)
{
	kept = malloc(81);
	atexit(bad ? drop_kept : free_kept);
}

CASE(two_of_three)
{
	kept = malloc(82);
	kept_too = malloc(83);
	leak_touch(bad ? malloc(84) : NULL);
}
