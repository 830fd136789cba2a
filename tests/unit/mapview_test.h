/* Maps made by hand (map_snapshot.h), and looking up what a sheet says of them. */
#ifndef MAPVIEW_TEST_H
#define MAPVIEW_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/map_snapshot.h"
#include "base/error.h"
#include "model/mapview.h"
#include "model/sheet.h"

#define UNUSED __attribute__((unused))

static const struct mapview_options plain = {.label = "prog (pid 100)", .all_columns = true};

static UNUSED void make(struct snapshot *s)
{
	map_snapshot(s);
	regions_classify(s);
}

/* The row whose column `key` has this text, or the number of rows. */
static UNUSED size_t find_row(const struct sheet *s, const char *key, const char *text)
{
	size_t column = sheet_find_column(s, key), r = 0;

	while (r < sheet_rows(s) && strcmp(sheet_cell(s, r, column)->text, text) != 0)
		r++;
	return r;
}

static UNUSED const struct cell *cell(const struct sheet *s, size_t row, const char *key)
{
	size_t column = sheet_find_column(s, key);

	assert_true(column != SIZE_MAX);
	assert_true(row < sheet_rows(s));
	return sheet_cell(s, row, column);
}

static UNUSED uint64_t number(const struct sheet *s, size_t row, const char *key)
{
	assert_true(cell(s, row, key)->known);
	return cell(s, row, key)->u;
}

static UNUSED uint64_t total(const struct sheet *s, const char *key)
{
	for (size_t i = 0; i < s->nr_totals; i++) {
		if (strcmp(s->totals[i].key, key) == 0)
			return s->totals[i].value.u;
	}
	fail_msg("no total %s", key);
	return 0;
}

#endif
