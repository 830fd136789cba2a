/*
 * How much memory, threads and descriptors a process has at this moment, as the kernel counts them.
 *
 * Kernels and rights differ, so every figure may be missing: usage_has() tells a zero from "not
 * known". Bytes everywhere.
 */
#ifndef SEEP_TARGET_USAGE_H
#define SEEP_TARGET_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum usage_field {
	USAGE_RSS,   /* resident, shared pages counted fully */
	USAGE_PSS,   /* resident, shared pages divided by their users; Linux 4.14 */
	USAGE_ANON,  /* resident and not of a file: heaps and stacks (RssAnon, Linux 4.5) */
	USAGE_FILE,  /* resident pages of files */
	USAGE_SHMEM, /* resident shared memory */
	USAGE_SWAP,  /* anonymous memory that is swapped out */
	USAGE_PAGE_TABLES,
	USAGE_THREADS,	   /* number */
	USAGE_DESCRIPTORS, /* number; own process or root */
	USAGE_PEAK_RSS,
	USAGE_FIELDS
};

struct usage {
	uint64_t t_ns; /* CLOCK_MONOTONIC when it was read */
	uint64_t value[USAGE_FIELDS];
	uint32_t known; /* bit n: value[n] was read */
};

static inline bool usage_has(const struct usage *u, enum usage_field field)
{
	return u->known & (1u << field);
}

/*
 * The figure whose growth is the program's own: anonymous memory, resident and swapped; where the
 * kernel does not tell it, RSS and swap. False when neither is known (kernel thread).
 */
bool usage_own_bytes(const struct usage *u, uint64_t *ret);

/* What usage_read() may spend time on. */
enum usage_wanted {
	USAGE_WANT_PSS = 1,	    /* walks the page tables: about 10 ms per resident GiB */
	USAGE_WANT_DESCRIPTORS = 2, /* lists a folder */
};

/*
 * Reads the process that has pid and start_ticks. 0; -ESRCH: gone or a zombie; -ESTALE: the pid
 * belongs to another process now. What is not permitted or not there is left out, not an error.
 */
int usage_read(int32_t pid, uint64_t start_ticks, unsigned int wanted, struct usage *ret);
/* The same from a folder with the files of /proc/PID, whatever process it is of. */
int usage_read_at(int dir, unsigned int wanted, struct usage *ret);

#endif
