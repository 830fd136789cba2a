/* Which processes `seep top` watches, one round of looking at them, and their order. */
#include "cmd/top_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/proc.h"

/* At most this share of the time goes into details: a look that took 20 ms is not repeated for 1 s.
 */
#define DETAIL_SHARE 50

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void top_rows_init(struct top_rows *rows, bool all)
{
	*rows = (struct top_rows){.all = all, .self = (int32_t)getpid()};
}

static void row_release(struct top_row *row)
{
	process_info_release(&row->info);
	top_series_release(&row->series);
	top_resources_release(&row->resources);
}

void top_rows_release(struct top_rows *rows)
{
	if (!rows)
		return;
	for (size_t i = 0; i < rows->nr; i++)
		row_release(&rows->items[i]);
	free(rows->items);
	*rows = (struct top_rows){0};
}

static int by_pid(const void *a, const void *b)
{
	int32_t x = ((const struct top_row *)a)->info.pid;
	int32_t y = ((const struct top_row *)b)->info.pid;

	return (x > y) - (x < y);
}

static struct top_row *find_row(struct top_rows *rows, size_t nr, int32_t pid)
{
	struct top_row key = {.info.pid = pid};

	return nr ? bsearch(&key, rows->items, nr, sizeof(key), by_pid) : NULL;
}

static void sort_by_pid(struct top_rows *rows)
{
	if (rows->nr)
		qsort(rows->items, rows->nr, sizeof(*rows->items), by_pid);
}

/* Takes a first or next sample. 0 or why there was none. */
static int sample_row(struct top_row *row)
{
	struct usage usage;
	uint64_t own;
	int r;

	r = usage_read(row->info.pid, row->info.start_ticks, 0, &usage);
	if (r < 0)
		return r;
	if (!usage_own_bytes(&usage, &own))
		return -ENXIO;
	row->usage = usage;
	row->last_ns = usage.t_ns;
	if (!row->series.samples)
		row->first_ns = usage.t_ns;
	top_series_add(&row->series, usage.t_ns, own);
	return 0;
}

/* Adds one process, if it has memory and is there still. */
static int add_target(struct top_rows *rows, int32_t pid, struct error *e)
{
	struct process_info info;
	struct usage usage;
	uint64_t own;
	int r;

	r = process_read(pid, &info, e);
	if (r < 0)
		return r;
	r = usage_read(pid, info.start_ticks, 0, &usage);
	if (!r && !usage_own_bytes(&usage, &own))
		r = -ENXIO;
	if (r < 0) {
		process_info_release(&info);
		return process_explain(pid, r, "memory", e);
	}
	ARRAY_PUSH(rows->items, rows->nr, rows->cap, (struct top_row){.info = info});
	return 0;
}

int top_rows_add(struct top_rows *rows, const char *target, struct error *e)
{
	size_t nr_pids, nr_before = rows->nr, found = 0;
	int32_t *pids;
	int r;

	r = process_find_all(target, &pids, &nr_pids, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < nr_pids; i++) {
		if (!find_row(rows, nr_before, pids[i]))
			r = add_target(rows, pids[i], e);
		found += r == 0;
	}
	free(pids);
	sort_by_pid(rows);
	/* Of several of one name, some may have ended since: an error only if all have. */
	return found ? 0 : r;
}

static bool wanted(const struct top_rows *rows, const struct process_info *p)
{
	if (p->pid == rows->self || p->kernel_thread || process_is_zombie(p))
		return false;
	return geteuid() == 0 || p->uid == getuid() || p->euid == geteuid();
}

static void add_if_wanted(struct top_rows *rows, int32_t pid)
{
	struct process_info info;
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return;
	r = process_read_at(dir, pid, &info);
	close(dir);
	if (r < 0)
		return;
	if (!wanted(rows, &info)) {
		process_info_release(&info);
		return;
	}
	ARRAY_PUSH(rows->items, rows->nr, rows->cap, (struct top_row){.info = info});
}

static int add_new(struct top_rows *rows, struct error *e)
{
	size_t nr_pids, nr_before = rows->nr;
	int32_t *pids;
	int r;

	r = proc_list_pids(&pids, &nr_pids);
	if (r < 0)
		return error_set(e, r, EXIT_TARGET, "cannot list /proc: %s", error_strerror(r));
	for (size_t i = 0; i < nr_pids; i++) {
		if (!find_row(rows, nr_before, pids[i]))
			add_if_wanted(rows, pids[i]);
	}
	free(pids);
	sort_by_pid(rows);
	return 0;
}

static void drop_ended(struct top_rows *rows)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->nr; i++) {
		if (rows->items[i].state == TOP_RUNNING) {
			rows->items[kept++] = rows->items[i];
			continue;
		}
		rows->ended += rows->items[i].series.samples > 0;
		row_release(&rows->items[i]);
	}
	rows->nr = kept;
}

