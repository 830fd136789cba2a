/* What holds of every list of entries. */
#ifndef ENTRIES_CHECK_H
#define ENTRIES_CHECK_H

#include "inject/entries.h"

/* An alias stands right behind the entry that it is an alias of. */
static inline void check_list(const struct entries *e)
{
	for (size_t i = 0; i < e->nr; i++) {
		const struct entry *at = &e->items[i];

		if (at->is_alias_of_earlier) {
			assert_true(i > 0 && e->items[i - 1].addr == at->addr);
			assert_int_equal(inject_function_shape(e->items[i - 1].function),
					 inject_function_shape(at->function));
		} else {
			assert_true(i == 0 || e->items[i - 1].addr != at->addr);
		}
	}
}

#endif
