/* Where the chunks of a file are: by its index, or by looking at all bytes when that is gone. */
#ifndef SEEP_FILE_FIND_H
#define SEEP_FILE_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk_entry;
struct unpacker;

struct chunk_list {
	struct chunk_entry *items; /* in the order of the file */
	size_t nr, cap;
	bool has_end; /* the trailer is there and whole: the file was not cut short */
	bool indexed; /* items come from the index, so they name damaged chunks as well */
};

/* data: the whole file. Never fails; finding nothing is an empty list. */
void chunk_list_find(struct chunk_list *l, const uint8_t *data, size_t len, struct unpacker *u);
void chunk_list_release(struct chunk_list *l);

#endif
