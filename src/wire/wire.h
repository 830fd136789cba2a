/* clang-format off */
/*
 * Layout of the recorder's shared tables: one file (a memfd), mapped by the recorded process, held
 * by the launcher, read by whoever takes a snapshot. Plain structs, fixed widths, little endian.
 *
 *   0            struct wire_header            configuration, control, status
 *   modules_off  struct wire_module[]          modules that appeared in a stack, in that order
 *   nodes_off    struct wire_node[]            stack tree; append-only, ids are stable
 *   counts_off   struct wire_count[nodes_cap]  of the nodes where blocks were allocated
 *   extra_off    struct wire_extra[nodes_cap]  per node: counts that are kept elsewhere (sparse)
 *   index_off    uint64_t[1 << index_bits]     overflow index of the tree; the recorder's own
 *   threads_off  struct wire_thread[]          stride thread_stride; counts not yet in nodes
 *   undo_off     struct wire_undo[]            what changed since a snapshot began
 *   known_off    uint64_t[]                    a bit a slot: see table_known(); the recorder's own
 *   marks_off    struct wire_mark[]            named instants (wire/marks.h)
 *   tags_off     struct wire_tag[]             names of scopes
 *   pools_off    struct wire_pool_row[]        pools of the program's own, and their blocks
 *   rings_off    struct wire_ring[]            stride ring_stride; events on their way to a file
 *   level1_off   struct wire_level1[]          [WIRE_LEVEL1_NR]; the recorder's own addresses
 *   dense1_off   uint32_t[]                    [WIRE_DENSE1_NR]; dense chunk number + 1, 0 none
 *   chunks_off   slots                         the live table, WIRE_CHUNK_BYTES a chunk
 *
 * Live table: a shadow of the heap. A chunk shadows 64 MiB of addresses, one 8-byte slot for each
 * 32 bytes (allocators whose blocks may stand closer than 32 bytes put the small ones into dense
 * chunks: 16 MiB of addresses, one slot for each 8 bytes). Each slot has one writer at a time:
 * whoever owns the block by the allocator's own rules. It is written after the real malloc and
 * cleared before the real free.
 *
 *   slot   63      40 39     38  37 36        18 17       0
 *          node id    moving off3  time code     size          node id 0: no block
 *
 *   off3   address bits 3 and 4 (which of the four 8-byte places of the granule)
 *   moving inside realloc: still the caller's, but its address may be handed to another thread
 *   size   requested bytes; WIRE_SIZE_ESCAPE: the slot of address + 32 holds the size (such a block
 *          covers that granule itself, so nobody else needs the slot)
 */
/* clang-format on */
#ifndef SEEP_WIRE_WIRE_H
#define SEEP_WIRE_WIRE_H

#include <stdint.h>

#define WIRE_MAGIC 0x3165524370656573ull /* "seepCRe1" */
#define WIRE_VERSION 7
#define WIRE_NAME "seep-rec" /* /proc/PID/maps: "/memfd:seep-rec.LAUNCHER.FD (deleted)" */

#define WIRE_ADDRESS_BITS 47
#define WIRE_CHUNK_SHIFT 24
#define WIRE_CHUNK_BYTES (1ull << WIRE_CHUNK_SHIFT)
#define WIRE_GRANULE_SHIFT 5
#define WIRE_SPAN_SHIFT (WIRE_CHUNK_SHIFT - 3 + WIRE_GRANULE_SHIFT) /* 26: 64 MiB a chunk */
#define WIRE_LEVEL1_NR (1u << (WIRE_ADDRESS_BITS - WIRE_SPAN_SHIFT))
#define WIRE_DENSE_SHIFT 3
#define WIRE_DENSE_SPAN_SHIFT (WIRE_CHUNK_SHIFT - 3 + WIRE_DENSE_SHIFT) /* 24: 16 MiB a chunk */
#define WIRE_DENSE1_NR (1u << (WIRE_ADDRESS_BITS - WIRE_DENSE_SPAN_SHIFT))

