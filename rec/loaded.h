/*
 * What is loaded in this process, as the loader knows it: without its locks, which the thread that
 * called malloc may hold. Preloaded: loaded.c; injected: blob_loaded.c.
 */
#ifndef SEEP_REC_LOADED_H
#define SEEP_REC_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loaded {
	uint64_t start, end, bias;   /* mapped [start, end) */
	const uint8_t *eh_frame_hdr; /* NULL: none */
	const void *entry;	     /* of whoever found it */
};

/* The module that holds addr. */
bool loaded_find(uint64_t addr, struct loaded *ret);
/* Bytes of its build-id copied, 0: none. */
uint8_t loaded_build_id(const struct loaded *l, uint8_t *out, size_t cap);
/* As the loader knows it, "" for the program itself; belongs to the loader. */
const char *loaded_path(const struct loaded *l);
/* It is met for the first time. */
void loaded_seen(const struct loaded *l);
/* May a module have been loaded, to where pc is, since this was asked last? */
bool loaded_more(uint64_t pc);
/* Modules may have been unloaded. */
void loaded_less(void);

#endif
