/* See patches.h. */
#include "target/patches.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/target_private.h"

/* Index of the first patch that ends after addr. */
static size_t first_after(const struct patches *p, uint64_t addr)
{
	size_t low = 0, high = p->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->items[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void patches_add(struct patches *p, uint64_t start, uint64_t end, enum patch_kind kind,
		 uint8_t *bytes)
{
	size_t at = first_after(p, start);

	if (start >= end || (at < p->nr && p->items[at].start < end)) {
		free(bytes);
		return;
	}
	ARRAY_GROW(p->items, p->nr, p->cap);
	memmove(p->items + at + 1, p->items + at, (p->nr - at) * sizeof(*p->items));
	p->items[at] = (struct patch){start, end, kind, bytes};
	p->nr++;
}

void patches_release(struct patches *p)
{
	for (size_t i = 0; i < p->nr; i++)
		free(p->items[i].bytes);
	free(p->items);
	*p = (struct patches){.items = NULL};
}

/* Pages that are absent would be asked of the program itself, which stands still. */
static size_t read_resident(struct procmem *m, uint64_t addr, uint8_t *buffer, size_t len)
{
	uint64_t page_bytes = (uint64_t)m->page_bytes;
	size_t done = 0;

	while (done < len) {
		uint64_t at = addr + done, page = at / page_bytes * page_bytes;
		size_t piece = (size_t)(page + page_bytes - at);
		struct target_residency r;

		if (piece > len - done)
			piece = len - done;
		if (procmem_residency(m, page, page + page_bytes, &r) < 0 ||
		    r.resident_bytes + r.swapped_bytes == 0 ||
		    procmem_read(m, at, buffer + done, piece) < piece)
			break;
		done += piece;
	}
	return done;
}

static size_t read_patch(const struct patch *patch, struct procmem *m, uint64_t addr,
			 uint8_t *buffer, size_t len)
{
	switch (patch->kind) {
	case PATCH_BYTES:
		memcpy(buffer, patch->bytes + (addr - patch->start), len);
		return len;
	case PATCH_RESIDENT:
		return read_resident(m, addr, buffer, len);
	case PATCH_MISSING:
		break;
	}
	return 0;
}

size_t patches_read(const struct patches *p, struct procmem *m, uint64_t addr, void *buffer,
		    size_t len)
{
	size_t next, done = 0;

	if (addr > UINT64_MAX - len)
		return 0;
	next = first_after(p, addr);
	while (done < len) {
		const struct patch *patch = next < p->nr ? &p->items[next] : NULL;
		uint64_t at = addr + done, until = addr + len;
		uint8_t *to = (uint8_t *)buffer + done;
		size_t got;

		if (!patch || patch->start > at) {
			if (patch && patch->start < until)
				until = patch->start;
			got = procmem_read(m, at, to, (size_t)(until - at));
		} else {
			if (patch->end < until)
				until = patch->end;
			got = read_patch(patch, m, at, to, (size_t)(until - at));
			next++;
		}
		done += got;
		if (got < until - at)
			break;
	}
	return done;
}

int patches_next_used(const struct patches *p, struct procmem *m, uint64_t from, uint64_t end,
		      struct procmem_run *ret)
{
	while (from < end) {
		uint64_t limit = end;
		size_t i = first_after(p, from);
		int err;

		while (i < p->nr && p->items[i].kind == PATCH_RESIDENT)
			i++;
		if (i < p->nr && p->items[i].start <= from) {
			limit = p->items[i].end < end ? p->items[i].end : end;
			*ret = (struct procmem_run){from, limit};
			return 0;
		}
		if (i < p->nr && p->items[i].start < end)
			limit = p->items[i].start;
		err = procmem_next_used(m, from, limit, ret);
		if (err != -ENOENT)
			return err;
		from = limit;
	}
	return -ENOENT;
}
