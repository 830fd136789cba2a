/* A burst leaves the thread as it was: its class, its nice value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "target/ahead.h"

static void as_before(void **state)
{
	const struct sched_param none = {.sched_priority = 0};
	struct ahead a;

	(void)state;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 5), 0);
	ahead_begin(&a);
	/* Not permitted to everybody. */
	assert_int_equal(sched_getscheduler(0), a.changed ? SCHED_FIFO : SCHED_OTHER);
	ahead_end(&a);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);

	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	ahead_begin(&a);
	assert_false(a.changed);
	ahead_end(&a);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(as_before)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
