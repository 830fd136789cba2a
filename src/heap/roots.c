/* Finds the roots of a target; see roots.h. */
#include "heap/roots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "heap/extra_blocks.h"
#include "heap/heap.h"
#include "target/kernel_words.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/target.h"

/* Below its stack pointer a function that calls nobody may use this much (System V ABI, x86-64). */
#define RED_ZONE 128
/* How far below the end of a stack's mapping the thread's own structure is looked for. */
#define STACK_TOP ((uint64_t)64 << 10)

struct finder {
	struct target *t;
	struct heaps *h;
	unsigned int options;
	struct heap_span *spans; /* of all heaps, ascending */
	size_t nr_spans, cap_spans;
	struct roots *roots;
};

const char *root_kind_name(enum root_kind kind)
{
	static const char *const names[ROOT_KINDS] = {
		[ROOT_GLOBAL] = "global data",	    [ROOT_STACK] = "stack",
		[ROOT_THREAD_DATA] = "thread data", [ROOT_MEMORY] = "other memory",
		[ROOT_SHARED] = "shared memory",    [ROOT_REGISTER] = "register",
		[ROOT_KERNEL] = "kernel",
	};

	return (size_t)kind < ROOT_KINDS ? names[kind] : "unknown";
}

static int by_start(const void *a, const void *b)
{
	const struct heap_span *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* What is never a root: heaps, whose blocks are looked at one by one, and allocators' own. */
static void collect_spans(struct finder *f)
{
	const struct heap_own *own;
	size_t nr;

	for (size_t i = 0; i < heaps_nr(f->h); i++) {
		const struct heap *heap = heaps_get(f->h, i);

		for (size_t k = 0; k < heap->nr_spans; k++) {
			if (!(heap->flags & HEAP_NESTED) && (heap->flags & HEAP_HAS_BLOCKS))
				ARRAY_PUSH(f->spans, f->nr_spans, f->cap_spans, heap->spans[k]);
		}
	}
	own = heaps_own(f->h, &nr);
	for (size_t i = 0; i < nr; i++)
		ARRAY_PUSH(f->spans, f->nr_spans, f->cap_spans,
			   ((struct heap_span){.start = own[i].start, .end = own[i].end}));
	if (f->nr_spans)
		qsort(f->spans, f->nr_spans, sizeof(*f->spans), by_start);
}

/* First span that ends beyond addr. */
static size_t span_after(const struct finder *f, uint64_t addr)
{
	size_t low = 0, high = f->nr_spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->spans[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The range without what belongs to heaps. */
static void add_range(struct finder *f, struct root_range range)
{
	uint64_t end = range.end;

	for (size_t i = span_after(f, range.start); range.start < end; i++) {
		uint64_t hole =
			i < f->nr_spans && f->spans[i].start < end ? f->spans[i].start : end;

		if (hole > range.start) {
			range.end = hole;
			ARRAY_PUSH(f->roots->ranges, f->roots->nr_ranges, f->roots->cap_ranges,
				   range);
		}
		if (hole == end)
			return;
		range.start = f->spans[i].end;
	}
}

static void add_other(struct finder *f, struct root_range range)
{
	size_t before = f->roots->nr_ranges;

	add_range(f, range);
	if (!(f->options & ROOTS_NO_OTHER))
		return;
	f->roots->nr_other += f->roots->nr_ranges - before;
	f->roots->nr_ranges = before;
}

/* Highest address below end at which a thread's structure begins: it points to itself, twice. */
static uint64_t find_thread_structure(struct target *t, const struct map *m)
{
	uint64_t start = m->end - m->start > STACK_TOP ? m->end - STACK_TOP : m->start;
	size_t word = target_word_bytes(t), len = (size_t)(m->end - start);
	uint8_t *bytes = mem_alloc(len);
	uint64_t found = 0;

	len = target_read(t, start, bytes, len);
	/* tcbhead_t of glibc, x86-64 and i386: tcb and self are its first and third word. */
	for (size_t at = 0; at + 3 * word <= len; at += word) {
		uint64_t tcb = 0, self = 0;

		memcpy(&tcb, bytes + at, word);
		memcpy(&self, bytes + at + 2 * word, word);
		if (tcb == start + at && self == tcb)
			found = tcb;
	}
	free(bytes);
	return found;
}

/* What a mapping has to do with threads. */
struct stack_view {
	uint64_t sp;   /* the lowest live stack pointer in it; 0 none */
	int32_t tid;   /* whose */
	bool has_live; /* a live thread's structure is in it */
	int32_t live_tid;
	bool is_dead; /* the stack of a thread that has ended */
};

static void look_at_threads(const struct finder *f, const struct map *m, struct stack_view *v)
{
	size_t nr;
	const struct target_thread *threads = target_threads(f->t, &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t sp = threads[i].sp, tp = threads[i].tp;

		if (sp >= m->start && sp < m->end && (v->sp == 0 || sp < v->sp)) {
			v->sp = sp;
			v->tid = threads[i].tid;
		}
		if (tp >= m->start && tp < m->end) {
			v->has_live = true;
			v->live_tid = threads[i].tid;
		}
	}
}

static struct stack_view view_stack(const struct finder *f, const struct map *m,
				    const struct map *before)
{
	struct stack_view v = {.sp = 0};
	bool guarded = before && before->end == m->start && (before->prot & 7) == 0;
	uint64_t structure;

	look_at_threads(f, m, &v);
	/* A thread that has ended: a stack with its guard and a thread's structure, but no thread.
	 */
	if (v.sp || v.has_live || !guarded || m->inode || !f->roots->has_registers)
		return v;
	structure = find_thread_structure(f->t, m);
	v.is_dead = structure != 0;
	return v;
}

static void add_stack(struct finder *f, const struct map *m, const struct stack_view *v)
{
	struct root_range range = {.start = m->start,
				   .end = m->end,
				   .kind = ROOT_STACK,
				   .tid = v->sp ? v->tid : v->live_tid,
				   .path = m->path};

	/* A thread on another stack (a signal's, a coroutine's): how deep its own goes is unknown.
	 */
	if (v->sp && !(f->options & ROOTS_ALL_STACK) && v->sp - m->start > RED_ZONE) {
		range.start = (v->sp - RED_ZONE) & ~(uint64_t)7;
		f->roots->dead_bytes += range.start - m->start;
	}
	add_range(f, range);
}

static void add_writable(struct finder *f, const struct map *m, const struct map *before)
{
	const struct target_module *module = target_find_module(f->t, m->start);
	struct root_range range = {.start = m->start, .end = m->end, .path = m->path};
	struct stack_view v;

	if (module) {
		range.kind = ROOT_GLOBAL;
		range.module = module;
		/* The mapping may reach beyond: brk memory that begins where .bss ends. */
		add_range(f, range);
		return;
	}
	v = view_stack(f, m, before);
	if (v.is_dead) {
		f->roots->dead_bytes += m->end - m->start;
		return;
	}
	if (v.sp || (v.has_live && before && before->end == m->start && !(before->prot & 7)) ||
	    strcmp(m->path, "[stack]") == 0) {
		add_stack(f, m, &v);
		return;
	}
	range.kind = v.has_live ? ROOT_THREAD_DATA : ROOT_MEMORY;
	range.tid = v.has_live ? v.live_tid : 0;
	if (range.kind == ROOT_MEMORY)
		add_other(f, range);
	else
		add_range(f, range);
}

/* Constants that the loader relocated hold pointers, and lie in pages made read-only again. */
static bool is_relocated(const struct map *m, const struct map *after)
{
	return !(m->prot & MAP_EXEC) && after && after->start == m->end &&
	       (after->prot & MAP_WRITE);
}

/* Memory that processes share, not a file that was there before, and no device. */
static bool is_shared_memory(const struct map *m)
{
	return m->deleted || text_starts_with(m->path, "/dev/shm/") ||
	       text_starts_with(m->path, "/dev/zero") || text_starts_with(m->path, "/SYSV");
}

static void add_shared(struct finder *f, const struct map *m)
{
	bool wanted = is_shared_memory(m) ||
		      ((m->prot & MAP_WRITE) && !text_starts_with(m->path, "/dev/"));

	if (wanted && !(f->options & ROOTS_NO_SHARED))
		add_range(f, (struct root_range){.start = m->start,
						 .end = m->end,
						 .kind = ROOT_SHARED,
						 .path = m->path});
}

/*
 * Not writable now, but it may have been when something was stored there. Of a file's pages those
 * count that are no longer the file's (target_next_used()), which a core cannot tell.
 */
static void add_protected(struct finder *f, const struct map *m, const struct map *after)
{
	bool core = target_how(f->t)->kind == TARGET_CORE;
	struct root_range range = {
		.start = m->start, .end = m->end, .kind = ROOT_MEMORY, .path = m->path};

	range.module = target_find_module(f->t, m->start);
	if (range.module) {
		range.kind = ROOT_GLOBAL;
		if (!core || is_relocated(m, after))
			add_range(f, range);
	} else if (!core || !*m->path || is_shared_memory(m)) {
		add_other(f, range);
	}
}

static void add_map(struct finder *f, size_t i)
{
	const struct maps *maps = target_maps(f->t);
	const struct map *m = &maps->items[i];
	const struct map *before = i ? m - 1 : NULL, *after = i + 1 < maps->nr ? m + 1 : NULL;

	/* [vdso], [vvar], [vsyscall]: the kernel's. */
	if (map_is_recorder(m) || text_starts_with(m->path, "[v"))
		return;
	if (m->prot & MAP_IS_SHARED)
		add_shared(f, m);
	else if (m->prot & MAP_WRITE)
		add_writable(f, m, before);
	else
		add_protected(f, m, after);
}

static void add_word(struct roots *r, struct root_word word)
{
	ARRAY_PUSH(r->words, r->nr_words, r->cap_words, word);
}

static void add_in_hand(void *context, uint64_t addr, int32_t tid)
{
	add_word(context, (struct root_word){.value = addr,
					     .kind = ROOT_REGISTER,
					     .tid = tid,
					     .what = "in the middle of the allocator"});
}

static void add_registers(struct finder *f)
{
	size_t nr, width = target_word_bytes(f->t);
	const struct target_thread *threads = target_threads(f->t, &nr);

	f->roots->has_registers = nr > 0;
	for (size_t i = 0; i < nr; i++) {
		const struct target_thread *thread = &threads[i];

		if (!thread->has_registers)
			f->roots->has_registers = false;
		for (size_t at = 0; at + width <= thread->registers_bytes; at += width) {
			struct root_word word = {
				.kind = ROOT_REGISTER, .tid = thread->tid, .what = "register"};

			memcpy(&word.value, thread->registers + at, width);
			if (word.value)
				add_word(f->roots, word);
		}
	}
}

static void add_kernel_words(struct finder *f)
{
	struct kernel_word *words;
	size_t nr;
	int dir;

	if (target_how(f->t)->kind == TARGET_CORE)
		return;
	dir = proc_open(target_process(f->t)->pid);
	if (dir < 0)
		return;
	if (process_check_at(dir, target_process(f->t)->start_ticks) == 0 &&
	    kernel_words_read(dir, &words, &nr) == 0) {
		f->roots->has_kernel = true;
		for (size_t i = 0; i < nr; i++) {
			struct root_word word = {.kind = ROOT_KERNEL, .value = words[i].value};

			if (words[i].kind == KERNEL_WORD_EPOLL)
				snprintf(word.what, sizeof(word.what), "epoll %d, descriptor %d",
					 words[i].number, words[i].fd);
			else
				snprintf(word.what, sizeof(word.what), "timer %d", words[i].number);
			add_word(f->roots, word);
		}
		free(words);
	}
	close(dir);
}

void roots_find(struct target *t, struct heaps *h, unsigned int options, struct roots *ret)
{
	struct roots roots = {.ranges = NULL};
	struct finder f = {.t = t, .h = h, .options = options, .roots = &roots};

	collect_spans(&f);
	add_registers(&f);
	heaps_in_hand(f.h, add_in_hand, f.roots);
	add_kernel_words(&f);
	for (size_t i = 0; i < target_maps(t)->nr; i++)
		add_map(&f, i);
	free(f.spans);
	*ret = roots;
}

void roots_add_blocks(struct roots *r, const struct extra_blocks *extra)
{
	struct roots cut = *r;
	struct finder f = {.roots = &cut};

	for (size_t i = 0; i < extra->nr_ranges; i++)
		ARRAY_PUSH(f.spans, f.nr_spans, f.cap_spans,
			   ((struct heap_span){.start = extra->ranges[i].start,
					       .end = extra->ranges[i].end}));
	cut.ranges = NULL;
	cut.nr_ranges = cut.cap_ranges = 0;
	for (size_t i = 0; i < r->nr_ranges; i++)
		add_range(&f, r->ranges[i]);
	free(f.spans);
	free(r->ranges);
	cut.extra = extra;
	*r = cut;
}

void roots_release(struct roots *r)
{
	if (!r)
		return;
	free(r->ranges);
	free(r->words);
	*r = (struct roots){.ranges = NULL};
}

const struct root_range *roots_find_range(const struct roots *r, uint64_t addr)
{
	size_t low = 0, high = r->nr_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->ranges[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->nr_ranges && r->ranges[low].start <= addr ? &r->ranges[low] : NULL;
}
