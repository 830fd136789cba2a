/*
 * Where in an address range there is anything at all: pages that are in memory or swapped out. With
 * the ioctl PAGEMAP_SCAN (Linux 6.7, include/uapi/linux/fs.h) terabytes of reserved addresses cost
 * nothing; without it every page's entry has to be read, so that only so much can be looked at.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "target/target_private.h"

/* Debian 12's headers are older than the call. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_PAGES _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE (1ull << 2) /* of a file, or shared memory */
#define SCAN_PRESENT (1ull << 3)
#define SCAN_SWAPPED (1ull << 4)
#define SCAN_ZERO_PAGE (1ull << 5)
#define SCAN_REGIONS 1024

/* Without the ioctl: what reading the entries one by one may be spent on. */
#define READ_MAX (64ull << 30)

/* A private mapping's pages that are still the file's hold nothing of the process's. */
static bool is_private(const struct procmem *m, uint64_t addr)
{
	const struct map *map = m->maps ? maps_find(m->maps, addr) : NULL;

	return map && !(map->prot & MAP_IS_SHARED);
}

/* Fills the runs from `from` on. 0 or negative errno. */
static int scan(struct procmem *m, uint64_t from, uint64_t end)
{
	uint64_t unwanted = SCAN_ZERO_PAGE | (is_private(m, from) ? SCAN_FILE : 0);
	struct scan_region *regions = mem_alloc_array(SCAN_REGIONS, sizeof(*regions));
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = from,
		.end = end,
		.vec = (uint64_t)(uintptr_t)regions,
		.vec_len = SCAN_REGIONS,
		.category_inverted = unwanted,
		.category_mask = unwanted,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
	};
	long nr;

	do {
		nr = ioctl(m->pagemap, SCAN_PAGES, &arg);
	} while (nr < 0 && errno == EINTR);
	if (nr < 0) {
		free(regions);
		return -errno;
	}
	if (!m->runs)
		m->runs = mem_alloc_array(SCAN_REGIONS, sizeof(*m->runs));
	for (long i = 0; i < nr; i++)
		m->runs[i] = (struct procmem_run){regions[i].start, regions[i].end};
	m->nr_runs = (size_t)nr;
	m->runs_from = from;
	m->runs_to = arg.walk_end > from ? arg.walk_end : end;
	m->runs_asked = end;
	free(regions);
	return 0;
}

/* The first run at or after from that was scanned already. */
static bool find_run(const struct procmem *m, uint64_t from, struct procmem_run *ret)
{
	size_t low = 0, high = m->nr_runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->runs[middle].end <= from)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == m->nr_runs)
		return false;
	*ret = m->runs[low];
	return true;
}

static int next_by_entries(struct procmem *m, uint64_t from, uint64_t end, struct procmem_run *ret)
{
	uint64_t page = (uint64_t)m->page_bytes, at = from, start = 0;
	struct target_residency r;

	if (end - from > READ_MAX)
		return -ENOTSUP;
	for (; at < end; at += page) {
		int err = procmem_residency(m, at, at + page, &r);

		if (err < 0)
			return err;
		if (r.resident_bytes + r.swapped_bytes == 0) {
			if (start)
				break;
		} else if (!start) {
			start = at;
		}
	}
	if (!start)
		return -ENOENT;
	*ret = (struct procmem_run){start, at};
	return 0;
}

static int next_by_scan(struct procmem *m, uint64_t from, uint64_t end, struct procmem_run *ret)
{
	while (from < end) {
		/* What was found for one mapping is not for the next: see is_private(). */
		if (!m->frozen || from < m->runs_from || from >= m->runs_to ||
		    end > m->runs_asked) {
			int err = scan(m, from, end);

			if (err < 0)
				return err;
		}
		if (find_run(m, from, ret))
			return ret->start < end ? 0 : -ENOENT;
		from = m->runs_to;
	}
	return -ENOENT;
}

int procmem_next_used(struct procmem *m, uint64_t from, uint64_t end, struct procmem_run *ret)
{
	uint64_t page = (uint64_t)m->page_bytes, first = from & ~(page - 1);
	uint64_t last = (end + page - 1) & ~(page - 1);
	struct procmem_run run;
	int err = -ENOTTY;

	if (m->pagemap < 0 || end > INT64_MAX)
		return -ENOTSUP;
	if (from >= end)
		return -ENOENT;
	if (!m->no_scan) {
		err = next_by_scan(m, first, last, &run);
		if (err < 0 && err != -ENOENT)
			m->no_scan = true;
	}
	if (m->no_scan)
		err = next_by_entries(m, first, last, &run);
	if (err < 0)
		return err;
	ret->start = run.start > from ? run.start : from;
	ret->end = run.end < end ? run.end : end;
	return 0;
}
