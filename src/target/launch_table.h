/*
 * A recorder's table from the launcher's side: made, kept, its clock driven, its status read.
 *
 * The file is a memfd, sparse, and sealed against changes of size, so that nobody can make the
 * recorded program fault. The kernel shows its mapping as "/memfd:seep-rec.LAUNCHER.FD (deleted)";
 * FD is the launcher's descriptor, so others reach the table through /proc/LAUNCHER/fd/FD.
 */
#ifndef SEEP_TARGET_LAUNCH_TABLE_H
#define SEEP_TARGET_LAUNCH_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "target/mode.h"
#include "wire/wire.h"

struct error;

struct launch_table {
	int fd;			    /* close-on-exec; -1: none */
	struct wire_header *header; /* mapped; the recorded program may write anything here */
	uint64_t began_ns;	    /* CLOCK_MONOTONIC */
};

#define LAUNCH_TABLE_INIT                                                                          \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Sizes and places for a machine with this much memory, into a header that is otherwise left as it
 * is. The file will have at most limit_bytes; when that is little, the tables are smaller. 0, or
 * -EFBIG when even the smallest are too large.
 */
int launch_table_layout(struct wire_header *h, uint64_t ram_bytes, uint64_t limit_bytes);

/*
 * A new table for image number `image` of a process with this RLIMIT_AS (or RLIM_INFINITY), in
 * which recording begins in this mode. Errors carry EXIT_TARGET.
 */
int launch_table_create(uint32_t image, uint64_t address_space_bytes, struct mode mode,
			struct launch_table *ret, struct error *e);
/*
 * The same in a memfd that is there already, empty: another process's, which is its own launcher.
 * Takes fd over, also on failure.
 */
int launch_table_adopt(int fd, int32_t owner, uint64_t address_space_bytes, struct mode mode,
		       struct launch_table *ret, struct error *e);
void launch_table_release(struct launch_table *t);

/* Sets the table's clock. False once a step of the clock is longer than a second: no hurry then. */
bool launch_table_tick(struct launch_table *t, uint64_t now_ns);

/* Nothing is recorded in it any more, and why: for an image that got no table of its own. */
void launch_table_fail(struct launch_table *t, const char *why);
/* What the recorder says about itself; copied, and made safe to print as text. */
struct launch_table_status {
	enum wire_state state;
	char error[sizeof(((struct wire_header *)0)->status_error)];
};
void launch_table_status(const struct launch_table *t, struct launch_table_status *ret);

/* The end of the program (enum wire_exit): it is to wait for us when it gets there. */
void launch_table_ask_exits(struct launch_table *t, unsigned int where);
/* Is it there? where: one of enum launch_exit. */
bool launch_table_at_exit(const struct launch_table *t, unsigned int where);
/* We have come. may_call: a system call does it no harm. */
void launch_table_see_exit(struct launch_table *t, unsigned int where, bool may_call);
void launch_table_end_exit(struct launch_table *t, unsigned int where); /* it goes on */

#endif
