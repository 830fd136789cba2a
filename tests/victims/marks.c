/*
 * Marks, tags and pools by include/seep/seep.h, and the truth about them:
 *
 *   marks     blocks allocated between marks, some freed later; two threads allocate in between,
 *             in step with the marks (they wait for each other), so that sides are certain
 *   tags      what is allocated in scopes, nested ones, and one that is left by longjmp
 *   pools     blocks carved out of a chunk, freed one by one, by reset, by destroy; at the chunk's
 *             own address, closer than any allocator's, and inside each other
 *
 *   steps     stands still between steps, so that marks can be made from outside
 *   many      more marks than there is room for
 *   load      all of it at once, in threads, until it is killed
 *   tag-threads, heirs, pool-many, signals, fork: what their names say
 *
 * With --begin it says "begin" first, and waits: so that seep attach can come before anything is
 * done.
 *
 * "generations" are the blocks and bytes that were made in each, and what is live of them.
 */
#include <pthread.h>
#include <seep/seep.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "truth.h"

#define GENERATIONS 5
#define THREADS 3

static uint64_t live_blocks[GENERATIONS], live_bytes[GENERATIONS];
static uint64_t made_blocks[GENERATIONS], made_bytes[GENERATIONS];

struct kept {
	void *p;
	size_t size;
	int generation;
};
static struct kept kept[4096];
static unsigned int kept_nr;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int generation;

static NOINLINE void grow_between(struct truth_site *s, size_t size, int stays)
{
	void *p = truth_born(s, malloc(size), size);

	pthread_mutex_lock(&lock);
	made_blocks[generation]++;
	made_bytes[generation] += size;
	if (stays) {
		kept[kept_nr++] = (struct kept){p, size, generation};
		live_blocks[generation]++;
		live_bytes[generation] += size;
	}
	pthread_mutex_unlock(&lock);
	if (!stays) {
		truth_died(s, size);
		free(p);
	}
}

static void drop_every_third(struct truth_site *s)
{
	for (unsigned int i = 0; i < kept_nr; i += 3) {
		if (!kept[i].p)
			continue;
		truth_died(s, kept[i].size);
		free(kept[i].p);
		kept[i].p = NULL;
		live_blocks[kept[i].generation]--;
		live_bytes[kept[i].generation] -= kept[i].size;
	}
}

static pthread_barrier_t fence;

static void *work(void *argument)
{
	struct truth_site *s = argument;

	for (int round = 0; round < GENERATIONS; round++) {
		pthread_barrier_wait(&fence);
		for (int i = 0; i < 100; i++)
			grow_between(s, opaque(24 + (size_t)i % 7 * 16), i % 2);
		pthread_barrier_wait(&fence);
	}
	return NULL;
}

static void marks(void)
{
	static const char *const names[] = {"one", "two", "three", "four"};
	struct truth_site *s = truth_at("grow_between");
	pthread_t threads[THREADS];

	pthread_barrier_init(&fence, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, s);
	for (int round = 0; round < GENERATIONS; round++) {
		pthread_barrier_wait(&fence);
		pthread_barrier_wait(&fence);
		for (int i = 0; i <= round; i++)
			grow_between(s, opaque(1000 + (size_t)i), 1);
		if (round + 1 == GENERATIONS)
			break;
		seep_mark(names[round]);
		generation = round + 1;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	drop_every_third(s);
}

/* ---- tags ---- */

static NOINLINE void in_scope(struct truth_site *s, int nr, size_t size)
{
	for (int i = 0; i < nr; i++)
		truth_born(s, malloc(size), size);
}

static void *tagged_thread(void *argument)
{
	seep_tag_begin("request");
	in_scope(argument, 5, 48);
	seep_tag_end();
	return NULL;
}

static void tags(void)
{
	struct truth_site *s = truth_at("in_scope");
	pthread_t thread;

	for (int round = 0; round < 10; round++) {
		in_scope(s, 2, 32);
		seep_tag_begin("request");
		in_scope(s, 3, 64);
		seep_tag_begin("query");
		in_scope(s, 4, 96);
		seep_tag_end();
		in_scope(s, 1, 128);
		seep_tag_end();
	}
	seep_tag_end(); /* one too many does nothing */
	for (int i = 0; i < 100; i++) {
		char name[16];

		/* more scopes than a thread has room for at once */
		snprintf(name, sizeof(name), "scope %d", i);
		seep_tag_begin(name);
		in_scope(s, 1, (size_t)i + 1);
		seep_tag_end();
	}
	pthread_create(&thread, NULL, tagged_thread, s);
	pthread_join(thread, NULL);
	in_scope(s, 1, 256);
}

/* ---- pools ---- */

struct pool {
	char *chunk;
	size_t used;
};

static NOINLINE void *carve(struct truth_site *s, struct pool *p, size_t size, size_t align)
{
	char *at;

	p->used = (p->used + align - 1) / align * align;
	at = p->chunk + p->used;
	p->used += size;
	seep_pool_alloc(p, at, size);
	truth_born(s, at, size);
	__asm__ volatile("" ::: "memory"); /* no tail call: this function is the site */
	return at;
}

static NOINLINE struct pool *make_pool(const char *name, size_t bytes)
{
	struct pool *p = calloc(1, sizeof(*p));

	p->chunk = malloc(bytes);
	seep_pool_create(p, name);
	return p;
}

static uint64_t pooled;

static void pools(void)
{
	struct truth_site *s = truth_at("carve");
	struct pool *strings = make_pool("strings", 65536), *gone, *many, *inner;
	char *big;

	/* closely packed, the first at the chunk's own address */
	for (size_t i = 1; i <= 500; i++)
		carve(s, strings, i % 13 + 1, 1);
	for (size_t i = 1; i <= 500; i++)
		pooled += i % 13 + 1;
	/* reset frees them all; then some more at the same addresses */
	gone = make_pool("gone", 4096);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++)
			carve(s, gone, 100, 8);
		seep_pool_reset(gone);
		gone->used = 0;
		for (int i = 0; i < 10; i++)
			truth_died(s, 100);
	}
	carve(s, gone, 40, 8);
	seep_pool_destroy(gone);
	truth_died(s, 40);
	free(gone->chunk);
	free(gone);
	/* freed one by one, every other one */
	many = make_pool(NULL, 1 << 20);
	for (int i = 0; i < 20000; i++) {
		void *p = carve(s, many, 48, 16);

		if (i % 2) {
			seep_pool_free(many, p);
			truth_died(s, 48);
		} else {
			pooled += 48;
		}
	}
	/* a pool whose chunk is another pool's block: the inner block's bytes count once */
	big = carve(s, many, 1000, 16);
	inner = calloc(1, sizeof(*inner));
	inner->chunk = big;
	seep_pool_create(inner, "inner");
	carve(s, inner, 300, 8);
	s->allocated_bytes -= 300; /* still 1,000 in all, in two blocks */
	pooled += 1000;
	truth_note("pooled_bytes", "%" PRIu64, pooled + 300);
	truth_note("carved_twice", "300");
	truth_note("malloced_bytes", "%zu", 3 * sizeof(struct pool) + 65536 + (1 << 20));
}

