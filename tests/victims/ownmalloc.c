/*
 * A program with an allocator of its own, exported to all libraries: the dynamic linker binds
 * every malloc in the process to it, before any preloaded library. A recorder by preload sees
 * nothing, and has to say so instead of reporting that all is well.
 */
#include <stdlib.h>

#include "truth.h"

#define ARENA_BYTES (16u << 20)
#define CLASSES 24 /* powers of two from 16 bytes */

struct header {
	size_t class;
	struct header *next;
};

static _Alignas(64) char arena[ARENA_BYTES];
static size_t arena_used;
static struct header *free_lists[CLASSES];
static unsigned long calls;

static struct header *header_of(void *p)
{
	return (struct header *)opaque((size_t)p) - 1;
}

/* One block with its header: 16 bytes in front keep the alignment. */
void *malloc(size_t size)
{
	struct header *h;
	size_t class = 0, bytes;

	calls++;
	while (class < CLASSES && ((size_t)16 << class) < size)
		class ++;
	bytes = sizeof(*h) + ((size_t)16 << class);
	if (class == CLASSES || (!free_lists[class] && bytes > ARENA_BYTES - arena_used)) {
		errno = ENOMEM;
		return NULL;
	}
	h = free_lists[class];
	if (h) {
		free_lists[class] = h->next;
	} else {
		h = (struct header *)(void *)(arena + arena_used);
		arena_used += bytes;
		h->class = class;
	}
	return h + 1;
}

void free(void *p)
{
	struct header *h;

	if (!p)
		return;
	h = header_of(p);
	h->next = free_lists[h->class];
	free_lists[h->class] = h;
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	char *p;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(bytes);
	/* By hand: the compiler would make malloc + memset a call of calloc. */
	for (size_t i = 0; p && i < bytes; i++) {
		p[i] = 0;
		truth_touch(p);
	}
	return p;
}

void *realloc(void *p, size_t size)
{
	void *moved = malloc(size);
	size_t had;

	if (!p || !moved)
		return moved;
	had = (size_t)16 << header_of(p)->class;
	memcpy(moved, p, had < size ? had : size);
	free(p);
	return moved;
}

static NOINLINE void use_own(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 300; i++) {
		void *p = truth_born(s, malloc(opaque(90)), 90);

		if (i % 3 == 0) {
			truth_died(s, 90);
			free(p);
		}
	}
	truth_born(s, strdup("by way of the C library"), 24);
}

int main(int argc, char **argv)
{
	use_own();
	truth_note("own_calls", "%lu", calls);
	truth_print("ownmalloc", "end");
	truth_wait(argc, argv);
	return truth_status();
}
