/*
 * Which memory is stack: an unwinder may be led astray by wrong unwind information, but never out
 * of the mapping that holds the stack pointer. Mappings are read from /proc/self/maps when a stack
 * is first seen and remembered, by page of the stack pointer, for all threads: thread stacks and
 * coroutine pools come back to the same addresses.
 *
 * A remembered mapping may have been replaced by a smaller one since; the limit is then too
 * generous, which matters only where the unwind information is wrong as well.
 */
#include "procmaps.h"
#include "rec.h"
#include "sys.h"

#define CACHE_BITS 12
#define PAGE_SHIFT 12
#define PAGES_BITS 28

/* first page:36 | pages:28 */
static uint64_t cache[1u << CACHE_BITS];

#ifndef REC_BLOB
uint64_t stackmap_main_low, stackmap_main_high;
#endif

static bool use(struct thread *t, uint64_t range, uint64_t sp, uint64_t top)
{
	uint64_t low = range >> PAGES_BITS << PAGE_SHIFT;
	uint64_t high = low + ((range & ((1ull << PAGES_BITS) - 1)) << PAGE_SHIFT);

	if (sp < low || top > high)
		return false;
	t->stack_low = low;
	t->stack_high = high;
	return true;
}

/* The readable mapping that holds addr as first page:36|pages:28, or 0. */
static COLD uint64_t look_up(uint64_t addr)
{
	struct procmaps_line m = {0};
	char buffer[512];
	long fd = sys_open_read("/proc/self/maps"), n;
	uint64_t pages, found = 0;

	if (fd < 0)
		return 0;
	while (!found && (n = sys3(SYS_read, fd, (long)buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < n && !found; i++) {
			if (!procmaps_feed(&m, buffer[i]))
				continue;
			pages = (m.high - m.low) >> PAGE_SHIFT;
			if (addr >= m.low && addr < m.high && m.readable && !(pages >> PAGES_BITS))
				found = m.low >> PAGE_SHIFT << PAGES_BITS | pages;
			m = (struct procmaps_line){0};
		}
	}
	sys1(SYS_close, fd);
	return found;
}

/*
 * A thread's descriptor lies at the upper end of its stack (glibc, musl). A coroutine's stack may
 * lie just below a thread's, and is then given more room upwards than it has: the limit is a second
 * line of defence only.
 */
static uint64_t guess(uint64_t sp)
{
	/* The first frames may be in its page, and all of that is mapped. */
	uint64_t high = ((arch_thread_pointer() >> PAGE_SHIFT) + 1) << PAGE_SHIFT;

	if (sp >= high || high - sp > 8ull << 20)
		return 0;
	return sp >> PAGE_SHIFT << PAGES_BITS |
	       ((high - (sp >> PAGE_SHIFT << PAGE_SHIFT)) >> PAGE_SHIFT);
}

void stackmap_learn_main(uint64_t top)
{
	struct {
		uint64_t now, max;
	} limit = {8 << 20, 8 << 20};

	if (!top)
		return;
	arch_syscall6(SYS_prlimit64, 0, 3 /* RLIMIT_STACK */, 0, (long)&limit, 0, 0);
	if (limit.now < 8 << 20 || limit.now > 1 << 30)
		limit.now = limit.now < 8 << 20 ? 8 << 20 : 1 << 30;
	stackmap_main_high = (top + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT << PAGE_SHIFT;
	stackmap_main_low = stackmap_main_high - limit.now;
}

bool stackmap_find(struct thread *t, uint64_t sp, uint64_t top)
{
	uint64_t *entry = &cache[(sp >> PAGE_SHIFT) & ((1u << CACHE_BITS) - 1)], range;

	if (top <= sp || sp >> 47)
		return false;
	if (sp >= stackmap_main_low && sp < stackmap_main_high) {
		t->stack_low = stackmap_main_low;
		t->stack_high = stackmap_main_high;
		return top <= stackmap_main_high;
	}
	if (use(t, __atomic_load_n(entry, __ATOMIC_RELAXED), sp, top))
		return true;
	/* The guess asks nobody; a thread in a sandbox may not be allowed to open files. */
	range = guess(sp);
	if (!range)
		range = look_up(sp);
	if (!range)
		return false;
	__atomic_store_n(entry, range, __ATOMIC_RELAXED);
	return use(t, range, sp, top);
}
