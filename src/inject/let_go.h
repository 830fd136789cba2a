/*
 * Calls of functions that acquire, which will come back to the recorder, however long they take
 * (accept, say). Those that wait in the kernel are made to come back to who has called them, so
 * that the recorder can be taken out at once.
 *
 * What the recorder has on the stack for such a call is WIRE_PAIR_FRAME_BYTES, and nothing in it is
 * needed: an end of some function of the C library's that takes off as much from the stack and
 * returns does what is wanted. Whoever unwinds the stack there goes by that function's rules, which
 * say the same.
 *
 * One that is being unwound (an exception passes) is left alone: the unwinder may have looked at
 * the stack already. It passes soon.
 */
#ifndef SEEP_INJECT_LET_GO_H
#define SEEP_INJECT_LET_GO_H

#include <stdbool.h>
#include <stdint.h>

struct calls;
struct thread_found;
struct wire_blob;

/* The address of such an end; 0: there is none, or no function of a pair has been recorded. */
uint64_t let_go_find(const struct calls *c, const struct wire_blob *b);
/*
 * While all stand still; end: of let_go_find(). True: some calls are left, *ret is one of them; as
 * long as there are, unwinders need the recorder's _dl_find_object.
 */
bool let_go(const struct calls *c, const struct wire_blob *b, uint64_t end,
	    struct thread_found *ret);

#endif
