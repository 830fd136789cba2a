/*
 * Calls the allocator of attach_slots_lib_x86_64.c: through its own slots, by a pointer that it
 * keeps (NO_POINTER: by one to a function of that library), and through functions of that library.
 *
 * - some: 100 blocks by malloc; of those 30 freed by free, 5 by the pointer, 10 within the library
 * - reuse: 12 blocks by malloc, which get addresses of those that were freed within the library
 * - drop: frees what is left by free
 * - end
 */
#include <stdlib.h>

#include "truth.h"

void *kept(size_t bytes);
void dropped(void *p);

#define SOME 100
#define REUSED 12
#define BYTES 40

static struct truth_site *site;
static void *blocks[SOME + REUSED];
static void (*volatile pointer)(void *);

static NOINLINE void by_malloc(void **to)
{
	*to = truth_born(site, malloc(BYTES), BYTES);
}

static NOINLINE void gone(void **p)
{
	truth_died(site, BYTES);
	*p = NULL;
}

static NOINLINE void by_free(void **p)
{
	free(*p);
	gone(p);
}

static void some(void)
{
	/* Whoever takes the address has it for good. */
#ifdef NO_POINTER
	pointer = dropped;
#else
	pointer = free;
#endif
	for (int i = 0; i < SOME; i++)
		by_malloc(&blocks[i]);
	for (int i = 0; i < 30; i++)
		by_free(&blocks[i]);
	for (int i = 30; i < 35; i++) {
		pointer(blocks[i]);
		gone(&blocks[i]);
	}
	for (int i = 35; i < 45; i++) {
		dropped(blocks[i]);
		gone(&blocks[i]);
	}
}

static void drop_all(void)
{
	for (int i = 0; i < SOME + REUSED; i++)
		if (blocks[i])
			by_free(&blocks[i]);
	pointer(NULL);
}

static int command(void)
{
	char line[16];

	return truth_line(line, sizeof(line)) ? line[0] : 'e';
}

int main(void)
{
	int c;

	site = truth_at("by_malloc");
	truth_check(kept(1) != NULL, "the library gives nothing");
	truth_print("attach-slots", "start");
	while ((c = command()) != 'e') {
		if (c == 's')
			some();
		for (int i = 0; c == 'r' && i < REUSED; i++)
			by_malloc(&blocks[SOME + i]);
		if (c == 'd')
			drop_all();
		truth_print("attach-slots", c == 's' ? "some" : c == 'r' ? "reuse" : "drop");
	}
	return truth_failures ? 1 : 0;
}
