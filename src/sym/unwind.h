/*
 * The calls that a stopped thread is in, from outside: by the unwind information of the files that
 * it runs, through elfutils. Never by frame pointers or other guesses: where there is no unwind
 * information for a call, it is the last one. Nothing in memory or files is trusted.
 *
 *        sp of the innermost ──▶ ├── frame 0 ──┤
 *        sp of its caller ─────▶ ├── frame 1 ──┤ end = sp of frame 2
 */
#ifndef SEEP_SYM_UNWIND_H
#define SEEP_SYM_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unwinder;

struct unwind_thread {
	int32_t tid;		   /* positive */
	const uint64_t *registers; /* by their numbers in DWARF, from 0 on */
	size_t nr_registers;
	unsigned int stack_register;
	bool (*read)(void *arg, uint64_t addr, uint64_t *ret_word);
	void *arg;
};

struct unwind_frame {
	uint64_t pc;	  /* within the call instruction, or the one that is executed */
	uint64_t sp, end; /* its part of the stack; end 0: not known */
};

struct unwinder *unwinder_new(void);
void unwinder_free(struct unwinder *u);
/* Before the first unwinder_frames(). fd is taken over. bias: mapped address - address in file. */
void unwinder_add(struct unwinder *u, int fd, const char *path, uint64_t bias);
/* Innermost first; how many of max. 0: not even the first is known. */
size_t unwinder_frames(struct unwinder *u, const struct unwind_thread *t, struct unwind_frame *ret,
		       size_t max);

#endif
