/*
 * Holds and loses blocks in every way there is, and says which: its process id, then a line
 * "CLASS ADDRESS SIZE WHAT" a block, WHAT being leaked, possible or held; then "ready", and it
 * waits for its standard input to end. Its own notes of addresses are masked, so that they hold
 * nothing.
 *
 * Everything is made by threads that end, so that no stale copies lie in stacks that live. An
 * argument is the number of blocks of the tree that it loses.
 */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "truth.h"

#define MASK 0x5a5a5a5a5a5a5a5aull
#define MAX_NOTES 4096
#define RING 1000

static struct note {
	const char *name, *what;
	uint64_t masked, size;
} notes[MAX_NOTES];
static size_t nr_notes;
static size_t nr_tree = 4095;

/* volatile: they are written and never read, which a compiler would leave out. */
static void *volatile kept_global;
static void **volatile kept_table; /* mmapped */
static char *volatile kept_middle;
static volatile uintptr_t kept_tagged, kept_masked, kept_counted;
static void *volatile kept_chain;
static pthread_key_t key;
static __thread void *volatile kept_tls;
static pthread_barrier_t barrier;

/* A block, noted; filled so that nothing of an earlier one is in it. */
static void *make(const char *name, const char *what, size_t size)
{
	void *p = malloc(size);

	memset(p, 0, malloc_usable_size(p));
	notes[nr_notes++] = (struct note){name, what, (uint64_t)(uintptr_t)p ^ MASK, size};
	return p;
}

static void lose_simply(void)
{
	truth_touch(make("direct", "leaked", 100));
}

static void lose_chain(void)
{
	void **a = make("indirect-head", "leaked", 64);

	a[1] = make("indirect", "leaked", 200);
}

static void lose_cycle(void)
{
	void **a = make("cycle", "leaked", 48), **b = make("cycle", "leaked", 48);

	a[0] = b;
	b[0] = a;
}

static void lose_ring(void)
{
	void **first = make("ring", "leaked", 24), **last = first;

	for (int i = 1; i < RING; i++) {
		void **next = make("ring", "leaked", 24);

		last[0] = next;
		last = next;
	}
	last[0] = first;
}

static void lose_itself(void)
{
	void **a = make("itself", "leaked", 72);

	a[2] = a;
}

/* Not noted one by one: their number is. */
static void lose_tree(void)
{
	void ***nodes = mmap(NULL, nr_tree * sizeof(*nodes), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (nodes == MAP_FAILED)
		exit(2);
	for (size_t i = 0; i < nr_tree; i++)
		nodes[i] = calloc(1, 40);
	for (size_t i = 0; 2 * i + 2 < nr_tree; i++) {
		nodes[i][0] = nodes[2 * i + 1];
		nodes[i][1] = nodes[2 * i + 2];
	}
	notes[nr_notes++] =
		(struct note){"tree-head", "leaked", (uint64_t)(uintptr_t)nodes[0] ^ MASK, 40};
	munmap(nodes, nr_tree * sizeof(*nodes));
}

/* The old block moved; what only it held goes with the new one, which is lost. */
static void lose_by_realloc(void)
{
	void **p = malloc(128);

	memset(p, 0, malloc_usable_size(p));
	p[0] = make("realloc-held", "leaked", 56);
	p = realloc(p, 100000);
	notes[nr_notes++] =
		(struct note){"realloc", "leaked", (uint64_t)(uintptr_t)p ^ MASK, 100000};
}

/* Freed memory still has the pointer; that holds nothing. */
static void lose_in_freed(void)
{
	void **p = malloc(1500);

	p[40] = make("in-freed", "leaked", 88);
	free(p);
}

static void keep_in_table(void)
{
	kept_table = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	kept_table[700] = make("mmapped-table", "held", 120);
}

/* A page of memory that does not look as if it could hold pointers now. */
static void keep_in_page(const char *name, int flags, int protection)
{
	void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		exit(2);
	page[40] = make(name, "held", 312);
	if (mprotect(page, 4096, protection))
		exit(2);
}

/* Addresses for terabytes, of which nobody has touched but one page. */
static void keep_in_reserve(void)
{
	char *reserve = mmap(NULL, (size_t)2 << 40, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (reserve != MAP_FAILED)
		*(void **)(reserve + ((size_t)1 << 40)) = make("reserve", "held", 328);
}

static void keep_in_kernel(void)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct epoll_event event = {.events = EPOLLIN};
	struct itimerspec never = {.it_value = {.tv_sec = 1000000}};
	timer_t timer;
	int epoll = epoll_create1(0), pipes[2];

	event.data.ptr = make("epoll", "held", 152);
	if (pipe(pipes) || epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event))
		exit(2);
	memset(&event, 0, sizeof(event));
	how.sigev_value.sival_ptr = make("timer", "held", 168);
	if (timer_create(CLOCK_MONOTONIC, &how, &timer) || timer_settime(timer, 0, &never, NULL))
		exit(2);
	memset(&how, 0, sizeof(how));
}

