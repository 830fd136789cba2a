/* target/drain: events of several rings come in order; rings that lie are read safely. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/forge_table.h"
#include "base/error.h"
#include "target/drain.h"

#define ROOM 64

struct setup {
	struct forged f;
	struct table t;
	struct drain *d;
	struct wire_event room[ROOM];
};

static struct wire_ring *ring(const struct setup *s, uint32_t i)
{
	const struct wire_header *h = forged_header(&s->f);

	return (struct wire_ring *)(s->f.file + h->rings_off + i * h->ring_stride);
}

static void begin(struct setup *s)
{
	struct error e = {0};

	assert_true(forged_init(&s->f));
	forged_header(&s->f)->rings_nr = 2;
	assert_int_equal(table_open_fd(s->f.fd, &s->t, &e), 0);
	assert_int_equal(drain_open(&s->t, true, &s->d, &e), 0);
}

static void end(struct setup *s)
{
	drain_close(s->d);
	table_close(&s->t);
	forged_release(&s->f);
}

static void put(struct setup *s, uint32_t i, uint64_t number)
{
	struct wire_ring *r = ring(s, i);

	r->events[r->head++ % WIRE_RING_EVENTS] =
		(struct wire_event){.seq_kind = number << 8 | WIRE_EVENT_ALLOC};
	if (number >= forged_header(&s->f)->event_seq)
		forged_header(&s->f)->event_seq = number + 1;
}

static void assert_numbers(const struct setup *s, size_t nr, uint64_t first, uint64_t last)
{
	assert_int_equal(nr, last - first + 1);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(s->room[i].seq_kind >> 8, first + i);
}

static void rings_are_merged(void **state)
{
	static struct setup s;

	(void)state;
	begin(&s);
	put(&s, 0, 0);
	put(&s, 1, 1);
	put(&s, 1, 2);
	put(&s, 0, 3);
	put(&s, 0, 4);
	assert_int_equal(drain_take(s.d, s.room, ROOM, false), 0); /* one might still come */
	put(&s, 1, 5);
	assert_numbers(&s, drain_take(s.d, s.room, ROOM, false), 0, 4);
	assert_numbers(&s, drain_take(s.d, s.room, ROOM, true), 5, 5);
	assert_int_equal(drain_take(s.d, s.room, ROOM, true), 0);
	assert_int_equal(drain_lost(s.d), 0);
	end(&s);
}

static void who_is_still_adding_is_waited_for(void **state)
{
	static struct setup s;

	(void)state;
	begin(&s);
	ring(&s, 1)->adding = 1; /* and has drawn number 0 */
	put(&s, 0, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(drain_take(s.d, s.room, ROOM, false), 0);
	put(&s, 1, 0);
	ring(&s, 1)->adding = 0;
	assert_numbers(&s, drain_take(s.d, s.room, ROOM, false), 0, 1);
	/* But not for ever. */
	ring(&s, 1)->adding = 1;
	put(&s, 0, 3);
	for (int i = 0; i < 300; i++)
		if (drain_take(s.d, s.room, ROOM, false))
			goto came;
	fail_msg("a thread that stands still holds all events up");
came:
	end(&s);
}

static void losses_are_those_since_then(void **state)
{
	static struct setup s;
	struct drain *again;
	struct error e = {0};

	(void)state;
	begin(&s);
	ring(&s, 0)->lost = 3;
	forged_header(&s.f)->events_lost = 4;
	assert_int_equal(drain_lost(s.d), 7);
	put(&s, 0, 0);
	drain_close(s.d);
	assert_int_equal(drain_open(&s.t, false, &again, &e), 0);
	s.d = again;
	assert_int_equal(drain_lost(s.d), 0);
	assert_int_equal(drain_take(s.d, s.room, ROOM, true), 0); /* of before */
	end(&s);
}

static void rings_that_lie(void **state)
{
	static struct setup s;

	(void)state;
	begin(&s);
	forged_header(&s.f)->rings_nr = UINT32_MAX;
	ring(&s, 0)->head = UINT64_MAX / 2;
	ring(&s, 1)->head = 5;
	ring(&s, 1)->tail = 7;
	for (int i = 0; i < 10; i++)
		assert_true(drain_take(s.d, s.room, ROOM, i % 2) <= ROOM);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_are_merged),
		cmocka_unit_test(who_is_still_adding_is_waited_for),
		cmocka_unit_test(losses_are_those_since_then),
		cmocka_unit_test(rings_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
