/*
 * See slot_uses.h. An instruction whose operand is a word at a distance from rip, and that has no
 * immediate behind it, ends with the distance (AMD64 manual, volume 3, 1.7). So every place in the
 * code is tried as such a distance; nothing needs to be known of where instructions begin.
 * (Those with an immediate compare the word or write to it: they do not hand it on.)
 */
#include "inject/slot_uses.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/maps.h"
#include "target/target.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define BEFORE_BYTES 2 /* of the instruction, that say what it is */
#define DISTANCE_BYTES 4

/*
 * binutils' .plt.got (bfd/elfxx-x86.c, 2.40): ff 25 distance, 66 90. Those for CET begin with
 * endbr64 and are 16 bytes; they are not changed.
 */
static bool is_stub(const uint8_t *distance, size_t len, uint64_t addr)
{
	static const uint8_t fill[] = {0x66, 0x90};

	return addr % SLOT_STUB_BYTES == 0 && len >= DISTANCE_BYTES + sizeof(fill) &&
	       !memcmp(distance + DISTANCE_BYTES, fill, sizeof(fill));
}

/* ff 15: call *distance(%rip); ff 25: jmp. distance: where it is, and len bytes from there on. */
static void count(struct slot_use *u, const uint8_t *distance, size_t len, uint64_t addr)
{
	const uint8_t *before = distance - BEFORE_BYTES;

	if (before[0] != 0xff || (before[1] != 0x15 && before[1] != 0x25)) {
		u->others++;
		return;
	}
	u->calls++;
	if (before[1] == 0x25 && is_stub(distance, len, addr - BEFORE_BYTES))
		u->stub = addr - BEFORE_BYTES;
}

static int compare_address(const void *address, const void *use)
{
	uint64_t a = *(const uint64_t *)address, b = ((const struct slot_use *)use)->addr;

	return (a > b) - (a < b);
}

/* code: len bytes from addr on. */
static void search(const uint8_t *code, size_t len, uint64_t addr, struct slot_use *uses, size_t nr)
{
	uint64_t low = uses[0].addr, span = uses[nr - 1].addr - low;

	for (size_t i = BEFORE_BYTES; i + DISTANCE_BYTES <= len; i++) {
		int32_t distance;
		struct slot_use *u;
		uint64_t target;

		memcpy(&distance, code + i, sizeof(distance));
		target = addr + i + DISTANCE_BYTES + (uint64_t)(int64_t)distance;
		if (target - low > span)
			continue;
		u = bsearch(&target, uses, nr, sizeof(*uses), compare_address);
		if (u)
			count(u, code + i, len - i, addr + i);
	}
}

static void search_range(struct target *t, uint64_t start, uint64_t end, struct slot_use *uses,
			 size_t nr, uint64_t *left)
{
	const size_t overlap = BEFORE_BYTES + DISTANCE_BYTES - 1;
	uint8_t *piece = mem_alloc(PIECE_BYTES);

	for (uint64_t at = start; at < end;) {
		size_t want = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
		size_t got = want <= *left ? target_read(t, at, piece, want) : 0;

		*left -= got;
		search(piece, got, at, uses, nr);
		if (got < want) {
			for (size_t i = 0; i < nr; i++)
				uses[i].others++;
			break;
		}
		at += want;
		if (at < end)
			at -= overlap;
	}
	free(piece);
}

void slot_uses_count(struct target *t, const struct target_module *m, struct slot_use *uses,
		     size_t nr, uint64_t *left)
{
	const struct maps *maps = target_maps(t);

	for (size_t i = 0; i < maps->nr && nr; i++) {
		const struct map *map = &maps->items[i];

		if (map->prot & MAP_EXEC && map->start >= m->start && map->end <= m->end)
			search_range(t, map->start, map->end, uses, nr, left);
	}
}
