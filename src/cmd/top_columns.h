/* Which columns of a table of `seep top` there is room for. */
#ifndef SEEP_CMD_TOP_COLUMNS_H
#define SEEP_CMD_TOP_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

struct palette;
struct table;

/* rank: the highest goes first when there is no room; 0: always there. */
struct top_column {
	const char *header;
	char align;
	unsigned int rank, width;
};

/* Leaves out of those that are chosen what does not fit. width 0: all do. */
void top_columns_fit(const struct top_column *columns, size_t nr, bool *chosen, unsigned int width);
/* A table that begins with the headers of the chosen ones. */
void top_columns_table(const struct top_column *columns, size_t nr, const bool *chosen,
		       const struct palette *palette, struct table *ret);

#endif
