/*
 * A process with memory of every kind, which tells where each lies and how much of it was touched:
 *
 *   {"regions":[{"name":"…","kind":"heap","addr":N,"size":N,"touched":N,"detail":"…"}, …]}
 *
 * kind is what a memory map must call it, detail a text that must be in its words ("" none). addr
 * is any address in it; size and touched are 0 where the program cannot know them. Then every line
 * on standard input is a command, answered with a line:
 *
 *   grow     maps and touches 3 MiB more ("grown")
 *   shrink   gives them back ("shrunk")
 *
 * The end of the input ends the program.
 *
 * regions [MAPPINGS]     so many mappings more, of a page each, every second one touched
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "truth.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define KIB 1024u
#define MIB (1024u * 1024u)
#define PAGE 4096u
#define GROWTH_BYTES (3 * MIB)

static char bss[64 * KIB];
static char data[64 * KIB] = {1};
static const char rodata[64 * KIB] = {1};
static _Thread_local char tls[64];
static bool any_told;

static pthread_barrier_t barrier, end;

static void tell(const char *name, const char *kind, const void *addr, size_t size, size_t touched,
		 const char *detail)
{
	dprintf(STDOUT_FILENO,
		"%s{\"name\":\"%s\",\"kind\":\"%s\",\"addr\":%" PRIuPTR
		",\"size\":%zu,\"touched\":%zu,\"detail\":\"%s\"}",
		any_told ? "," : "", name, kind, (uintptr_t)addr, size, touched, detail);
	any_told = true;
}

static void touch(char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		((volatile char *)p)[i] = 1;
}

/* Between two pages that nobody may touch, so that the kernel joins it with no neighbour. */
static char *map(size_t size, int prot, int flags, int fd)
{
	char *room = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p;

	if (room == MAP_FAILED)
		return NULL;
	p = mmap(room + PAGE, size, prot, flags | MAP_FIXED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void tell_mappings(void)
{
	const int both = PROT_READ | PROT_WRITE, own = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = map(768 * KIB, both, own, -1);
	int fd = memfd_create("notes", MFD_CLOEXEC);

	touch(p, 256 * KIB);
	tell("private", "anonymous", p, 768 * KIB, 256 * KIB, "");
	p = map(128 * KIB, both | PROT_EXEC, own, -1);
	touch(p, 8 * KIB);
	tell("code", "jit", p, 128 * KIB, 8 * KIB, "");
	p = map(512 * KIB, both, MAP_SHARED | MAP_ANONYMOUS, -1);
	touch(p, 64 * KIB);
	tell("shared", "shared", p, 512 * KIB, 64 * KIB, "/dev/zero");
	if (fd >= 0 && ftruncate(fd, 256 * KIB) == 0) {
		p = map(256 * KIB, both, MAP_SHARED, fd);
		touch(p, 128 * KIB);
		tell("memfd", "shared", p, 256 * KIB, 128 * KIB, "/memfd:notes");
	}
	p = map(64 * MIB, PROT_NONE, own, -1);
	mprotect(p + 32 * MIB, PAGE, both); /* so that it is no part of its own fence */
	tell("reserved", "reserved", p, 0, 0, "");
	p = map(256 * KIB, both, own, -1);
	touch(p, 32 * KIB);
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, 256 * KIB, "pool of the test") == 0)
		tell("named", "anonymous", p, 256 * KIB, 32 * KIB, "pool of the test");
}

static void tell_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *p = fd < 0 ? NULL : map(16 * KIB, PROT_READ, MAP_PRIVATE, fd);

	if (p)
		tell("file", "file", p, 16 * KIB, 0, "victim-regions");
	/* Code that lies behind a program that is only read is none of its segments. */
	p = map(512 * KIB, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (mmap(p, 16 * KIB, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED) {
		touch(p + 16 * KIB, 16 * KIB);
		tell("header", "file", p, 16 * KIB, 0, "victim-regions");
		tell("behind it", "jit", p + 16 * KIB, 496 * KIB, 16 * KIB, "");
	}
}

static void *work(void *arg)
{
	char here = 0;
	void *small;

	pthread_setname_np(pthread_self(), "worker");
	small = malloc(opaque(200));
	truth_touch(small);
	tell("thread stack", "stack", &here, 0, 0, "worker");
	tell("thread tls", "stack", tls, 0, 0, "worker");
	tell("thread block", "heap", small, 0, 0, "");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&end);
	return arg;
}