static bool is_recorded(const struct top_row *row)
{
	int dir = proc_open(row->info.pid);
	bool yes = dir >= 0 && recorded_look(dir).answer == RECORDED_YES;

	if (dir >= 0)
		close(dir);
	return yes;
}

/*
 * Of all processes, details are read as they are listed. But resources are to have been watched
 * by then: of those that are recorded when they are first seen.
 */
static bool wants_detail(const struct top_rows *rows, const struct top_row *row)
{
	if (!rows->all || row->resources.nr)
		return true;
	return rows->watch && row->series.samples == 1 && is_recorded(row);
}

int top_rows_sample(struct top_rows *rows, struct error *e)
{
	int r;

	if (rows->all) {
		r = add_new(rows, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < rows->nr; i++) {
		struct top_row *row = &rows->items[i];

		if (row->state != TOP_RUNNING)
			continue;
		r = sample_row(row);
		if (r < 0)
			row->state = r == -ESTALE ? TOP_REPLACED : TOP_ENDED;
		else if (wants_detail(rows, row))
			top_row_detail(row);
	}
	if (rows->all)
		drop_ended(rows);
	return 0;
}

void top_row_detail(struct top_row *row)
{
	uint64_t begin = now_ns();
	struct process_info info;
	struct usage detail;
	int dir, r;

	if (row->state != TOP_RUNNING)
		return;
	if (row->detail_ns && begin - row->detail_ns < row->detail_cost_ns * DETAIL_SHARE)
		return;
	dir = proc_open(row->info.pid);
	if (dir < 0)
		return;
	r = process_check_at(dir, row->info.start_ticks);
	if (!r)
		r = usage_read_at(dir, USAGE_WANT_PSS | USAGE_WANT_DESCRIPTORS, &detail);
	if (!r && !process_read_at(dir, row->info.pid, &info)) {
		/* It may run another program by now. */
		process_info_release(&row->info);
		row->info = info;
		row->detail = detail;
		row->recorded = recorded_look(dir);
		top_resources_sample(&row->resources, row->info.pid, &row->recorded, now_ns());
		row->detail_ns = now_ns();
		row->detail_cost_ns = row->detail_ns - begin;
	}
	close(dir);
}

size_t top_rows_running(const struct top_rows *rows)
{
	size_t nr = 0;

	for (size_t i = 0; i < rows->nr; i++)
		nr += rows->items[i].state == TOP_RUNNING;
	return nr;
}

size_t top_rows_samples(const struct top_rows *rows)
{
	size_t most = 0;

	for (size_t i = 0; i < rows->nr; i++)
		most = rows->items[i].series.samples > most ? rows->items[i].series.samples : most;
	return most;
}

static int descending(double x, double y)
{
	return (x < y) - (x > y);
}

static int by_usage(const struct usage *x, const struct usage *y, enum usage_field field)
{
	return descending((double)x->value[field], (double)y->value[field]);
}

static double growth(const struct top_row *row)
{
	enum trend_kind kind = row->series.trend.kind;

	return kind == TREND_GROWING || kind == TREND_SHRINKING ? row->series.trend.rate : 0;
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct top_row *x = *(struct top_row *const *)a, *y = *(struct top_row *const *)b;
	const enum top_sort *sort = arg;
	int order = 0;

	switch (*sort) {
	case TOP_SORT_GROWTH:
		order = descending(growth(x), growth(y));
		break;
	case TOP_SORT_RSS:
		break;
	case TOP_SORT_PSS:
		order = by_usage(&x->detail, &y->detail, USAGE_PSS);
		break;
	case TOP_SORT_ANON:
		order = by_usage(&x->usage, &y->usage, USAGE_ANON);
		break;
	case TOP_SORT_SWAP:
		order = by_usage(&x->usage, &y->usage, USAGE_SWAP);
		break;
	case TOP_SORT_PID:
		return by_pid(x, y);
	case TOP_SORT_NAME:
		order = strcmp(process_name(&x->info), process_name(&y->info));
		break;
	}
	if (!order)
		order = by_usage(&x->usage, &y->usage, USAGE_RSS);
	return order ? order : by_pid(x, y);
}

struct top_row **top_rows_order(struct top_rows *rows, enum top_sort sort)
{
	struct top_row **order = mem_alloc_array(rows->nr, sizeof(struct top_row *));

	for (size_t i = 0; i < rows->nr; i++) {
		struct top_row *row = &rows->items[i];

		top_series_judge(&row->series, TREND_FLOOR_BYTES);
		if (sort == TOP_SORT_PSS)
			top_row_detail(row);
		order[i] = row;
	}
	if (rows->nr)
		qsort_r(order, rows->nr, sizeof(struct top_row *), compare, &sort);
	return order;
}
