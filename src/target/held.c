/* See held.h. */
#include "target/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/cut_told.h"
#include "target/foreign_fd.h"
#include "target/proc.h"
#include "target/table.h"

#define HANDLES_MAX (1ull << 40) /* more is a number below zero, or a lie */

static int by_number(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * Those that the recorder has, and after that the kernel: what was closed by ways that are not
 * recorded is left out. A number may be found twice, where it was while the rows were read, and
 * where it is since it was opened anew.
 */
static int count_descriptors(const struct table *t, uint32_t kind, uint64_t *ret)
{
	struct wire_block *handles = NULL;
	int32_t *numbers = NULL;
	size_t nr_handles = 0, nr_numbers = 0;
	uint64_t nr = 0;
	int dir = proc_open(t->pid), r;

	if (dir < 0)
		return dir;
	r = cut_read_handles(t, kind, &handles, &nr_handles, NULL);
	if (!r)
		r = foreign_numbers(dir, &numbers, &nr_numbers);
	for (size_t i = 0; i < nr_handles && !r && nr_numbers; i++) {
		int32_t number = (int32_t)handles[i].addr;

		if (i && handles[i].addr == handles[i - 1].addr)
			continue;
		nr += handles[i].addr <= INT32_MAX &&
		      bsearch(&number, numbers, nr_numbers, sizeof(number), by_number);
	}
	free(handles);
	free(numbers);
	close(dir);
	if (!r)
		*ret = nr;
	return r;
}

/* As the recorder counts them: the row of the kind's pool knows. */
static int count_handles(struct table *t, uint32_t kind, uint64_t *ret)
{
	uint64_t pool = __atomic_load_n(&t->header->kinds[kind].pool, __ATOMIC_ACQUIRE);
	struct wire_pool_row row;
	int r;

	*ret = 0;
	if (!pool)
		return 0;
	if (pool > wire_pool_first(t->layout.pool_levels))
		return -EINVAL;
	r = table_read(t, &row, sizeof(row), t->layout.pools_off + (pool - 1) * sizeof(row), NULL);
	if (!r && row.size < HANDLES_MAX)
		*ret = row.size;
	return r;
}

static int read_kind(struct table *t, uint32_t kind, struct held_kind *ret)
{
	struct wire_tag tag;
	int r = table_read(t, &tag, sizeof(tag), t->layout.tags_off + kind * sizeof(tag), NULL);

	if (r < 0)
		return r;
	memcpy(ret->name, tag.name, sizeof(ret->name));
	ret->name[sizeof(ret->name) - 1] = '\0';
	if (!strcmp(ret->name, WIRE_KIND_DESCRIPTORS))
		return count_descriptors(t, kind, &ret->handles);
	return count_handles(t, kind, &ret->handles);
}

int held_in_table(struct table *t, struct held_kind **ret, size_t *ret_nr)
{
	uint32_t nr = __atomic_load_n(&t->header->kinds_nr, __ATOMIC_ACQUIRE);
	struct held_kind *kinds;
	int r = 0;

	if (nr > WIRE_KINDS_MAX || nr > t->layout.tags_cap)
		return -EINVAL;
	kinds = mem_alloc_array(nr, sizeof(*kinds));
	for (uint32_t i = 0; i < nr && !r; i++)
		r = read_kind(t, i, &kinds[i]);
	if (r < 0) {
		free(kinds);
		return r;
	}
	*ret = kinds;
	*ret_nr = nr;
	return 0;
}

int held_read(int32_t pid, struct held_kind **ret, size_t *ret_nr)
{
	struct table t;
	int r = table_open_pid(pid, &t, NULL);

	if (r < 0)
		return r;
	r = held_in_table(&t, ret, ret_nr);
	table_close(&t);
	return r;
}
