/*
 * Calls the allocator of attach_slots_lib_x86_64.c through tables of pointers to its functions,
 * which relocations have filled: one of the program's, by name, and one of that library's, by its
 * own address; and by name. Keeps a copy of a pointer for good.
 *
 * Each line but "end" makes a round: 20 blocks by name, 30 by the program's table, 10 by the
 * library's; prints the truth, and has freed them all by the copies before the next.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "truth.h"

void *got(size_t bytes);
void put(void *p);

#define BY_NAME 20
#define BY_TABLE 30
#define BY_LIBRARY 10
#define BYTES 40

struct functions {
	void *(*get)(size_t);
	void (*put)(void *);
};

static struct functions table = {malloc, free};
static struct truth_site *sites[3];
static void *blocks[BY_NAME + BY_TABLE + BY_LIBRARY];

static NOINLINE void by_name(void **to)
{
	*to = truth_born(sites[0], malloc(BYTES), BYTES);
}

static NOINLINE void by_table(const volatile struct functions *t, void **to)
{
	*to = truth_born(sites[1], t->get(BYTES), BYTES);
}

static NOINLINE void by_library(void **to)
{
	*to = truth_born(sites[2], got(BYTES), BYTES);
}

static void make(void)
{
	size_t i = 0;

	while (i < BY_NAME)
		by_name(&blocks[i++]);
	while (i < BY_NAME + BY_TABLE)
		by_table(&table, &blocks[i++]);
	while (i < sizeof(blocks) / sizeof(blocks[0]))
		by_library(&blocks[i++]);
}

int main(void)
{
	const volatile struct functions *now = &table;
	struct functions *copy = got(sizeof(*copy)), first;
	char line[16];

	sites[0] = truth_at("by_name");
	sites[1] = truth_at("by_table");
	sites[2] = truth_at("by_library");
	first = *copy = (struct functions){now->get, now->put};
	truth_print("attach-tables", "start");
	while (truth_line(line, sizeof(line)) && line[0] != 'e') {
		truth_check(now->get == first.get && now->put == first.put &&
				    copy->get == first.get,
			    "a function has another address than before");
		/* A program may take another copy at any time, and use it for ever. */
		*copy = (struct functions){now->get, now->put};
		make();
		truth_print("attach-tables", "round");
		for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
			truth_died(sites[i < BY_NAME ? 0 : i < BY_NAME + BY_TABLE ? 1 : 2], BYTES);
			copy->put(blocks[i]);
		}
	}
	put(copy);
	return truth_failures ? 1 : 0;
}