#define WIRE_NODE_BITS 24
#define WIRE_SLOT_NODE_SHIFT 40
#define WIRE_SLOT_MOVING (1ull << 39)
#define WIRE_SLOT_OFF3_SHIFT 37
#define WIRE_SLOT_TIME_SHIFT 18
#define WIRE_TIME_BITS 19
#define WIRE_SIZE_BITS 18
#define WIRE_SIZE_ESCAPE ((1u << WIRE_SIZE_BITS) - 1)

/*
 * Time codes: milliseconds since the recording began, finer when young: steps of 16 ms for the
 * first 2^17 codes (35 min), then 1 s for 2^17 (36 h), then 64 s for the rest (190 days), then
 * stuck. To that is added the number of marks so far, so that no block has the code of one on the
 * other side of a mark; there are codes left for all of them.
 */
#define WIRE_MARKS_CAP 4096u
#define WIRE_TIME_FINE (1u << 17)
#define WIRE_TIME_MIDDLE (2u << 17)
#define WIRE_TIME_MAX ((1u << WIRE_TIME_BITS) - 1)
#define WIRE_TIME_LAST (WIRE_TIME_MAX - 2 * WIRE_MARKS_CAP)
#define WIRE_MS_FINE (16ull * WIRE_TIME_FINE)
#define WIRE_MS_MIDDLE (WIRE_MS_FINE + 1000ull * (1u << 17))

static inline uint32_t wire_time_encode(uint64_t ms)
{
	uint64_t code;

	if (ms < WIRE_MS_FINE)
		return (uint32_t)(ms / 16);
	if (ms < WIRE_MS_MIDDLE)
		return WIRE_TIME_FINE + (uint32_t)((ms - WIRE_MS_FINE) / 1000);
	code = WIRE_TIME_MIDDLE + (ms - WIRE_MS_MIDDLE) / 64000;
	return code > WIRE_TIME_LAST ? WIRE_TIME_LAST : (uint32_t)code;
}

static inline uint64_t wire_time_decode_ms(uint32_t code)
{
	if (code < WIRE_TIME_FINE)
		return code * 16ull;
	if (code < WIRE_TIME_MIDDLE)
		return WIRE_MS_FINE + (code - WIRE_TIME_FINE) * 1000ull;
	return WIRE_MS_MIDDLE + (code - WIRE_TIME_MIDDLE) * 64000ull;
}

/* Nodes that are marks and not code: their pc is the enum value. */
enum wire_special {
	WIRE_NODE_ROOT = 0,
	WIRE_NODE_UNKNOWN = 1, /* no stack could be taken */
	WIRE_NODE_CUT = 2,     /* child of root: outer frames beyond the recorder's depth limit */
	WIRE_NODE_NO_CFI =
		3, /* child of root: the outermost known frame has no unwind information */
	WIRE_NODE_FIRST = 4,
};

#define WIRE_PC_BITS 48
#define WIRE_PC_MASK ((1ull << WIRE_PC_BITS) - 1)

/*
 * A node of this pc and a number in its lower bits is no code but a tag: see struct wire_tag. Tags
 * of scopes are children of the root or of each other, and below them WIRE_NODE_CUT and
 * WIRE_NODE_NO_CFI have nodes of their own, with the same pc. The tag of a pool that has a name
 * stands at the inner end of the stacks of its blocks; so does that of a kind of resources, whose
 * blocks are handles, of 0 bytes each, and no memory.
 */
#define WIRE_PC_TAG (0xfffeull << WIRE_PC_BITS)
#define WIRE_PC_TAG_POOL (WIRE_PC_TAG | 1ull << 32)
#define WIRE_PC_TAG_KIND (WIRE_PC_TAG | 2ull << 32)
#define WIRE_PC_TAG_NUMBER ((1ull << 32) - 1)

static inline int wire_pc_is_tag(uint64_t pc)
{
	return pc >> WIRE_PC_BITS == WIRE_PC_TAG >> WIRE_PC_BITS;
}

static inline int wire_pc_is_kind(uint64_t pc)
{
	return (pc & ~WIRE_PC_TAG_NUMBER) == WIRE_PC_TAG_KIND;
}

