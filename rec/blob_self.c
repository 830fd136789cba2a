/* See blob_self.h. */
#include "blob_image.h"
#include "record.h"
#include "sys.h"

struct blob_self blob_selves[1u << BLOB_SELVES_BITS] __attribute__((aligned(64)));

#define SLOTS (1u << BLOB_SELVES_BITS)
/*
 * A signal's frame on the stack is larger (1080 bytes with the red zone, and more with AVX), what
 * the allocator's functions have on the stack when they call each other is smaller.
 */
#define INSIDE_BYTES 1056
#define VECTORS_BYTES 272 /* that call_hook keeps */

struct blob_self blob_self_nobody;

/* Its own or the first free one; NULL: neither. */
static struct blob_self *probe(uint64_t thread)
{
	struct blob_self *s = blob_self_first(thread);

	for (uint32_t i = 0; i < SLOTS; i++, s++) {
		uint64_t owner;

		if (s == blob_selves + SLOTS)
			s = blob_selves;
		owner = __atomic_load_n(&s->thread, __ATOMIC_RELAXED) & ~BLOB_SELF_SCOPE;
		if (!owner || owner == thread)
			return s;
	}
	return NULL;
}

bool self_set(struct self self)
{
	uint64_t thread = arch_thread_pointer(), none = 0;
	struct blob_self *s;

	do {
		none = 0;
		s = probe(thread);
	} while (s && (s->thread & ~BLOB_SELF_SCOPE) != thread &&
		 !__atomic_compare_exchange_n(&s->thread, &none, thread, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	if (!s)
		return false;
	s->index = self.index;
	barrier();
	s->wire = self.wire;
	return true;
}

/* ---- scopes ---- */

#define STRUCTURE_BYTES 1024

/*
 * Where a thread's own structure has its id (struct pthread: glibc's nptl/descr.h at 720, musl's
 * src/internal/pthread_impl.h below 64); NULL: nowhere, or more than one word could be it.
 */
static const int32_t *find_tid(uint64_t thread, int32_t tid)
{
	const int32_t *found = NULL;
	int32_t words[64];

	for (uint64_t at = thread; at < thread + STRUCTURE_BYTES; at += sizeof(words)) {
		if (!blob_read(at, words, sizeof(words)))
			return NULL;
		for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (words[i] != tid)
				continue;
			if (found)
				return NULL;
			found = (const int32_t *)at + i;
		}
	}
	return found;
}

void self_scope(bool open)
{
	uint64_t thread = arch_thread_pointer();
	struct blob_self *s = probe(thread);

	if (!s || !s->thread)
		return;
	if (open) {
		s->tid = (int32_t)sys0(SYS_gettid);
		s->tid_at = find_tid(thread, s->tid);
		barrier();
	}
	s->thread = open ? thread | BLOB_SELF_SCOPE : thread;
}

struct wire_thread *self_inherit(void)
{
	uint64_t thread = arch_thread_pointer();
	struct blob_self *s = probe(thread);

	if (!s || s->thread != (thread | BLOB_SELF_SCOPE))
		return NULL;
	if (s->hidden)
		s->wire = s->hidden;
	s->hidden = NULL;
	s->thread = thread;
	return s->wire;
}

/* ---- inside of the allocator ---- */

bool blob_self_is_inside(struct blob_self *s, uint64_t sp)
{
	uint64_t most = INSIDE_BYTES + (rec_blob.keeps_bytes ? VECTORS_BYTES : 0);

	if (s->inside_sp - sp < most)
		return true;
	/* Another one's call on this thread; or a jump has left the function that we waited for. */
	s->wire = s->hidden;
	s->hidden = NULL;
	return false;
}

uint64_t self_show(void)
{
	struct blob_self *s = blob_self_find();

	if (!s->hidden)
		return 0;
	s->wire = s->hidden;
	barrier();
	s->hidden = NULL;
	return s->inside_sp;
}

void self_hide(uint64_t sp)
{
	struct blob_self *s = blob_self_find();

	if (!sp || !s->wire)
		return;
	s->inside_sp = sp;
	s->hidden = s->wire;
	barrier();
	s->wire = NULL;
}
