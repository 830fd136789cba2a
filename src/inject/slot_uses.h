/* What a module's code does with words of its own: does it only call through them? */
#ifndef SEEP_INJECT_SLOT_USES_H
#define SEEP_INJECT_SLOT_USES_H

#include <stddef.h>
#include <stdint.h>

struct target;
struct target_module;

struct slot_use {
	uint64_t addr;	      /* of the word */
	size_t calls, others; /* instructions that call or jump through it; that do anything else */
	/*
	 * Of the calls, the linker's stub: 8 bytes of code, aligned, which jump through the word
	 * and do nothing else. 0 none.
	 */
	uint64_t stub;
};

#define SLOT_STUB_BYTES 8

/*
 * Counts into uses[], nr of them, ascending by address, each once. References relative to rip are
 * found, whatever the instruction; what looks like one and is none counts, too. Code that cannot be
 * read is one other use of each, and so is what is more than *left bytes, which are counted down.
 */
void slot_uses_count(struct target *t, const struct target_module *m, struct slot_use *uses,
		     size_t nr, uint64_t *left);

#endif
