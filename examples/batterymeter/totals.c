/* The program's own truth as one line of JSON; see totals.h. */
#include "totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "battery.h"
#include "cache.h"
#include "cpu.h"

#define BATTERY_BYTES sizeof(struct battery_info_internal)
#define CPU_BYTES (CPU_INFO_COUNT * sizeof(struct cpu_info_internal))

void totals_print(const struct totals *t, const char *state)
{
	/* A buffer of our own and dprintf: stdio's stream would allocate a block of its own. */
	char line[1024];
	uint64_t first_block = t->first_block_inverted ? ~t->first_block_inverted : 0;

	snprintf(line, sizeof(line),
		 "{\"program\":\"batterymeter\",\"build\":\"%s\",\"pid\":%d,\"state\":\"%s\","
		 "\"turns\":%" PRIu64 ",\"leaked_blocks\":%" PRIu64 ",\"leaked_bytes\":%" PRIu64
		 ",\"leaked\":[{\"size\":%zu,\"blocks\":%" PRIu64 "},"
		 "{\"size\":%zu,\"blocks\":%" PRIu64 "}],"
		 "\"cache_blocks\":%" PRIu64 ",\"cache_bytes\":%" PRIu64
		 ",\"honest_allocated_blocks\":%" PRIu64 ",\"honest_allocated_bytes\":%" PRIu64
		 ",\"honest_freed_blocks\":%" PRIu64 ",\"honest_freed_bytes\":%" PRIu64
		 ",\"first_block\":\"0x%" PRIx64 "\"}\n",
		 BUILD_NAME, (int)getpid(), state, t->turns, t->battery_blocks + t->cpu_blocks,
		 t->battery_blocks * BATTERY_BYTES + t->cpu_blocks * CPU_BYTES, BATTERY_BYTES,
		 t->battery_blocks, CPU_BYTES, t->cpu_blocks, t->cache_blocks,
		 t->cache_blocks * sizeof(struct reading), t->allocated_blocks, t->allocated_bytes,
		 t->freed_blocks, t->freed_bytes, first_block);
	dprintf(STDOUT_FILENO, "%s", line);
}
