/*
 * A snapshot: all that seep knows of one process at one instant, as plain columns.
 *
 * It is made by a loader (recorder tables, .seep file), read by diff, report and the formats, and
 * never prints, opens or allocates behind anybody's back. All cross references are indices into the
 * arrays of the same snapshot; a loader checks them once (snapshot_check), so readers need not.
 *
 *   stack_node[n] ──parent──▶ stack_node ──▶ … ──▶ node 0 (root, no frame)
 *        │ frame
 *        ▼
 *   frame[f] ── module ──▶ module[m]          (NO_INDEX: not in any module: JIT, unknown)
 *        │ symbols first/nr
 *        ▼
 *   symbol[s], symbol[s+1] …                  (innermost inlined function first)
 *
 *   stack[k] ── node ──▶ the innermost frame of an allocating call: counters of that stack
 *   block[b] ── stack ──▶ stack[k]            (live blocks, optional)
 *
 * A byte counts once: a block inside another (of a pool that the program makes of its own blocks)
 * is taken off the live bytes of the stack of that one. Blocks of pools are in the figures of
 * stacks and generations, not among the blocks.
 */
#ifndef SEEP_MODEL_SNAPSHOT_H
#define SEEP_MODEL_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/heaps.h"
#include "model/references.h"
#include "model/strings.h"

struct error;

#define NO_INDEX UINT32_MAX
#define BUILD_ID_MAX 20

/*
 * Who this was. Two snapshots are of the same process when pid, start_ticks, boot_id and image
 * agree (an image of 0 agrees with any as long as exe is the same).
 */
struct identity {
	int32_t pid;
	uint64_t start_ticks; /* /proc/PID/stat field 22, clock ticks after boot */
	uint32_t image;	      /* counts execs of this pid under the recorder, from 1; 0 unknown */
	char boot_id[40];     /* /proc/sys/kernel/random/boot_id */
	uint32_t name;	      /* string: comm, or base name of exe */
	uint32_t exe;	      /* string: path of the program */
	uint32_t command;     /* string: command line; "" unless asked for (may hold secrets) */
	uint32_t host;	      /* string */
};

enum module_flags {
	MODULE_MAIN = 1 << 0,	  /* the program itself */
	MODULE_UNLOADED = 1 << 1, /* no longer mapped when the snapshot was taken */
	MODULE_REPLACED = 1 << 2, /* file on disk is not the one mapped: build-id or inode differ */
	MODULE_ALLOCATOR = 1 << 3, /* supplies malloc: its frames are folded away */
	MODULE_RECORDER = 1 << 4,  /* seep's own recorder */
	MODULE_SYSTEM = 1 << 5, /* under /lib, /usr/lib …: not "own" code when choosing a site */
};

struct module {
	uint32_t path;	     /* string; "[vdso]" and the like for the kernel's */
	uint64_t start, end; /* mapped address range [start, end) */
	uint64_t bias;	     /* mapped address - address in the file's program headers */
	uint8_t build_id[BUILD_ID_MAX];
	uint8_t build_id_len; /* 0: none */
	uint32_t flags;	      /* enum module_flags */
};

struct frame {
	uint64_t pc;	 /* return address; look up pc - 1 */
	uint32_t module; /* NO_INDEX: none */
	uint32_t symbols_first;
	uint32_t symbols_nr; /* 0: not resolved or no symbol: show module+offset */
};

/* One (possibly inlined) function at a frame; the last symbol of a frame is the real function. */
struct symbol {
	uint32_t function; /* string, demangled; "" unknown */
	uint32_t file;	   /* string, "" unknown */
	uint32_t line;	   /* 0 unknown */
	uint32_t offset; /* pc - start of the real function, bytes; of the outermost symbol only */
};

