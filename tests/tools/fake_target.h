/*
 * A target made of bytes that a test lays out: pieces of memory at addresses of its choice, threads
 * and modules. Pages that are not all zero count as resident.
 *
 *   struct target *t = fake_target_new(8, EM_X86_64);
 *   uint8_t *bytes = fake_target_map(t, 0x10000, 0x2000, MAP_READ | MAP_WRITE, "[heap]");
 *   fake_target_ready(t);        then everything of target.h works; target_close() frees all
 */
#ifndef FAKE_TARGET_H
#define FAKE_TARGET_H

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/target_private.h"

#define FAKE_PAGE 4096u

struct fake_piece {
	uint64_t start, end;
	unsigned int prot;
	char *path;
	uint8_t *bytes;
};

struct fake_memory {
	struct fake_piece *pieces;
	size_t nr, cap;
};

static inline struct fake_piece *fake_find(struct fake_memory *m, uint64_t addr)
{
	for (size_t i = 0; i < m->nr; i++)
		if (addr >= m->pieces[i].start && addr < m->pieces[i].end)
			return &m->pieces[i];
	return NULL;
}

static inline size_t fake_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct fake_piece *p = fake_find(t->state, addr + done);
		size_t piece;

		if (!p || !(p->prot & MAP_READ))
			break;
		piece = (size_t)(p->end - (addr + done));
		if (piece > len - done)
			piece = len - done;
		memcpy((uint8_t *)buffer + done, p->bytes + (addr + done - p->start), piece);
		done += piece;
	}
	return done;
}

static inline int fake_residency(struct target *t, uint64_t start, uint64_t end,
				 struct target_residency *ret)
{
	static const uint8_t zero[FAKE_PAGE];
	struct target_residency r = {0};

	for (uint64_t page = start & ~(uint64_t)(FAKE_PAGE - 1); page < end; page += FAKE_PAGE) {
		struct fake_piece *p = fake_find(t->state, page);

		if (p && memcmp(p->bytes + (page - p->start), zero, FAKE_PAGE) != 0)
			r.resident_bytes += FAKE_PAGE;
	}
	*ret = r;
	return 0;
}

static inline void fake_close(struct target *t)
{
	struct fake_memory *m = t->state;

	for (size_t i = 0; i < m->nr; i++) {
		free(m->pieces[i].bytes);
		free(m->pieces[i].path);
	}
	free(m->pieces);
	free(m);
}

static const struct target_ops fake_ops = {
	.read = fake_read,
	.residency = fake_residency,
	.close = fake_close,
};

static inline struct target *fake_target_new(unsigned int word_bytes, uint16_t machine)
{
	struct target *t = target_new();

	t->ops = &fake_ops;
	t->state = mem_alloc(sizeof(struct fake_memory));
	t->word_bytes = word_bytes;
	t->machine = machine;
	t->how.kind = TARGET_CORE;
	t->how.consistent = true;
	return t;
}

/* Memory [start, start + len), zero; the bytes stay where they are. Call in any order. */
static inline uint8_t *fake_target_map(struct target *t, uint64_t start, uint64_t len,
				       unsigned int prot, const char *path)
{
	struct fake_memory *m = t->state;
	struct fake_piece p = {.start = start,
			       .end = start + len,
			       .prot = prot,
			       .path = mem_strdup(path),
			       .bytes = mem_alloc(len)};

	ARRAY_PUSH(m->pieces, m->nr, m->cap, p);
	return p.bytes;
}

/* The byte at addr, or NULL. */
static inline uint8_t *fake_target_at(struct target *t, uint64_t addr)
{
	struct fake_piece *p = fake_find(t->state, addr);

	return p ? p->bytes + (addr - p->start) : NULL;
}

static inline void fake_target_module(struct target *t, const char *path, uint64_t start,
				      uint64_t end, uint32_t flags)
{
	struct target_module module = {.path = path, .start = start, .end = end, .flags = flags};

	ARRAY_PUSH(t->modules, t->nr_modules, t->cap_modules, module);
}

static inline int fake_compare(const void *a, const void *b)
{
	const struct fake_piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Makes the maps of the pieces. */
static inline void fake_target_ready(struct target *t)
{
	struct fake_memory *m = t->state;
	struct str text = STR_INIT;

	if (m->nr)
		qsort(m->pieces, m->nr, sizeof(*m->pieces), fake_compare);
	for (size_t i = 0; i < m->nr; i++) {
		const struct fake_piece *p = &m->pieces[i];

		str_printf(&text, "%llx-%llx %c%c%c%c 00000000 00:00 0 %s\n",
			   (unsigned long long)p->start, (unsigned long long)p->end,
			   p->prot & MAP_READ ? 'r' : '-', p->prot & MAP_WRITE ? 'w' : '-',
			   p->prot & MAP_EXEC ? 'x' : '-', p->prot & MAP_IS_SHARED ? 's' : 'p',
			   p->path);
	}
	/* A test may add memory to a target that was ready. */
	maps_release(&t->maps);
	maps_parse(text.data, text.len, &t->maps);
	str_release(&text);
}

#endif