#ifdef __x86_64__
static jmp_buf kept_way_in, way_out;

static void leave_coroutine(void)
{
	if (!setjmp(kept_way_in))
		longjmp(way_out, 1);
}

/* A coroutine that is out of its stack: where that is, is in a jmp_buf, which glibc mangles. */
static void keep_coroutine(void)
{
	const size_t bytes = 50000;
	ucontext_t *context = calloc(1, sizeof(*context));
	char *stack;

	if (getcontext(context))
		exit(2);
	stack = make("coroutine", "possible", bytes);
	context->uc_stack.ss_sp = stack;
	context->uc_stack.ss_size = bytes;
	makecontext(context, leave_coroutine, 0);
	if (!setjmp(way_out))
		setcontext(context);
	/* What lies below its stack pointer is over. */
	memset(stack, 0, bytes - 1024);
	/* No other notes of the stack are to hold it: %rbx, %r12 to %r15 are as they were. */
	kept_way_in->__jmpbuf[0] = 0;
	memset(&kept_way_in->__jmpbuf[2], 0, 4 * sizeof(kept_way_in->__jmpbuf[0]));
	memset(context, 0, sizeof(*context));
	free(context);
}
#else
static void keep_coroutine(void)
{
}
#endif

static void do_nothing(void *unused)
{
	truth_touch(unused);
}

/* What is to be called when the program ends: the C library masks the function, not its argument.
 */
static void keep_for_the_end(void)
{
	extern int __cxa_atexit(void (*function)(void *), void *argument, void *module);

	if (__cxa_atexit(do_nothing, make("atexit", "held", 344), NULL))
		exit(2);
}

static void keep_elsewhere(void)
{
	void **chain;

	kept_global = make("global", "held", 136);
	chain = make("chain", "held", 32);
	chain[0] = make("chain-held", "held", 5000);
	kept_chain = chain;
	kept_middle = (char *)make("interior", "possible", 400) + 200;
	kept_tagged = (uintptr_t)make("tagged", "held", 184) | 3;
	/* With a counter where no address has anything. */
	kept_counted = (uintptr_t)make("counted", "possible", 360) | (uintptr_t)0x0042 << 48;
	kept_masked = (uintptr_t)make("masked", "leaked", 248) ^ MASK;
	keep_in_table();
	keep_in_page("shared", MAP_SHARED, PROT_READ | PROT_WRITE);
	keep_in_page("shared-sealed", MAP_SHARED, PROT_READ);
	keep_in_page("sealed", MAP_PRIVATE, PROT_READ);
	keep_in_page("closed", MAP_PRIVATE, PROT_NONE);
	keep_in_reserve();
	keep_in_kernel();
	keep_for_the_end();
	keep_coroutine();
}

static void *make_everything(void *unused)
{
	lose_simply();
	lose_chain();
	lose_cycle();
	lose_ring();
	lose_itself();
	lose_tree();
	lose_by_realloc();
	lose_in_freed();
	keep_elsewhere();
	return unused;
}

