/*
 * What a thread's memory spans, where it can be known: the kernel joins neighbouring mappings of
 * equal rights, so a mapping in which a stack pointer lies may be mostly something else.
 */
#ifndef SEEP_TARGET_THREAD_AREA_H
#define SEEP_TARGET_THREAD_AREA_H

#include <stdint.h>

struct target;
struct target_thread;

/* [start, end), whole pages; 0, 0: not known. */
struct thread_area {
	uint64_t stack_start, stack_end; /* made by the C library, TLS at its top included */
	uint64_t tls_start, tls_end;	 /* TLS that is not part of a stack: the first thread's */
};

/*
 * Of a thread made by pthread_create(): from the C library's own record of it, which lies at the
 * thread pointer and holds where its memory begins and how much it is, word beside word (glibc
 * nptl/descr.h: stackblock, stackblock_size; musl src/internal/pthread_impl.h: map_base, map_size).
 * Of the first thread: by the modules' PT_TLS, whose sum is the most that it can be.
 */
void thread_area_find(struct target *t, const struct target_thread *thread,
		      struct thread_area *ret);

#endif
