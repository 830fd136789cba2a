/*
 * The functions behind include/seep/seep.h. Each is called by the program itself, anywhere but in
 * one of our hooks (a signal handler excepted, which may have interrupted one).
 */
#ifndef SEEP_REC_TOLD_H
#define SEEP_REC_TOLD_H

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

/* Programs of other languages find rec_NAME by dlsym as seep_rec_NAME. */
#define TOLD_EXPORT(name)                                                                          \
	extern __typeof__(rec_##name) seep_rec_##name                                              \
		__attribute__((alias("rec_" #name), visibility("default"), used))

/* What goes into struct seep_hooks. */
void told_functions(struct seep_functions *ret);

#endif
