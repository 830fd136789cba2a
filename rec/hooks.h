/* The real functions: what the program would have called without us. Set once by rec_start(). */
#ifndef SEEP_REC_HOOKS_H
#define SEEP_REC_HOOKS_H

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
#define REC_FUNCTIONS(X) \
	X(malloc) X(calloc) X(realloc) X(reallocarray) X(memalign) X(aligned_alloc) \
	X(posix_memalign) X(valloc) X(pvalloc) X(free) X(cfree) X(free_sized) \
	X(free_aligned_sized) X(dlclose) X(iconv_close) X(mlockall) \
	X(exit) X(quick_exit) X(__libc_start_main) X(fork) X(_Fork) X(syscall) \
	X(strdup) X(strndup) \
	X(_Znwm) X(_Znam) X(_ZnwmRKSt9nothrow_t) X(_ZnamRKSt9nothrow_t) \
	X(_ZnwmSt11align_val_t) X(_ZnamSt11align_val_t) \
	X(_ZnwmSt11align_val_tRKSt9nothrow_t) X(_ZnamSt11align_val_tRKSt9nothrow_t) \
	X(_ZdlPv) X(_ZdaPv) X(_ZdlPvm) X(_ZdaPvm) \
	X(_ZdlPvRKSt9nothrow_t) X(_ZdaPvRKSt9nothrow_t) \
	X(_ZdlPvSt11align_val_t) X(_ZdaPvSt11align_val_t) \
	X(_ZdlPvmSt11align_val_t) X(_ZdaPvmSt11align_val_t) \
	X(_ZdlPvSt11align_val_tRKSt9nothrow_t) X(_ZdaPvSt11align_val_tRKSt9nothrow_t)
/* clang-format on */

#define REC_DECLARE(name)                                                                          \
	extern void *rec_real_##name;                                                              \
	void rec_late_##name(void);
REC_FUNCTIONS(REC_DECLARE)
#undef REC_DECLARE

void rec_missing(void);
/*
 * A function that was nowhere when the program started: in the caller's own module, then in what
 * has been loaded since, else something that does the same by malloc and free. Never NULL.
 */
void *rec_resolve_late(const char *name, uint64_t caller);

/*
 * operator new is an outermost function: its caller asked for so many bytes, whatever it asks
 * malloc for. operator delete is one only where the allocator supplies it, not by way of free's
 * symbol.
 */
extern unsigned char rec_new_records, rec_delete_records;
/*
 * The allocator has a strdup of its own, which may take its block without calling malloc (mimalloc
 * since 2.1). The C library's is left to call malloc.
 */
extern unsigned char rec_strings_record;
/* Of what strdup has returned: bytes that it has asked for. */
size_t rec_string_bytes(const char *p);

/* entry_x86_64.S jumps here; pc, sp, bp: of the caller, as in rec_allocated(). */
void *hook_realloc(void *old, size_t size, uint64_t pc, uint64_t sp, uint64_t bp);
void *hook_reallocarray(void *old, size_t nr, size_t size, uint64_t pc, uint64_t sp, uint64_t bp);
int hook_posix_memalign(void **out, size_t align, size_t size, uint64_t pc, uint64_t sp,
			uint64_t bp);
int hook_dlclose(void *handle);
int hook_iconv_close(void *cd);
int hook_mlockall(int flags);
int hook_fork(void);
int hook__Fork(void);
long hook_syscall(long number, long a, long b, long c, long d, long e); /* one that forks */

/* at_exit.c */
void rec_before_exit(void);
void *rec_main_for(void *function);

#endif
