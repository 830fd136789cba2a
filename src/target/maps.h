/*
 * /proc/PID/maps as an array, ascending by address.
 *
 * The text is written by the kernel, but paths in it are chosen by whoever made the files, so
 * nothing in it is trusted: a line that is not of the kernel's form, or goes backwards, is counted
 * and left out. The kernel escapes a newline in a path as \012 and nothing else; that is undone
 * here, so a path that really contains the four characters "\012" reads as having a newline.
 */
#ifndef SEEP_TARGET_MAPS_H
#define SEEP_TARGET_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum map_prot {
	MAP_READ = 1,
	MAP_WRITE = 2,
	MAP_EXEC = 4,
	MAP_IS_SHARED = 8,
};

struct map {
	uint64_t start, end; /* addresses [start, end) in the target */
	uint64_t offset;     /* in the file, bytes */
	uint8_t prot;	     /* enum map_prot */
	bool deleted;	     /* the file has no name any more (always so for memfd: and SysV) */
	uint32_t dev_major, dev_minor;
	uint64_t inode; /* 0: no file */
	/*
	 * Path of the file without " (deleted)"; "[heap]", "[stack]", "[anon:…]" as the kernel
	 * says; "" for plain anonymous memory. Never NULL; belongs to the struct maps.
	 */
	const char *path;
};

struct maps {
	struct map *items;
	size_t nr, cap;
	size_t bad_lines; /* not understood and left out */
	char *paths;	  /* all paths, NUL-terminated one after the other */
};

#define MAPS_INIT                                                                                  \
	{                                                                                          \
		.items = NULL                                                                      \
	}

/* Reads the maps of a live process. 0 or negative errno with *e (EXIT_TARGET, with a hint). */
int maps_read(int32_t pid, struct maps *ret, struct error *e);
/* The same from a descriptor of /proc/PID; no sentence. No maps at all is no error (zombie). */
int maps_read_at(int dir, struct maps *ret);
/* From text in the kernel's form. Never fails: what is not understood is counted in bad_lines. */
void maps_parse(const char *text, size_t len, struct maps *ret);
void maps_release(struct maps *m);
/*
 * One line without its newline, as smaps has it too. Sets all of *m but the path, which goes to
 * `path` (room for len + 1 bytes) with its length. False: not of the kernel's form; *m and path may
 * be half filled then.
 */
bool maps_parse_line(const char *line, size_t len, struct map *m, char *path, size_t *ret_path_len);

/* The mapping that holds addr, or NULL. */
const struct map *maps_find(const struct maps *m, uint64_t addr);
/* First mapping whose path is exactly this, at or after index `from`; NULL none. */
const struct map *maps_find_path(const struct maps *m, const char *path, size_t from);

/* Is this a mapping of the recorder's table? */
bool map_is_recorder(const struct map *m);
/*
 * First mapping of the recorder's table, or NULL: not recorded. Its path is "/memfd:seep-rec", or
 * that and ".LAUNCHER.FD": who holds it, under which descriptor.
 */
const struct map *maps_find_recorder(const struct maps *m);

#endif
