/*
 * Which file on disk is the one that the target had mapped, and where its debug information is.
 * A candidate counts only when its build-id is the module's, or, where the module has none, when it
 * is the very file that is mapped (device and inode) or at least fits the mapping exactly.
 */
#ifndef SEEP_SYM_SEARCH_H
#define SEEP_SYM_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct image;
struct image_link;
struct sym_module;
struct sym_options;

struct search {
	char **paths; /* --symbols, one folder or file each */
	size_t nr, cap;
	int root_fd; /* the caller's; -1 none */
	int (*open_mapped)(void *arg, uint64_t address);
	bool (*is_mapped)(void *arg, uint64_t address, uint64_t device, uint64_t inode);
	void *process;
};

/* A file found and open; image is that of fd. */
struct found {
	int fd; /* -1: nothing found */
	struct image *image;
	char *path;
};

#define FOUND_NONE                                                                                 \
	{                                                                                          \
		.fd = -1                                                                           \
	}

void search_init(struct search *s, const struct sym_options *o, int root_fd);
void search_release(struct search *s);
void found_release(struct found *f);

/*
 * The module's own file, or with a build-id a separate debug file that has its symbols. False: *why
 * says why not. True: *why is empty or a reservation ("no build-id: …").
 */
bool search_module(const struct search *s, const struct sym_module *m, struct found *ret,
		   struct str *why);
/* The separate debug file of the module's file `of`. */
bool search_debug(const struct search *s, const struct found *of, struct found *ret);
/* The file that several debug files share (.gnu_debugaltlink of `of`). */
bool search_alternate(const struct search *s, const struct found *of, struct found *ret);

#endif
