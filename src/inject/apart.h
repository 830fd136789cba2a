/*
 * Does an allocator's function keep apart from its others? If malloc's code can never come to
 * another entry that is recorded and allocates, or free's to another that frees, no block is seen
 * twice, and nothing has to be remembered while it runs.
 *
 * The code is followed as it lies in the process, within the function's module: branches, calls,
 * the words through which it calls, and every function whose address it takes. Not followed: what
 * an allocator calls through tables in its data, which are functions that its user has registered;
 * and other modules, whose calls of the allocator are calls like any other's. So it is only for
 * allocators that have their memory from nobody but the kernel.
 */
#ifndef SEEP_INJECT_APART_H
#define SEEP_INJECT_APART_H

struct entries;
struct target;

/*
 * Sets is_apart of malloc and free, whatever their names, of the allocator that is in use, if it is
 * mimalloc in a library. What cannot be known (an instruction, or where a jump leads, is not
 * understood) is not apart.
 */
void apart_find(struct target *t, struct entries *all);

#endif
