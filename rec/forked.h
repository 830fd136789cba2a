/*
 * A fork's child has no tables: the kernel does not copy the mapping (MADV_DONTFORK), and wipes the
 * gate, so that the child's hooks do nothing. But a signal handler that has interrupted a hook may
 * fork, and the child return from the handler into that hook, which goes on with what it holds in
 * registers. So the child is given stand-ins, where the tables are in its parent:
 *
 *   a hook was under way    anonymous memory for all of it, with the header and the thread's state
 *                           as they were; the rest is empty tables. Nobody reads what is written.
 *   none was, by busy       pages for header and state alone: enough for a hook that was
 * interrupted before it could set busy. It finds WIRE_SLOW_GONE when it has.
 *
 * So whoever uses the tables sets busy (or rec_use_begin()), and then asks rec_is_gone(), if only
 * by looking whether slow has any bit. After busy is 0 again, nothing is touched.
 *
 * Not seen are children that are made without fork(), _Fork() or syscall(), and those of clone3:
 * such a one dies when it returns into a hook. Its first access to the tables faults, and may be
 * any instruction, as the hook had looked at the gate before the signal came; nobody runs in
 * between who could map something. Were the tables inherited, instead, it would go on as its
 * parent's thread in its parent's tables, beside that thread.
 */
#ifndef SEEP_REC_FORKED_H
#define SEEP_REC_FORKED_H

#include "rec.h"

/* One fork, on the stack of who makes it. */
struct forking {
	struct gate_words {
		struct wire_header *header, *tables;
		struct wire_level1 *level1;
	} gate;			  /* the parent's */
	struct wire_thread *wire; /* this thread's, or NULL */
	uint64_t tables_bytes;
	uint8_t *copy; /* of header and state, if a hook is under way */
	size_t copy_bytes;
};

void forking_begin(struct forking *f);
void forking_end(const struct forking *f, bool is_child); /* in both */

#endif
