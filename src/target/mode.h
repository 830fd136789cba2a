/*
 * How much the recorder records: lite, off, a sample of what is allocated, or full. As words
 * ("sample=512K") and in a table, where it may be changed while the process runs.
 */
#ifndef SEEP_TARGET_MODE_H
#define SEEP_TARGET_MODE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct error;
struct table;

struct mode {
	enum wire_mode kind;
	uint32_t bits; /* of sample: log2 of the mean */
};

/*
 * "lite", "off", "full", "sample=512K". BYTES become the nearest power of two, up to 1 GiB: then a
 * sample says in a few bits what it stands for. Errors (EXIT_USAGE): not a mode.
 */
int mode_parse(const char *text, struct mode *ret, struct error *e);

#define MODE_TEXT 32
struct mode_text {
	char text[MODE_TEXT];
};
struct mode_text mode_text(struct mode m); /* mode_parse() reads it */

/* The mode of a table at this moment. */
struct mode mode_of_table(const struct table *t);
/*
 * The last changes, oldest first: returns how many. The table is the target's: kinds and bits have
 * been checked, times not. *ret_left_out: how many there were before.
 */
size_t mode_history(const struct table *t, struct wire_mode_change ret[WIRE_CHANGES_MAX],
		    uint64_t *ret_left_out);
/* Of a table that nobody records into yet. */
void mode_begin(struct wire_header *h, struct mode m, uint64_t now_ns);
/*
 * Changes it. When this returns, every call that is under way sees the new mode, unless
 * *ret_settled is false: then a thread is stopped inside a call. Errors: -EBUSY, somebody else
 * looks at the table for longer than we wait.
 */
int mode_change(struct table *t, struct mode m, int *ret_settled, struct error *e);

#endif
