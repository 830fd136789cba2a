/* See let_go.h. */
#include "inject/let_go.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "inject/calls.h"
#include "inject/threads.h"
#include "target/hold.h"
#include "target/maps.h"
#include "target/registers.h"
#include "wire/blob.h"

#define TEXT_MAX_BYTES (16u << 20)
#define REAL_OFFSET 176 /* of struct pair_call: where the function is entered */

/* add $216, %rsp; ret */
static const uint8_t wanted[] = {0x48, 0x81, 0xc4, WIRE_PAIR_FRAME_BYTES, 0, 0, 0, 0xc3};

static bool records_pairs(const struct wire_blob *b)
{
	for (uint32_t i = 0; i < b->patches_nr; i++)
		if (b->patches[i].hook == WIRE_HOOK_acquires)
			return true;
	return false;
}

static uint64_t find_in(const struct calls *c, const struct map *m)
{
	size_t len = m->end - m->start < TEXT_MAX_BYTES ? m->end - m->start : TEXT_MAX_BYTES;
	uint8_t *text = mem_alloc(len), *at = NULL;
	ssize_t got = pread(c->mem, text, len, (off_t)m->start);
	uint64_t found;

	if (got > 0)
		at = memmem(text, (size_t)got, wanted, sizeof(wanted));
	found = at ? m->start + (uint64_t)(at - text) : 0;
	free(text);
	return found;
}

/* The C library is never unloaded. */
static bool is_libc(const struct map *m)
{
	const char *slash = strrchr(m->path, '/');

	return m->prot & MAP_EXEC && slash &&
	       (!strncmp(slash, "/libc.so", 8) || !strncmp(slash, "/libc-2.", 8));
}

uint64_t let_go_find(const struct calls *c, const struct wire_blob *b)
{
	uint64_t found = 0;

	for (size_t i = 0; records_pairs(b) && i < c->maps.nr && !found; i++)
		if (is_libc(&c->maps.items[i]))
			found = find_in(c, &c->maps.items[i]);
	return found;
}

static bool read_word(const struct calls *c, uint64_t at, uint64_t *ret)
{
	return pread(c->mem, ret, sizeof(*ret), (off_t)at) == (ssize_t)sizeof(*ret);
}

/*
 * Is the word on a stack where such a call returns to, and no copy of that address? Then the
 * function's own code is noted in the frame.
 */
static bool is_call(const struct calls *c, uint64_t at)
{
	const struct map *m;
	uint64_t real;

	if (!read_word(c, at + sizeof(uint64_t) + REAL_OFFSET, &real))
		return false;
	m = maps_find(&c->maps, real);
	return m && m->prot & MAP_EXEC;
}

/* Does it wait, or has it just come back from the kernel? */
static bool is_in_system_call(const struct calls *c, int32_t tid)
{
	static const uint8_t syscall[] = {0x0f, 0x05};
	struct registers_place place;
	uint8_t before[sizeof(syscall)];

	return registers_get_place(tid, &place) &&
	       pread(c->mem, before, sizeof(before), (off_t)(place.pc - sizeof(before))) ==
		       (ssize_t)sizeof(before) &&
	       !memcmp(before, syscall, sizeof(syscall));
}

/* An unwinder at work has copies of the address. */
static bool has_copies(const struct calls *c, const struct thread_found *found, size_t nr,
		       int32_t tid)
{
	for (size_t i = 0; i < nr; i++)
		if (found[i].tid == tid && !is_call(c, found[i].at))
			return true;
	return false;
}

static bool is_end(const struct calls *c, uint64_t end)
{
	uint8_t there[sizeof(wanted)];

	return end && pread(c->mem, there, sizeof(there), (off_t)end) == (ssize_t)sizeof(there) &&
	       !memcmp(there, wanted, sizeof(wanted));
}

bool let_go(const struct calls *c, const struct wire_blob *b, uint64_t end,
	    struct thread_found *ret)
{
	const uint64_t returns = b->returns[sizeof(b->returns) / sizeof(b->returns[0]) - 1];
	struct threads_look l = {
		.hold = c->hold,
		.mem = c->mem,
		.maps = &c->maps,
		.returns = &returns,
		.nr_returns = 1,
		.all_returns = true,
	};
	struct thread_found *found;
	bool may, left = false;
	size_t nr;

	if (!records_pairs(b))
		return false;
	may = is_end(c, end);
	threads_look(&l, &found, &nr);
	for (size_t i = 0; i < nr; i++) {
		const struct thread_found *f = &found[i];

		if (!is_call(c, f->at))
			continue;
		if (may && is_in_system_call(c, f->tid) && !has_copies(c, found, nr, f->tid) &&
		    pwrite(c->mem, &end, sizeof(end), (off_t)f->at) == (ssize_t)sizeof(end))
			continue;
		left = true;
		*ret = *f;
	}
	free(found);
	return left;
}
