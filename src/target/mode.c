/* See mode.h. */
#include "target/mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/units.h"
#include "target/table.h"

#define SAMPLE "sample="

static int unknown(const char *text, struct error *e)
{
	error_set(e, -EINVAL, EXIT_USAGE, "'%s' is not a mode", text);
	error_hint(e, "lite: all live blocks; sample=512K: one block for every 512 KiB allocated; "
		      "full: every event, too; off: nothing");
	return -EINVAL;
}

/* The power of two that is nearest by ratio. */
static uint32_t nearest_bits(uint64_t bytes)
{
	uint32_t bits = 63 - (uint32_t)__builtin_clzll(bytes);

	/* Above the geometric mean of two neighbours: bytes^2 > 2^(2 * bits + 1) */
	return bits + ((unsigned __int128)bytes * bytes > (unsigned __int128)1 << (2 * bits + 1));
}

static int parse_mean(const char *text, struct mode *ret, struct error *e)
{
	uint64_t bytes;

	if (parse_size(text + strlen(SAMPLE), &bytes) < 0)
		return unknown(text, e);
	if (!bytes || bytes > 1ull << WIRE_SAMPLE_BITS_MAX) {
		error_set(e, -ERANGE, EXIT_USAGE, "'%s': from 1 byte to 1 GiB", text);
		return -ERANGE;
	}
	*ret = (struct mode){WIRE_MODE_SAMPLE, nearest_bits(bytes)};
	return 0;
}

int mode_parse(const char *text, struct mode *ret, struct error *e)
{
	if (!strncmp(text, SAMPLE, strlen(SAMPLE)))
		return parse_mean(text, ret, e);
	if (!strcmp(text, "lite"))
		*ret = (struct mode){WIRE_MODE_LITE, 0};
	else if (!strcmp(text, "off"))
		*ret = (struct mode){WIRE_MODE_OFF, 0};
	else if (!strcmp(text, "full"))
		*ret = (struct mode){WIRE_MODE_FULL, 0};
	else
		return unknown(text, e);
	return 0;
}

struct mode_text mode_text(struct mode m)
{
	static const char *const units[] = {"", "K", "M", "G"};
	struct mode_text t = {"lite"};

	if (m.kind == WIRE_MODE_OFF)
		strcpy(t.text, "off");
	if (m.kind == WIRE_MODE_FULL)
		strcpy(t.text, "full");
	if (m.kind == WIRE_MODE_SAMPLE)
		snprintf(t.text, sizeof(t.text), SAMPLE "%u%s", 1u << m.bits % 10,
			 units[m.bits / 10 % 4]);
	return t;
}

static struct mode mode_of(const struct wire_header *h)
{
	uint32_t slow = __atomic_load_n(&h->slow, __ATOMIC_ACQUIRE);
	struct mode m = {WIRE_MODE_LITE, 0};

	if (slow & WIRE_SLOW_OFF)
		m.kind = WIRE_MODE_OFF;
	else if (slow & WIRE_SLOW_FULL)
		m.kind = WIRE_MODE_FULL;
	else if (slow & WIRE_SLOW_SAMPLE)
		m = (struct mode){WIRE_MODE_SAMPLE, h->sample_bits & 31};
	return m;
}

struct mode mode_of_table(const struct table *t)
{
	return mode_of(t->header);
}

size_t mode_history(const struct table *t, struct wire_mode_change ret[WIRE_CHANGES_MAX],
		    uint64_t *ret_left_out)
{
	uint32_t nr = __atomic_load_n(&t->header->changes_nr, __ATOMIC_ACQUIRE);
	uint32_t first = nr > WIRE_CHANGES_MAX ? nr - WIRE_CHANGES_MAX : 0;
	size_t kept = 0;

	for (uint32_t i = first; i < nr; i++) {
		struct wire_mode_change c = t->header->changes[i % WIRE_CHANGES_MAX];

		if (c.mode < WIRE_MODES_NR && c.bits <= WIRE_SAMPLE_BITS_MAX)
			ret[kept++] = c;
	}
	*ret_left_out = nr - kept;
	return kept;
}

static uint32_t slow_bits(struct mode m)
{
	static const uint32_t bits[WIRE_MODES_NR] = {
		[WIRE_MODE_OFF] = WIRE_SLOW_OFF,
		[WIRE_MODE_SAMPLE] = WIRE_SLOW_SAMPLE,
		[WIRE_MODE_FULL] = WIRE_SLOW_FULL,
	};

	return bits[m.kind];
}

static void set_bits(struct wire_header *h, struct mode m)
{
	uint32_t old = __atomic_load_n(&h->slow, __ATOMIC_RELAXED), new;

	if (m.kind == WIRE_MODE_SAMPLE)
		__atomic_store_n(&h->sample_bits, m.bits, __ATOMIC_RELEASE);
	do
		new = (old & ~(uint32_t)WIRE_SLOW_MODES) | slow_bits(m);
	while (!__atomic_compare_exchange_n(&h->slow, &old, new, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED));
}

/* The history is the target's word, and only shown: nothing that is done depends on it. */
static void note(struct wire_header *h, struct mode from, struct mode to, uint64_t now_ns)
{
	uint32_t nr = h->changes_nr;
	const struct wire_mode_change *last = &h->changes[(nr - 1) % WIRE_CHANGES_MAX];
	uint64_t since = nr ? last->since_ns : h->began_monotonic_ns;

	if (now_ns > since)
		h->mode_ns[from.kind] += now_ns - since;
	h->changes[nr % WIRE_CHANGES_MAX] = (struct wire_mode_change){now_ns, to.kind, to.bits};
	__atomic_store_n(&h->changes_nr, nr + 1, __ATOMIC_RELEASE);
}

void mode_begin(struct wire_header *h, struct mode m, uint64_t now_ns)
{
	h->changes[0] = (struct wire_mode_change){now_ns, m.kind, m.bits};
	h->changes_nr = 1;
	set_bits(h, m);
}

int mode_change(struct table *t, struct mode m, int *ret_settled, struct error *e)
{
	struct wire_header *h = t->header;
	struct mode now = mode_of(h);
	struct timespec ts;
	int err = table_lock(t, e);

	if (err < 0)
		return err;
	*ret_settled = 1;
	now = mode_of(h);
	if (now.kind != m.kind || (m.kind == WIRE_MODE_SAMPLE && now.bits != m.bits)) {
		set_bits(h, m);
		*ret_settled = table_settle(t);
		clock_gettime(CLOCK_MONOTONIC, &ts);
		note(h, now, m, (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
	}
	table_unlock(t);
	return 0;
}
