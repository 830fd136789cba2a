/*
 * Threads that allocate, resize, hand over and free without a pause until a line comes; then all is
 * freed, but for one block a thread, and all stand still.
 *
 * churner [THREADS]
 */
#include <pthread.h>
#include <stdlib.h>

#include "truth.h"

#define THREADS_MAX 16
#define SLOTS 512

static struct truth_site *churn_site, *last_site;
static void *shared[SLOTS];
static int stop;

static uint64_t next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Whoever takes a block out of a slot owns it, whatever thread put it there. */
static NOINLINE void churn(uint64_t *random)
{
	uint64_t r = next(random);
	void **slot = &shared[r % SLOTS], *p, *q;

	p = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
	if (!p) {
		p = malloc(16 + (r >> 20) % 600);
	} else if (r >> 40 & 1) {
		p = realloc(p, 16 + (r >> 20) % 6000);
	} else {
		free(p);
		p = r >> 41 & 1 ? calloc(1, 16 + (r >> 20) % 300) : NULL;
	}
	q = __atomic_exchange_n(slot, p, __ATOMIC_ACQ_REL);
	free(q);
}

static NOINLINE void keep_last(void)
{
	truth_born(last_site, malloc(opaque(777)), 777);
}

static void *work(void *arg)
{
	uint64_t random = 88172645463325252ull + (uint64_t)(intptr_t)arg * 977;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		churn(&random);
	return NULL;
}

int main(int argc, char **argv)
{
	int nr = argc > 1 ? atoi(argv[1]) : 3;
	pthread_t threads[THREADS_MAX];
	char c;

	if (nr < 1 || nr > THREADS_MAX)
		return 2;
	churn_site = truth_at("churn");
	last_site = truth_at("keep_last");
	for (int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0)
			return 1;
	truth_print("churner", "start");
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		free(shared[i]);
	keep_last();
	truth_print("churner", "end");
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
	return truth_status();
}
