/* The kernel's own little library, which has no file. */
#ifndef SEEP_SYM_VDSO_H
#define SEEP_SYM_VDSO_H

/*
 * Our own process's vdso as a file in memory: the target's is the same when the build-ids are
 * equal. A descriptor for the caller, or -1.
 */
int vdso_open(void);

#endif
