/* seep run --leaks: what a program has lost, looked at when it is about to end. */
#ifndef SEEP_CMD_RUN_LEAKS_H
#define SEEP_CMD_RUN_LEAKS_H

#include <stdbool.h>

#include "cmd/leaks.h"
#include "target/launch.h"

struct opt;

enum run_leaks_when { RUN_LEAKS_AFTER, RUN_LEAKS_BEFORE, RUN_LEAKS_BOTH };

/* What one process had lost before its exit handlers and destructors ran. */
struct run_leaks_before {
	int32_t pid;
	uint32_t image;
	uint64_t *addresses; /* ascending; owned */
	size_t nr;
	struct leak_totals totals;
};

struct run_leaks {
	bool wanted;
	int when; /* enum run_leaks_when */
	struct run_leaks_before *before;
	size_t nr_before, cap_before;
	struct leaks_options options;
	struct leaks_known known;
	bool found; /* a leak, with --exit-code */
	int status; /* what went wrong on our side, EXIT_DONE: nothing */
};

void run_leaks_init(struct run_leaks *r);
/* Options to be put into the table of `seep run`. */
#define RUN_LEAKS_OPTIONS 13
void run_leaks_table(struct run_leaks *r, struct opt table[RUN_LEAKS_OPTIONS]);
/* After options have been read: files of what is known. CMD_GO_ON, or an exit status. */
int run_leaks_prepare(struct run_leaks *r);
/* Where the program has to wait for run_leaks_look(): enum launch_exit. */
unsigned int run_leaks_exits(const struct run_leaks *r);
/* The program is at its end; writes the answer, or keeps what it saw for the next one. */
void run_leaks_look(struct run_leaks *r, const struct launched *p, enum launch_exit where);
/* It has ended: says so if it was never looked at. */
void run_leaks_ended(struct run_leaks *r, const struct launched *p);
void run_leaks_release(struct run_leaks *r);

#endif
