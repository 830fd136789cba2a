/* /proc/PID/smaps from anywhere: what is taken is ordered and whole, the rest is counted. */
#include <string.h>

#include "driver.h"
#include "target/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t lines = size && data[size - 1] != '\n';
	uint64_t last_end = 0;
	struct smaps s;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	smaps_parse((const char *)data, size, &s);
	FUZZ_MUST(s.nr + s.bad_lines <= lines);
	for (size_t i = 0; i < s.nr; i++) {
		const struct map *map = s.items[i].map;

		FUZZ_MUST(map->start >= last_end && map->start < map->end);
		last_end = map->end;
		FUZZ_MUST(strlen(map->path) <= size && !(map->prot & ~0xf));
		FUZZ_MUST(!(s.items[i].vm_flags >> 12));
	}
	smaps_release(&s);
	return 0;
}
