/* cmd/again: when the next look begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "cmd/again.h"
#include "cmd/identity.h"

#define MS 1000000ull

static void look_for(uint64_t ns)
{
	uint64_t until = clock_monotonic_ns() + ns;

	while (clock_monotonic_ns() < until)
		;
}

static void test_instants(void **state)
{
	struct again a;

	(void)state;
	again_begin(&a, 20 * MS);
	for (uint64_t n = 1; n <= 3; n++) {
		assert_true(again_wait(&a));
		assert_true(clock_monotonic_ns() >= a.first_ns + n * 20 * MS);
	}
}

/* They would begin back to back else, and the target would never be left alone. */
static void test_slow_look(void **state)
{
	struct again a;

	(void)state;
	again_begin(&a, 1 * MS);
	for (int n = 0; n < 3; n++) {
		uint64_t looked, over;

		look_for(30 * MS);
		over = clock_monotonic_ns();
		looked = over - a.last_ns;
		assert_true(again_wait(&a));
		assert_true(clock_monotonic_ns() - over >= looked);
	}
}

static void test_interrupted(void **state)
{
	struct again a;

	(void)state;
	again_begin(&a, 3600 * 1000 * MS);
	raise(SIGINT);
	assert_false(again_wait(&a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instants),
		cmocka_unit_test(test_slow_look),
		cmocka_unit_test(test_interrupted),
	};

	return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
