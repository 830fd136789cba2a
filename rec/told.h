/*
 * The functions behind include/seep/seep.h. Each is called by the program itself, anywhere but in
 * one of our hooks (a signal handler excepted, which may have interrupted one).
 */
#ifndef SEEP_REC_TOLD_H
#define SEEP_REC_TOLD_H

#include <stdbool.h>
#include <stddef.h>

#define SEEP_DISABLE /* we tell nobody anything */
#include "seep/seep.h"

void rec_join(struct seep_hooks *hooks); /* of a library that was loaded just now */
void rec_mark(const char *name);
void rec_tag_begin(const char *name);
void rec_tag_end(void);
void rec_pool_create(const void *pool, const char *name);
void rec_pool_alloc(const void *pool, const void *block, size_t bytes);
void rec_pool_free(const void *pool, const void *block);
void rec_pool_reset(const void *pool);
void rec_pool_destroy(const void *pool);

struct hook;

/*
 * Brackets what each of them does with this thread's state. Other than hook_begin(), it may be told
 * something inside of a function of the allocator (by a new_handler). False: not recording.
 */
bool told_begin(struct hook *k, uint64_t sp);
void told_end(struct hook *k);

/* What goes into struct seep_hooks. */
#define TOLD_FUNCTIONS                                                                             \
	{                                                                                          \
		.version = SEEP_FUNCTIONS_VERSION, .bytes = sizeof(struct seep_functions),         \
		.mark = rec_mark, .tag_begin = rec_tag_begin, .tag_end = rec_tag_end,              \
		.pool_create = rec_pool_create, .pool_alloc = rec_pool_alloc,                      \
		.pool_free = rec_pool_free, .pool_reset = rec_pool_reset,                          \
		.pool_destroy = rec_pool_destroy,                                                  \
	}

/* Programs of other languages find rec_NAME by dlsym as seep_rec_NAME, where a loader knows us. */
#ifdef REC_BLOB
#define TOLD_EXPORT(name) _Static_assert(1, "")
#else
#define TOLD_EXPORT(name)                                                                          \
	extern __typeof__(rec_##name) seep_rec_##name                                              \
		__attribute__((alias("rec_" #name), visibility("default"), used))
#endif

#endif
