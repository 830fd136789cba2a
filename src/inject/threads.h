/*
 * Where the threads of a process that stands still are, and where they will come back to: whether
 * code may be changed or taken away under them.
 *
 * A thread is at an address when its pc is, or when a signal handler that it runs has interrupted
 * it there (the handler's frame says so), or when it will return there from a call.
 *
 * What is not seen: a stack that nobody runs on now, with a call in it that is under way (of a
 * coroutine that has been switched out). The hooks run the allocator's code and ours; so somebody
 * has to switch stacks in what the allocator calls of the program's (a new_handler, jemalloc's
 * extent hooks, mimalloc's deferred free; glibc and musl call nothing), or in a signal handler that
 * has interrupted it, which leaves the allocator's locks held. No program is known that does.
 */
#ifndef SEEP_INJECT_THREADS_H
#define SEEP_INJECT_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hold;
struct maps;

/* Stops them all, again and again if need be; as hold_stop_only(). */
int threads_stop(struct hold *h);

struct code_span {
	uint64_t start, end;
};

/* What is looked for. */
struct threads_look {
	struct hold *hold;
	int mem;
	const struct maps *maps; /* of now, or of shortly before */
	struct code_span *spans; /* of pcs; ascending */
	size_t nr_spans, cap_spans;
	const uint64_t *returns; /* words on a stack that say that a call is under way */
	size_t nr_returns;
	bool all_returns; /* not only one of a stack */
	const uint64_t
		*calls; /* addresses in a register that say that a call is about to be made */
	size_t nr_calls;
};

enum thread_is {
	THREAD_AT,	    /* its pc is in a span */
	THREAD_ASLEEP,	    /* … and it sleeps in the kernel, so that it cannot be moved */
	THREAD_INTERRUPTED, /* a signal handler of it will go back into a span */
	THREAD_CALLED,	    /* it will return there */
	THREAD_CALLS, /* it, or what a signal handler of it has interrupted, is about to call */
};

struct thread_found {
	int32_t tid;
	enum thread_is is;
	uint64_t pc;
	uint64_t at; /* of THREAD_CALLED: where on the stack */
};

/* All that are; caller frees. */
void threads_look(struct threads_look *l, struct thread_found **ret, size_t *ret_nr);
/* Adds a span in its place. */
void threads_add_span(struct threads_look *l, uint64_t start, uint64_t end);

#endif
