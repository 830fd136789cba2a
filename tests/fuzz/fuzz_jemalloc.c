/* jemalloc's structures with words written over, in each layout. */
#include "pokes.h"

#include "../unit/jemalloc_image.h"

static const struct image_kind kinds[] = {
	{"5.3", 53, 12, 48, 16, 36, 2, 3},
	{"5.2", 52, 12, 48, 16, 36, 2, 3},
	{"5.0", 50, 12, 48, 8, 39, 3, 5},
};
#define NR_KINDS (sizeof(kinds) / sizeof(*kinds))

static const struct poke_area areas[] = {
	{IMAGE_RECORDS, 72},
	{IMAGE_RECORDS + IMAGE_RECORD_BYTES, 96},
	{IMAGE_RECORDS + 2 * IMAGE_RECORD_BYTES, 72},
	{IMAGE_RECORDS + 3 * IMAGE_RECORD_BYTES, 72},
	{IMAGE_RECORDS + 4 * IMAGE_RECORD_BYTES, 72},
	{IMAGE_LEAF, 30 * 8},
	{IMAGE_ROOT + 8 * (IMAGE_HEAP >> 30) - 16, 40},
	{IMAGE_META, 0x100},
	{IMAGE_ARENA + 0x2400, 32},
	{IMAGE_TLS + 0x4000, 80},
	{IMAGE_TLS + 0x8000, 1100},
	{IMAGE_HEAP + 9 * 4096, 4096},
};

static struct image images[NR_KINDS];

static struct pokes begin(size_t i)
{
	if (!images[i].t)
		image_make(&images[i], &kinds[i]);
	return (struct pokes){
		.t = images[i].t, .areas = areas, .nr_areas = sizeof(areas) / sizeof(*areas)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pokes p = begin(size ? data[0] % NR_KINDS : 0);

	pokes_apply(&p, data, size);
	pokes_walk(p.t, &heap_jemalloc);
	pokes_undo(&p);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct pokes p = begin(0);

	(void)size;
	return pokes_make(&p, data, max, seed);
}