/* The kind of which the kernel knows, too, which there are; no function is called so. */
#define WIRE_KIND_DESCRIPTORS "file descriptors"

/*
 * pc: return address; bits 48 … 63: 0 while its module is loaded, else 1 + index of the (unloaded)
 * module that was there. count: which wire_count is this node's; 0: none, nothing counted yet.
 */
struct wire_node {
	uint64_t pc;
	uint32_t parent, sibling;
	uint32_t child;
	uint32_t count;
};
_Static_assert(sizeof(struct wire_node) == 24, "no holes");

/*
 * A block that was sampled hangs at a node of its own below that of its stack, whose pc is no code
 * but says how it was sampled: WIRE_PC_SAMPLED + log2 of the mean. So each block and each counter
 * says itself what it stands for, however often the mode was changed meanwhile.
 */
#define WIRE_PC_SAMPLED (0xffffull << WIRE_PC_BITS)
#define WIRE_SAMPLE_BITS_MAX 30 /* a mean of 1 GiB */

static inline int wire_pc_is_sample(uint64_t pc)
{
	return pc >= WIRE_PC_SAMPLED && pc <= WIRE_PC_SAMPLED + WIRE_SAMPLE_BITS_MAX;
}

/*
 * Allocations whose stack ends at a node and that are not held back in a thread's records; temps:
 * those of them that were freed before anything else happened. Few nodes have one: blocks are
 * allocated at the ends of stacks. The first is nobody's, the second that of WIRE_NODE_UNKNOWN.
 * Where the node is of sampled blocks, blocks and temps are sums of weights (wire/sample.h), bytes
 * is the sum of what the blocks stand for, and samples says how many there were.
 */
struct wire_count {
	uint64_t blocks, bytes, temps, samples;
};

/*
 * To be added to a node's counters. Both sides add to it atomically: the recorder where it was
 * wrong about a size, a reader what was allocated while it took a snapshot (which the recorder only
 * notes in the undo log).
 */
struct wire_extra {
	uint64_t blocks, bytes, samples;
};

/* A live block as a reader makes it of a slot. */
struct wire_block {
	uint64_t addr, size;
	uint32_t node, time_code;
	uint8_t sampled; /* 0: not; else 1 + log2 of the mean */
};

enum wire_module_state {
	WIRE_MODULE_EMPTY = 0,
	WIRE_MODULE_WRITING,
	WIRE_MODULE_LOADED,
	WIRE_MODULE_UNLOADED,
};

#define WIRE_PATH_MAX 472
struct wire_module {
	uint32_t state; /* enum wire_module_state */
	uint8_t build_id_len;
	uint8_t is_main, is_recorder, is_allocator;
	uint64_t start, end, bias;
	uint8_t build_id[20];
	uint32_t reserved;
	char path[WIRE_PATH_MAX]; /* as the loader knows it; "" for the program itself */
};
_Static_assert(sizeof(struct wire_module) == 528, "no holes");

enum wire_record_flags {
	WIRE_RECORD_BP = 1,	/* the frame pointer is part of the proof */
	WIRE_RECORD_MANY = 2,	/* a site with other stacks that come back: look among them first */
	WIRE_RECORD_UNSURE = 4, /* not all of its words are certainly mapped */
};

/*
 * One remembered stack of a thread: the words that prove that the stack is still the same. Counts
 * that are not yet added to the node: blocks, bytes, temps.
 */
struct wire_record {
	uint64_t pc, sp; /* of a site */
	uint64_t words;	 /* recorder's address of values and offsets */
	uint64_t blocks, bytes;
	uint32_t temps;
	uint32_t node;
	uint32_t epoch;	      /* of a site: valid only while equal to the header's */
	uint32_t shape;	      /* of a site: its number; of another stack there: that of its site */
	uint16_t words_bytes; /* of the list of words */
	uint16_t sure_bytes;  /* of the words that are certainly mapped */
	uint16_t hash_bytes;  /* of a site: by these first words its other stacks are told apart */
	uint8_t flags;	      /* enum wire_record_flags */
	uint8_t confidence;
};
_Static_assert(sizeof(struct wire_record) == 64, "one cache line");

