/* wire/marks: what is summed up for a mark while another thread goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/marks.h"

#define COUNTS 65536u
#define BLOCKS 100u /* of memory, allocated before; half of them freed */
#define BURST 2000
#define SUMS 3000

struct lab {
	struct wire_header *header;
	struct wire_count *counts;
	struct wire_thread *thread;
	struct wire_summing summing;
	int over;
};

static void set_up(struct lab *l)
{
	*l = (struct lab){.over = 0};
	l->header = aligned_alloc(4096, sizeof(*l->header));
	l->counts = calloc(COUNTS, sizeof(*l->counts));
	l->thread = calloc(1, sizeof(*l->thread));
	assert_true(l->header && l->counts && l->thread);
	memset(l->header, 0, sizeof(*l->header));
	l->header->threads_nr = 1;
	l->header->counts_nr = COUNTS;
	l->header->kinds_nr = 2;
	l->counts[COUNTS - 1].blocks = BLOCKS;
	l->thread->frees = BLOCKS / 2;
	l->summing = (struct wire_summing){
		.header = l->header,
		.counts = l->counts,
		.threads = l->thread,
		.thread_stride = sizeof(*l->thread),
		.counts_cap = COUNTS,
		.threads_cap = 1,
	};
}

static void tear_down(struct lab *l)
{
	free(l->header);
	free(l->counts);
	free(l->thread);
}

/* As the recorder does it; the thread that sums up cannot stop it. */
static void acquire_and_release(struct lab *l)
{
	struct wire_handles *ever = &l->header->kinds[1].ever;

	__atomic_fetch_add(&l->counts[0].blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ever->acquired, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&l->thread->frees, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ever->released, 1, __ATOMIC_RELAXED);
}

static void *in_bursts(void *arg)
{
	const struct timespec nap = {.tv_nsec = 5000000};
	struct lab *l = arg;

	while (!__atomic_load_n(&l->over, __ATOMIC_RELAXED)) {
		for (int i = 0; i < BURST; i++)
			acquire_and_release(l);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static void test_still(void **state)
{
	struct wire_sums sums;
	struct lab l;

	(void)state;
	set_up(&l);
	for (int i = 0; i < 7; i++)
		acquire_and_release(&l);
	assert_true(wire_sum(&l.summing, &sums));
	assert_int_equal(sums.blocks, BLOCKS);
	assert_int_equal(sums.frees, BLOCKS / 2);
	/* A table that lies. */
	l.header->kinds[0].ever.acquired = 1u << 20;
	assert_true(wire_sum(&l.summing, &sums));
	assert_int_equal(sums.blocks, 0);
	tear_down(&l);
}

/* It is exact, but for the one that is just being noted, or not known. */
static void test_busy(void **state)
{
	struct wire_sums sums;
	pthread_t other;
	struct lab l;
	int known = 0;

	(void)state;
	set_up(&l);
	assert_int_equal(pthread_create(&other, NULL, in_bursts, &l), 0);
	for (int i = 0; i < SUMS; i++) {
		if (!wire_sum(&l.summing, &sums))
			continue;
		known++;
		assert_in_range(sums.blocks, BLOCKS, BLOCKS + 1);
		assert_in_range(sums.frees, BLOCKS / 2, BLOCKS / 2 + 1);
	}
	__atomic_store_n(&l.over, 1, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
	assert_true(known > 0);
	tear_down(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_still),
		cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
