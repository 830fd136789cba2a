/*
 * Memory and page table of a process through /proc/PID/mem and /proc/PID/pagemap.
 *
 * Never process_vm_readv: it pins pages, and pinning a page that is shared with a forked child
 * copies it, so that reading a frozen clone would double its memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/target_private.h"

/* Bits of a pagemap entry: Documentation/admin-guide/mm/pagemap.rst of Linux. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_WINDOW 8192

int procmem_open(struct procmem *m, int dir)
{
	*m = (struct procmem){.mem = -1, .pagemap = -1, .page_bytes = sysconf(_SC_PAGESIZE)};
	m->mem = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	if (m->mem < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	m->pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	return 0;
}

void procmem_close(struct procmem *m)
{
	if (m->mem >= 0)
		close(m->mem);
	if (m->pagemap >= 0)
		close(m->pagemap);
	free(m->entries);
	*m = (struct procmem){.mem = -1, .pagemap = -1};
}

size_t procmem_read(struct procmem *m, uint64_t addr, void *buffer, size_t len)
{
	size_t done = 0;

	if (addr > INT64_MAX || len > INT64_MAX - addr)
		return 0;
	while (done < len) {
		ssize_t got =
			pread(m->mem, (char *)buffer + done, len - done, (off_t)(addr + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/* Moves the window so that it begins with page; false: cannot be read there. */
static bool fetch_entries(struct procmem *m, uint64_t page)
{
	ssize_t got;

	if (!m->entries)
		m->entries = mem_alloc_array(PAGEMAP_WINDOW, sizeof(*m->entries));
	do {
		got = pread(m->pagemap, m->entries, PAGEMAP_WINDOW * sizeof(*m->entries),
			    (off_t)(page * sizeof(*m->entries)));
	} while (got < 0 && errno == EINTR);
	m->first_page = page;
	m->nr_entries = got > 0 ? (size_t)got / sizeof(*m->entries) : 0;
	return m->nr_entries > 0;
}

int procmem_residency(struct procmem *m, uint64_t start, uint64_t end, struct target_residency *ret)
{
	uint64_t bytes = (uint64_t)m->page_bytes, page = start / bytes;
	struct target_residency sum = {0};
	uint64_t last;

	if (m->pagemap < 0)
		return -ENOTSUP;
	if (end <= start || end > INT64_MAX) {
		*ret = sum;
		return 0;
	}
	last = (end + bytes - 1) / bytes;
	for (; page < last; page++) {
		uint64_t entry;

		if (page < m->first_page || page - m->first_page >= m->nr_entries) {
			if (!fetch_entries(m, page))
				return -ENOTSUP;
		}
		entry = m->entries[page - m->first_page];
		if (entry & PAGEMAP_PRESENT)
			sum.resident_bytes += bytes;
		else if (entry & PAGEMAP_SWAPPED)
			sum.swapped_bytes += bytes;
	}
	*ret = sum;
	return 0;
}
