/*
 * Types of Python objects, as CPython keeps them: the second word of an object is its type, and
 * types are objects with types too, up to `type`, which is its own.
 *
 *   block      object        type object               "type"
 *   ┌────────┐ ┌─────────┐   ┌─────────────┐          ┌───────────┐
 *   │ 0, 2 or├─│ count   │   │ count       │  ┌──────▶│ count     │◀─┐
 *   │ 4 words│ │ ●───────┼──▶│ ●───────────┼──┘       │ ●─────────┼──┘
 *   │ of GC  │ │ members │   │ size        │          │ size      │
 *   └────────┘ └─────────┘   │ ●──▶ "dict" │          │ ●──▶ "type"
 *                            └─────────────┘
 *
 * CPython 2.7 to 3.13 (Include/object.h: PyObject, PyVarObject, tp_name). A name is believed only
 * when that chain ends as it must. Builds that trace references (Py_TRACE_REFS) and the
 * free-threaded ones have other objects: theirs get no name.
 */
#ifndef SEEP_HEAP_PYTYPE_H
#define SEEP_HEAP_PYTYPE_H

#include <stdint.h>

struct pytypes;
struct target;
struct window;

#define PYTYPE_NONE 0

/* The target must outlive the result. */
struct pytypes *pytypes_new(struct target *t);
void pytypes_free(struct pytypes *p);
/* The type of the object in a block of a program with Python in it, or PYTYPE_NONE. Remembers
 * types. */
uint32_t pytypes_of_block(struct pytypes *p, struct window *w, uint64_t addr, uint64_t size);
/* "dict", "json.decoder.JSONDecoder"; "" for none. Ids are 1 and up. */
const char *pytypes_name(const struct pytypes *p, uint32_t id);

#endif