enum wire_entry_state {
	WIRE_ENTRY_EMPTY = 0,
	WIRE_ENTRY_WRITING,
	WIRE_ENTRY_DONE,
};

/* Handles of a kind of resources that were ever acquired and released. */
struct wire_handles {
	uint64_t acquired, released;
};

/*
 * A kind of resources, whose name is the tag of the same number. As blocks the handles are counted
 * among those of memory; here by themselves, those that found no room included.
 */
#define WIRE_KINDS_MAX 16
struct wire_kind {
	struct wire_handles ever;
	uint64_t pool; /* number of the row of its pool + 1; 0: none was acquired yet */
};

/*
 * A named instant. Blocks of its code and above are younger, those below are older. What was
 * allocated and freed before it is known unless a snapshot or an unruly thread was in the way.
 */
#define WIRE_MARK_NAME_MAX 80
struct wire_mark {
	uint32_t state; /* enum wire_entry_state */
	uint32_t code;	/* see wire_clock_mark() */
	uint64_t monotonic_ns;
	uint64_t blocks, bytes, frees; /* of which never seen blocks are not told apart */
	char name[WIRE_MARK_NAME_MAX];
	uint32_t counted;	/* 0: blocks, bytes and frees are not known */
	uint32_t kinds_counted; /* 0: kinds are not known */
	struct wire_handles kinds[WIRE_KINDS_MAX];
};
_Static_assert(sizeof(struct wire_mark) == 128 + 16 * WIRE_KINDS_MAX, "no holes");

/* A name: of scopes, or of pools. */
#define WIRE_TAGS_CAP 1024u
struct wire_tag {
	uint32_t state; /* enum wire_entry_state */
	char name[60];
};
_Static_assert(sizeof(struct wire_tag) == 64, "no holes");

/*
 * Pools: a hash table in levels, each four times as large as the one before, of buckets. A row
 * that is looked for is in the bucket of its address on one of the levels in use; a new one goes
 * into the first of these with room.
 *
 *   key    address, and which kind of row; 0 free
 *   block: size, stack and time as in a slot, owner: number of the pool's row << 40 | its
 *          generation. The pool being reset or gone, its generation is no more, nor is the block.
 *          Of a handle, size is a number that no other has had.
 *   pool:  owner: generation, never the same twice; stack: number of its name's tag + 1, or 0;
 *          size: blocks that it has
 */
#define WIRE_POOL_LEVELS 7
#define WIRE_POOL_FIRST_BITS 10
#define WIRE_POOL_STEP_BITS 2
#define WIRE_POOL_BUCKET 8
#define WIRE_POOL_GENERATION_BITS 40
#define WIRE_POOL_GENERATION_MASK ((1ull << WIRE_POOL_GENERATION_BITS) - 1)
#define WIRE_POOL_KEY_BLOCK (1ull << 62)
#define WIRE_POOL_KEY_POOL (2ull << 62)
#define WIRE_POOL_KEY_KIND (3ull << 62)
#define WIRE_POOL_KEY_WRITING 1ull
struct wire_pool_row {
	uint64_t key, stack, size, owner;
};
_Static_assert(sizeof(struct wire_pool_row) == 32, "no holes");

/* Number of the first row of a level. */
static inline uint64_t wire_pool_first(unsigned int level)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < level; i++)
		first += 1ull << (WIRE_POOL_FIRST_BITS + i * WIRE_POOL_STEP_BITS);
	return first;
}

#define WIRE_THREADS_MAX 8192
#define WIRE_CHUNKS_MAX 16384
/* Handed out in this order; the first one stays empty. See rec/record.h. */
#define WIRE_SITES_BITS 11
#define WIRE_VARIANTS_BITS 12
#define WIRE_RECORDS_NR (1 + (1u << WIRE_SITES_BITS) + (1u << WIRE_VARIANTS_BITS))

