/*
 * Memory for the tool itself (never for rec/). Running out of it ends the program with one line and
 * status 70: there is nothing sensible left to do, and nothing half-written is left behind because
 * files are written under a temporary name.
 */
#ifndef SEEP_BASE_MEM_H
#define SEEP_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes);		       /* zeroed; never NULL, also for 0 */
void *mem_alloc_array(size_t nr, size_t size); /* zeroed; overflow ends the program */
void *mem_realloc(void *p, size_t bytes);      /* contents beyond the old size are undefined */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Growable array held as three plain fields: T *items; size_t nr, cap.
 * ARRAY_GROW makes room for one more and ARRAY_PUSH appends a value.
 */
void *array_grow(void *items, size_t nr, size_t *cap, size_t item_bytes);

#define ARRAY_GROW(items, nr, cap)                                                                 \
	((items) = (nr) < (cap) ? (items) : array_grow((items), (nr), &(cap), sizeof(*(items))))
#define ARRAY_PUSH(items, nr, cap, value) (ARRAY_GROW(items, nr, cap), (items)[(nr)++] = (value))

#endif
