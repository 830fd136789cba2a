/*
 * libseep-flags: what `seep flags` puts into /etc/ld.so.preload. It is loaded into every program
 * that a dynamic loader starts, so it does next to nothing: no libc, no relocations, no symbols,
 * one entry (DT_INIT). It looks into the list of flagged images; when its own program is one, it
 * makes a table and executes the program once more, in place, with the recorder preloaded.
 *
 *   flags_stub.c   the entry, the list, is it us?
 *   flags_exec.c   the second exec
 *   flags_table.c  the table
 *
 * Whatever goes wrong, the program goes on as if nothing had been: until the second exec has
 * succeeded nothing of it is changed.
 */
#ifndef SEEP_REC_FLAGS_STUB_H
#define SEEP_REC_FLAGS_STUB_H

#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define FLAGS_FILE "/etc/seep/flags" /* src/target/flag_registry.h explains the format */
#define FLAGS_MAGIC "seep-flags 1\n"
#define FLAGS_UNIT "SEEP_UNIT=" /* by a drop-in, see src/target/flag_unit.h */
#define FLAGS_BYTES_MAX 16384	/* a longer list is not looked at; the tool writes none */

#define FLAGS_PATH_MAX 4096

struct start {
	int argc;
	char **argv, **envp;	  /* as the kernel put them on the stack */
	const char *execfn;	  /* what was executed: the program, or the script that named it */
	char exe[FLAGS_PATH_MAX]; /* the image, resolved */
	char recorder[FLAGS_PATH_MAX]; /* the library to preload */
	uint32_t mode, bits;	       /* enum wire_mode; of sample: log2 of the mean */
};

/*
 * The descriptor of a new table for this process, in which recording begins in the mode of s, open
 * across exec; negative: there is none.
 */
long flags_table(uint64_t pid, const struct start *s);
/* Returns only when nothing came of it. */
void flags_exec(const struct start *s);

#endif