/* What came by while the recording was off. */
struct wire_unseen {
	uint64_t blocks, bytes; /* allocated */
	uint64_t frees;		/* of blocks that are not in the table */
};

/*
 * One thread's state. A reader looks at tid, busy, passes, pending_*, frees, unseen and records;
 * who makes a mark, at records_nr and flushes_*, too; the rest is the recorder's.
 *
 * frees and late_frees count frees where the table is cleared without looking (dense_below is 0);
 * late ones came while a snapshot was under way. All frees less all blocks that are gone were of
 * blocks that the recorder never saw. In the modes off and sample only frees of known blocks count
 * there. unseen[1] is what came late.
 */
struct wire_thread {
	int32_t tid;	       /* 0: slot free */
	uint32_t busy;	       /* depth of hooks that this thread is inside of */
	uint32_t passes;       /* changes with every hook that has seen WIRE_SLOW_SNAPSHOT */
	uint32_t pending_node; /* its temporary blocks not yet in the table: */
	uint32_t pending_temps;
	uint32_t late_frees;
	uint64_t frees;
	uint64_t last_block;   /* of the last allocation if nothing happened since, else 0 */
	uint64_t last_temps;   /* recorder's address: counter to bump if the next call frees it */
	uint64_t hook_sp;      /* stack pointer of the hook that set busy */
	uint64_t private_part; /* recorder's address */
	/* a line that a plain malloc or free does not touch */
	uint32_t records_nr;		       /* of those below that may hold counts */
	uint32_t flushes_begun, flushes_ended; /* equal unless counts are on their way to a node */
	uint8_t pad[52];
	struct wire_record records[WIRE_RECORDS_NR];
	struct wire_unseen unseen[2];
	uint32_t ring; /* its own, counted from 1; 0: none yet */
	uint32_t unused[3];
};
_Static_assert(sizeof(struct wire_thread) == 192 + 64 * WIRE_RECORDS_NR, "no holes");

/*
 * Where the recorder has mapped the chunk of a 64 MiB stretch of addresses. Pages of slots below
 * the frontier were asked of the kernel in advance, many at a time: heaps grow upwards, and a page
 * fault for each page costs more than what is done there.
 */
struct wire_level1 {
	uint64_t base;	   /* slot address = base + (addr >> 5) * 8; 0: no chunk yet */
	uint64_t frontier; /* slots at and above it take the slow path */
};

enum wire_undo_kind {
	WIRE_UNDO_SLOT = 0,    /* key: file offset of the slot; value: what it held */
	WIRE_UNDO_COUNT = 1,   /* key: node; value: requested bytes of one more block */
	WIRE_UNDO_UNCOUNT = 2, /* of one less: it has turned out to be another one */
	WIRE_UNDO_SAMPLE = 3,  /* key: log2 of the mean << 32 | node; value: size of one more */
};
struct wire_undo {
	uint64_t key; /* kind in the top 8 bits; 0: not written yet */
	uint64_t value;
};
#define WIRE_UNDO_KIND_SHIFT 56
#define WIRE_UNDO_VALID (1ull << 55)
#define WIRE_UNDO_KEY_MASK (WIRE_UNDO_VALID - 1)

enum wire_event_kind {
	WIRE_EVENT_ALLOC = 1,
	WIRE_EVENT_FREE,
	WIRE_EVENT_REALLOC_FREE, /* the old block of a realloc; the new one follows as ALLOC */
	WIRE_EVENT_RESTORE,	 /* that realloc failed: the block lives on */
	WIRE_EVENT_VOID, /* the ALLOC of this address before: it will come again, put right */
	WIRE_EVENT_KINDS,
};

/*
 * seq orders the events of all threads: an end of a block is numbered before the allocator hears of
 * it, a beginning after. Size and node of a FREE are those of the block, 0 if it was not known.
 */
struct wire_event {
	uint64_t seq_kind; /* number << 8 | enum wire_event_kind */
	uint64_t addr, size;
	uint32_t node;
	uint32_t ms; /* since the recording began, as far as whoever drains keeps the clock */
	int32_t tid;
	uint32_t unused;
};
_Static_assert(sizeof(struct wire_event) == 40, "no holes");

