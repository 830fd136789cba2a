/*
 * A known distribution of sizes, site by site, for estimates made of samples: each of THREADS
 * threads allocates MIB mebibytes at every site. Half of the blocks stay, of every site.
 *
 * sampled [MIB [THREADS]] [--wait]
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "truth.h"

#define THREADS_MAX 64
#define RING 64 /* blocks that a site holds before it lets every other one go */

static struct truth_site *tiny_site, *small_site, *middle_site, *mixed_site, *grown_site,
	*large_site, *fleeting_site;
static uint64_t bytes_per_site = 8ull << 20;

struct ring {
	struct truth_site *site;
	void *p[RING];
	size_t size[RING];
	unsigned int nr;
};

/* Keeps every other block for good. */
static inline __attribute__((always_inline)) void put(struct ring *r, void *p, size_t size)
{
	unsigned int i = r->nr++ % RING;

	truth_born(r->site, p, size);
	if (r->p[i]) {
		truth_died(r->site, r->size[i]);
		free(r->p[i]);
	}
	r->p[i] = r->nr % 2 ? p : NULL;
	r->size[i] = size;
}

static void drain(struct ring *r)
{
	for (unsigned int i = 0; i < RING; i++) {
		if (!r->p[i])
			continue;
		truth_died(r->site, r->size[i]);
		free(r->p[i]);
	}
}

#define SITE(name, how, step)                                                                      \
	static NOINLINE void name(void)                                                            \
	{                                                                                          \
		struct ring r = {.site = name##_site};                                             \
		uint64_t i = 0, size;                                                              \
                                                                                                   \
		for (uint64_t done = 0; done < bytes_per_site; done += size, i++) {                \
			size = (step);                                                             \
			put(&r, how, size);                                                        \
		}                                                                                  \
		drain(&r);                                                                         \
	}

SITE(tiny, malloc(size), 1 + i % 31)
SITE(small, calloc(1, size), 80 + i % 5 * 16)
SITE(middle, malloc(size), 4000 + i % 11 * 700)
SITE(mixed, malloc(size), i % 50 ? 24 : 20000)
SITE(large, memalign(64, size), 100000 + i % 3 * 200000)

/* Each step is one free and one allocation of the new size. */
static NOINLINE void grown(void)
{
	size_t size;

	for (uint64_t done = 0; done < bytes_per_site;) {
		void *p = NULL;

		for (size = 64; size <= 8192; size *= 2) {
			if (p)
				truth_died(grown_site, size / 2);
			p = truth_born(grown_site, realloc(p, size), size);
			done += size;
		}
	}
}

static NOINLINE void fleeting(void)
{
	uint64_t i = 0, size;

	for (uint64_t done = 0; done < bytes_per_site; done += size, i++) {
		size = 300 + i % 7;
		truth_died(fleeting_site, size);
		free(truth_born(fleeting_site, malloc(size), size));
	}
}

static void *work(void *arg)
{
	tiny();
	small();
	middle();
	mixed();
	large();
	grown();
	fleeting();
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int nr = 1;

	if (argc > 1 && argv[1][0] != '-')
		bytes_per_site = (uint64_t)atoi(argv[1]) << 20;
	if (argc > 2 && argv[2][0] != '-')
		nr = atoi(argv[2]);
	if (nr < 1 || nr > THREADS_MAX)
		return 2;
	tiny_site = truth_at("tiny");
	small_site = truth_at("small");
	middle_site = truth_at("middle");
	mixed_site = truth_at("mixed");
	large_site = truth_at("large");
	grown_site = truth_at("grown");
	fleeting_site = truth_at("fleeting");
	for (int i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			return 1;
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	truth_print("sampled", "end");
	truth_wait(argc, argv);
	return truth_status();
}
