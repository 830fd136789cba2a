/*
 * The words by which modules call functions of other modules, for entries that cannot be made a
 * jump: there those words are changed instead.
 *
 *      a module                     its slots (.got, .got.plt)         the entry
 *      call malloc@plt ──▶ jmp * ──▶ ┌──────────────────────┐ before ──▶ (left as it is)
 *      call *slot(%rip) ───────────▶ │ address of malloc    │
 *                                    └──────────────────────┘ after ───▶ thunk ──▶ hook ──▶ entry
 *
 * Only a slot that is called or jumped through and nothing else is taken: whoever reads the address
 * from it may keep it, beyond the day that the recorder is taken out. Where the linker has made one
 * slot of both, its stub is taken instead, the few bytes of code that jump through the slot.
 *
 * Tables of pointers to functions, which relocations have filled, are left alone for the same
 * reason, and counted: nobody could find the copies that a program makes of such a word, in blocks,
 * registers and elsewhere, and what they lead to would have to stay for ever. It would also be
 * another address than the function's, for a program that compares them.
 */
#ifndef SEEP_INJECT_SLOTS_H
#define SEEP_INJECT_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/blob.h"

struct entries;
struct target;

/* More than can be changed: then nothing is. */
#define SLOTS_MAX WIRE_PATCHES_MAX

struct slot {
	uint64_t addr; /* of the word, or the stub: a multiple of 8 */
	/* What it holds: the entry's address, or, not bound yet, its module's PLT; or code. */
	uint64_t value;
	size_t entry; /* index of the entry that it leads to */
	bool is_stub;
};

/* Of one entry. */
struct slots_of {
	size_t nr, modules_nr; /* slots and stubs that can be changed; modules that have them */
	size_t unbound_nr;     /* not bound yet, and what they will be bound to is not certain */
	size_t pointers_nr;    /* words of tables that hold its address, and slots that are read */
};

struct slots {
	struct slot *items; /* each once, by module; SLOTS_MAX + 1: there are more */
	size_t nr, cap;
	struct slots_of *of; /* by index of the entry; NULL: none were looked for */
};

#define SLOTS_INIT                                                                                 \
	{                                                                                          \
		.items = NULL                                                                      \
	}

/*
 * Of all entries whose `taken` is ENTRY_BY_SLOTS. What cannot be read has no slots, nor has what
 * would take too long: a process is free to say that it has any number of relocations.
 */
void slots_find(struct target *t, const struct entries *all, const uint8_t *taken,
		struct slots *ret);
void slots_release(struct slots *s);

#endif