/*
 * Events of one thread at a time. The recorder never waits: what finds no room is counted. One
 * process drains, by a lock.
 */
#define WIRE_RING_EVENTS 65536u
struct wire_ring {
	uint64_t head; /* events ever put in; written by the recorder */
	uint64_t lost;
	uint32_t adding; /* one is being put in, and may have its number already */
	uint8_t pad0[44];
	uint64_t tail; /* events ever taken out; written by who drains */
	uint8_t pad1[56];
	struct wire_event events[WIRE_RING_EVENTS];
};
_Static_assert(sizeof(struct wire_ring) == 128 + 40 * WIRE_RING_EVENTS, "no holes");

/* Why every call takes the slow path, if so. */
enum wire_slow {
	WIRE_SLOW_SNAPSHOT = 1, /* log changes to the undo area */
	WIRE_SLOW_UNLOAD = 2,	/* a module is being unloaded: no cached unwinding rules */
	WIRE_SLOW_FREES = 4,	/* frees only, always: there are dense blocks to look for */
	WIRE_SLOW_OFF = 8,	/* blocks are not entered any more */
	WIRE_SLOW_SAMPLE = 16,	/* only some are: see sample_bits */
	WIRE_SLOW_FULL = 32,	/* all are, and each event goes into a ring, too */
	WIRE_SLOW_GONE = 64,	/* never in a file: only in a stand-in for it, see rec/forked.h */
	WIRE_SLOW_PARTIAL = WIRE_SLOW_OFF | WIRE_SLOW_SAMPLE,
	WIRE_SLOW_MODES = WIRE_SLOW_PARTIAL | WIRE_SLOW_FULL,
};

/* How much is recorded. Told by the bits of slow above; none of them: lite. */
enum wire_mode {
	WIRE_MODE_LITE = 0, /* live blocks and counters */
	WIRE_MODE_OFF,
	WIRE_MODE_SAMPLE, /* of every so many bytes allocated, one block */
	WIRE_MODE_FULL,	  /* lite, and every event */
	WIRE_MODES_NR,
};

struct wire_mode_change {
	uint64_t since_ns; /* CLOCK_MONOTONIC */
	uint32_t mode;	   /* enum wire_mode */
	uint32_t bits;	   /* of sample: log2 of the mean */
};
#define WIRE_CHANGES_MAX 60

enum wire_state {
	WIRE_STATE_NONE = 0, /* recorder has not started (static program, loader failed …) */
	WIRE_STATE_RECORDING,
	WIRE_STATE_NOT_USED, /* the program supplies its own malloc: nothing reaches the recorder */
	WIRE_STATE_FAILED,   /* see status_error */
};

/*
 * What the recorder maps for itself alone begins with this, at a page. It holds copies of words of
 * the stack, which must not pass for the program's own pointers.
 */
#define WIRE_PRIVATE_MAGIC0 0x72503165524370eeull
#define WIRE_PRIVATE_MAGIC1 0x9d1f6e3a84c2b507ull
struct wire_private {
	uint64_t magic[2];
	uint64_t bytes; /* of the mapping, this included */
	uint64_t next;	/* the recorder's address of another one; injected only */
	uint64_t unused[4];
};
_Static_assert(sizeof(struct wire_private) == 64, "what follows is aligned");

/*
 * The end of a program that the launcher wants to look at: the recorder waits when main has
 * returned or exit() is called (exit_before), or in a destructor (exit_state).
 */
enum wire_exit {
	WIRE_EXIT_NONE = 0,
	WIRE_EXIT_ASKED, /* by the launcher, before the program starts */
	WIRE_EXIT_WAITS, /* the recorder is there, and makes no system calls */
	WIRE_EXIT_SLEEP, /* by the launcher, which looks: sleep in a futex */
	WIRE_EXIT_SPIN,	 /* likewise, but go on without system calls: it is in a sandbox */
	WIRE_EXIT_GO,	 /* by either: it is over */
};

