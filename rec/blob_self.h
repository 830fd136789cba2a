/*
 * A thread's state where there is no thread-local storage: found by the thread pointer, in a table.
 *
 * The word at fs:0 is the thread's own address (System V ABI, ELF TLS variant II); glibc, musl and
 * whatever else calls malloc keep it so. A slot belongs to that address and not to a thread: a new
 * thread whose structure lies where an ended one's lay goes on with its slot, one after the other.
 * Only a scope that the ended one has left open (tags.c) must not become the new one's: meanwhile
 * the slot's owner has bit 0 set, so that it is found on the long way, which compares thread ids.
 */
#ifndef SEEP_REC_BLOB_SELF_H
#define SEEP_REC_BLOB_SELF_H

#include "arch_x86_64.h"
#include "wire/blob_offsets.h"

struct blob_self {
	_Alignas(64) uint64_t thread; /* 0: free; with BLOB_SELF_SCOPE */
	struct wire_thread *wire;     /* NULL inside of a function of the allocator */
	struct wire_thread *hidden;   /* … and then it is here */
	uint64_t inside_sp;	      /* of the call that it is inside of */
	struct record_index *index;
	/* In a scope: which thread has begun it, and where that stands; NULL: the kernel knows. */
	const int32_t *tid_at;
	int32_t tid;
	uint64_t new_call; /* the innermost operator new under way: struct hook_call; see blob_new.c
			    */
};

#define BLOB_SELF_SCOPE 1ull
#define BLOB_SELVES_BITS WIRE_BLOB_SELVES_BITS
_Static_assert(sizeof(struct blob_self) == 64 &&
		       offsetof(struct blob_self, tid_at) == WIRE_BLOB_SELF_TID_AT &&
		       offsetof(struct blob_self, tid) == WIRE_BLOB_SELF_TID,
	       "as entry_blob_x86_64.S reads them");
/* Hidden: so its address is known without a load. */
extern struct blob_self blob_selves[1u << BLOB_SELVES_BITS] __attribute__((visibility("hidden")));

static inline struct blob_self *blob_self_first(uint64_t thread)
{
	return &blob_selves[thread * 0x9e3779b97f4a7c15ull >> (64 - BLOB_SELVES_BITS)];
}

extern struct blob_self blob_self_nobody;

/*
 * This thread's, or one that is empty and nobody's. Not by a call that the compiler knows of: then
 * whoever asks, and as a rule finds it at once, would first have registers to save. (There is no
 * red zone in the blob.)
 */
static inline struct blob_self *blob_self_search(uint64_t thread)
{
	struct blob_self *found;

	__asm__("call blob_self_look" : "=a"(found) : "0"(thread) : "memory", "cc");
	return found;
}

static inline struct blob_self *blob_self_find(void)
{
	uint64_t thread = arch_thread_pointer();
	struct blob_self *s = blob_self_first(thread);

	return likely(s->thread == thread) ? s : blob_self_search(thread);
}

static inline struct wire_thread *self_wire(void)
{
	return blob_self_find()->wire;
}

/* Also while it is inside of a function of the allocator. */
static inline struct wire_thread *self_any(void)
{
	const struct blob_self *s = blob_self_find();

	return s->wire ? s->wire : s->hidden;
}

/* Both at once; the index means nothing where there is no wire. */
static inline struct self self_now(void)
{
	const struct blob_self *s = blob_self_find();

	return (struct self){.wire = s->wire, .index = s->index};
}

/* False: the table is full. */
bool self_set(struct self self);

/* This thread is in a scope from now on, or no longer. */
void self_scope(bool open);
/* The state of a thread that has ended in a scope and had this one's address; NULL: there is none.
 */
struct wire_thread *self_inherit(void);

/* Around what is to be noted even inside of a function of the allocator; sp: what show returned. */
uint64_t self_show(void);
void self_hide(uint64_t sp);

/*
 * Is a call with this stack pointer made by the function that this thread is inside of? s: with
 * something hidden; it is no longer inside when not.
 */
bool blob_self_is_inside(struct blob_self *s, uint64_t sp);

/*
 * Between these the real function runs; what it calls of its allocator's is its own affair. A
 * signal handler in between is not: its stack pointer is farther away. s: not inside of one yet.
 */
static inline void self_enter_real(struct blob_self *s, uint64_t sp)
{
	if (!s->wire)
		return; /* not recording; or no room, and then nested calls are so, too */
	s->inside_sp = sp;
	s->hidden = s->wire;
	barrier();
	s->wire = NULL;
}

static inline void self_leave_real(struct blob_self *s)
{
	if (!s->hidden)
		return;
	s->wire = s->hidden;
	barrier();
	s->hidden = NULL;
}

/*
 * Around an inner call that goes on to its real function: what that calls is compared with this
 * one's stack pointer. Returns what the other takes back.
 */
static inline uint64_t self_go_deeper(uint64_t sp)
{
	struct blob_self *s = blob_self_find();
	uint64_t outer = s->inside_sp;

	if (s->hidden)
		s->inside_sp = sp;
	return outer;
}

static inline void self_come_back(uint64_t sp, uint64_t outer)
{
	struct blob_self *s = blob_self_find();

	if (s->hidden && s->inside_sp == sp)
		s->inside_sp = outer;
}

static inline bool self_is_inside(uint64_t sp)
{
	struct blob_self *s = blob_self_find();

	return unlikely(s->hidden) && blob_self_is_inside(s, sp);
}

#endif
