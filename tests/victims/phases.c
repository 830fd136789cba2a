/*
 * Allocates, resizes and frees as it is told, one command a line; answers each with the truth:
 *
 *   a N   100 blocks of phase N, by every function there is: at phase_N
 *   r N   the first ten of phase N are resized, in place and by moving: at resize
 *   f N   every other block of phase N that is left is freed
 *
 * phases
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "truth.h"

#define PHASES 6
#define BLOCKS 100
#define RESIZED 10

struct held {
	void *p;
	size_t size;
	struct truth_site *site;
};

static struct held held[PHASES][BLOCKS];
static struct truth_site *sites[PHASES], *resize_site;

static void hold(struct held *h, struct truth_site *site, void *p, size_t size)
{
	*h = (struct held){truth_born(site, p, size), size, site};
}

/* The calls are the phase's own: no function stands between. */
#define PHASE(nr)                                                                                  \
	static NOINLINE void phase_##nr(void)                                                      \
	{                                                                                          \
		for (int i = 0; i < BLOCKS; i++) {                                                 \
			size_t size = 24 + (size_t)(nr * 1000 + i * 37);                           \
			void *p = NULL;                                                            \
                                                                                                   \
			if (i % 5 == 0)                                                            \
				p = malloc(size);                                                  \
			else if (i % 5 == 1)                                                       \
				p = calloc(1, size);                                               \
			else if (i % 5 == 2)                                                       \
				p = realloc(NULL, size);                                           \
			else if (i % 5 == 3)                                                       \
				p = memalign(64, size);                                            \
			else                                                                       \
				truth_check(posix_memalign(&p, 64, size) == 0, "posix_memalign");  \
			hold(&held[nr][i], sites[nr], p, size);                                    \
		}                                                                                  \
	}

PHASE(0)
PHASE(1)
PHASE(2)
PHASE(3)
PHASE(4)
PHASE(5)

static NOINLINE void resize(int phase)
{
	for (int i = 0; i < RESIZED; i++) {
		struct held *h = &held[phase][i];
		size_t size = i % 2 ? h->size - 1 : h->size * 40;

		if (!h->p)
			continue;
		truth_died(h->site, h->size);
		hold(h, resize_site, realloc(h->p, size), size);
	}
}

static NOINLINE void release(int phase)
{
	for (int i = 0, nr = 0; i < BLOCKS; i++) {
		struct held *h = &held[phase][i];

		if (!h->p || nr++ % 2)
			continue;
		truth_died(h->site, h->size);
		free(h->p);
		h->p = NULL;
	}
}

int main(void)
{
	static void (*const phases[PHASES])(void) = {phase_0, phase_1, phase_2,
						     phase_3, phase_4, phase_5};
	static const char *const names[PHASES] = {"phase_0", "phase_1", "phase_2",
						  "phase_3", "phase_4", "phase_5"};
	static char room[4096];
	char line[32];

	setvbuf(stdin, room, _IOFBF, sizeof(room));
	for (int i = 0; i < PHASES; i++)
		sites[i] = truth_at(names[i]);
	resize_site = truth_at("resize");
	truth_print("phases", "start");
	while (fgets(line, sizeof(line), stdin)) {
		int phase = atoi(line + 1) % PHASES;

		if (line[0] == 'a')
			phases[phase]();
		else if (line[0] == 'r')
			resize(phase);
		else
			release(phase);
		truth_print("phases", line[0] == 'a' ? "allocated" : "changed");
	}
	return truth_status();
}
