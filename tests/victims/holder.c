/*
 * Holds blocks in nothing but locals of functions that are waiting for others to return: main calls
 * holder, holder calls middle, which calls waiting; and the same in a second thread, where holder
 * is called by itself first. Prints "pid PID", "main ADDRESS", "thread ADDRESS" and "outer
 * ADDRESS", masked words aside; then "ready", and waits for its standard input to end.
 *
 * The functions have frames of some size, and none uses the frame pointer as such.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "truth.h"

#define MASK 0x5a5a5a5a5a5a5a5aull

static volatile uint64_t masked[3];
static pthread_barrier_t barrier;

static NOINLINE void waiting(volatile char *room)
{
	char line[64];

	room[0] = 1;
	if (pthread_barrier_wait(&barrier) == 12345)
		return;
	if (room[1] == 2)
		for (;;)
			pause();
	printf("pid %d\nmain 0x%llx\nthread 0x%llx\nouter 0x%llx\nready\n", (int)getpid(),
	       (unsigned long long)(masked[0] ^ MASK), (unsigned long long)(masked[1] ^ MASK),
	       (unsigned long long)(masked[2] ^ MASK));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
}

static NOINLINE void middle(char last)
{
	volatile char room[300];

	room[1] = last;
	room[299] = last;
	waiting(room);
	truth_touch((void *)room);
}

/* The address is known to nobody else: made by a call whose traces on the stack are overwritten. */
static NOINLINE void fill(void *volatile *slot, size_t size, int index)
{
	*slot = memset(malloc(size), 0, size);
	masked[index] = (uint64_t)(uintptr_t)*slot ^ MASK;
}

static NOINLINE void overwrite(void)
{
	volatile char below[4096];

	for (size_t i = 0; i < sizeof(below); i++)
		below[i] = 0;
}

static NOINLINE void holder(int depth, int index, char last)
{
	void *volatile slots[20];

	for (int i = 0; i < 20; i++)
		slots[i] = NULL;
	fill(&slots[11], 700 + (size_t)index, index);
	overwrite();
	if (depth)
		holder(depth - 1, index - 1, last);
	else
		middle(last);
	truth_touch(slots[11]);
}

static void *in_thread(void *unused)
{
	holder(1, 2, 2);
	return unused;
}

int main(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, in_thread, NULL))
		return 1;
	holder(0, 0, 1);
	return 0;
}
