/* Small reads all over a target; see peek.h. */
#include "heap/peek.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/target.h"

#define PAGE_SHIFT 14
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)
#define NR_PAGES 256

void peek_init(struct peek *p, struct target *t)
{
	*p = (struct peek){.target = t};
	p->pages = mem_alloc_array(NR_PAGES, sizeof(*p->pages));
	p->bytes = mem_alloc_array(NR_PAGES, PAGE_BYTES);
}

void peek_release(struct peek *p)
{
	free(p->pages);
	free(p->bytes);
	*p = (struct peek){0};
}

/* The kept copy of the page that holds addr. */
static const struct peek_page *page_of(struct peek *p, uint64_t addr, const uint8_t **ret_bytes)
{
	uint64_t start = addr & ~(uint64_t)(PAGE_BYTES - 1);
	size_t slot = (addr >> PAGE_SHIFT) % NR_PAGES;
	struct peek_page *page = &p->pages[slot];
	uint8_t *bytes = p->bytes + slot * PAGE_BYTES;

	*ret_bytes = bytes;
	if (!page->used || page->start != start) {
		page->used = true;
		page->start = start;
		page->len = (uint32_t)target_read(p->target, start, bytes, PAGE_BYTES);
	}
	return page;
}

bool peek_read(struct peek *p, uint64_t addr, void *buffer, size_t len)
{
	uint8_t *out = buffer;

	while (len) {
		const uint8_t *bytes;
		const struct peek_page *page = page_of(p, addr, &bytes);
		size_t offset = (size_t)(addr - page->start);
		size_t n = PAGE_BYTES - offset < len ? PAGE_BYTES - offset : len;

		/* What lies before addr may be unreadable where addr itself is not. */
		if (offset + n <= page->len)
			memcpy(out, bytes + offset, n);
		else if (!target_read_all(p->target, addr, out, n))
			return false;
		out += n;
		len -= n;
		if (len && addr + n < addr)
			return false;
		addr += n;
	}
	return true;
}

bool peek_u64(struct peek *p, uint64_t addr, uint64_t *ret)
{
	return peek_read(p, addr, ret, sizeof(*ret));
}

bool peek_u32(struct peek *p, uint64_t addr, uint32_t *ret)
{
	return peek_read(p, addr, ret, sizeof(*ret));
}

bool peek_word(struct peek *p, uint64_t addr, uint64_t *ret)
{
	uint32_t half;

	if (target_word_bytes(p->target) != 4)
		return peek_u64(p, addr, ret);
	if (!peek_u32(p, addr, &half))
		return false;
	*ret = half;
	return true;
}
