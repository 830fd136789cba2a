/* See modes.h. Integers only: floating-point operations of ours could be seen in the program's
 * exception flags, or trap. */
#include "modes.h"

#include "record.h"
#include "sys.h"

#define LN2_Q32 0xb17217f8ull /* 2^32 * ln 2 */
#define GOLDEN 0x9e3779b97f4a7c15ull

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull; /* splitmix64's finish */
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* No two threads, and no two runs, draw the same numbers. */
static void seed(struct wire_header *h, struct thread *t)
{
	static uint64_t seeds;
	uint64_t nr = __atomic_add_fetch(&seeds, 1, __ATOMIC_RELAXED);

	t->random = mixed(h->began_monotonic_ns + nr * GOLDEN) ^
		    mixed(arch_thread_pointer() + GOLDEN) ^
		    mixed((uint64_t)t->wire->tid << 32 ^ h->time_bits);
	if (!t->random)
		t->random = GOLDEN;
}

/* xorshift64*; never 0. */
static uint64_t draw(struct thread *t)
{
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return t->random * 0x2545f4914f6cdd1dull;
}

/* 2^32 * -ln(u), u = r / 2^64: the logarithm to base 2 bit by bit, by squaring. */
static uint64_t minus_log(uint64_t r)
{
	unsigned int zeroes = (unsigned int)__builtin_clzll(r);
	uint64_t m = r << zeroes, fraction = 0, log2;

	for (int i = 0; i < 32; i++) {
		unsigned __int128 square = (unsigned __int128)m * m;

		fraction <<= 1;
		if (square >> 127) {
			fraction |= 1;
			m = (uint64_t)(square >> 64);
		} else {
			m = (uint64_t)(square >> 63);
		}
	}
	log2 = ((uint64_t)zeroes + 1) << 32;
	return (uint64_t)((unsigned __int128)(log2 - fraction) * LN2_Q32 >> 32);
}

/*
 * How many bytes there are up to the next point on the line (wire/sample.h), rounded up: what a
 * block of whole bytes covers is the same, and so is what is left of it after such a block.
 */
static uint64_t distance(struct thread *t, uint32_t bits)
{
	uint64_t e = minus_log(draw(t));

	return (uint64_t)(((unsigned __int128)e << bits) >> 32) + 1;
}

static bool is_sampled(struct wire_header *h, struct thread *t, size_t size, uint32_t *ret_bits)
{
	uint32_t bits = __atomic_load_n(&h->sample_bits, __ATOMIC_ACQUIRE);
	uint64_t counted = size ? size : 1;

	if (bits > WIRE_SAMPLE_BITS_MAX)
		return false;
	if (!t->random)
		seed(h, t);
	if (t->sample_bits != bits || !t->sample_left) {
		t->sample_bits = bits;
		t->sample_left = distance(t, bits);
	}
	*ret_bits = bits;
	if (t->sample_left > counted) {
		t->sample_left -= counted;
		return false;
	}
	/* Behind the block the line begins anew: it has no memory. */
	t->sample_left = distance(t, bits);
	return true;
}

enum mode_answer mode_decide(struct wire_header *h, struct wire_thread *w, size_t size,
			     uint32_t *ret_bits)
{
	uint32_t mode = mode_of(h) & WIRE_SLOW_PARTIAL;
	struct wire_unseen *unseen;

	if (!mode)
		return MODE_ENTER;
	if (mode & WIRE_SLOW_SAMPLE)
		return is_sampled(h, thread_private(w), size, ret_bits) ? MODE_SAMPLE : MODE_PASS;
	unseen = &w->unseen[hook_logs(h)];
	unseen->blocks++;
	unseen->bytes += size;
	return MODE_PASS;
}

bool mode_counts_free(struct wire_header *h, struct wire_thread *w, uint64_t addr, bool known)
{
	uint32_t mode = mode_of(h) & WIRE_SLOW_PARTIAL;
	struct thread *t = thread_private(w);

	if (known || !mode)
		return true;
	if (!(mode & WIRE_SLOW_OFF))
		return false;
	if (t->last_deleted == addr)
		t->last_deleted = 0; /* the function behind operator delete: counted already */
	else
		w->unseen[hook_logs(h)].frees++;
	return false;
}

void mode_clear_stale(struct wire_header *h, uint64_t addr, uint64_t *slot)
{
	/* Moving: realloc has just freed it. */
	if (!(*slot & WIRE_SLOT_MOVING))
		__atomic_fetch_add(&h->lost_frees, 1, __ATOMIC_RELAXED);
	table_take_out(h, addr, slot);
}
