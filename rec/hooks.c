/* The interposed functions that need more than "call it, then note the result"; see entry_x86_64.S.
 */
#include "hooks.h"

#include <stdint.h>
#include <sys/mman.h>

#include "bytes.h"
#include "forked.h"
#include "moving.h"
#include "record.h"
#include "sys.h"

#define REAL(name, type) ((type)rec_real_##name)

unsigned char rec_new_records, rec_delete_records, rec_strings_record;

HOOK void *hook_realloc(void *old, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	struct moving m = moving_begin(old, sp);
	void *p = REAL(realloc, void *(*)(void *, size_t))(old, size);

	if (moving_end(&m, old, p, size, size == 0))
		return p;
	return rec_allocated_wrapper(p, size, pc, sp, bp);
}

HOOK void *hook_reallocarray(void *old, size_t nr, size_t size, uint64_t pc, uint64_t sp,
			     uint64_t bp)
{
	size_t bytes;

	/* The real one knows how to fail, and sets errno. */
	if (__builtin_mul_overflow(nr, size, &bytes))
		return REAL(reallocarray, void *(*)(void *, size_t, size_t))(old, nr, size);
	return hook_realloc(old, bytes, pc, sp, bp);
}

HOOK int hook_posix_memalign(void **out, size_t align, size_t size, uint64_t pc, uint64_t sp,
			     uint64_t bp)
{
	int r = REAL(posix_memalign, int (*)(void **, size_t, size_t))(out, align, size);

	if (r == 0)
		rec_allocated_wrapper(*out, size, pc, sp, bp);
	return r;
}

HOOK size_t rec_string_bytes(const char *p)
{
	return p ? text_length(p) + 1 : 0;
}

/* After an unload, what was learnt of the code there is void. */
HOOK int hook_dlclose(void *handle)
{
	struct wire_header *h = rec_gate.header;
	int r;

	if (h)
		modules_unloading(h);
	r = REAL(dlclose, int (*)(void *))(handle);
	if (h && rec_gate.header == h)
		modules_unloaded(h);
	return r;
}

/* glibc unloads conversion modules by itself, some iconv_close later. */
HOOK int hook_iconv_close(void *cd)
{
	struct wire_header *h = rec_gate.header;
	int r;

	if (h)
		modules_unloading(h);
	r = REAL(iconv_close, int (*)(void *))(cd);
	if (h && rec_gate.header == h)
		modules_unloaded(h);
	return r;
}

/*
 * Locking all that is mapped would make the kernel fill our sparse tables. So: lock what is there
 * mapping by mapping, ours excepted, and leave the future to the real function. What it would
 * refuse, it is asked to refuse.
 */
HOOK int hook_mlockall(int flags)
{
	int (*real)(int) = REAL(mlockall, int (*)(int));
	int r;

	if (!rec_gate.tables || !(flags & MCL_CURRENT) || (flags & ~(MCL_CURRENT | MCL_FUTURE)))
		return real(flags);
	if (flags & MCL_FUTURE) {
		r = real(flags & ~MCL_CURRENT);
		if (r)
			return r;
	}
	if (rec_lock_mappings())
		return 0;
	sys0(SYS_munlockall);
	return real(flags); /* fails as it would have: the limit is on what is mapped */
}

HOOK int hook_fork(void)
{
	struct forking f;
	int r;

	forking_begin(&f);
	r = REAL(fork, int (*)(void))();
	forking_end(&f, r == 0);
	return r;
}

HOOK int hook__Fork(void)
{
	struct forking f;
	int r;

	forking_begin(&f);
	r = REAL(_Fork, int (*)(void))();
	forking_end(&f, r == 0);
	return r;
}

HOOK long hook_syscall(long number, long a, long b, long c, long d, long e)
{
	struct forking f;
	long r;

	forking_begin(&f);
	r = REAL(syscall, long (*)(long, ...))(number, a, b, c, d, e);
	forking_end(&f, r == 0);
	return r;
}
