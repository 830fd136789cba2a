/*
 * The injected recorder's beginning: there is none. The injector writes what session.c would have
 * found out, and opens the gate before the first entry is patched; see wire/blob.h.
 */
#include "wire/blob.h"

#include <time.h>

#include "blob.h"
#include "blob_hooks.h"
#include "blob_told.h"
#include "clock.h"
#include "rec.h"
#include "wire/blob_offsets.h"
#include "wire/marks.h"

struct gate rec_gate __attribute__((aligned(4096)));
struct places rec_places;

_Static_assert(offsetof(struct gate, header) == offsetof(struct wire_gate, header) &&
		       offsetof(struct gate, level1) == offsetof(struct wire_gate, level1) &&
		       offsetof(struct gate, tables) == offsetof(struct wire_gate, tables),
	       "as the injector writes it");
_Static_assert(offsetof(struct places, base) == offsetof(struct wire_places, base) &&
		       offsetof(struct places, nodes) == offsetof(struct wire_places, nodes) &&
		       offsetof(struct places, counts) == offsetof(struct wire_places, counts) &&
		       offsetof(struct places, extra) == offsetof(struct wire_places, extra) &&
		       offsetof(struct places, index) == offsetof(struct wire_places, index) &&
		       offsetof(struct places, dense1) == offsetof(struct wire_places, dense1) &&
		       offsetof(struct places, modules) == offsetof(struct wire_places, modules) &&
		       offsetof(struct places, undo) == offsetof(struct wire_places, undo) &&
		       offsetof(struct places, known) == offsetof(struct wire_places, known) &&
		       offsetof(struct places, chunks) == offsetof(struct wire_places, chunks) &&
		       offsetof(struct places, marks) == offsetof(struct wire_places, marks) &&
		       offsetof(struct places, tags) == offsetof(struct wire_places, tags) &&
		       offsetof(struct places, pools) == offsetof(struct wire_places, pools) &&
		       offsetof(struct places, rings) == offsetof(struct wire_places, rings) &&
		       offsetof(struct places, nodes_cap) ==
			       offsetof(struct wire_places, nodes_cap) &&
		       sizeof(struct places) == sizeof(struct wire_places),
	       "as the injector writes it");

#define REAL_AT(hook) offsetof(struct wire_blob, reals[WIRE_HOOK_##hook])
_Static_assert(offsetof(struct wire_blob, quiet_start) == WIRE_BLOB_QUIET_START &&
		       offsetof(struct wire_blob, quiet_bytes) == WIRE_BLOB_QUIET_BYTES &&
		       offsetof(struct wire_blob, keeps_start) == WIRE_BLOB_KEEPS_START &&
		       offsetof(struct wire_blob, keeps_bytes) == WIRE_BLOB_KEEPS_BYTES &&
		       REAL_AT(malloc) == WIRE_BLOB_REAL_MALLOC &&
		       REAL_AT(malloc_2) == WIRE_BLOB_REAL_MALLOC_2 &&
		       REAL_AT(free) == WIRE_BLOB_REAL_FREE &&
		       REAL_AT(free_2) == WIRE_BLOB_REAL_FREE_2 &&
		       REAL_AT(glibc_free) == WIRE_BLOB_REAL_GLIBC_FREE &&
		       offsetof(struct hook_call, pc) == WIRE_BLOB_CALL_PC &&
		       WIRE_PAIR_FRAME_BYTES == WIRE_PAIR_FRAME,
	       "as entry_blob_x86_64.S reads it");

#define WIRE_DECLARE(name) void blob_##name(void);
WIRE_HOOKS(WIRE_DECLARE)

/* entry_blob_x86_64.S: where calls out of the blob return to */
extern const char blob_malloc_return[], blob_malloc_2_return[], blob_out_return[],
	blob_new_return[], blob_acquires_return[];

#define WIRE_ADDRESS(name) [WIRE_HOOK_##name] = (uint64_t)(uintptr_t)blob_##name,

/* The linker script puts it where writable memory begins. */
struct wire_blob rec_blob __attribute__((section(".blob"), used)) = {
	.private_part = {.magic = {WIRE_PRIVATE_MAGIC0, WIRE_PRIVATE_MAGIC1}},
	.magic = WIRE_BLOB_MAGIC,
	.version = WIRE_BLOB_VERSION,
	.bytes = sizeof(struct wire_blob),
	.gate = (uint64_t)(uintptr_t)&rec_gate,
	.places = (uint64_t)(uintptr_t)&rec_places,
	.functions = (uint64_t)(uintptr_t)&blob_functions,
	.hooks = {WIRE_HOOKS(WIRE_ADDRESS)},
	.returns = {(uint64_t)(uintptr_t)blob_malloc_return,
		    (uint64_t)(uintptr_t)blob_malloc_2_return, (uint64_t)(uintptr_t)blob_out_return,
		    (uint64_t)(uintptr_t)blob_new_return,
		    (uint64_t)(uintptr_t)blob_acquires_return},
};

bool rec_wake(void)
{
	return false;
}

static uint64_t now_ns(int clock)
{
	struct timespec now;
	const uint64_t args[6] = {(uint64_t)clock, (uint64_t)(uintptr_t)&now};

	if (!rec_blob.clock_gettime || (int)blob_out(args, rec_blob.clock_gettime))
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(const struct wire_header *h)
{
	uint64_t ns = now_ns(CLOCK_MONOTONIC);

	return ns ? ns : wire_clock_ns(h);
}

void clock_tick(struct wire_header *h)
{
	uint64_t ns = now_ns(CLOCK_MONOTONIC_COARSE);

	if (ns > h->began_monotonic_ns)
		wire_clock_set(h, (ns - h->began_monotonic_ns) / 1000000);
}
