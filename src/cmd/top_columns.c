/* See top_columns.h. */
#include "cmd/top_columns.h"

#include "base/term.h"
#include "format/table.h"

#define BETWEEN 2
#define NAME_WIDTH 24

void top_columns_fit(const struct top_column *columns, size_t nr, bool *chosen, unsigned int limit)
{
	unsigned int width = 0;

	for (size_t i = 0; i < nr; i++)
		width += chosen[i] ? columns[i].width + BETWEEN : 0;
	while (limit && width > limit + BETWEEN) {
		size_t worst = nr;

		for (size_t i = 0; i < nr; i++) {
			if (chosen[i] && columns[i].rank &&
			    (worst == nr || columns[i].rank > columns[worst].rank))
				worst = i;
		}
		if (worst == nr)
			return;
		chosen[worst] = false;
		width -= columns[worst].width + BETWEEN;
	}
}

void top_columns_table(const struct top_column *columns, size_t nr, const bool *chosen,
		       const struct palette *palette, struct table *ret)
{
	char align[TABLE_COLUMNS + 1];
	size_t used = 0;

	for (size_t i = 0; i < nr; i++) {
		if (chosen[i])
			align[used++] = columns[i].align;
	}
	align[used] = 0;
	table_init(ret, align);
	ret->width_max = NAME_WIDTH;
	for (size_t i = 0; i < nr; i++) {
		if (chosen[i])
			table_add(ret, columns[i].header, palette->bold);
	}
}
