/* The interposed functions that need more than "call it, then note the result"; see entry_x86_64.S.
 */
#include "hooks.h"

#include <stdint.h>
#include <sys/mman.h>

#include "modes.h"
#include "record.h"
#include "sys.h"

#define REAL(name, type) ((type)rec_real_##name)

unsigned char rec_new_records, rec_delete_records;

bool hook_begin(struct hook *k, uint64_t sp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = rec_self.wire;
	bool logs;

	k->w = NULL;
	if (!h || (!w && !(w = thread_get(h))))
		return false;
	k->outer = w->busy;
	if (!k->outer)
		w->hook_sp = sp;
	w->busy++;
	barrier();
	logs = __atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_SNAPSHOT;
	k->outer_logs = thread_private(w)->logs;
	thread_private(w)->logs = logs;
	if (logs && w->busy == 1)
		w->passes++;
	k->h = h;
	k->w = w;
	return true;
}

void hook_end(struct hook *k)
{
	thread_private(k->w)->logs = k->outer_logs;
	barrier();
	k->w->busy--;
}

/*
 * The real realloc frees the old address inside; another thread may be given it before we are back.
 * So the old block is marked first, and afterwards taken out only if the mark is still ours.
 */
HOOK void *hook_realloc(void *old, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	bool seen = false;
	struct hook k = {0};
	struct wire_header *h = NULL;
	uint64_t *slot = NULL, marked = 0;
	void *p;

	if (old && hook_begin(&k, sp)) {
		h = k.h;
		marked = table_mark_moving(h, (uint64_t)old, &slot);
		k.w->last_block = 0;
		hook_end(&k);
	}
	p = REAL(realloc, void *(*)(void *, size_t))(old, size);
	if (h && rec_gate.header == h && hook_begin(&k, sp)) {
		if (p || size == 0) {
			bool counts = mode_counts_free(h, k.w, (uint64_t)old, marked);

			if (counts)
				record_free_counted(h, k.w);
			if (marked && (!p || p != old || table_slot_for(h, p, size) != slot))
				table_moved(h, slot, marked);
			else if (!marked && counts && h->dense_below)
				__atomic_fetch_add(&h->unknown_frees, 1, __ATOMIC_RELAXED);
		} else if (marked) {
			table_unmark(h, slot, marked);
		}
		/* A realloc that calls malloc and free by their symbols: they have been seen. */
		if (p && p != old && table_find(h, (uint64_t)p))
			seen = true;
		hook_end(&k);
	}
	return seen ? p : rec_allocated_wrapper(p, size, pc, sp, bp);
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

	if (!rec_gate.header || !(flags & MCL_CURRENT) || (flags & ~(MCL_CURRENT | MCL_FUTURE)))
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
