/*
 * One thing to look at, whatever it is: a live process, a frozen clone of it, a core file.
 *
 *   target_open_pid() ──▶ live │ stopped │ clone ─┐
 *   target_open_core() ─▶ core ───────────────────┴─▶ maps, modules, threads, bytes at an address
 *
 * A clone shows one consistent instant and lets the process run meanwhile; a stopped process is
 * consistent and stands still until target_thaw(); a live one changes under the reader's eyes.
 * target_how() tells which it became and how long the process stood still. Everything that comes
 * from here was written by the target: hostile. Not thread-safe.
 */
#ifndef SEEP_TARGET_TARGET_H
#define SEEP_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct maps;
struct process_info;
struct smaps;
struct str;
struct target;

#define TARGET_BUILD_ID_MAX 20

enum target_kind { TARGET_LIVE, TARGET_STOPPED, TARGET_CLONE, TARGET_CORE };

/* Which of them is wanted of a process. */
enum target_wish {
	TARGET_WISH_AUTO,  /* the clone; where that is not safe, stopped; where not allowed, live */
	TARGET_WISH_CLONE, /* or an error */
	TARGET_WISH_STOP,
	TARGET_WISH_LIVE, /* nothing is stopped; cheapest, not consistent */
};

struct target_how {
	enum target_kind kind;
	bool consistent;
	uint64_t pause_ns; /* how long the process has stood still so far */
	/* Why it is not what AUTO tries first ("it has a seccomp filter"), or "". */
	char why[512];
};

struct target_options {
	enum target_wish wish;
	/* Core files: folders with the program's files, colon-separated; NULL: only their paths. */
	const char *files;
	/*
	 * NULL, or empty: what a process that is stopped or read live uses of each mapping is read
	 * to it, and its maps are made of that, so that both are of one instant and 50,000 mappings
	 * are walked once. Empty still where there is a clone. The caller's to release.
	 */
	struct smaps *use;
};

struct target_thread {
	int32_t tid;
	char name[64]; /* "" unknown */
	bool has_registers;
	uint64_t pc, sp;
	uint64_t tp; /* thread pointer: fs base, i386 gs base, aarch64 tpidr_el0; 0 unknown */
	/* All words of general and vector registers, for whoever looks for pointers in them. */
	const uint8_t *registers;
	size_t registers_bytes;
	/*
	 * The same as the kernel gave them, for whoever writes a core: gp is struct
	 * user_regs_struct (NT_PRSTATUS), xstate the xsave area (NT_X86_XSTATE; aarch64:
	 * NT_FPREGSET). NULL: unknown.
	 */
	const uint8_t *gp, *xstate;
	size_t gp_bytes, xstate_bytes;
};

enum target_module_flags {
	TARGET_MODULE_MAIN = 1 << 0,	/* the program itself */
	TARGET_MODULE_DELETED = 1 << 1, /* its file has no name any more */
	TARGET_MODULE_LOADER = 1 << 2,	/* ld.so */
	TARGET_MODULE_GO = 1 << 3,	/* made by Go's linker, or with its help */
};

/* An ELF file that is mapped, or "[vdso]". */
struct target_module {
	const char *path;
	uint64_t start, end; /* mapped [start, end), anonymous tail (.bss) included */
	uint64_t bias;	     /* mapped address - address in the file's program headers */
	uint64_t dynamic;    /* mapped address of the dynamic section; 0 none */
	uint64_t tls_bytes;  /* of PT_TLS; 0 none */
	uint8_t build_id[TARGET_BUILD_ID_MAX];
	uint8_t build_id_len; /* 0: none */
	uint32_t flags;	      /* enum target_module_flags */
};

/* How much of an address range is in memory. */
struct target_residency {
	uint64_t resident_bytes, swapped_bytes;
};

/* Both fill *ret only on success; NULL options: the defaults (all zero). */
int target_open_pid(int32_t pid, const struct target_options *o, struct target **ret,
		    struct error *e);
int target_open_core(const char *path, const struct target_options *o, struct target **ret,
		     struct error *e);
/* Does this path name an ELF core file? False also when it cannot be read. */
bool target_is_core(const char *path);
/*
 * Lets a stopped process go on, once all that must be of one instant has been read; kills a clone
 * early. Reading afterwards is of the live process, or fails. No effect on others.
 */
void target_thaw(struct target *t);
/*
 * Is what was being read gone before its time? A clone ends with its process, or may be killed for
 * want of memory: then what was read last may be incomplete. Also after target_thaw().
 */
bool target_has_ended(const struct target *t);
/* Thaws; leaves nothing behind in the process. NULL is fine. */
void target_close(struct target *t);

const struct target_how *target_how(const struct target *t);
/* "frozen clone", "stopped", "live", "core". */
const char *target_kind_name(enum target_kind kind);
unsigned int target_word_bytes(const struct target *t); /* 8, or 4 */
uint16_t target_machine(const struct target *t);	/* EM_X86_64, EM_386, EM_AARCH64 … */
/* Who it is, or was. A core knows pid, comm and command only. */
const struct process_info *target_process(const struct target *t);

/* All of these belong to the target. */
const struct maps *target_maps(const struct target *t);
const struct target_thread *target_threads(const struct target *t, size_t *ret_nr);
const struct target_module *target_modules(const struct target *t, size_t *ret_nr);
/* The module whose range holds addr, or NULL. */
const struct target_module *target_find_module(const struct target *t, uint64_t addr);
const struct target_module *target_main_module(const struct target *t); /* NULL unknown */

/*
 * Reads up to len bytes from addr on. Returns how many could be had before the first that could
 * not (0: none). Pages that a core does not hold, and whose file is not to be had, cannot.
 */
size_t target_read(struct target *t, uint64_t addr, void *buffer, size_t len);
/* All or nothing. */
bool target_read_all(struct target *t, uint64_t addr, void *buffer, size_t len);
/* One word of the target's size and byte order. */
bool target_read_word(struct target *t, uint64_t addr, uint64_t *ret);
/* A NUL-terminated text; cut at cap - 1 bytes. False: no NUL before memory that is not there. */
bool target_read_text(struct target *t, uint64_t addr, char *buffer, size_t cap);
/* 0, or -ENOTSUP where it is not known (cores). For many ranges, ask in ascending order. */
int target_residency(struct target *t, uint64_t start, uint64_t end, struct target_residency *ret);
/*
 * The first part of [from, end), which lie in one mapping, that holds anything of the process's:
 * pages in memory or swapped out, of a private mapping those only that are not the file's (of a
 * core: what is no hole in it). 0; -ENOENT: nothing is there; -ENOTSUP: that cannot be told.
 * Whoever reads much memory asks this first: reserved address space may be terabytes, and reading a
 * hole in shared memory would fill it.
 */
int target_next_used(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
		     uint64_t *ret_end);

/* What a core should hold and does not; reads of it come short. */
struct target_gaps {
	uint64_t missing_bytes; /* that the process could read */
	size_t missing_regions; /* in which they lie */
	uint64_t cut_bytes;	/* of the core file, behind its end */
	uint64_t bad_records;	/* headers and notes that contradict themselves, left out */
	/* Mapped files, whose contents a core leaves out: of these … */
	size_t files_missing, files_other; /* not found; found in another build only */
	size_t files_unverified;	   /* used, by name and time only */
};

/* False: nothing is missing, nothing is doubtful, or it is no core. *ret is filled in any case. */
bool target_gaps(const struct target *t, struct target_gaps *ret);
/* Appends "12 MiB of 3 regions are not in the core; 2 of its files were not found". */
void target_gaps_describe(const struct target_gaps *g, struct str *out);

#endif
