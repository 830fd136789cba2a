/* seep run --leaks: what a program has lost, looked at when it is about to end. */
#ifndef SEEP_CMD_RUN_LEAKS_H
#define SEEP_CMD_RUN_LEAKS_H

#include <stdbool.h>

#include "cmd/leaks.h"

struct launched;
struct opt;

struct run_leaks {
	bool wanted;
	struct leaks_options options;
	struct leaks_known known;
	bool found; /* a leak, with --exit-code */
	int status; /* what went wrong on our side, EXIT_DONE: nothing */
};

void run_leaks_init(struct run_leaks *r);
/* Options to be put into the table of `seep run`. */
#define RUN_LEAKS_OPTIONS 12
void run_leaks_table(struct run_leaks *r, struct opt table[RUN_LEAKS_OPTIONS]);
/* After options have been read: files of what is known. CMD_GO_ON, or an exit status. */
int run_leaks_prepare(struct run_leaks *r);
/* The program is at its end; writes the answer. */
void run_leaks_look(struct run_leaks *r, const struct launched *p);
/* It has ended: says so if it was never looked at. */
void run_leaks_ended(struct run_leaks *r, const struct launched *p);
void run_leaks_release(struct run_leaks *r);

#endif
