/*
 * Names of the C++ classes of objects, from what the compiler leaves in every program, stripped
 * ones included: an object begins with the address of its class's vtable.
 *
 *   object            vtable                     type_info              .rodata
 *   ┌─────────┐       ┌─────────────┐            ┌──────────────┐       "N4shop5OrderE"
 *   │ ●───────┼──┐    │ 0 (offset)  │      ┌────▶│ ●──▶ vtable  │          ▲
 *   │ members │  │    │ ●───────────┼──────┘     │ ●────────────┼──────────┘
 *   └─────────┘  └───▶│ functions … │            └──────────────┘
 *                     └─────────────┘
 *
 * Itanium C++ ABI 2.6.1 and 2.9 (GCC and Clang on Linux). A name is believed only when the
 * type_info's own vtable belongs, by the same chain, to one of the ABI's three classes for class
 * types. Programs built with -fno-rtti have no type_info: their objects get no name.
 */
#ifndef SEEP_HEAP_VTABLE_H
#define SEEP_HEAP_VTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;
struct vtables;
struct window;

#define CLASS_NONE 0

/* The target must outlive the result. */
struct vtables *vtables_new(struct target *t);
void vtables_free(struct vtables *v);
/* The class of an object that begins with this word, or CLASS_NONE. Remembers every answer. */
uint32_t vtables_class(struct vtables *v, uint64_t first_word);
/*
 * The class of what lies in a block of `size` bytes: an object at its beginning, or an array that
 * new[] made (a count, then objects, at least two of them alike): *ret_array then 1, otherwise 0.
 */
uint32_t vtables_class_of_block(struct vtables *v, struct window *w, uint64_t addr, uint64_t size,
				uint8_t *ret_array);
/*
 * Does a part of the object behind its beginning have a vtable of its own, which says how far
 * behind it is (a second base class, a virtual base)? Then pointers to that part are pointers to
 * the object.
 */
bool vtables_has_parts(struct vtables *v, struct window *w, uint64_t addr, uint64_t size);
/* Mangled type name ("N4shop5OrderE"), to be shown by demangling "_ZTI" and it. "" for none. */
const char *vtables_name(const struct vtables *v, uint32_t class_id);
/* Classes are 1 … this. */
uint32_t vtables_nr(const struct vtables *v);

#endif
