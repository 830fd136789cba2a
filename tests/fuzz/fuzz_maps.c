/* /proc/PID/maps from anywhere: what is taken is ordered and found again, the rest is counted. */
#include <string.h>

#include "driver.h"
#include "target/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t lines = size && data[size - 1] != '\n';
	uint64_t last_end = 0;
	struct maps m;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	maps_parse((const char *)data, size, &m);
	FUZZ_MUST(m.nr + m.bad_lines <= lines);
	for (size_t i = 0; i < m.nr; i++) {
		const struct map *map = &m.items[i];

		FUZZ_MUST(map->start >= last_end && map->start < map->end);
		last_end = map->end;
		FUZZ_MUST(strlen(map->path) <= size && !(map->prot & ~0xf));
		FUZZ_MUST(maps_find(&m, map->start) == map);
		FUZZ_MUST(maps_find(&m, map->end - 1) == map);
		FUZZ_MUST(maps_find_path(&m, map->path, i) == map);
	}
	(void)maps_find_recorder(&m);
	maps_release(&m);
	return 0;
}
