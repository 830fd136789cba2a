/*
 * May the recorder be put into a process? Everything that can be known before it is touched: reads,
 * stops nothing, writes nothing.
 *
 * What is found is true of the moment; a process may be stopped, exec or be traced right after. So
 * the injector asks again what can be asked again once the process stands still (seccomp filters,
 * registers, bytes at the entries), and the rest of its steps may fail as well as succeed.
 */
#ifndef SEEP_INJECT_PREFLIGHT_H
#define SEEP_INJECT_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inject/entries.h"
#include "inject/slots.h"

struct error;
struct pairs;
struct target;

/* One kind each, so that a test or a caller can tell them apart. */
enum preflight_code {
	PREFLIGHT_SELF,		/* it is seep itself */
	PREFLIGHT_NOT_READABLE, /* gone, a zombie, a kernel thread, or no right to: as is said */
	PREFLIGHT_MACHINE,	/* 32-bit, or another machine */
	PREFLIGHT_TRANSLATED,	/* its code is not run as it stands there: valgrind */
	PREFLIGHT_TRACED,
	PREFLIGHT_STOPPED,
	PREFLIGHT_VFORK,  /* a child uses its memory until it calls exec */
	PREFLIGHT_SHARED, /* another process uses its memory for good */
	PREFLIGHT_WAITS,  /* a thread cannot be interrupted (state D) */
	PREFLIGHT_SECCOMP,
	PREFLIGHT_SHADOW_STACK,
	PREFLIGHT_LOCKED,	 /* mlockall() */
	PREFLIGHT_ADDRESS_SPACE, /* RLIMIT_AS */
	PREFLIGHT_DATA,		 /* RLIMIT_DATA */
	PREFLIGHT_MEMORY,	 /* of its control group */
	PREFLIGHT_RECORDED,	 /* our recorder is there already */
	PREFLIGHT_NO_ENTRIES,	 /* no allocator can be found */
	PREFLIGHT_PATCHED,	 /* an entry is not what its file has: another tool */
	PREFLIGHT_PAIRS,	 /* functions that the user has named cannot be had */
	PREFLIGHT_NOT_MOVABLE,	 /* an entry that is needed cannot be taken */
	/* Notes only. */
	PREFLIGHT_ENTRY,    /* one entry cannot be taken, and what follows from that */
	PREFLIGHT_SLOTS,    /* … but calls of it from elsewhere can be seen: see slots.h */
	PREFLIGHT_CONFINED, /* a security module may forbid what is to be done */
	PREFLIGHT_WINE,
	PREFLIGHT_GO,
};

struct preflight_item {
	enum preflight_code code;
	char text[512]; /* "process 42 is traced by process 7 ('gdb')"; printable */
	char hint[256]; /* what to do, or "" */
};

struct preflight {
	struct preflight_item *refuse; /* empty: it may be done */
	size_t nr_refuse, cap_refuse;
	struct preflight_item *notes; /* what will be less than whole, or is good to know */
	size_t nr_notes, cap_notes;

	const struct pairs *pairs; /* NULL: memory only */
	struct target *target;	   /* live, owned; NULL when it could not be opened */
	struct entries entries;	   /* empty when none were looked for */
	/*
	 * Of each entry: bytes of it that would be overwritten; ENTRY_BY_SLOTS; 0: it is left
	 * alone. NULL: no entries.
	 */
	uint8_t *taken;
	struct slots slots;
	size_t threads_nr, modules_nr;
	bool catches_traps;   /* a breakpoint in it may be its own */
	bool filtered;	      /* a seccomp filter: ask recorder_calls_pass() once it is stopped */
	bool suspend_seccomp; /* PTRACE_O_SUSPEND_SECCOMP may be used for calls made from outside */
	bool at_start;	      /* it is held at the end of its exec, and has run nothing yet */
};

/*
 * Looks at a process; never fails: what it may not see is a reason to refuse. pairs: what is to be
 * recorded beside memory, NULL nothing; they must outlive *ret.
 */
void preflight(int32_t pid, const struct pairs *pairs, struct preflight *ret);
/* The same for a process that the calling thread holds there (target/catch_exec.h). */
void preflight_at_start(int32_t pid, struct preflight *ret);
/* The first reason as an error with EXIT_TARGET. False: there is none. */
bool preflight_refuses(const struct preflight *p, struct error *e);
/* Whether it is among the reasons, or the notes. */
bool preflight_has(const struct preflight *p, enum preflight_code code);
void preflight_release(struct preflight *p);

#endif
