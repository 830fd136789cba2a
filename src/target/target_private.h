/* What the ways to look at a target share; each is one file behind target_ops. */
#ifndef SEEP_TARGET_TARGET_PRIVATE_H
#define SEEP_TARGET_TARGET_PRIVATE_H

#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

struct target_ops {
	/* See target_read(); len > 0. */
	size_t (*read)(struct target *t, uint64_t addr, void *buffer, size_t len);
	/* See target_residency(); NULL: -ENOTSUP. */
	int (*residency)(struct target *t, uint64_t start, uint64_t end,
			 struct target_residency *ret);
	/* Descriptor of the /proc folder whose memory is read, borrowed; NULL: process.pid's. */
	int (*proc_dir)(struct target *t);
	/* See target_next_used(); NULL: -ENOTSUP. */
	int (*next_used)(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
			 uint64_t *ret_end);
	/* See target_has_ended(); NULL: it cannot. */
	bool (*has_ended)(const struct target *t);
	void (*thaw)(struct target *t);	 /* NULL: nothing to do; may be called again */
	void (*close)(struct target *t); /* frees state; after thaw */
};

struct target {
	const struct target_ops *ops;
	void *state; /* of the backend */
	struct target_how how;
	unsigned int word_bytes;
	uint16_t machine;
	struct process_info process;
	struct maps maps;
	struct smaps *use;	       /* see struct target_options; while it is opened */
	struct target_thread *threads; /* registers: allocated one by one, owned */
	size_t nr_threads, cap_threads;
	struct target_module *modules; /* paths belong to maps */
	size_t nr_modules, cap_modules;
};

/* Empty, with no backend yet. */
struct target *target_new(void);
/* The next thread, zeroed; valid until the next call. */
struct target_thread *target_add_thread(struct target *t, int32_t tid, const char *name);
/* Copies the words that a thread's registers are made of. */
void target_set_registers(struct target_thread *thread, const void *bytes, size_t len);
/*
 * Copies the raw register sets, see struct target_thread; either may be NULL. One allocation, which
 * gp or else xstate points to; target_release_raw_registers() frees it.
 */
void target_set_raw_registers(struct target_thread *thread, const void *gp, size_t gp_bytes,
			      const void *xstate, size_t xstate_bytes);
void target_release_raw_registers(struct target_thread *thread);
/*
 * Fills modules from maps and the ELF headers in memory (target_read must work). Also settles
 * word_bytes and machine from the main program where the backend left them 0.
 */
void target_find_modules(struct target *t);

/* Reads maps, and the caller's use if that is wanted. 0 or negative errno. dir: of /proc/PID. */
int target_read_maps(struct target *t, int dir);

/* Backends. Each gets a target whose process and maps are filled, and sets ops, state and how. */
int target_live_attach(struct target *t, struct error *e);
/* Stops all threads, fills registers and maps of that instant; t->how.pause_ns counts until thaw.
 */
int target_stop_attach(struct target *t, struct error *e);
/* Stops, clones, lets go. -ENOTSUP with a reason in t->how.why: not safe here, try stopping. */
int target_clone_attach(struct target *t, struct error *e);

/*
 * Reading /proc/PID/mem and /proc/PID/pagemap of any process, for all three. dir: a descriptor of
 * /proc/PID, duplicated.
 */
struct procmem_run {
	uint64_t start, end;
};

struct procmem {
	int mem, pagemap; /* -1: not permitted */
	/* Set by the backend: then untouched memory is not asked for. NULL: everything is. */
	const struct maps *maps;
	bool frozen;	     /* set by the backend: nothing changes, so what was read stays true */
	size_t fetch;	     /* entries to read at once; 0: a window full */
	uint64_t zero_frame; /* number of the page of zeroes; 0 unknown */
	uint64_t *entries;   /* a window of pagemap */
	uint64_t first_page;
	size_t nr_entries;
	struct pagemap_slot *slots; /* of a frozen target: windows all over it */
	long page_bytes;
	/* Runs of used pages within [runs_from, runs_to); procmem_used.c. */
	struct procmem_run *runs;
	size_t nr_runs;
	uint64_t runs_from, runs_to, runs_asked;
	bool no_scan; /* the kernel has no PAGEMAP_SCAN */
};

/* 0 or negative errno of opening mem; no pagemap is no error. */
int procmem_open(struct procmem *m, int dir);
void procmem_close(struct procmem *m);
size_t procmem_read(struct procmem *m, uint64_t addr, void *buffer, size_t len);
int procmem_residency(struct procmem *m, uint64_t start, uint64_t end,
		      struct target_residency *ret);
/*
 * The first run of pages at or after from, and before end, that are in memory or swapped out. 0;
 * -ENOENT: there is none; -ENOTSUP: that cannot be told.
 */
int procmem_next_used(struct procmem *m, uint64_t from, uint64_t end, struct procmem_run *ret);

#endif
