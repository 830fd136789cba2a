/*
 * The images whose next starts are recorded (`seep flags IMAGE +ust`): a small text file that the
 * stub in every program reads (rec/flags_stub.c), so its format is the stub's.
 *
 *     seep-flags 1
 *     recorder /usr/lib/seep/libseep-rec.so
 *     ust 1763900000 1763986400 lite path /usr/sbin/nginx
 *     ust 1763900000 1763986400 sample=512K name memcached
 *     ust 1763900000 1763986400 lite unit nginx.service /usr/sbin/nginx
 *
 * ust SINCE UNTIL MODE path|name IMAGE, or unit NAME IMAGE: seconds since 1970; the image is the
 * rest of the line. A line that makes no sense is counted, left out, and gone with the next change.
 */
#ifndef SEEP_TARGET_FLAG_REGISTRY_H
#define SEEP_TARGET_FLAG_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/mode.h"

struct error;

struct flag {
	char *image;  /* absolute path, or with by_name its last part */
	bool by_name; /* every program of this name, wherever it is */
	char *unit;   /* only where systemd starts it for this unit; NULL: whoever does */
	uint64_t since_s, until_s;
	struct mode mode;
};

struct flag_registry {
	char *recorder; /* NULL: none named */
	struct flag *flags;
	size_t nr, cap;
	size_t damaged, damaged_line; /* lines left out, and the first of them, from 1 */
};

#define FLAG_REGISTRY_INIT                                                                         \
	{                                                                                          \
		.nr = 0                                                                            \
	}

#define FLAG_IMAGE_MAX 4096
#define FLAG_REGISTRY_MAX 16383 /* bytes; the stub looks at no more */

/*
 * No such file: an empty one. Errors (EXIT_FILE): not readable, not a registry, of a later version.
 */
int flag_registry_read(const char *path, struct flag_registry *ret, struct error *e);
/* -E2BIG: too many images for the stub. */
int flag_registry_write(const struct flag_registry *r, const char *path, struct error *e);
void flag_registry_release(struct flag_registry *r);

/* NULL: not flagged. Not those of units. */
struct flag *flag_registry_find(const struct flag_registry *r, const char *image, bool by_name);
/* Adds it, or makes it last until then; since stays what it was. */
void flag_registry_set(struct flag_registry *r, const char *image, bool by_name, uint64_t now_s,
		       uint64_t until_s, struct mode mode);
/* The same for units, of which each has one image. */
struct flag *flag_registry_find_unit(const struct flag_registry *r, const char *unit);
void flag_registry_set_unit(struct flag_registry *r, const char *unit, const char *image,
			    uint64_t now_s, uint64_t until_s, struct mode mode);
void flag_registry_remove(struct flag_registry *r, struct flag *flag);
/* How many were over by now, and have been removed. */
size_t flag_registry_expire(struct flag_registry *r, uint64_t now_s);

#endif
