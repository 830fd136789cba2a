/* Finding musl's allocator, and reading its records; see musl.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/musl.h"
#include "heap/scan.h"
#include "target/maps.h"
#include "target/target.h"

#define AREAS_MAX (1u << 22)
#define PIECE ((size_t)256 << 10)
#define OVERLAP ((size_t)4096) /* longer than a context */

/* Sizes of slots in units of 16 bytes: four to each doubling. */
static const uint16_t class_units[MUSL_CLASSES] = {
	1,   2,	  3,   4,    5,	   6,	 7,    8,    9,	   10,	 12,   15,   18,   20,	 25,   31,
	36,  42,  50,  63,   72,   84,	 102,  127,  146,  170,	 204,  255,  292,  340,	 409,  511,
	584, 682, 818, 1023, 1169, 1364, 1637, 2047, 2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191,
};

/* Offsets in the context; everything behind `extra` is moved by a word where page size varies. */
struct places {
	unsigned int init, head, tail, used;
};

static struct places places_of(unsigned int word, bool has_page_size)
{
	unsigned int base = 8 + (has_page_size ? word : 0);

	return (struct places){
		.init = base,
		.head = base + 8 + 5 * word, /* two ints, five words */
		.tail = base + 8 + 6 * word,
		.used = base + 8 + 8 * word + MUSL_CLASSES * word,
	};
}

static uint64_t load(const uint8_t *bytes, unsigned int word)
{
	uint64_t wide;
	uint32_t half;

	if (word == 8) {
		memcpy(&wide, bytes, 8);
		return wide;
	}
	memcpy(&half, bytes, 4);
	return half;
}

static bool is_area(struct scatter *p, uint64_t addr, uint64_t secret, unsigned int word)
{
	uint64_t check, slots = word == 8 ? 24 : 16, each = word == 8 ? 40 : 24;
	uint32_t nr;

	return addr && addr % MUSL_AREA == 0 && scatter_read(p, addr, &check, sizeof(check)) &&
	       check == secret && scatter_int(p, addr + 8 + word, &nr) &&
	       nr == (MUSL_AREA - slots) / each;
}

/* bytes: of what would be the context, long enough for all places. */
static bool is_context(struct scatter *p, const uint8_t *bytes, const struct places *at,
		       unsigned int word, uint64_t *ret_secret)
{
	uint64_t secret, head = load(bytes + at->head, word), tail = load(bytes + at->tail, word);
	uint32_t init;

	memcpy(&secret, bytes, 8);
	memcpy(&init, bytes + at->init, 4);
	if (secret == 0 || init != 1 || head == 0 || tail == 0 || head % MUSL_AREA ||
	    tail % MUSL_AREA)
		return false;
	*ret_secret = secret;
	return is_area(p, head, secret, word) && is_area(p, tail, secret, word);
}

static bool find_in(struct target *t, struct scatter *p, uint64_t start, uint64_t end,
		    uint8_t *bytes, struct musl *ret)
{
	unsigned int word = target_word_bytes(t);

	for (uint64_t piece = start; piece < end; piece += PIECE - OVERLAP) {
		size_t len = end - piece < PIECE ? (size_t)(end - piece) : PIECE;

		len = scan_never_touched(t, piece, piece + len) ? 0
								: target_read(t, piece, bytes, len);

		for (int extra = 0; extra < 2; extra++) {
			struct places at = places_of(word, extra);
			size_t need = at.used + MUSL_CLASSES * word;

			for (size_t i = 0; i + need <= len; i += word) {
				if (!is_context(p, bytes + i, &at, word, &ret->secret))
					continue;
				ret->context = piece + i;
				ret->context_end = piece + i + need;
				ret->word = word;
				for (unsigned int c = 0; c < MUSL_CLASSES; c++)
					ret->used_by_class[c] =
						load(bytes + i + at.used + (size_t)c * word, word);
				return true;
			}
		}
	}
	return false;
}

bool musl_find_context(struct target *t, struct scatter *p, struct musl *ret)
{
	struct scan_range range = {0};
	uint8_t *bytes = mem_alloc(PIECE);
	bool found = false;

	while (!found && scan_next_data(t, &range))
		found = find_in(t, p, range.start, range.end, bytes, ret);
	free(bytes);
	return found;
}

uint64_t musl_stride(const struct musl_group *g)
{
	if (g->nr == 1 && g->pages)
		return g->pages * 4096 - MUSL_UNIT;
	return (uint64_t)class_units[g->class] * MUSL_UNIT;
}

uint64_t musl_slot(const struct musl_group *g, unsigned int i)
{
	return g->mem + MUSL_UNIT - MUSL_HEADER + i * musl_stride(g);
}

