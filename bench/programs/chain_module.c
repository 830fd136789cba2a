/* One of the three modules of chain.h: CHAIN_MODULE is 0, 1 or 2, and makes its frames different.
 */
#include "chain.h"

#include <alloca.h>

#define NOINLINE __attribute__((noinline))
#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN_(a, b, c)
#define BUFFER_BYTES(bytes) ((bytes) + 24 * CHAIN_MODULE)

/*
 * The buffer makes the frame's size, the values kept across the call its saved registers, alloca a
 * frame that must be found by its frame pointer. The result depends on all of them.
 */
#define FRAME(NAME, BYTES, KEPT, ALLOCA)                                                           \
	static NOINLINE long NAME(struct chain *c, int deeper)                                     \
	{                                                                                          \
		volatile char buffer[BUFFER_BYTES(BYTES)];                                         \
		volatile char *more = buffer;                                                      \
		long k0 = c->kept[0], k1 = c->kept[1], k2 = c->kept[2];                            \
		long k3 = c->kept[3], k4 = c->kept[4], r;                                          \
                                                                                                   \
		buffer[0] = (char)deeper;                                                          \
		if (ALLOCA) {                                                                      \
			more = alloca(c->extra_bytes + (deeper & 3) * 16);                         \
			more[0] = (char)deeper;                                                    \
		}                                                                                  \
		r = deeper <= 0 ? c->leaf(c) : c->frames[deeper](c, deeper - 1);                   \
		r = (KEPT) > 0 ? r * 3 + k0 : r;                                                   \
		r = (KEPT) > 1 ? r * 3 + k1 : r;                                                   \
		r = (KEPT) > 2 ? r * 3 + k2 : r;                                                   \
		r = (KEPT) > 3 ? r * 3 + k3 : r;                                                   \
		r = (KEPT) > 4 ? r * 3 + k4 : r;                                                   \
		return r + buffer[0] + more[0] + c->kept[7];                                       \
	}

FRAME(frame_0, 72, 1, 0)
FRAME(frame_1, 136, 5, 0)
FRAME(frame_2, 16, 0, 0)
FRAME(frame_3, 24, 4, 1)
FRAME(frame_4, 16, 2, 0)
FRAME(frame_5, 200, 0, 0)
FRAME(frame_6, 40, 3, 0)
FRAME(frame_7, 16, 0, 1)
FRAME(frame_8, 136, 3, 0)
FRAME(frame_9, 40, 1, 0)

/* Goes down on the left, works, goes down on the right. */
#define BRANCH(NAME, NR, BYTES)                                                                    \
	static NOINLINE long NAME(struct chain *c, int deeper)                                     \
	{                                                                                          \
		volatile char buffer[BUFFER_BYTES(BYTES)];                                         \
		long kept = c->kept[NR], r;                                                        \
                                                                                                   \
		buffer[0] = (char)deeper;                                                          \
		if (deeper <= 0)                                                                   \
			return c->leaf(c) + buffer[0];                                             \
		r = c->branches[(deeper + NR) % CHAIN_BRANCHES_NR](c, deeper - 1);                 \
		buffer[0]++;                                                                       \
		r += c->leaf(c);                                                                   \
		r += c->branches[(deeper * 5 + NR + 1) % CHAIN_BRANCHES_NR](c, deeper - 1);        \
		return (r ^ kept) + buffer[0];                                                     \
	}

BRANCH(branch_0, 0, 24)
BRANCH(branch_1, 1, 88)
BRANCH(branch_2, 2, 40)
BRANCH(branch_3, 3, 24)

chain_fn *JOIN(chain_, CHAIN_MODULE, _frame)(unsigned int nr)
{
	static chain_fn *const frames[] = {frame_0, frame_1, frame_2, frame_3, frame_4,
					   frame_5, frame_6, frame_7, frame_8, frame_9};

	return frames[nr % (sizeof(frames) / sizeof(frames[0]))];
}

chain_fn *JOIN(chain_, CHAIN_MODULE, _branch)(unsigned int nr)
{
	static chain_fn *const branches[CHAIN_BRANCHES_PER_MODULE] = {branch_0, branch_1, branch_2,
								      branch_3};

	return branches[nr];
}
