/* A moving window over a target's memory; see window.h. */
#include "target/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/target.h"

#define WINDOW_DEFAULT ((size_t)512 << 10)
#define WINDOW_FIRST ((size_t)4096)

void window_init(struct window *w, struct target *t, size_t cap)
{
	*w = (struct window){.target = t, .cap = cap ? cap : WINDOW_DEFAULT};
	w->bytes = mem_alloc(w->cap);
}

void window_release(struct window *w)
{
	free(w->bytes);
	w->bytes = NULL;
	w->len = 0;
}

void window_forget(struct window *w)
{
	w->len = 0;
}

static bool holds(const struct window *w, uint64_t addr, size_t len)
{
	return addr >= w->start && addr - w->start <= w->len && w->len - (addr - w->start) >= len;
}

/* Upwards, and no farther from what was read than that is long: at most half is read in vain. */
static bool goes_on(const struct window *w, uint64_t addr)
{
	return w->len && addr >= w->start && addr - w->start <= (uint64_t)w->len + w->ahead;
}

/* Fetches len bytes (at most cap) at addr, and more where that is likely to be asked for. */
static void move_to(struct window *w, uint64_t addr, size_t len)
{
	size_t want = goes_on(w, addr) ? w->ahead * 2 : WINDOW_FIRST;

	if (want < len)
		want = len;
	if (want > w->cap)
		want = w->cap;
	w->ahead = want;
	if (w->limit && addr < w->limit && w->limit - addr < want)
		want = (size_t)(w->limit - addr);
	w->start = addr;
	w->len = target_read(w->target, addr, w->bytes, want);
}

const uint8_t *window_get(struct window *w, uint64_t addr, size_t len)
{
	if (len > w->cap)
		return NULL;
	if (!holds(w, addr, len))
		move_to(w, addr, len);
	return holds(w, addr, len) ? w->bytes + (addr - w->start) : NULL;
}

const uint8_t *window_some(struct window *w, uint64_t addr, size_t *ret_len)
{
	if (!holds(w, addr, 1))
		move_to(w, addr, 1);
	*ret_len = holds(w, addr, 1) ? w->len - (size_t)(addr - w->start) : 0;
	return *ret_len ? w->bytes + (addr - w->start) : NULL;
}

bool window_word(struct window *w, uint64_t addr, uint64_t *ret)
{
	unsigned int width = target_word_bytes(w->target);
	const uint8_t *p = window_get(w, addr, width);
	uint32_t half;

	if (!p)
		return false;
	if (width == 8) {
		memcpy(ret, p, 8);
	} else {
		memcpy(&half, p, 4);
		*ret = half;
	}
	return true;
}
