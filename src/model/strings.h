/*
 * String table: every distinct text once, named by a 32-bit id. Id 0 is "", always.
 * The texts live in one growing buffer: pointers from strings_get() hold only until the next add.
 */
#ifndef SEEP_MODEL_STRINGS_H
#define SEEP_MODEL_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#define STRINGS_MAX_BYTES UINT32_MAX

struct strings {
	char *data;	   /* NUL-terminated texts one after the other; data[0] == 0 */
	size_t len, cap;   /* bytes */
	uint32_t *offsets; /* id -> offset into data */
	size_t nr, offsets_cap;
	uint32_t *slots; /* open-addressing hash of id + 1, slots_cap a power of two */
	size_t slots_cap;
};

void strings_init(struct strings *t);
void strings_release(struct strings *t);
/*
 * Id of the text, added if it is new. A text ends at its first NUL, whatever len says. A table that
 * holds STRINGS_MAX_BYTES takes no new texts: they become id 0.
 */
uint32_t strings_add(struct strings *t, const char *text);
uint32_t strings_add_len(struct strings *t, const char *text, size_t len);
/* Adds the text under the next id even when it is there already: for readers that must keep ids. */
uint32_t strings_append(struct strings *t, const char *text, size_t len);
/* Never NULL: an id out of range reads as "". */
const char *strings_get(const struct strings *t, uint32_t id);

#endif