/* Parents come before children. Node 0 is the root. Some nodes are not code: */
enum special_frame {
	FRAME_NONE = 0,	     /* root */
	FRAME_UNKNOWN_STACK, /* the recorder could not take a stack here (counted in losses) */
	FRAME_CUT,    /* deeper frames were cut off (stack deeper than the recorder's limit) */
	FRAME_NO_CFI, /* the unwinder had to stop: no unwind information for the caller */
	FRAME_TAG,    /* a scope that the program has named, outside of all frames; they nest */
};
struct stack_node {
	uint32_t parent; /* < own index */
	uint32_t frame;	 /* index into frames, NO_INDEX when special != FRAME_NONE or root */
	uint8_t special; /* enum special_frame */
	uint32_t tag;	 /* of FRAME_TAG, string: "[request]"; else "" */
};

/*
 * Counters of one allocating stack since recording began. Where samples are among them, the blocks
 * and bytes are estimates: what is known of single blocks, and what the samples stand for.
 */
struct stack {
	uint32_t node;
	uint32_t id; /* the recorder's own id of this stack: stable within one recording */
	uint64_t live_blocks, live_bytes;   /* at the instant of the snapshot; bytes as requested */
	uint64_t total_blocks, total_bytes; /* ever allocated here; realloc: a free + a new one */
	uint64_t temporary_blocks; /* freed by the next allocator call of the same thread */
	uint64_t live_samples, total_samples;
};

/*
 * Descriptors, where who opens them is recorded: as the kernel counts them, and what the recorder
 * does not know of. All zero: not recorded.
 */
struct descriptors {
	uint64_t open;	 /* at the instant of the snapshot */
	uint64_t unseen; /* of these, opened before recording began, or by ways not recorded */
	uint64_t gone;	 /* closed by ways not recorded: no longer counted as live */
};

/* A named instant in a recording; what was counted until then. Marks lie in order of time. */
struct mark {
	uint32_t name;	 /* string */
	uint8_t counted; /* 0: the totals are not known */
	uint64_t monotonic_ns;
	uint64_t total_blocks, total_bytes; /* allocated until then */
	uint64_t frees;			    /* those of blocks never seen included */
};

/* Handles of a kind of resources that were acquired and released until a mark. */
struct mark_handles {
	uint32_t mark; /* number of it; ascending */
	uint32_t kind; /* string: "[sqlite3_open]" */
	uint64_t acquired, released;
};

/*
 * What a stack holds of one generation: of blocks born after so many marks, and before the next.
 * Where there are marks, the generations of a stack add up to its live figures (but for rounding,
 * where there are samples).
 */
struct generation_row {
	uint32_t stack;
	uint32_t generation; /* 0 … nr_marks */
	uint64_t live_blocks, live_bytes;
	uint64_t live_samples;
};

#define SAMPLED_MAX 31 /* of struct block: a mean of 1 GiB */

struct block {
	uint64_t addr;
	uint64_t size;	 /* bytes, as requested; known from a heap walk only: usable bytes */
	uint32_t stack;	 /* index into stacks; NO_INDEX: the recorder did not see it */
	uint32_t age_ms; /* since allocation, UINT32_MAX unknown; resolution: see wire/ */
	uint32_t heap;	 /* index into heaps; NO_INDEX: not found by a heap walk */
	uint8_t state;	 /* enum block_state */
	uint8_t sampled; /* it stands for others: 1 + log2 of the mean; 0: for itself alone */
};

/* How much the recorder recorded; numbers of the file format. */
enum recorder_mode {
	MODE_LITE = 0, /* all live blocks, and counters */
	MODE_OFF,
	MODE_SAMPLE, /* one block for every so many bytes allocated */
	MODE_FULL,   /* lite, and every event in a file of its own */
	MODES_NR,
};

struct mode_change {
	uint64_t since_ns;   /* CLOCK_MONOTONIC; until the next change, or the snapshot */
	uint8_t mode;	     /* enum recorder_mode */
	uint64_t mean_bytes; /* of sample */
};

