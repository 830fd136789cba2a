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
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "target/target_private.h"

/* Bits of a pagemap entry: Documentation/admin-guide/mm/pagemap.rst of Linux. */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_FRAME ((1ull << 55) - 1) /* of a present page; 0 without CAP_SYS_ADMIN */
#define PAGEMAP_WINDOW 8192

/*
 * Windows of a frozen target, which stay true: many small ones, each at a multiple of its size, so
 * that a reader who follows lists, downwards or at random, finds most of them there.
 */
#define SLOT_PAGES 512
#define SLOTS 256

struct pagemap_slot {
	uint64_t first_page;
	size_t nr;
	uint64_t entries[SLOT_PAGES];
};

/*
 * Pages that were only ever read are all one page of zeroes, which the kernel does not count as
 * resident. Ours tells its number, where we may know it; 0: we may not.
 */
static uint64_t find_zero_frame(long page_bytes)
{
	volatile const char *page =
		mmap(NULL, (size_t)page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;
	int fd;

	if (page == MAP_FAILED)
		return 0;
	(void)page[0];
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		off_t at = (off_t)((uintptr_t)page / (uintptr_t)page_bytes * sizeof(entry));

		if (pread(fd, &entry, sizeof(entry), at) != (ssize_t)sizeof(entry) ||
		    !(entry & PAGEMAP_PRESENT))
			entry = 0;
		close(fd);
	}
	munmap((void *)page, (size_t)page_bytes);
	return entry & PAGEMAP_FRAME;
}