struct wire_header {
	/* configuration: written by the launcher before the program starts */
	uint64_t magic;
	uint32_t version, header_bytes;
	uint64_t file_bytes;
	uint64_t modules_off, nodes_off, counts_off, extra_off, index_off, threads_off, undo_off;
	uint64_t known_off, marks_off, tags_off, pools_off, rings_off, level1_off, dense1_off;
	uint64_t chunks_off;
	uint32_t modules_cap, nodes_cap, index_bits, threads_cap, undo_cap, chunks_cap;
	uint32_t marks_cap, tags_cap, pool_levels, rings_cap;
	uint64_t thread_stride, ring_stride;
	int32_t launcher_pid;
	uint32_t image;		     /* counts images (execs) under this launcher, from 1 */
	uint64_t began_monotonic_ns; /* time code 0 */
	uint32_t exit_state;	     /* enum wire_exit; written by both */
	uint32_t exit_before;	     /* likewise */

	/* control and what every call reads: one cache line */
	_Alignas(64) uint32_t slow; /* enum wire_slow bits */
	uint32_t epoch;		    /* of unwinding rules; never 0 */
	uint64_t time_bits;	    /* time code << WIRE_SLOT_TIME_SHIFT; see wire/marks.h */
	uint64_t dense_below;	    /* requested sizes below this go into the dense table */
	uint64_t ordinary_sizes;    /* WIRE_SIZE_ESCAPE - dense_below */
	uint32_t threads_many;	    /* 0 while one thread only has ever been here */
	uint32_t sample_bits;	    /* log2 of the mean; counts while WIRE_SLOW_SAMPLE is set */
	uint32_t event_ms;	    /* the clock of events; written by who drains */
	uint8_t pad1[20];

	/* growth: written by the recorder */
	_Alignas(64) uint32_t nodes_nr;
	uint32_t threads_nr, chunks_nr, modules_nr;
	uint32_t undo_nr, undo_lost;
	uint32_t index_nr; /* entries of the overflow index */
	uint32_t counts_nr;
	uint32_t marks_nr, marks_lost; /* lost: there was no room, or the name was taken away */
	uint32_t tags_nr, tags_lost;
	uint32_t pool_depth; /* levels in use */
	uint32_t rings_nr;
	uint64_t pool_generation;

	/* events: written by the recorder */
	_Alignas(64) uint64_t event_seq;
	uint64_t events_lost; /* not in a ring's count: there was none, or it was in use */

	/* modes: written by whoever changes them, one at a time (the lock of snapshots) */
	_Alignas(64) uint32_t changes_nr; /* ever; change i is in changes[i % WIRE_CHANGES_MAX] */
	uint32_t partial_nr; /* functions of which not all calls are seen; by who attaches */
	uint64_t mode_ns[WIRE_MODES_NR]; /* spent in each before the present one */
	struct wire_mode_change changes[WIRE_CHANGES_MAX];

	/* status and losses: written by the recorder */
	_Alignas(64) uint32_t state; /* enum wire_state */
	int32_t pid;
	uint64_t dropped_blocks, dropped_bytes;
	uint64_t unknown_frees; /* where dense_below is not 0; else see struct wire_thread */
	uint64_t unknown_pool_frees;
	uint64_t extra_blocks, extra_bytes; /* sums of what is in struct wire_extra */
	uint64_t lost_frees;
	uint64_t cut_stacks, stopped_stacks, missing_stacks;
	uint64_t checked_stacks, differing_stacks; /* check build only */
	uint64_t captures, record_hits; /* statistics, not exact; filled by the check build */
	char allocator[32];		/* "glibc", "jemalloc" … */
	char status_error[128];

	/* resources; how many kinds there are is written by who attaches */
	_Alignas(64) uint32_t kinds_nr;
	struct wire_kind kinds[WIRE_KINDS_MAX];

	/* chunk i shadows addresses from chunk_base[i]; bit 0 set: dense; 0: unused */
	_Alignas(4096) uint64_t chunk_base[WIRE_CHUNKS_MAX];
};

#endif
