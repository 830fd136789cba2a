/*
 * Any resource: functions that acquire one and functions that release it again, by their names.
 * They are recorded as malloc and free are: a handle is a block of one byte.
 */
#ifndef SEEP_INJECT_PAIRS_H
#define SEEP_INJECT_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entries;
struct error;
struct target;

/* Where an acquiring function leaves its handle. */
enum pair_handle {
	PAIR_RESULT, /* it returns a pointer; NULL: it has failed */
	PAIR_NUMBER, /* it returns an int; negative: it has failed */
	PAIR_AT,     /* it stores a pointer where its argument points; NULL: it has failed */
};

struct pair {
	char *open, *close;
	enum pair_handle handle;
	uint8_t argument; /* PAIR_AT: which, from 1 to 6 */
};

/* Numbers get addresses of their own: this, and 32 bytes for each. */
#define PAIR_NUMBERS_ADDR UINT64_C(0x100000000000)
#define PAIR_NUMBER_BYTES 32

/*
 * "open=FUNC[@argN|@int]:close=FUNC", close's first argument being the handle. -EINVAL with *e
 * (EXIT_USAGE). Release *ret on success.
 */
int pair_parse(const char *text, struct pair *ret, struct error *e);
void pair_release(struct pair *p);

/*
 * Finds the functions of all pairs in a live process, in whatever modules they are; and those of
 * `known`, as entries_find() gives them, that unload modules. *ret is like that of entries_find();
 * names in it belong to the pairs. -ENOENT with *e: one of the functions is nowhere.
 */
int pairs_find(struct target *t, const struct pair *pairs, size_t nr, const struct entries *known,
	       struct entries *ret, struct error *e);

#endif
