/* Descriptors of another process, and its memory as a file. dir: of /proc/PID or of a thread's. */
#ifndef SEEP_TARGET_FOREIGN_FD_H
#define SEEP_TARGET_FOREIGN_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its memory, for reading and writing; write protection of its pages does not count. */
int foreign_memory(int dir);
/* All of it, or negative errno. mem: as foreign_memory(). */
int foreign_read(int mem, uint64_t addr, void *buffer, size_t len);
/* The same open file, by a descriptor of our own; negative errno. */
int foreign_open(int dir, int number);

struct map;

struct foreign_file {
	uint64_t device, inode, bytes;
};

/* False: there is no such descriptor. */
bool foreign_identify(int dir, int number, struct foreign_file *ret);
/* Is it this file that is mapped there? bytes does not count. */
bool foreign_is_mapped(const struct foreign_file *f, const struct map *m);
/*
 * Its descriptors of files that are called exactly this ("/memfd:x (deleted)"). Ascending; caller
 * frees. 0 or negative errno.
 */
int foreign_find(int dir, const char *link, int32_t **ret, size_t *ret_nr);
/* All of its descriptors but those of the recorder's tables. Likewise. */
int foreign_numbers(int dir, int32_t **ret, size_t *ret_nr);

#endif
