/*
 * The recorder: what runs inside other people's processes.
 *
 * It makes no libc calls, takes no locks, starts no threads, keeps no descriptors and never touches
 * errno. Everything it knows lies in one shared mapping (src/wire/wire.h) and in a private mapping
 * per thread. A fork child finds the gate wiped by the kernel and only forwards (forked.h).
 *
 *   entry_x86_64.S   the interposed functions: call the real one, then
 *   hooks.c            what each of them means: allocation, free
 *   moving.h           … and realloc
 *   forked.h         what a child made in the middle of a hook goes on with
 *   modes.h            which blocks are entered when not all are
 *   record.h           the fast path: same stack as before? count, enter into the live table
 *   capture.c          the verified stack cache: unwinds what changed, checks what did not
 *   remember.c         which stacks are worth a record
 *   rules.c, cfi.c     return address → unwinding rule, from .eh_frame
 *   complex.c          the rules that are not simple
 *   tree.c             stack tree
 *   table.c            live table: chunks, big and dense blocks
 *   events.c           every event, for mode full
 *   thread.c           per-thread state
 *   modules.c          which module was where, and what an unload invalidates
 *   loaded.h           … as the loader knows it
 *   stackmap.c         which memory is stack
 *   told.c             what the program tells by include/seep/seep.h: marks.c, tags.c, pools.c;
 *                      injected: blob_told.c
 *   blob_new.c         injected: exceptions may pass
 *   session.c, elf.c   start: environment, shared mapping, the real functions
 *   at_exit.c          the end, where the launcher wants to see it
 */
#ifndef SEEP_REC_REC_H
#define SEEP_REC_REC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((noinline, cold))
#define HOOK __attribute__((used))
#define barrier() __asm__ volatile("" ::: "memory")

#define FRAMES_MAX 4096 /* deeper stacks are cut: the innermost frames are kept */
#define WORDS_MAX (8 * FRAMES_MAX)
#define EXTRA_MAX (4 * FRAMES_MAX) /* words read by complex unwinding steps in one walk */

/* A word of the stack that an unwinder reads, and what it held. */
struct word {
	uint64_t slot, value;
};

/* One frame of the cached stack; frames are kept outermost first. */
struct frame {
	uint64_t pc, sp, bp;
	uint64_t ra_slot; /* address of the return address; 0: none was read */
	uint64_t bp_slot; /* address of the saved bp; 0: not saved here */
	uint32_t rule;
	uint32_t node;
	uint32_t words_end; /* words [0, words_end) prove this frame and all outer ones */
	uint16_t extra_first, extra_nr;
	uint8_t bp_live; /* an outer frame consumes this frame's bp */
};

/* Room for interpreting call frame information without using the program's stack. */
struct cfi_scratch;

/* Private part of a thread's state; the shared part (struct wire_thread) is at *wire. */
struct thread {
	struct wire_thread *wire;
	uint32_t root;	      /* of its stacks: WIRE_NODE_ROOT, or the node of its innermost tag */
	uint32_t frames_root; /* the same, of the cached stack */
	struct tags *tags;    /* NULL: it never had any */
	uint32_t scratch_temps;		  /* counted here, it counts for nobody */
	uint32_t nested_nr;		  /* hooks inside a hook since anything else happened */
	bool logs;			  /* the hook under way notes what it changes */
	uint64_t nested_block, nested_sp; /* last_block and hook_sp meanwhile */
	uint64_t last_deleted;		  /* freed by operator delete, which may go on to free() */
	uint64_t sample_left;		/* bytes to be allocated up to the next sample; 0: unset */
	uint64_t random;		/* never 0 once it is seeded */
	uint32_t sample_bits;		/* the mean that sample_left was drawn with */
	uint64_t stack_low, stack_high; /* mapping that held the stack last */
	uint8_t *arena, *arena_end;	/* for the words of records */
	struct record_index *index;	/* in use: its own, or that of its innermost tag */
	struct record_index *own_index;
	uint32_t records_nr; /* of wire->records, the empty one included */
	uint32_t shapes_nr;
	uint32_t epoch; /* of the cached stack */
	uint32_t frames_nr;
	uint32_t proof_nr;	      /* words that prove the last walk; 0: nothing does */
	struct cfi_scratch *scratch;  /* [2]: own and for a hook inside a hook */
	struct frame *frames, *fresh; /* [FRAMES_MAX] each */
	struct word *words;	      /* [WORDS_MAX] */
	struct word *extra;	      /* [EXTRA_MAX] */
	uint64_t *nested_pcs;	      /* [2 * FRAMES_MAX]: by level */
	uint64_t last_handle, last_handle_number; /* see handles.c */
	uint32_t last_handle_kind;
};

