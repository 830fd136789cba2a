/*
 * What is in this program's memory? It fills ranges of every sort and tells where they are and the
 * hash of each, so that a core of it, however it was written, can be held against the truth.
 *
 *   heap       one big block              data      a variable of the program
 *   small      many small blocks, hashed one after the other: the first of them
 *   sparse     64 MiB, of which some pages were written
 *   shared     anonymous shared memory, some pages written
 *   private    a mapped file, changed in memory
 *   unwanted   marked with MADV_DONTDUMP
 *   unforked   marked with MADV_DONTFORK: no clone has it
 *   wiped      marked with MADV_WIPEONFORK: zeros in every clone
 *
 * Three threads wait in thread_waits(). A line on standard input is answered with "alive"; with
 * --abort the program aborts after it told the truth. The end of the input ends it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "truth.h"

#define THREADS 3
#define HEAP_BYTES (3u << 20)
#define SPARSE_BYTES (64u << 20)
#define SHARED_BYTES (32u << 20)
#define OTHER_BYTES (256u << 10)

unsigned char cored_data[4096];
const char *cored_text = "text that is in a core";
long cored_number = 123456789;

static pthread_barrier_t started;
static char ranges[2048];

static void fill(unsigned char *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)((seed = seed * 1664525u + 1013904223u) >> 24);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(const unsigned char *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static void tell(const char *name, const unsigned char *p, size_t len)
{
	size_t at = strlen(ranges);

	snprintf(ranges + at, sizeof(ranges) - at,
		 "%s\"%s\":{\"addr\":%" PRIuPTR ",\"bytes\":%zu,\"hash\":\"%016" PRIx64 "\"}",
		 at ? "," : "{", name, (uintptr_t)p, len, hash(p, len));
}

static NOINLINE void *thread_waits(void *arg)
{
	pthread_barrier_wait(&started);
	for (;;)
		pause();
	return arg;
}

static unsigned char *map(size_t len, int flags, int fd)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		_exit(SKIPPED);
	return p;
}

/* Every 50th page, so that runs of pages begin and end in all ways. */
static void touch_some(unsigned char *p, size_t len)
{
	for (size_t at = 0; at < len; at += 50 * 4096)
		fill(p + at, at % 3 ? 4096 : 3 * 4096, (unsigned int)at);
}

static int make_marked(const char *name, unsigned int seed, int advice)
{
	unsigned char *p = map(OTHER_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	fill(p, OTHER_BYTES, seed);
	tell(name, p, OTHER_BYTES);
	return madvise(p, OTHER_BYTES, advice);
}

static NOINLINE int make_ranges(void)
{
	unsigned char *heap = malloc(opaque(HEAP_BYTES)), *small = NULL, *p;
	FILE *file = tmpfile();

	if (!heap || !file || ftruncate(fileno(file), OTHER_BYTES))
		return -1;
	for (int i = 0; i < 1000; i++) {
		small = malloc(opaque(100));
		if (!small)
			return -1;
		fill(small, 100, (unsigned int)i);
	}
	fill(heap, HEAP_BYTES, 1);
	fill(cored_data, sizeof(cored_data), 2);
	tell("heap", heap, HEAP_BYTES);
	tell("small", small, 100);
	tell("data", cored_data, sizeof(cored_data));
	p = map(SPARSE_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	touch_some(p, SPARSE_BYTES);
	tell("sparse", p, SPARSE_BYTES);
	p = map(SHARED_BYTES, MAP_SHARED | MAP_ANONYMOUS, -1);
	touch_some(p, SHARED_BYTES);
	tell("shared", p, OTHER_BYTES);
	p = map(OTHER_BYTES, MAP_PRIVATE, fileno(file));
	fill(p + 8192, 100, 3);
	tell("private", p, OTHER_BYTES);
	if (make_marked("unwanted", 4, MADV_DONTDUMP) ||
	    make_marked("unforked", 5, MADV_DONTFORK) || make_marked("wiped", 6, MADV_WIPEONFORK))
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char c;

	pthread_barrier_init(&started, NULL, THREADS + 1);
	if (make_ranges() < 0)
		return SKIPPED;
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&thread, NULL, thread_waits, NULL))
			return SKIPPED;
	}
	pthread_barrier_wait(&started);
	truth_note("ranges", "%s}", ranges);
	truth_note("number", "%ld", cored_number);
	truth_note("text", "\"%s\"", cored_text);
	truth_print("cored", "ready");
	if (argc > 1 && strcmp(argv[1], "--abort") == 0)
		abort();
	while (read(STDIN_FILENO, &c, 1) == 1) {
		if (c == '\n')
			dprintf(STDOUT_FILENO, "alive\n");
	}
	return 0;
}
