/*
 * The first instructions of a function, rewritten so that they do the same elsewhere: what is
 * behind a jump that takes their place.
 *
 *      at ──▶ ┌──────────────┐  jmp hook      to ──▶ ┌────────────────────────────┐
 *             │ push %r12    │ ─────────▶            │ push %r12                  │
 *             │ cmpb …(%rip) │  5 bytes, in the      │ cmpb …(%rip), adjusted     │
 *  at + taken │ jne …        │  place of `taken` ◀── │ jmp at + taken             │
 *             └──────────────┘                       └────────────────────────────┘
 *
 * A call is rewritten so that it returns to where it was. So nothing but the few instructions of
 * `code` themselves is ever in use there, and no return address points into it.
 *
 * Pure: bytes in, bytes out. x86-64.
 */
#ifndef SEEP_INJECT_MOVED_H
#define SEEP_INJECT_MOVED_H

#include <stddef.h>
#include <stdint.h>

#define MOVED_CODE_MAX 64
#define MOVED_STEPS_MAX 16
/* `to` must be within this distance of `at` and of all that the instructions refer to. */
#define MOVED_REACH (UINT64_C(0x7fffffff) - (1 << 16))

struct moved {
	uint8_t code[MOVED_CODE_MAX]; /* for address `to` */
	uint8_t code_nr;
	uint8_t taken; /* bytes of whole instructions at the entry that these stand for */
	/*
	 * Where each instruction was and is, as offsets from `at` and `to`: a thread that stands at
	 * the one can be put to the other. Ascending, the first 0 and 0; the last is what follows
	 * the taken ones: `taken`, and the jump back.
	 */
	uint8_t nr_steps;
	struct {
		uint8_t from, to;
	} steps[MOVED_STEPS_MAX];
};

/*
 * bytes: the function's code, nr of them, from its entry at `at` on; all of it is searched for
 * jumps into what is taken. need: how many bytes of the entry will be overwritten (5 for a jump).
 *
 * 0 and *ret; or -ENOTSUP and *ret_why, a static text that completes "it cannot be moved: …": it is
 * too short, something jumps into its first bytes, an instruction is unknown or means something
 * else elsewhere; or -ERANGE and *ret_why: `to` is too far from what an instruction refers to.
 */
int moved_make(const uint8_t *bytes, size_t nr, uint64_t at, uint64_t to, size_t need,
	       struct moved *ret, const char **ret_why);

#endif