/* record: prev, next, memory, two masks, then last slot, freeable, class, pages in one word. */
static void add_group(struct musl *m, struct scatter *p, uint64_t record, const uint8_t *bytes)
{
	struct musl_group g = {.record = record, .mem = load(bytes + 2 * m->word, m->word)};
	uint64_t bits = load(bytes + 3 * m->word + 8, m->word), back;
	uint32_t avail, freed;

	if (g.mem == 0)
		return;
	memcpy(&avail, bytes + 3 * m->word, 4);
	memcpy(&freed, bytes + 3 * m->word + 4, 4);
	g.nr = (uint8_t)((bits & 31) + 1);
	g.freeable = bits >> 5 & 1;
	g.class = bits >> 6 & 63;
	g.pages = bits >> 12;
	g.free_mask = avail | freed;
	if (g.mem % MUSL_UNIT || (g.class >= MUSL_CLASSES && g.class != MUSL_CLASS_DIRECT) ||
	    (g.class == MUSL_CLASS_DIRECT && (g.nr != 1 || g.pages == 0)) || g.pages > 1ull << 36) {
		m->nr_bad++;
		return;
	}
	g.bytes = g.pages ? g.pages * 4096 : MUSL_UNIT + g.nr * musl_stride(&g);
	if (g.mem + g.bytes < g.mem || MUSL_UNIT + g.nr * musl_stride(&g) > g.bytes ||
	    !scan_is_private(p->target, g.mem, g.mem + g.bytes) || !scatter_word(p, g.mem, &back) ||
	    back != record) {
		m->nr_bad++;
		return;
	}
	ARRAY_PUSH(m->groups, m->nr_groups, m->cap_groups, g);
}

static int compare_groups(const void *a, const void *b)
{
	const struct musl_group *x = a, *y = b;

	if (x->mem != y->mem)
		return x->mem < y->mem ? -1 : 1;
	return x->bytes > y->bytes ? -1 : x->bytes < y->bytes;
}

static int compare_addresses(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of a list that led back into itself: each area, and what is in it, once. Both are sorted. */
static void drop_twins(struct musl *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->nr_areas; i++)
		if (kept == 0 || m->areas[kept - 1] != m->areas[i])
			m->areas[kept++] = m->areas[i];
	m->nr_areas = kept;
	kept = 0;
	for (size_t i = 0; i < m->nr_groups; i++)
		if (kept == 0 || m->groups[kept - 1].record != m->groups[i].record)
			m->groups[kept++] = m->groups[i];
	m->nr_groups = kept;
}

void musl_collect(struct musl *m, struct scatter *p)
{
	unsigned int slots = m->word == 8 ? 24 : 16, each = m->word == 8 ? 40 : 24;
	struct places plain = places_of(m->word, false), moved = places_of(m->word, true);
	uint8_t page[MUSL_AREA];
	uint64_t area, mark = 0; /* of a circle: an area that comes again, at the latest here */

	if (!scatter_word(p, m->context + plain.head, &area) ||
	    !is_area(p, area, m->secret, m->word))
		(void)scatter_word(p, m->context + moved.head, &area);
	while (m->nr_areas < AREAS_MAX && is_area(p, area, m->secret, m->word) &&
	       scatter_read(p, area, page, sizeof(page))) {
		ARRAY_PUSH(m->areas, m->nr_areas, m->cap_areas, area);
		for (unsigned int at = slots; at + each <= MUSL_AREA; at += each)
			add_group(m, p, area + at, page + at);
		if ((m->nr_areas & (m->nr_areas - 1)) == 0)
			mark = area;
		area = load(page + 8, m->word);
		if (area == mark)
			break;
	}
	if (m->nr_groups)
		qsort(m->groups, m->nr_groups, sizeof(*m->groups), compare_groups);
	if (m->nr_areas)
		qsort(m->areas, m->nr_areas, sizeof(*m->areas), compare_addresses);
	drop_twins(m);
}

/*
 * A block need not begin where its slot does. Where it does not, the slot's own header says by how
 * many units (of which an aligned block may need more than 16 bits hold).
 */
static bool find_start(struct scatter *p, const struct musl_group *g, unsigned int i,
		       uint64_t *ret_addr)
{
	uint64_t slot = musl_slot(g, i) + MUSL_HEADER, off = 0;
	uint8_t h[8];

	if (!scatter_read(p, slot - 4, h + 4, 4))
		return false;
	if (h[5] >> 5 == 7)
		off = h[6] | (uint64_t)h[7] << 8;
	for (; off * MUSL_UNIT < musl_stride(g); off += 65536) {
		uint64_t addr = slot + off * MUSL_UNIT, units = (addr - g->mem) / MUSL_UNIT - 1;
		uint32_t wide;

		if (!scatter_read(p, addr - 8, h, 8))
			return false;
		memcpy(&wide, h, 4);
		if ((h[5] & 31) == i && h[5] >> 5 < 7 &&
		    (h[4] ? wide == units : (h[6] | (uint64_t)h[7] << 8) == units)) {
			*ret_addr = addr;
			return true;
		}
	}
	return false;
}

bool musl_block(struct scatter *p, const struct musl_group *g, unsigned int i, uint64_t *ret_addr,
		uint64_t *ret_size)
{
	uint64_t end = musl_slot(g, i) + musl_stride(g), addr, spare;
	uint8_t byte;
	uint32_t wide;

	if (!find_start(p, g, i, &addr) || !scatter_read(p, addr - 3, &byte, 1) || addr >= end)
		return false;
	spare = byte >> 5; /* bytes between what was asked for and the end of the slot */
	if (spare > 5)
		return false;
	if (spare == 5) {
		if (!scatter_int(p, end - 4, &wide) || wide < 5)
			return false;
		spare = wide;
	}
	if (spare > end - addr)
		return false;
	*ret_addr = addr;
	*ret_size = end - addr - spare;
	return true;
}