/* ---- marks from outside ---- */

static void note_generations(void);

static void steps(int argc, char **argv)
{
	struct truth_site *s = truth_at("grow_between");

	for (generation = 0; generation < GENERATIONS - 1; generation++) {
		for (int i = 0; i < 100; i++)
			grow_between(s, opaque(50 + (size_t)generation), i % 3 == 0);
		truth_print("marks", "step");
		truth_wait(argc, argv);
	}
	drop_every_third(s);
}

/* As many marks as there is room for, and some more, a block behind each. */
static void many_marks(void)
{
	for (int i = 0; i < 5000; i++) {
		seep_mark("many");
		truth_touch(malloc(opaque(16)));
	}
	truth_note("after_last", "%d", 5000 - 4095);
}

/* ---- everything at once, until it is killed ---- */

static NOINLINE void churn(unsigned int i, void **hold)
{
	free(hold[i % 64]);
	hold[i % 64] = malloc(opaque(16 + i % 100 * 8));
}

static NOINLINE void churn_pool(struct pool *p)
{
	for (int i = 0; i < 50; i++) {
		seep_pool_alloc(p, p->chunk + i * 16, 16);
		__asm__ volatile("" ::: "memory");
	}
	seep_pool_reset(p);
}

static void *load_thread(void *argument)
{
	struct pool *p = make_pool(argument, 4096);
	void *hold[64] = {0};

	for (unsigned int i = 0;; i++) {
		if (i % 1000 == 0)
			seep_tag_begin("busy");
		churn(i, hold);
		if (i % 1000 == 999)
			seep_tag_end();
		if (i % 50 == 0)
			churn_pool(p);
	}
	return NULL;
}

static void load(void)
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, load_thread, "first");
	pthread_create(&threads[1], NULL, load_thread, "second");
	truth_print("marks", "load");
	for (int i = 0; i < 3000; i++) {
		seep_mark("inside");
		usleep(10000);
	}
}

/* ---- tags in threads ---- */

static pthread_barrier_t tag_fence;

static NOINLINE void in_thread(struct truth_site *s, size_t size, int stays)
{
	void *p = truth_born(s, malloc(size), size);

	if (!stays) {
		truth_died(s, size);
		free(p);
	}
}

static void *tag_thread(void *argument)
{
	struct truth_site *s = truth_at("in_thread");
	const char *name = argument;

	pthread_barrier_wait(&tag_fence);
	for (int i = 0; i < 1000; i++) {
		seep_tag_begin(name);
		in_thread(s, opaque(100), 1);
		in_thread(s, opaque(200), 0);
		in_thread(s, opaque(300), 0);
		seep_tag_end();
		in_thread(s, opaque(400), 0);
	}
	return NULL;
}

