/*
 * Threads that stand still between the instructions of malloc and free, and the blocks that nobody
 * but they know.
 *
 * In there glibc knows a block by its header (mem2chunk in malloc/malloc.c), in registers or in the
 * frames of its own functions; and malloc_consolidate() takes a whole fast list off its arena and
 * goes along it, so that all but the first hang on links that only glibc can read.
 */
#include <string.h>

#include "heap/dynsym.h"
#include "heap/glibc.h"

/* In front of malloc in libc's code stand the static functions that it is made of. */
#define CODE_BEFORE 0x6000u
#define STACK_WORDS 48 /* of malloc's frames: looked at for a return into it, and for headers */
#define LINKS_MAX (1u << 20) /* of all lists that threads go along */

/* Where malloc's functions are, from the exported ones among them. */
static void find_code(struct glibc_state *s, struct glibc *g)
{
	static const char *const functions[] = {"malloc",      "free",	   "calloc",
						"realloc",     "memalign", "malloc_trim",
						"malloc_info", "mallopt",  "posix_memalign"};
	struct dynsym d;
	uint64_t at, size;

	if (!g->module || !dynsym_open(&d, &s->memory, g->word, g->module))
		return;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (!dynsym_find(&d, functions[i], &at, &size))
			continue;
		if (g->code_start == 0 || at < g->code_start)
			g->code_start = at;
		if (at + size > g->code_end)
			g->code_end = at + size;
	}
	if (g->code_start > CODE_BEFORE)
		g->code_start -= CODE_BEFORE;
}

static bool is_inside(struct glibc_state *s, const struct glibc *g, const struct target_thread *th)
{
	if (th->pc >= g->code_start && th->pc < g->code_end)
		return true;
	for (unsigned int i = 0; i < STACK_WORDS; i++) {
		uint64_t word;

		if (!scatter_word(&s->memory, th->sp + (uint64_t)i * g->word, &word))
			return false;
		if (word >= g->code_start && word < g->code_end)
			return true;
	}
	return false;
}

size_t glibc_threads_inside(struct glibc_state *s, struct target *t)
{
	size_t nr, inside = 0;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < s->nr; i++) {
		find_code(s, &s->libs[i]);
		for (size_t k = 0; k < nr && s->libs[i].code_end; k++)
			inside +=
				threads[k].has_registers && is_inside(s, &s->libs[i], &threads[k]);
	}
	return inside;
}

/* What one thread may have in its hands. */
struct hand {
	struct glibc_state *s;
	const struct glibc *g;
	int32_t tid;
	unsigned int *links; /* followed so far, by all */
	heap_hand take;
	void *context;
};

static bool is_header(const struct hand *h, uint64_t addr)
{
	const struct glibc_direct *d;

	if ((addr + 2 * h->g->word) % h->g->align)
		return false;
	if (glibc_piece_of(h->g, addr, NULL))
		return true;
	d = glibc_direct_of(h->s, addr);
	return d && d->chunk == addr;
}

/* The word may be a header's address: its block, and those behind it in a list taken off. */
static void take_header(struct hand *h, uint64_t chunk)
{
	while (is_header(h, chunk)) {
		uint64_t addr = chunk + 2 * h->g->word, stored, next;

		h->take(h->context, addr, h->tid);
		if ((*h->links)++ >= LINKS_MAX || !scatter_word(&h->s->memory, addr, &stored))
			return;
		next = glibc_reveal(h->g->links, addr, stored);
		if (next == chunk)
			return;
		chunk = next;
	}
}

static void look_at(struct hand *h, const struct target_thread *th)
{
	unsigned int word = h->g->word;
	uint64_t value = 0;

	for (size_t at = 0; at + word <= th->registers_bytes; at += word) {
		memcpy(&value, th->registers + at, word);
		take_header(h, value);
	}
	for (unsigned int i = 0; i < STACK_WORDS; i++) {
		if (!scatter_word(&h->s->memory, th->sp + (uint64_t)i * word, &value))
			return;
		take_header(h, value);
	}
}

void glibc_in_hand(struct heaps *heaps, void *state, heap_hand take, void *context)
{
	struct glibc_state *s = state;
	unsigned int links = 0;
	size_t nr;
	const struct target_thread *threads = target_threads(heaps_target(heaps), &nr);

	glibc_collect(s, heaps_target(heaps));
	for (size_t i = 0; i < s->nr; i++) {
		const struct glibc *g = &s->libs[i];

		for (size_t k = 0; k < nr; k++) {
			struct hand h = {s, g, threads[k].tid, &links, take, context};

			/* A static program does not say where its malloc is. */
			if (threads[k].has_registers &&
			    (!g->code_end || is_inside(s, g, &threads[k])))
				look_at(&h, &threads[k]);
		}
	}
}
