/* mallocng's structures with words written over, of either word size. */
#include "pokes.h"

#include "../unit/musl_image.h"

static struct musl_image images[2];
static struct poke_area areas[2][8];

static struct pokes begin(size_t i)
{
	struct musl_image *m = &images[i];

	if (!m->t) {
		musl_make(m, i ? 4 : 8, false);
		areas[i][0] = (struct poke_area){m->context, 0x380};
		areas[i][1] = (struct poke_area){m->area, 340};
		areas[i][2] = (struct poke_area){m->area, 340};
		areas[i][3] = (struct poke_area){m->area, 4096};
		areas[i][4] = (struct poke_area){m->group, 4096};
		areas[i][5] = (struct poke_area){m->inner - 16, 208};
		areas[i][6] = (struct poke_area){m->direct, 80};
		areas[i][7] = (struct poke_area){m->gift, 80};
	}
	return (struct pokes){.t = m->t, .areas = areas[i], .nr_areas = 8};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pokes p = begin(size ? data[0] / 8 % 2 : 0);

	pokes_apply(&p, data, size);
	pokes_walk(p.t, &heap_musl);
	pokes_undo(&p);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct pokes p = begin(0);

	(void)size;
	return pokes_make(&p, data, max, seed);
}