static void tag_threads(void)
{
	static char names[4][16];
	pthread_t threads[4];

	truth_at("in_thread");
	pthread_barrier_init(&tag_fence, NULL, 4);
	for (int i = 0; i < 4; i++) {
		snprintf(names[i], sizeof(names[i]), "thread %d", i);
		pthread_create(&threads[i], NULL, tag_thread, names[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* Every other one ends in a scope; the next one is likely to have its address. */
static void *heir(void *argument)
{
	struct truth_site *s = truth_at("in_thread");

	in_thread(s, opaque(100), 1);
	in_thread(s, opaque(200), 0);
	if (argument) {
		seep_tag_begin("left open");
		in_thread(s, opaque(100), 1);
		in_thread(s, opaque(200), 0);
		in_thread(s, opaque(300), 1);
	}
	return NULL;
}

static void heirs(void)
{
	truth_at("in_thread");
	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, heir, i % 2 ? NULL : &thread);
		pthread_join(thread, NULL);
	}
}

/* ---- many blocks of pools ---- */

#define POOL_MANY 1000000

static void pool_many(void)
{
	struct truth_site *s = truth_at("carve");
	struct pool *p = make_pool("million", (size_t)POOL_MANY * 16);

	for (int round = 0; round < 2; round++) {
		p->used = 0;
		for (int i = 0; i < POOL_MANY; i++)
			carve(s, p, 16, 16);
		if (round)
			break;
		seep_pool_reset(p);
		for (int i = 0; i < POOL_MANY; i++)
			truth_died(s, 16);
	}
}

/* ---- signals that interrupt all of it ---- */

static struct pool *signal_pool;
static volatile unsigned int signals_nr;

static void on_alarm(int sig)
{
	char *at = signal_pool->chunk + signals_nr++ % 64 * 16;

	(void)sig;
	seep_pool_alloc(signal_pool, at, 16);
	seep_tag_begin("handler");
	seep_pool_free(signal_pool, at);
	seep_tag_end();
	if (signals_nr % 100 == 0)
		seep_mark("handler");
}

static void in_signals(void)
{
	const struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
	struct truth_site *s = truth_at("in_thread"), *c = truth_at("carve");
	struct pool *p = make_pool("own", 1 << 20);
	int rounds = 0;

	signal_pool = make_pool("handler", 4096);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	while (signals_nr < 3000) {
		seep_tag_begin("round");
		in_thread(s, opaque(100), rounds % 1000 == 0);
		seep_tag_end();
		in_thread(s, opaque(200), 0);
		if (p->used + 64 > 1 << 20) {
			p->used = 0;
			seep_pool_reset(p);
			truth_died(c, c->allocated_bytes - c->freed_bytes);
			c->freed_blocks = c->allocated_blocks;
		}
		carve(c, p, 32, 16);
		rounds++;
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

/* ---- a child ---- */

static NOINLINE void in_child(void)
{
	for (int i = 0; i < 3; i++)
		truth_touch(malloc(opaque(77)));
}

static void fork_in_scope(int argc, char **argv)
{
	pid_t child;

	seep_tag_begin("before");
	in_child();
	child = fork();
	if (child == 0) {
		seep_tag_end(); /* of a scope that is the parent's */
		seep_mark("in the child");
		seep_tag_begin("child");
		in_child();
		seep_tag_end();
		truth_print("marks", "child");
		truth_wait(argc, argv);
		exit(0);
	}
	waitpid(child, NULL, 0);
	seep_tag_end();
	seep_mark("in the parent");
}

static void note_generations(void)
{
	char text[1024];
	size_t len = 0;

	for (int i = 0; i < GENERATIONS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s{\"live_blocks\":%" PRIu64 ",\"live_bytes\":%" PRIu64
					",\"made_blocks\":%" PRIu64 ",\"made_bytes\":%" PRIu64 "}",
					i ? "," : "", live_blocks[i], live_bytes[i], made_blocks[i],
					made_bytes[i]);
	truth_note("generations", "[%s]", text);
}

static void begin(int argc, char **argv)
{
	char *const wait[] = {"", "--wait"};

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--begin")) {
			truth_print("marks", "begin");
			truth_wait(2, (char **)wait);
		}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	begin(argc, argv);
	if (!strcmp(what, "marks"))
		marks();
	else if (!strcmp(what, "tags"))
		tags();
	else if (!strcmp(what, "pools"))
		pools();
	else if (!strcmp(what, "steps"))
		steps(argc, argv);
	else if (!strcmp(what, "many"))
		many_marks();
	else if (!strcmp(what, "load"))
		load();
	else if (!strcmp(what, "tag-threads"))
		tag_threads();
	else if (!strcmp(what, "pool-many"))
		pool_many();
	else if (!strcmp(what, "signals"))
		in_signals();
	else if (!strcmp(what, "heirs"))
		heirs();
	else if (!strcmp(what, "fork"))
		fork_in_scope(argc, argv);
	else
		return 2;
	note_generations();
	truth_print("marks", "end");
	truth_wait(argc, argv);
	return truth_status();
}
