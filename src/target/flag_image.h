/* Which image is meant by an operand of `seep flags`, and whether its starts can be recorded. */
#ifndef SEEP_TARGET_FLAG_IMAGE_H
#define SEEP_TARGET_FLAG_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct flag;

/*
 * The name under which an operand stands in the registry: the resolved path of a file, or the name
 * itself. must_exist false: what is gone keeps the name it had. Caller frees *ret. 0, or negative
 * errno with *e.
 */
int flag_image_name(const char *operand, bool by_name, bool must_exist, char **ret,
		    struct error *e);
/*
 * Can the stub do its work in this image, or the daemon if it is there? 0, or negative errno with
 * *e (EXIT_TARGET): a script, statically linked and no daemon, of another machine or of 32 bits,
 * with privileges of its own, with a loader that reads no /etc/ld.so.preload.
 */
int flag_image_check(const char *path, bool daemon, struct error *e);

/* Is this the path of a program that is flagged, whoever starts it? */
bool flag_image_is(const struct flag *flag, const char *exe);

/* The processes that run an image now, and how many of them are recorded, as far as it may be seen.
 */
struct flag_use {
	size_t running, recorded;
};
/* uses: room for nr. Never fails; what may not be seen is not counted. */
void flag_image_uses(const struct flag *flags, size_t nr, struct flag_use *uses);

#endif
