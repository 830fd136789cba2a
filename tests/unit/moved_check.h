/* What holds of every function's beginning that has been moved. */
#ifndef MOVED_CHECK_H
#define MOVED_CHECK_H

#include "inject/moved.h"

static inline void check_steps(const struct moved *m, size_t need)
{
	assert_in_range(m->taken, need, need + 14);
	assert_in_range(m->nr_steps, 2, MOVED_STEPS_MAX);
	assert_int_equal(m->steps[0].from, 0);
	assert_int_equal(m->steps[0].to, 0);
	assert_int_equal(m->steps[m->nr_steps - 1].from, m->taken);
	assert_int_equal(m->code[m->steps[m->nr_steps - 1].to], 0xe9);
	for (size_t i = 1; i < m->nr_steps; i++) {
		assert_true(m->steps[i].from > m->steps[i - 1].from);
		assert_true(m->steps[i].to > m->steps[i - 1].to);
	}
}

#endif