/* A thread that ends takes its storage and its stack with it. */
static void *end_with_storage(void *unused)
{
	kept_tls = make("tls-ended", "leaked", 216);
	truth_touch(kept_tls);
	return unused;
}

/* Threads that live, each holding a block in a place of its own. */
static void *live_with_storage(void *unused)
{
	kept_tls = make("tls", "held", 232);
	pthread_setspecific(key, make("pthread-key", "held", 264));
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return unused;
}

static NOINLINE void *live_with_stack(void *unused)
{
	void *volatile on_stack = make("stack", "held", 280);

	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	truth_touch(on_stack);
	return unused;
}

/* What registers will hold, masked. */
static uintptr_t header_masked = MASK, small_masked = MASK;

/*
 * Where a block's header is, glibc alone can use, and its functions alone: a thread elsewhere holds
 * nothing by it. The header lies in no other block, this one having pages of its own.
 */
static void lose_but_header(void)
{
	char *p = make("register-header", "leaked", 140000);

	header_masked = (uintptr_t)(p - 2 * sizeof(size_t)) ^ MASK;
}

/* Where blocks have no headers, what is two words behind a block's begin is another block. */
static void lose_neighbour(void)
{
	char **blocks =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (blocks == MAP_FAILED)
		exit(2);
	for (size_t i = 0; i < 64; i++)
		blocks[i] = make("small", "", 16);
	nr_notes -= 64;
	for (size_t i = 0; i < 63 && small_masked == MASK; i++) {
		if (blocks[i + 1] != blocks[i] + 16)
			continue;
		small_masked = (uintptr_t)blocks[i] ^ MASK;
		notes[nr_notes++] = (struct note){"register-next", "leaked",
						  (uintptr_t)blocks[i + 1] ^ MASK, 16};
		blocks[i] = blocks[i + 1] = NULL;
	}
	for (size_t i = 0; i < 64; i++)
		free(blocks[i]);
	munmap(blocks, 4096);
}

static void *prepare_registers(void *unused)
{
	void *p = malloc(16);
	bool has_headers = malloc_usable_size(p) == 3 * sizeof(size_t);

	free(p);
	if (has_headers)
		lose_but_header();
	else
		lose_neighbour();
	return unused;
}

static void *live_with_register(void *unused)
{
#ifdef __x86_64__
	void *p = make("register", "held", 296);

	pthread_barrier_wait(&barrier);
	/* Only these registers have them from here on. */
	__asm__ volatile("mov %0, %%r13\n\txor %0, %0\n\tmovq $0, %1\n\t"
			 "mov %2, %%r14\n\txor %4, %%r14\n\tmov %3, %%r12\n\txor %4, %%r12\n"
			 "1:\tpause\n\tjmp 1b"
			 : "+r"(p), "=m"(p)
			 : "r"(header_masked), "r"(small_masked), "r"(MASK)
			 : "r12", "r13", "r14", "memory");
#else
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
#endif
	return unused;
}

static void run(void *(*what)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, what, NULL))
		exit(2);
	pthread_join(thread, NULL);
}

/* One after the other: they note without a lock. */
static void start(void *(*what)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, what, NULL))
		exit(2);
	pthread_detach(thread);
	pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc > 1)
		nr_tree = strtoul(argv[1], NULL, 10);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_key_create(&key, NULL);
	run(make_everything);
	run(end_with_storage);
#ifdef __x86_64__
	run(prepare_registers);
#endif
	start(live_with_storage);
	start(live_with_stack);
	start(live_with_register);
	printf("pid %d\n", (int)getpid());
	for (size_t i = 0; i < nr_notes; i++)
		printf("%s 0x%llx %llu %s\n", notes[i].name,
		       (unsigned long long)(notes[i].masked ^ MASK),
		       (unsigned long long)notes[i].size, notes[i].what);
	printf("tree %zu\nready\n", nr_tree);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
