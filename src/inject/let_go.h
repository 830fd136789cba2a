/*
 * Calls that may take for ever (accept, say) and would come back to the recorder: they are made to
 * come back to who has called them, so that the recorder can be taken out at once.
 *
 * What the recorder has on the stack for such a call is WIRE_PAIR_FRAME_BYTES, and nothing in it is
 * needed: an end of some function of the C library's that takes off as much from the stack and
 * returns does what is wanted. Whoever unwinds the stack there goes by that function's rules, which
 * say the same.
 */
#ifndef SEEP_INJECT_LET_GO_H
#define SEEP_INJECT_LET_GO_H

#include <stdint.h>

struct calls;
struct wire_blob;

/* The address of such an end; 0: there is none, or no function of a pair has been recorded. */
uint64_t let_go_find(const struct calls *c, const struct wire_blob *b);
/* While all stand still; end: of let_go_find(). */
void let_go(const struct calls *c, const struct wire_blob *b, uint64_t end);

#endif
