/* A direct-mapped cache of a target's pages; see scatter.h. */
#include "heap/scatter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/target.h"

#define LINE 4096u
#define LINES 256
#define EMPTY 1 /* no page begins there */

void scatter_init(struct scatter *s, struct target *t, size_t lines)
{
	*s = (struct scatter){.target = t, .lines = lines ? lines : LINES};
	s->bytes = mem_alloc_array(s->lines, LINE);
	s->pages = mem_alloc_array(s->lines, sizeof(*s->pages));
	s->have = mem_alloc_array(s->lines, sizeof(*s->have));
	for (size_t i = 0; i < s->lines; i++)
		s->pages[i] = EMPTY;
}

void scatter_release(struct scatter *s)
{
	free(s->bytes);
	free(s->pages);
	free(s->have);
	*s = (struct scatter){.target = NULL};
}

static size_t line_of(struct scatter *s, uint64_t page)
{
	size_t i = (page / LINE) & (s->lines - 1);

	if (s->pages[i] != page) {
		s->pages[i] = page;
		s->have[i] = (uint32_t)target_read(s->target, page, s->bytes + i * LINE, LINE);
	}
	return i;
}

bool scatter_read(struct scatter *s, uint64_t addr, void *buffer, size_t len)
{
	uint8_t *to = buffer;

	while (len) {
		size_t offset = addr % LINE;
		size_t piece = LINE - offset < len ? LINE - offset : len;
		size_t i = line_of(s, addr - offset);

		if (s->have[i] < offset + piece)
			return false;
		memcpy(to, s->bytes + i * LINE + offset, piece);
		addr += piece;
		to += piece;
		len -= piece;
	}
	return true;
}

bool scatter_word(struct scatter *s, uint64_t addr, uint64_t *ret)
{
	uint64_t word;
	uint32_t half;

	if (target_word_bytes(s->target) == 4) {
		if (!scatter_int(s, addr, &half))
			return false;
		*ret = half;
		return true;
	}
	if (!scatter_read(s, addr, &word, sizeof(word)))
		return false;
	*ret = word;
	return true;
}

bool scatter_int(struct scatter *s, uint64_t addr, uint32_t *ret)
{
	uint32_t value;

	if (!scatter_read(s, addr, &value, sizeof(value)))
		return false;
	*ret = value;
	return true;
}