/*
 * The gate: non-NULL while this process records. It has a page of its own with MADV_WIPEONFORK, so
 * a fork child, however made, reads NULL; a vfork child shares the parent's memory and its tables.
 */
struct gate {
	struct wire_header *header;
	struct wire_level1 *level1; /* by addr >> 26 */
	/*
	 * For a hook under way, which has seen the gate open: the same, but still there in a child
	 * that forked meanwhile (forked.h).
	 */
	struct wire_header *tables;
	uint8_t pad[4096 - 24];
};
extern struct gate rec_gate;

/* This thread's state; NULL: it has none yet. */
struct self {
	struct wire_thread *wire;
	struct record_index *index;
};

/*
 * How a thread finds it. Preloaded: in thread-local storage. Injected, where there is none to be
 * had: see blob_self.h.
 */
#ifdef REC_BLOB
#include "blob.h"
#include "blob_self.h"
#else
extern __thread struct self rec_self __attribute__((tls_model("initial-exec")));

static inline struct wire_thread *self_wire(void)
{
	return rec_self.wire;
}

static inline struct self self_now(void)
{
	return rec_self;
}

/* Wherever the thread is. */
static inline struct wire_thread *self_any(void)
{
	return rec_self.wire;
}

static inline bool self_set(struct self self)
{
	rec_self = self;
	return true;
}

/* Thread-local storage is a new thread's own: it is in no scope. */
static inline void self_scope(bool open)
{
	(void)open;
}

static inline struct wire_thread *self_inherit(void)
{
	return NULL;
}

/* Has an outer function of the allocator called this one? Then it is not for us. */
static inline bool self_is_inside(uint64_t sp)
{
	(void)sp;
	return false;
}
#endif

/* Where things are in this process's mapping; valid while the gate is open. */
struct places {
	uint8_t *base;
	struct wire_node *nodes;
	struct wire_count *counts;
	struct wire_extra *extra;
	uint64_t *index;
	uint32_t *dense1; /* number + 1 of the dense chunk, by addr >> 24 */
	struct wire_module *modules;
	struct wire_undo *undo;
	uint64_t *known; /* a bit a slot, see table_known() */
	uint64_t chunks; /* address of the first slot */
	struct wire_mark *marks;
	struct wire_tag *tags;
	struct wire_pool_row *pools;
	uint8_t *rings;
	uint32_t nodes_cap;
};
extern struct places rec_places;

#define COUNT_OF_UNKNOWN 1

/* The child of parent with this pc, made if need be; WIRE_NODE_UNKNOWN when the tree is full. */
uint32_t tree_child_slow(struct wire_header *h, uint32_t parent, uint64_t pc);

static inline uint32_t tree_child(struct wire_header *h, uint32_t parent, uint64_t pc)
{
	const struct wire_node *nodes = rec_places.nodes;
	uint32_t c = __atomic_load_n(&nodes[parent].child, __ATOMIC_ACQUIRE);

	if (likely(c) && nodes[c].pc == pc)
		return c;
	return tree_child_slow(h, parent, pc);
}

/* session.c */
void rec_start(void); /* resolves the real functions, opens the session; once */
bool rec_wake(void);  /* gate closed: is there anything to do? true: it is open now */
/* NULL: not recording. Asked once: the gate may be closed at any time, by a fork. */
static inline struct wire_header *rec_open(void)
{
	struct wire_header *h = __atomic_load_n(&rec_gate.header, __ATOMIC_RELAXED);

	if (likely(h) || !rec_wake())
		return h;
	return __atomic_load_n(&rec_gate.header, __ATOMIC_RELAXED);
}

/* thread.c */
/* Zeroed memory of our own behind a struct wire_private; NULL: none. Never given back. */
void *thread_map_private(size_t bytes);
struct wire_thread *thread_get(struct wire_header *h); /* sets self; NULL: no room */
static inline struct thread *thread_private(const struct wire_thread *w)
{
	return (struct thread *)w->private_part;
}

/*
 * Has this process turned out to be a child that has no tables? To be asked when busy is set,
 * before the tables are used: see forked.h.
 */
static inline bool rec_is_gone(const struct wire_header *h)
{
	return unlikely(__atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_GONE);
}

/* Around a use of the tables where no thread's busy says so. False: there are none. */
bool rec_use_begin(const struct wire_header *h);
void rec_use_end(void);

/*
 * Whether a hook's changes are noted for a snapshot is decided once, after busy is set; between
 * hooks and in those that found nothing special it is false.
 */
static inline bool hook_logs(const struct wire_header *h)
{
	const struct wire_thread *w = self_wire();

	if (likely(w))
		return thread_private(w)->logs;
	return __atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_SNAPSHOT;
}