/* What was not recorded because the mode was off. */
struct unrecorded {
	uint64_t ns;		/* how long in all */
	uint64_t blocks, bytes; /* allocated meanwhile */
	uint64_t frees;		/* meanwhile, of blocks that the recorder did not know */
};

struct thread_info {
	int32_t tid;
	uint32_t name; /* string */
	uint32_t heap; /* the heap it allocates from; NO_INDEX unknown */
	uint64_t sp;   /* stack pointer at the look; 0 unknown */
	uint64_t tp;   /* thread pointer, where its thread-local storage is; 0 unknown */
	/* Its memory as the C library made it, in whole pages; 0, 0 unknown. */
	uint64_t stack_start, stack_end; /* thread-local storage at its top included */
	uint64_t tls_start, tls_end;	 /* the first thread's, which is not part of a stack */
};

struct region { /* one line of /proc/PID/maps, or a part of one */
	uint64_t start, end, offset;
	uint32_t path;	   /* string */
	uint8_t prot;	   /* 1 r, 2 w, 4 x, 8 shared */
	uint8_t kind;	   /* enum region_kind of model/regions.h */
	uint32_t owner;	   /* what it belongs to, by kind: module, heap or thread; NO_INDEX none */
	uint32_t vm_flags; /* enum region_vm_flags */
	/* Bytes, of smaps; all zero unless the snapshot has has_region_use. */
	uint64_t rss, pss, shared_clean, shared_dirty, private_clean, private_dirty;
	uint64_t anonymous, lazy_free, swap, locked, huge;
};

/* Of the whole process, as the kernel counts them; bytes. All zero: not known. */
struct process_figures {
	uint64_t rss, peak_rss, anonymous, file, shared_memory, swap, page_tables;
};

/* Whatever keeps this snapshot from being the whole truth. All zero: nothing was lost. */
struct losses {
	uint64_t dropped_blocks; /* allocations not entered: a table was full */
	uint64_t dropped_bytes;
	uint64_t unknown_frees;	 /* of blocks never seen: born before the recorder, or elsewhere */
	uint64_t lost_frees;	 /* an address was handed out again without a free being seen */
	uint64_t cut_stacks;	 /* deeper than the limit */
	uint64_t stopped_stacks; /* unwinding stopped early: no unwind information */
	uint64_t missing_stacks; /* no stack at all (tree full) */
	uint64_t lost_marks;	 /* there was no room for them */
	uint64_t lost_tags;	 /* scopes without a tag: too many names, or nested too deep */
	uint64_t partial_functions; /* of which not all calls are seen (seep attach) */
	bool torn; /* no consistent instant: counts may be off by the traffic during the copy */
};

struct totals {
	uint64_t live_blocks, live_bytes;
	uint64_t total_blocks, total_bytes; /* ever allocated */
	uint64_t freed_blocks, freed_bytes;
	uint64_t temporary_blocks;
	uint64_t live_samples, total_samples; /* not 0: all these are estimates */
};

struct snapshot {
	struct strings strings;
	struct identity identity;
	uint64_t taken_realtime_ns;  /* CLOCK_REALTIME */
	uint64_t taken_monotonic_ns; /* CLOCK_MONOTONIC: the one for rates */
	uint64_t recording_since_ns; /* CLOCK_MONOTONIC; 0: no recorder */
	uint64_t pooled_bytes;	     /* of live blocks, what the program's pools have handed on: the
				      * blocks there count it */
	uint64_t pause_ns;	     /* how long the target stood still for this snapshot */
	bool has_recorder;
	bool has_blocks;
	bool has_heaps;	     /* heaps were walked: heaps, spans, checks */
	bool has_region_use; /* regions know their resident bytes */
	bool has_references; /* ref_…: see model/references.h */
	bool at_exit;	     /* taken when the process had ended */
	/* Of an earlier instant, only what is still there of it (generations.h): totals are 0. */
	bool survivors;
	uint32_t instant; /* of survivors: string, "the beginning", "mark 'NAME'", "the snapshot" */
	bool symbols_resolved;
	uint32_t allocator; /* string: "glibc", "jemalloc", … "" unknown */
	uint32_t method; /* string: how it was looked at ("frozen clone", "stopped", "live"); "" */
	struct process_figures figures;
	struct descriptors descriptors;

