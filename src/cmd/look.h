/*
 * One look at a TARGET of the command line: a pid, a process's name, a core file or a .seep
 * snapshot. Whatever it is, the answer is a struct snapshot with regions, threads, modules and
 * heaps; with memory still at hand (target, heaps) unless it was a snapshot file.
 */
#ifndef SEEP_CMD_LOOK_H
#define SEEP_CMD_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"
#include "heap/heap.h"
#include "model/snapshot.h"
#include "target/target.h"

struct error;
struct histogram;
struct progress;
struct sheet;

/* What a look should find out; regions, threads and modules always come. */
enum look_wanted {
	LOOK_HEAPS = 1 << 0,	  /* heaps with their figures: walks all blocks once */
	LOOK_BLOCKS = 1 << 1,	  /* every busy block as a row of the snapshot */
	LOOK_REGION_USE = 1 << 2, /* smaps: resident, private, dirty … of every region */
	LOOK_RECORDER = 1 << 3,	  /* stacks and ages, where the recorder is there */
	LOOK_MEMORY = 1 << 4,	  /* bytes will be read: a snapshot file cannot answer */
	/*
	 * For who walks the heaps himself: they are found, their figures are not. A snapshot file
	 * must have blocks; an old one has no heaps.
	 */
	LOOK_FIND_HEAPS = 1 << 5,
	LOOK_RECORDED_BLOCKS = 1 << 6, /* with LOOK_RECORDER: the blocks that it saw, as rows */
	LOOK_SPANS = 1 << 7,	  /* where heaps are, without walking them: rows without figures */
	LOOK_REFERENCES = 1 << 9, /* bytes will be read, or a snapshot file's references */
	LOOK_LET_GO = 1 << 8,	  /* a stopped process goes on before heaps are looked for */
};

struct look_options {
	unsigned int wanted; /* enum look_wanted */
	/* Filled by look_options_table(): --method, --files, --symbols … */
	int method; /* enum target_wish */
	const char *files;
	bool no_symbols;     /* the recorder's stacks stay addresses */
	const char *symbols; /* where names are looked for first; NULL */
	/* With LOOK_HEAPS: the busy blocks of the walk are added here; files have them as rows. */
	struct histogram *sizes;
	struct progress *progress;
};

struct look {
	const char *operand;
	char *label;		  /* "redis-server (pid 4242)", "core of …", "one.seep" */
	struct target *target;	  /* NULL: a snapshot file */
	struct heaps *heaps;	  /* NULL: not wanted, or a snapshot file */
	struct snapshot snapshot; /* strings and rows of what was found */
	char *damage;		  /* of a snapshot file; NULL whole */
	bool references_lost;	  /* by that damage */
};

/* Options every looking command shares, to be put into its own table: how many at `table`. */
#define LOOK_OPTIONS 2
void look_options_table(struct look_options *o, struct opt table[LOOK_OPTIONS]);

/* *ret is valid, and to be released, only on success. */
int look_at(const char *operand, const struct look_options *o, struct look *ret, struct error *e);
void look_release(struct look *l);
/* Everything that had to be of one instant has been read: lets a stopped process go on. */
void look_done_reading(struct look *l);
/* For programs: pid, process, method, pause_ns, as totals of the sheet. After reading. */
void look_totals(const struct look *l, struct sheet *sheet);
/* Notes: what the recorder left out because of its mode, if anything. */
void look_note_modes(const struct look *l, struct sheet *sheet);
/* A note: how it was looked at, where there is anything to say. */
void look_note_how(const struct look *l, struct sheet *sheet);

#endif
