/*
 * Any resource: functions that acquire one and functions that release it again, by their names.
 * What they give and take, a handle, is recorded beside the blocks of memory, each kind by itself.
 */
#ifndef SEEP_INJECT_PAIRS_H
#define SEEP_INJECT_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct entries;
struct error;
struct target;

#define PAIR_KINDS_MAX WIRE_KINDS_MAX

struct pair_function {
	char *library; /* file name, or how it begins; "" wherever it is */
	char *name;
	uint32_t what; /* see WIRE_PAIR_KIND in wire/blob.h */
	bool opens;
	bool is_descriptors; /* one of a C library's; it need not be there */
};

struct pairs {
	struct pair_function *items;
	size_t nr, cap;
	char *kinds[PAIR_KINDS_MAX]; /* names, by number */
	size_t nr_kinds;
};

#define PAIRS_INIT                                                                                 \
	{                                                                                          \
		.items = NULL                                                                      \
	}

/*
 * Adds a kind: "open=FUNC[,FUNC...]:close=FUNC[,FUNC...]", each FUNC being [LIBRARY/]NAME[@PLACE].
 * PLACE of one that opens: N, the handle is stored where the N-th argument points; int: it returns
 * a number, negative where it fails; else it returns a pointer. Of one that closes: N, the N-th
 * argument is the handle, else the first; ok behind that: it does not release the handle where it
 * returns anything but 0. -EINVAL with *e (EXIT_USAGE).
 */
int pairs_add(struct pairs *p, const char *text, struct error *e);
/* Adds the kind of descriptors, by all functions of a C library that are known. */
int pairs_add_descriptors(struct pairs *p, struct error *e);
void pairs_release(struct pairs *p);

/*
 * Finds the functions in a live process, and adds them to what entries_find() has found there;
 * names belong to *p. Negative errno with *e (EXIT_TARGET): one is nowhere, or in several modules,
 * or is another's already.
 */
int pairs_find(struct target *t, const struct pairs *p, struct entries *all, struct error *e);

#endif