static void *wait_on_it(void *arg)
{
	pthread_setname_np(pthread_self(), "middle");
	pthread_barrier_wait(&end);
	return arg;
}

/*
 * Pools that the kernel joins with what a thread has: one below the first thread's TLS (where a
 * first mapping lands), and one on each side of a stack.
 */
static void tell_neighbours(pthread_t *ret_thread)
{
	const int both = PROT_READ | PROT_WRITE, own = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = mmap(NULL, 2 * MIB, both, own, -1, 0);
	pthread_attr_t attr;

	touch(p, 2 * MIB);
	tell("pool by the tls", "anonymous", p, 0, 0, "");
	p = map(3 * MIB, both, own, -1);
	touch(p, 128 * KIB);
	touch(p + 2 * MIB, 512 * KIB);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, p + MIB, MIB);
	if (pthread_create(ret_thread, &attr, wait_on_it, NULL) != 0)
		exit(1);
	pthread_attr_destroy(&attr);
	tell("pool below a stack", "anonymous", p, MIB, 128 * KIB, "");
	tell("stack between pools", "stack", p + MIB, MIB, 0, "middle");
	tell("pool above a stack", "anonymous", p + 2 * MIB, MIB, 512 * KIB, "");
}

static void *end_at_once(void *arg)
{
	return arg;
}

/* The C library keeps its stack for the next thread. */
static void leave_a_stack(const pthread_attr_t *attr)
{
	pthread_t thread;

	if (pthread_create(&thread, attr, end_at_once, NULL) == 0)
		pthread_join(thread, NULL);
}

static void tell_image(void)
{
	touch(bss, sizeof(bss));
	touch(data, sizeof(data));
	tell("bss", "image", bss + 32 * KIB, 0, 0, "victim-regions bss");
	tell("data", "image", data + 32 * KIB, 0, 0, "victim-regions data");
	tell("rodata", "image", rodata + 32 * KIB, 0, 0, "victim-regions rodata");
	tell("text", "image", (const void *)(uintptr_t)tell, 0, 0, "victim-regions text");
	tell("library", "image", (const void *)(uintptr_t)strlen, 0, 0, "libc");
}

static void tell_heaps(void)
{
	char *small = malloc(opaque(100)), *big = malloc(opaque(2 * MIB));
	char here = 0;

	truth_touch(small);
	touch(big, MIB);
	tell("small block", "heap", small, 0, 0, "");
	tell("big block", "block", big, 0, 0, "");
	tell("main stack", "stack", &here, 0, 0, "main thread");
	tell("main tls", "tls", tls, 0, 0, "main thread");
}

static void make_many(long count)
{
	for (long i = 0; i < count; i++) {
		int prot = i % 2 ? PROT_READ | PROT_WRITE : PROT_READ;
		char *p = mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			dprintf(STDERR_FILENO, "%ld mappings are allowed\n", i);
			return;
		}
		if (i % 2)
			*p = 1;
	}
}

static void obey(void)
{
	char *more = NULL;
	char c, line = 0;

	/* The first letter says it all; stdio would allocate. */
	while (read(STDIN_FILENO, &c, 1) == 1) {
		if (c != '\n') {
			line = line ? line : c;
			continue;
		}
		if (line == 'g' && !more) {
			more = map(GROWTH_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1);
			touch(more, GROWTH_BYTES);
			dprintf(STDOUT_FILENO, "grown\n");
		} else if (line == 's' && more) {
			munmap(more, GROWTH_BYTES);
			more = NULL;
			dprintf(STDOUT_FILENO, "shrunk\n");
		}
		line = 0;
	}
}

int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread, middle;

	if (argc > 1)
		make_many(atol(argv[1]));
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_barrier_init(&end, NULL, 3);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, MIB);
	dprintf(STDOUT_FILENO, "{\"regions\":[");
	tell_neighbours(&middle);
	tell_mappings();
	tell_file(argv[0]);
	tell_image();
	tell_heaps();
	if (pthread_create(&thread, &attr, work, NULL) != 0)
		return 1;
	pthread_barrier_wait(&barrier);
	leave_a_stack(&attr);
	dprintf(STDOUT_FILENO, "]}\n");
	obey();
	pthread_barrier_wait(&end);
	pthread_join(thread, NULL);
	pthread_join(middle, NULL);
	return 0;
}
