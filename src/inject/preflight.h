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
#include "inject/moved.h"

struct error;
struct target;

/* One kind each, so that a test or a caller can tell them apart. */
enum preflight_code {
	PREFLIGHT_NOT_READABLE, /* may not be read: the sentence says why */
	PREFLIGHT_GONE,		/* zombie, or it has just ended */
	PREFLIGHT_KERNEL_THREAD,
	PREFLIGHT_SELF,	   /* it is seep itself */
	PREFLIGHT_MACHINE, /* 32-bit, or another machine */
	PREFLIGHT_TRACED,
	PREFLIGHT_NO_TRACE, /* Yama, dumpable, capabilities */
	PREFLIGHT_STOPPED,
	PREFLIGHT_VFORK,  /* a child uses its memory */
	PREFLIGHT_SHARED, /* another process uses its memory for good */
	PREFLIGHT_WAITS,  /* uninterruptible (D) */
	PREFLIGHT_SECCOMP,
	PREFLIGHT_ADDRESS_SPACE, /* RLIMIT_AS, or memory of its control group */
	PREFLIGHT_SHADOW_STACK,
	PREFLIGHT_RECORDED, /* our recorder is there already */
	PREFLIGHT_PATCHED,  /* by another tool */
	PREFLIGHT_NO_ENTRIES,
	PREFLIGHT_NOT_MOVABLE, /* malloc or free itself cannot be had */
	PREFLIGHT_NO_ROOM,     /* no free addresses near an entry */
	PREFLIGHT_ENTRY,       /* note: one entry cannot be had, others can */
	PREFLIGHT_CLONE,       /* note: some allocations will not be seen … */
};

struct preflight_item {
	enum preflight_code code;
	char text[384]; /* "process 42 is traced by process 7 ('gdb')"; printable */
	char hint[256]; /* what to do, or "" */
};

/* What is to be done to one entry. */
struct preflight_entry {
	const struct entry *entry; /* not an alias */
	bool movable;
	const char *why_not; /* when it is not */
	uint8_t taken;	     /* bytes of it that are overwritten */
};

struct preflight {
	struct preflight_item *refuse; /* empty: it may be done */
	size_t nr_refuse, cap_refuse;
	struct preflight_item *notes; /* what will be less than whole, or is good to know */
	size_t nr_notes, cap_notes;

	struct target *target;	/* live, owned; NULL when it could not be opened */
	struct entries entries; /* empty when none were looked for */
	struct preflight_entry *plan;
	size_t nr_plan;
	size_t threads_nr, modules_nr;
	size_t movable_nr;    /* of the plan */
	bool filtered;	      /* a seccomp filter: ask again when stopped */
	bool suspend_seccomp; /* PTRACE_O_SUSPEND_SECCOMP may be used for calls made from outside */
	bool text_by_mem; /* false: text cannot be written through /proc/PID/mem: mprotect first */
};

struct preflight_options {
	uint64_t table_bytes; /* address space that will be asked for; 0: not checked */
};

/*
 * Looks at a process. 0 whatever was found (see refuse); negative errno with *e only where there is
 * no process to speak of. *ret is valid, and to be released, only on 0.
 */
int preflight(int32_t pid, const struct preflight_options *o, struct preflight *ret,
	      struct error *e);
/* The first reason as an error with EXIT_TARGET. False: there is none. */
bool preflight_refuses(const struct preflight *p, struct error *e);
void preflight_release(struct preflight *p);

#endif
