/* base/map against a plain array that cannot be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"

static void empty_map_has_nothing(void **state)
{
	struct map m = MAP_INIT;
	uint64_t value = 7;
	size_t pos = 0;

	(void)state;
	assert_false(map_get(&m, 0, &value));
	assert_false(map_get(&m, 5, &value));
	assert_false(map_remove(&m, 0));
	assert_false(map_remove(&m, 5));
	assert_false(map_next(&m, &pos, &value, &value));
	assert_int_equal(value, 7);
	map_release(&m);
	map_release(NULL);
}

static void key_zero_is_a_key(void **state)
{
	struct map m = MAP_INIT;
	uint64_t key = 9, value = 9;
	bool added;
	size_t pos = 0;

	(void)state;
	*map_at(&m, 0, &added) = 42;
	assert_true(added);
	assert_int_equal(m.nr, 1);
	assert_true(map_get(&m, 0, &value));
	assert_int_equal(value, 42);
	assert_true(map_next(&m, &pos, &key, &value));
	assert_int_equal(key, 0);
	assert_int_equal(value, 42);
	assert_false(map_next(&m, &pos, &key, &value));
	assert_true(map_remove(&m, 0));
	assert_false(map_get(&m, 0, NULL));
	assert_int_equal(*map_at(&m, 0, &added), 0);
	map_release(&m);
}

static void values_start_at_zero_and_add_up(void **state)
{
	struct map m = MAP_INIT;
	uint64_t value = 0;
	bool added;

	(void)state;
	*map_at(&m, 10, &added) += 5;
	assert_true(added);
	*map_at(&m, 10, &added) += 5;
	assert_false(added);
	assert_true(map_get(&m, 10, &value));
	assert_int_equal(value, 10);
	map_set(&m, 10, 1);
	assert_true(map_get(&m, 10, &value));
	assert_int_equal(value, 1);
	assert_int_equal(m.nr, 1);
	map_release(&m);
}

#define KEYS 512

static void check_against(const struct map *m, const uint64_t *truth, uint64_t step)
{
	size_t nr = 0, seen = 0, pos = 0;
	uint64_t key, value;

	for (uint64_t k = 0; k < KEYS; k++) {
		assert_int_equal(map_get(m, k * step, &value), truth[k] != 0);
		if (!truth[k])
			continue;
		assert_int_equal(value, truth[k]);
		nr++;
	}
	assert_int_equal(m->nr, nr);
	while (map_next(m, &pos, &key, &value)) {
		assert_int_equal(truth[key / step], value);
		seen++;
	}
	assert_int_equal(seen, nr);
}

/* Keys a page apart, as addresses are; a deterministic walk of additions and removals. */
static void random_traffic_keeps_it_right(void **state)
{
	uint64_t truth[KEYS] = {0};
	struct map m = MAP_INIT;
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t k;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		k = x % KEYS;
		if (x >> 32 & 1) {
			map_set(&m, k * 4096, (uint64_t)i + 1);
			truth[k] = (uint64_t)i + 1;
		} else {
			assert_int_equal(map_remove(&m, k * 4096), truth[k] != 0);
			truth[k] = 0;
		}
		if (i % 1000 == 0)
			check_against(&m, truth, 4096);
	}
	check_against(&m, truth, 4096);
	map_release(&m);
}

static void reserving_does_not_lose_anything(void **state)
{
	struct map m = MAP_INIT;
	size_t cap;
	uint64_t value;

	(void)state;
	map_set(&m, 3, 33);
	map_reserve(&m, 100000);
	cap = m.cap;
	for (uint64_t k = 10; k < 90000; k++)
		map_set(&m, k, k);
	assert_int_equal(m.cap, cap);
	assert_true(map_get(&m, 3, &value));
	assert_int_equal(value, 33);
	assert_int_equal(m.nr, 89991);
	map_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map_has_nothing),
		cmocka_unit_test(key_zero_is_a_key),
		cmocka_unit_test(values_start_at_zero_and_add_up),
		cmocka_unit_test(random_traffic_keeps_it_right),
		cmocka_unit_test(reserving_does_not_lose_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