	struct module *modules;
	size_t nr_modules, cap_modules;
	struct frame *frames;
	size_t nr_frames, cap_frames;
	struct symbol *symbols;
	size_t nr_symbols, cap_symbols;
	struct stack_node *nodes;
	size_t nr_nodes, cap_nodes;
	struct stack *stacks;
	size_t nr_stacks, cap_stacks;
	/*
	 * The same of what is no memory: handles that functions acquire and release, 0 bytes each.
	 * The node is a tag that says of which kind: "[sqlite3_open]".
	 */
	struct stack *resources;
	size_t nr_resources, cap_resources;
	struct mark *marks;
	size_t nr_marks, cap_marks;
	struct mark_handles *mark_handles; /* none, in files of earlier versions */
	size_t nr_mark_handles, cap_mark_handles;
	struct generation_row *generations; /* ascending by stack, then generation */
	size_t nr_generations, cap_generations;
	/* The same of resources: `stack` is one of those. None, in files of earlier versions. */
	struct generation_row *resource_generations;
	size_t nr_resource_generations, cap_resource_generations;
	struct block *blocks;
	size_t nr_blocks, cap_blocks;
	struct thread_info *threads;
	size_t nr_threads, cap_threads;
	struct region *regions;
	size_t nr_regions, cap_regions;
	struct heap_row *heaps;
	size_t nr_heaps, cap_heaps;
	struct heap_span *spans; /* ascending by address; a sub-heap's lie within its parent's */
	size_t nr_spans, cap_spans;
	struct heap_check *checks;
	size_t nr_checks, cap_checks;
	struct ref_account ref_account;
	struct ref_block *ref_blocks; /* ascending by address */
	size_t nr_ref_blocks, cap_ref_blocks;
	struct ref_edge *ref_edges; /* by block */
	size_t nr_ref_edges, cap_ref_edges;
	struct ref_owner *ref_owners;
	size_t nr_ref_owners, cap_ref_owners;
	struct ref_root *ref_roots;
	size_t nr_ref_roots, cap_ref_roots;
	struct ref_pattern *ref_patterns;
	size_t nr_ref_patterns, cap_ref_patterns;
	struct mode_change *modes; /* the last ones, oldest first */
	size_t nr_modes, cap_modes;
	uint64_t mode_changes; /* since recording began; the beginning is not one */
	uint64_t sampled_ns;   /* how long only samples were recorded */
	struct unrecorded unrecorded;
	struct losses losses;
	struct totals totals; /* sums over stacks; snapshot_sum() fills them */
};

void snapshot_init(struct snapshot *s); /* node 0 exists, everything else is empty */
void snapshot_release(struct snapshot *s);
/* Fills totals from stacks. */
void snapshot_sum(struct snapshot *s);
/*
 * Checks every index and order promised above: 0, or -EINVAL with a sentence that names the row.
 * Does not look at totals. For hostile input.
 */
int snapshot_check(const struct snapshot *s, struct error *e);
/* Same process, same image? If not, *e says in which respect they differ. */
int snapshot_same_process(const struct snapshot *a, const struct snapshot *b, struct error *e);
/* Module whose range holds addr and that is still loaded, or NO_INDEX. */
uint32_t snapshot_find_module(const struct snapshot *s, uint64_t addr);
/* The heap whose span holds addr, the innermost one, or NO_INDEX. */
uint32_t snapshot_find_heap(const struct snapshot *s, uint64_t addr);
/* How many blocks this one stands for: 1, unless it was sampled. */
double block_weight(const struct block *b);

#endif
