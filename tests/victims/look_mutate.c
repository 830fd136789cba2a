/*
 * Changes its memory without a pause, by one thread, in a way that shows at any instant whether
 * what was seen of it is of one instant; and checks all the while that its registers are its own.
 *
 *   pair      two words: the first equals the second, or is one ahead
 *   pages     the first word of every page: a number up to some page, one less from there on
 *   ring      nodes {next, number, ~number}: whoever follows them comes round after all of them
 *   dontfork, wipeonfork   a page with the same number in every word, raised word by word
 *   shared    a page that is shared
 *
 * look_mutate [THREADS]    so many more that only sleep
 * On SIGTERM it says how many rounds it made, and ends with status 0; with 9 when a register
 * changed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define PAGES 4096
#define NODES 1000
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct node {
	struct node *next;
	uint64_t number, inverse;
};

static struct {
	volatile uint64_t first, second;
} pair;
static volatile sig_atomic_t ending;

static void end(int sig)
{
	(void)sig;
	ending = 1;
}

static void *map_page(int flags, int advice)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || (advice && madvise(page, PAGE_BYTES, advice)))
		exit(8);
	return page;
}

static struct node *make_ring(void)
{
	struct node *first = calloc(NODES, sizeof(*first));

	for (uint64_t i = 0; i < NODES; i++)
		first[i] = (struct node){&first[(i + 7) % NODES], i, ~i};
	return first;
}

/* Two nodes that follow each other change places: at any instant all or all but one are linked. */
static struct node *turn(struct node *at)
{
	struct node *a = at->next, *b = a->next;

	__atomic_store_n(&at->next, b, __ATOMIC_RELEASE);
	__atomic_store_n(&a->next, b->next, __ATOMIC_RELEASE);
	__atomic_store_n(&b->next, a, __ATOMIC_RELEASE);
	return b;
}

#ifdef __x86_64__
/* All of the widest vector registers there are, and the general ones, over some thousand turns. */
#define CHECK_WITH(move, reg, bytes)                                                               \
	static __attribute__((noinline)) void check_##reg(void)                                    \
	{                                                                                          \
		uint64_t in[8] = {0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777, 0x8888}; \
		uint64_t out[8] = {0}, count = 3000, sum = 0;                                      \
                                                                                                   \
		__asm__ volatile(move " (%2), %%" #reg "7\n\t" move " (%2), %%" #reg "15\n\t"      \
				      "mov $0x123456789, %%r9\n\t"                                 \
				      "mov %%r9, %%r13\n\t"                                        \
				      "1: lea 1(%1), %1\n\t"                                       \
				      "dec %0\n\t"                                                 \
				      "jnz 1b\n\t"                                                 \
				      "cmp %%r9, %%r13\n\t"                                        \
				      "je 2f\n\t"                                                  \
				      "xor %1, %1\n\t"                                             \
				      "2: " move " %%" #reg "7, (%3)\n\t"                          \
				 : "+r"(count), "+r"(sum)                                          \
				 : "r"(in), "r"(out)                                               \
				 : "r9", "r13", "xmm7", "xmm15", "memory", "cc");                  \
		if (sum != 3000 || memcmp(in, out, bytes))                                         \
			exit(9);                                                                   \
	}
CHECK_WITH("movups", xmm, 16)
CHECK_WITH("vmovups", ymm, 32)
CHECK_WITH("vmovups", zmm, 64)

static void check_registers(void)
{
	check_xmm();
	if (__builtin_cpu_supports("avx"))
		check_ymm();
	if (__builtin_cpu_supports("avx512f"))
		check_zmm();
}
#else
static void check_registers(void)
{
}
#endif

static void *sleep_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static void fill(volatile uint64_t *page, uint64_t number)
{
	for (size_t i = 0; i < PAGE_WORDS; i++)
		page[i] = number;
}

int main(int argc, char **argv)
{
	volatile char *pages = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *lone = map_page(MAP_PRIVATE, MADV_DONTFORK);
	uint64_t *wiped = map_page(MAP_PRIVATE, MADV_WIPEONFORK);
	uint64_t *shared = map_page(MAP_SHARED, 0);
	struct node *at = make_ring();
	uint64_t round = 0;
	pthread_t thread;

	if (pages == MAP_FAILED)
		return 8;
	signal(SIGTERM, end);
	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) {
		if (pthread_create(&thread, NULL, sleep_on, NULL))
			return 8;
	}
	printf("{\"pair\":%lu,\"pages\":%lu,\"nr_pages\":%d,\"ring\":%lu,\"nr_nodes\":%d,",
	       (unsigned long)&pair, (unsigned long)pages, PAGES, (unsigned long)at, NODES);
	printf("\"dontfork\":%lu,\"wipeonfork\":%lu,\"shared\":%lu}\n", (unsigned long)lone,
	       (unsigned long)wiped, (unsigned long)shared);
	fflush(stdout);
	while (!ending) {
		round++;
		pair.first = round;
		pair.second = round;
		for (size_t i = 0; i < PAGES; i++)
			*(volatile uint64_t *)(pages + i * PAGE_BYTES) = round;
		for (size_t i = 0; i < NODES; i++)
			at = turn(at);
		fill(lone, round);
		fill(wiped, round);
		fill(shared, round);
		check_registers();
	}
	printf("{\"rounds\":%lu}\n", (unsigned long)round);
	return 0;
}