/* capture.c: the node of the stack that starts at (pc, sp, bp); t->proof_nr says what proves it. */
uint32_t capture_stack(struct thread *t, struct wire_header *h, uint64_t pc, uint64_t sp,
		       uint64_t bp);
/* Without any cache; for a hook inside a hook and while a module is being unloaded. */
uint32_t capture_uncached(struct thread *t, struct wire_header *h, int level, uint64_t pc,
			  uint64_t sp, uint64_t bp);

/* tree.c */
void tree_count(struct wire_header *h, uint32_t node, uint64_t bytes);
void tree_count_temps(struct wire_header *h, uint32_t node, uint64_t temps);
/* The node of samples below this one, and one more of them; 0: the tree is full. */
uint32_t tree_sample_child(struct wire_header *h, uint32_t node, uint32_t bits);
void tree_count_sample(struct wire_header *h, uint32_t node, uint64_t size, uint32_t bits);
void tree_count_sample_temp(struct wire_header *h, uint32_t node, uint64_t size);
/* w: whose record it is, the calling thread. */
void tree_flush_record(struct wire_header *h, struct wire_thread *w, struct wire_record *r);

/* table.c; all expect the caller to own the block */
void table_insert_slow(struct wire_header *h, uint64_t addr, uint64_t size, uint32_t node);
/* The same for one among many that are not entered: no pages are provided beside its own. */
void table_insert_alone(struct wire_header *h, uint64_t addr, uint64_t size, uint32_t node);
void table_remove_slow(struct wire_header *h, uint64_t addr);

/* modules.c */
void modules_unloading(struct wire_header *h);
void modules_unloaded(struct wire_header *h);
void modules_forget(void);

/* stackmap.c: the readable mapping that holds [sp, top); false: not all of it is mapped */
bool stackmap_find(struct thread *t, uint64_t sp, uint64_t top);
/* The main thread's stack ends below top; it is mapped from any stack pointer in it up to there. */
void stackmap_learn_main(uint64_t top);
/* From sp up to here memory is mapped, certainly: to the end of the main stack, or of sp's page. */
#ifdef REC_BLOB
#define stackmap_main_low rec_blob.stack_low
#define stackmap_main_high rec_blob.stack_high
#else
extern uint64_t stackmap_main_low, stackmap_main_high;
#endif
static inline uint64_t stackmap_certain(uint64_t sp)
{
	if (sp >= stackmap_main_low && sp < stackmap_main_high)
		return stackmap_main_high;
	return (sp | 4095) + 1;
}

/* True while the process certainly has one thread only. */
#ifdef REC_BLOB
static inline bool rec_single_threaded(void)
{
	return false;
}
#else
/* glibc 2.32: set by pthread_create in the creator */
extern char __libc_single_threaded __attribute__((weak));
static inline bool rec_single_threaded(void)
{
	return __libc_single_threaded;
}
#endif

/* session.c: where the real malloc is */
#ifdef REC_BLOB
#define rec_allocator_addr rec_blob.allocator_addr
#else
extern uint64_t rec_allocator_addr;
#endif

/* mappings.c: mlock of every mapping but ours; false: not all of it was allowed */
bool rec_lock_mappings(void);

/* told.c: what the program tells by include/seep/seep.h */
struct link_map;
void told_start(void); /* from now on modules that want to tell something can */
void told_by_module(struct link_map *lm);

/* tags.c: forgets what it knew of the nodes of tags, and which are open */
void tags_forget(struct thread *t);
/* Number of this name in the table of tags; UINT32_MAX: no room. */
uint32_t tags_number(struct wire_header *h, const char *name);
/* All of a thread's indexes, one after the other: begins with *i = 0, ends with NULL. */
struct record_index *tags_next_index(struct thread *t, uint32_t *i);
/* events.c; the caller is inside a hook. Whatever finds no room is counted. */
void event_add(struct wire_header *h, struct wire_thread *w, enum wire_event_kind kind,
	       uint64_t addr, uint64_t size, uint32_t node);
/* The same for one in the table, before it leaves it; slot NULL: it is not in the table. */
void event_end(struct wire_header *h, struct wire_thread *w, enum wire_event_kind kind,
	       uint64_t addr, const uint64_t *slot);
/* The hook that was putting an event in will never end. */
void events_heal(struct wire_header *h, struct wire_thread *w);
static inline bool events_wanted(const struct wire_header *h)
{
	return unlikely(__atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_FULL);
}

/* undo.c */
bool undo_log(struct wire_header *h, uint64_t key, uint64_t value); /* false: the log is full */

#endif
