/*
 * Threads that hand blocks to each other, pass one block round by realloc, and come and go by the
 * thousand. At the fence all of them stand still and the counts are exact.
 *
 * threads [THREADS [SHORT_LIVED]] [--wait]
 */
#include <pthread.h>
#include <stdlib.h>

#include "truth.h"

#define MAX_THREADS 64
#define SLOTS 256
#define ROUNDS 200
#define BATCH 50

static struct truth_site *hand_over_site, *ping_pong_site, *short_lived_site, *keep_site;
static struct {
	void *block;
	size_t size;
} mailbox[MAX_THREADS][SLOTS];
static pthread_barrier_t barrier;
static pthread_mutex_t ball_lock = PTHREAD_MUTEX_INITIALIZER;
static char *ball;
static size_t ball_size;
static int thread_count = 8;

static size_t size_of(int thread, int slot, int round)
{
	return 16 + (size_t)((thread * 7 + slot * 13 + round * 31) % 500);
}

static NOINLINE void hand_over(int thread, int round)
{
	for (int i = 0; i < SLOTS; i++) {
		size_t size = size_of(thread, i, round);

		mailbox[thread][i].block = truth_born(hand_over_site, malloc(size), size);
		mailbox[thread][i].size = size;
	}
}

/* Frees what another thread has allocated, the last round excepted: that stays. */
static NOINLINE void take_over(int thread)
{
	int from = (thread + 1) % thread_count;

	for (int i = 0; i < SLOTS; i++) {
		truth_died(hand_over_site, mailbox[from][i].size);
		free(mailbox[from][i].block);
		mailbox[from][i].block = NULL;
	}
}

/* All threads realloc the same block in turn: it moves between heaps of different threads. */
static NOINLINE void ping_pong(size_t size)
{
	pthread_mutex_lock(&ball_lock);
	if (ball)
		truth_died(ping_pong_site, ball_size);
	ball = truth_born(ping_pong_site, realloc(ball, size), size);
	ball[0] = 'x';
	ball_size = size;
	pthread_mutex_unlock(&ball_lock);
}

static NOINLINE void keep(void)
{
	for (int i = 0; i < 100; i++)
		truth_born(keep_site, calloc(1, 64), 64);
}

static void *work(void *arg)
{
	int thread = (int)(intptr_t)arg;

	keep();
	for (int round = 0; round < ROUNDS; round++) {
		hand_over(thread, round);
		ping_pong(10 + (size_t)((thread * 577 + round * 1009) % 30000));
		pthread_barrier_wait(&barrier);
		if (round < ROUNDS - 1)
			take_over(thread);
		pthread_barrier_wait(&barrier);
	}
	pthread_barrier_wait(&barrier); /* the fence: main looks now */
	pthread_barrier_wait(&barrier);
	take_over(thread);
	return NULL;
}

/* Leaks one block of 40 bytes, frees one, and takes one over into its thread's end. */
static NOINLINE void *live_short(void *arg)
{
	void *p = truth_born(short_lived_site, malloc(1000), 1000);

	truth_born(short_lived_site, malloc(opaque(40)), 40);
	truth_died(short_lived_site, 1000);
	free(p);
	return arg;
}

static void come_and_go(int count)
{
	pthread_t threads[BATCH];

	for (int done = 0; done < count; done += BATCH) {
		for (int i = 0; i < BATCH; i++)
			if (pthread_create(&threads[i], NULL, live_short, NULL) != 0)
				abort();
		for (int i = 0; i < BATCH; i++)
			pthread_join(threads[i], NULL);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	int short_lived = 3000;

	if (argc > 1 && argv[1][0] != '-')
		thread_count = atoi(argv[1]);
	if (argc > 2 && argv[2][0] != '-')
		short_lived = atoi(argv[2]);
	if (thread_count < 1 || thread_count > MAX_THREADS)
		return 2;
	hand_over_site = truth_at("hand_over");
	ping_pong_site = truth_at("ping_pong");
	short_lived_site = truth_at("live_short");
	keep_site = truth_at("keep");
	pthread_barrier_init(&barrier, NULL, (unsigned int)thread_count + 1);
	for (int i = 0; i < thread_count; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0)
			return 1;
	for (int i = 0; i < 2 * ROUNDS; i++)
		pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	ping_pong(4242); /* the last toss, so that what is live is the same each time */
	truth_print("threads", "fence");
	truth_wait(argc, argv);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	come_and_go(short_lived);
	truth_print("threads", "end");
	truth_wait(argc, argv);
	return truth_status();
}