int procmem_open(struct procmem *m, int dir)
{
	*m = (struct procmem){.mem = -1, .pagemap = -1, .page_bytes = sysconf(_SC_PAGESIZE)};
	m->mem = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	if (m->mem < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	m->pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	m->zero_frame = find_zero_frame(m->page_bytes);
	return 0;
}

void procmem_close(struct procmem *m)
{
	if (m->mem >= 0)
		close(m->mem);
	if (m->pagemap >= 0)
		close(m->pagemap);
	free(m->entries);
	free(m->slots);
	free(m->runs);
	*m = (struct procmem){.mem = -1, .pagemap = -1};
}

/* Entries from page on; returns how many of them could be had. */
static size_t read_entries(struct procmem *m, uint64_t page, uint64_t *entries, size_t want)
{
	ssize_t got;

	do {
		got = pread(m->pagemap, entries, want * sizeof(*entries),
			    (off_t)(page * sizeof(*entries)));
	} while (got < 0 && errno == EINTR);
	return got > 0 ? (size_t)got / sizeof(*entries) : 0;
}

/* Moves the window so that it begins with page; false: cannot be read there. */
static bool fetch_entries(struct procmem *m, uint64_t page)
{
	size_t want = m->fetch && m->fetch < PAGEMAP_WINDOW ? m->fetch : PAGEMAP_WINDOW;

	if (!m->entries)
		m->entries = mem_alloc_array(PAGEMAP_WINDOW, sizeof(*m->entries));
	m->first_page = page;
	m->nr_entries = read_entries(m, page, m->entries, want);
	return m->nr_entries > 0;
}

static bool kept_entry(struct procmem *m, uint64_t page, uint64_t *ret)
{
	uint64_t first = page & ~(uint64_t)(SLOT_PAGES - 1);
	struct pagemap_slot *slot;

	if (!m->slots)
		m->slots = mem_alloc_array(SLOTS, sizeof(*m->slots));
	slot = &m->slots[first / SLOT_PAGES % SLOTS];
	if (!slot->nr || slot->first_page != first) {
		slot->first_page = first;
		slot->nr = read_entries(m, first, slot->entries, SLOT_PAGES);
	}
	if (page - first >= slot->nr)
		return false;
	*ret = slot->entries[page - first];
	return true;
}

/* The entry of a page; false: not known. */
static bool page_entry(struct procmem *m, uint64_t page, uint64_t *ret)
{
	if (m->frozen)
		return kept_entry(m, page, ret);
	if (page < m->first_page || page - m->first_page >= m->nr_entries) {
		if (!fetch_entries(m, page))
			return false;
	}
	*ret = m->entries[page - m->first_page];
	return true;
}

static size_t read_plainly(struct procmem *m, uint64_t addr, uint8_t *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(m->mem, buffer + done, len - done, (off_t)(addr + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/* How many bytes from addr on, up to end, are of pages that are all there or all not. */
static uint64_t run_length(struct procmem *m, uint64_t addr, uint64_t end, bool *ret_there)
{
	uint64_t bytes = (uint64_t)m->page_bytes, at = addr, entry;
	bool first = true;

	while (at < end) {
		bool there = !page_entry(m, at / bytes, &entry) ||
			     (entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED));

		if (first)
			*ret_there = there;
		else if (there != *ret_there)
			break;
		first = false;
		at = (at / bytes + 1) * bytes;
	}
	return (at < end ? at : end) - addr;
}

/*
 * Private memory of no file that nobody has touched reads as zeroes; asking the kernel for it would
 * give the process page tables that it did not have.
 */
static size_t read_touched(struct procmem *m, uint64_t addr, uint8_t *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		bool there = true;
		size_t run = (size_t)run_length(m, addr + done, addr + len, &there);
		size_t got = run;

		if (there)
			got = read_plainly(m, addr + done, buffer + done, run);
		else
			memset(buffer + done, 0, run);
		done += got;
		if (got < run)
			break;
	}
	return done;
}

/* Memory in which a page that is not there is zeros; the kernel's own pages ([vdso]) are not. */
static bool is_anonymous(const struct map *m)
{
	return m->inode == 0 && !(m->prot & MAP_IS_SHARED) &&
	       (!*m->path || text_starts_with(m->path, "[heap]") ||
		text_starts_with(m->path, "[stack") || text_starts_with(m->path, "[anon:"));
}

size_t procmem_read(struct procmem *m, uint64_t addr, void *buffer, size_t len)
{
	const struct map *map = m->maps ? maps_find(m->maps, addr) : NULL;
	size_t done = 0;

	if (addr > INT64_MAX || len > INT64_MAX - addr)
		return 0;
	if (!m->frozen) {
		/* What was absent a moment ago may be there now. */
		m->nr_entries = 0;
		m->fetch = len / (size_t)m->page_bytes + 2;
	}
	while (done < len) {
		uint64_t at = addr + done;
		size_t piece = len - done, got;

		if (map && map->end - at < piece)
			piece = (size_t)(map->end - at);
		if (map && is_anonymous(map) && (map->prot & MAP_READ) && m->pagemap >= 0)
			got = read_touched(m, at, (uint8_t *)buffer + done, piece);
		else
			got = read_plainly(m, at, (uint8_t *)buffer + done, piece);
		done += got;
		if (got < piece)
			break;
		if (map)
			map = maps_find(m->maps, addr + done);
	}
	return done;
}

int procmem_residency(struct procmem *m, uint64_t start, uint64_t end, struct target_residency *ret)
{
	uint64_t bytes = (uint64_t)m->page_bytes, page = start / bytes;
	struct target_residency sum = {0};
	uint64_t last;

	if (m->pagemap < 0)
		return -ENOTSUP;
	m->fetch = 0;
	if (end <= start || end > INT64_MAX) {
		*ret = sum;
		return 0;
	}
	last = (end + bytes - 1) / bytes;
	for (; page < last; page++) {
		uint64_t entry;

		if (!page_entry(m, page, &entry))
			return -ENOTSUP;
		if (m->zero_frame && (entry & PAGEMAP_FRAME) == m->zero_frame)
			continue;
		if (entry & PAGEMAP_PRESENT)
			sum.resident_bytes += bytes;
		else if (entry & PAGEMAP_SWAPPED)
			sum.swapped_bytes += bytes;
	}
	*ret = sum;
	return 0;
}
