/*
 * Per-thread state. A slot belongs to a tid; it is never given back at thread exit (nothing of ours
 * may run then), but taken over by a new thread once its owner no longer exists. Counts that a dead
 * thread's records still hold stay valid: they are per call site, not per thread.
 */
#include <linux/mman.h>

#include "cfi.h"
#include "record.h"
#include "sys.h"

#ifndef REC_BLOB
__thread struct self rec_self __attribute__((tls_model("initial-exec")));
#endif

#ifdef REC_BLOB
#define REC_SLOTS_BY_ADDRESS true
#else
#define REC_SLOTS_BY_ADDRESS false
#endif

/* Private parts, by slot; set once, kept for the next owner. */
static struct thread *privates[WIRE_THREADS_MAX];

#define ARENA_BYTES (1 << 20) /* words of records; more is mapped when it is used up */

static struct wire_thread *thread_slot(struct wire_header *h, uint32_t i)
{
	return (struct wire_thread *)(rec_places.base + h->threads_off + i * h->thread_stride);
}

static bool take(struct wire_thread *w, int32_t from, int32_t tid)
{
	return __atomic_compare_exchange_n(&w->tid, &from, tid, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* The slot of a dead thread, or NULL. A slot that carries our own tid is a dead thread's too. */
static struct wire_thread *reuse_slot(struct wire_header *h, int32_t tid, uint32_t *ret_i)
{
	uint32_t nr = __atomic_load_n(&h->threads_nr, __ATOMIC_ACQUIRE);
	int32_t pid = (int32_t)sys0(SYS_getpid);

	for (uint32_t i = 0; i < nr; i++) {
		struct wire_thread *w = thread_slot(h, i);
		int32_t owner = __atomic_load_n(&w->tid, __ATOMIC_RELAXED);

		if (owner == tid || (owner && sys3(SYS_tgkill, pid, owner, 0) == -3 /* ESRCH */ &&
				     take(w, owner, tid))) {
			*ret_i = i;
			return w;
		}
	}
	return NULL;
}

static struct wire_thread *new_slot(struct wire_header *h, int32_t tid, uint32_t *ret_i)
{
	uint32_t i = __atomic_load_n(&h->threads_nr, __ATOMIC_RELAXED);
	struct wire_thread *w;

	do {
		if (i >= h->threads_cap || i >= WIRE_THREADS_MAX)
			return NULL;
	} while (!__atomic_compare_exchange_n(&h->threads_nr, &i, i + 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	w = thread_slot(h, i);
	__atomic_store_n(&w->tid, tid, __ATOMIC_RELEASE);
	*ret_i = i;
	return w;
}

/* Whoever takes an injected recorder out again has to find it. */
static void list_private(struct wire_private *p)
{
#ifdef REC_BLOB
	p->next = __atomic_load_n(&rec_blob.privates, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&rec_blob.privates, &p->next, (uint64_t)p, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
#else
	(void)p;
#endif
}

void *thread_map_private(size_t bytes)
{
	size_t all = bytes + sizeof(struct wire_private);
	struct wire_private *p = sys_mmap(all, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	if (sys_failed(p))
		return NULL;
	p->magic[0] = WIRE_PRIVATE_MAGIC0;
	p->magic[1] = WIRE_PRIVATE_MAGIC1;
	p->bytes = all;
	list_private(p);
	return p + 1;
}

static struct thread *new_private(void)
{
	size_t frames = FRAMES_MAX * sizeof(struct frame);
	size_t bytes = sizeof(struct thread) + 2 * frames + WORDS_MAX * sizeof(struct word) +
		       EXTRA_MAX * sizeof(struct word) + 2 * FRAMES_MAX * sizeof(uint64_t) +
		       2 * cfi_scratch_bytes() + 192 + sizeof(struct record_index) + ARENA_BYTES;
	uint8_t *p = thread_map_private(bytes);
	struct thread *t = (struct thread *)p;

	if (!p)
		return NULL;
	p += (sizeof(*t) + 63) & ~63ul;
	t->frames = (struct frame *)p;
	t->fresh = (struct frame *)(p + frames);
	p += 2 * frames;
	t->words = (struct word *)p;
	p += WORDS_MAX * sizeof(struct word);
	t->extra = (struct word *)p;
	p += EXTRA_MAX * sizeof(struct word);
	t->nested_pcs = (uint64_t *)p;
	p += 2 * FRAMES_MAX * sizeof(uint64_t);
	t->scratch = (struct cfi_scratch *)p;
	p += (2 * cfi_scratch_bytes() + 63) & ~63ul;
	t->index = t->own_index = (struct record_index *)p;
	p += sizeof(struct record_index);
	t->arena = p;
	t->arena_end = p + ARENA_BYTES;
	t->records_nr = 1;
	return t;
}

static struct wire_thread *get(struct wire_header *h)
{
	int32_t tid = (int32_t)sys0(SYS_gettid);
	struct wire_thread *w = self_inherit();
	struct thread *t = w ? thread_private(w) : NULL;
	uint32_t i = 0;

	/* Asking the kernel about every slot costs; do it when there are as many again as last
	 * time. */
	static uint32_t scan_at = 8;
	uint32_t nr = __atomic_load_n(&h->threads_nr, __ATOMIC_RELAXED);

	/* Where slots belong to addresses, a dead owner's may be another's already. */
	if (!REC_SLOTS_BY_ADDRESS &&
	    (nr >= __atomic_load_n(&scan_at, __ATOMIC_RELAXED) || nr >= h->threads_cap)) {
		w = reuse_slot(h, tid, &i);
		if (!w)
			__atomic_store_n(&scan_at, nr * 2, __ATOMIC_RELAXED);
	}
	if (!w)
		w = new_slot(h, tid, &i);
	if (!w)
		return NULL;
	if (!t)
		t = privates[i];
	if (!t)
		t = privates[i] = new_private();
	if (!t)
		return NULL;
	t->wire = w;
	t->frames_nr = 0;
	tags_forget(t);
	w->records_nr = t->records_nr;
	t->stack_low = t->stack_high = 0;
	t->logs = false;
	w->private_part = (uint64_t)t;
	events_heal(h, w); /* its last owner may have ended in a handler that interrupted a hook */
	w->busy = 0;
	w->last_block = 0;
	/* A handler's child may have begun a recording of its own meanwhile. */
	if (rec_gate.tables != h)
		return NULL;
	barrier();
	if (!self_set((struct self){w, t->index}))
		return NULL;
	/* Again: a child that was forked before that was known has found an empty w. */
	barrier();
	w->private_part = (uint64_t)t;
	return w;
}

struct wire_thread *thread_get(struct wire_header *h)
{
	struct wire_thread *w;

	if (!rec_use_begin(h))
		return NULL;
	w = get(h);
	rec_use_end();
	return w;
}
