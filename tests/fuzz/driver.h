/*
 * What a fuzz target offers and what the driver gives it. A target defines LLVMFuzzerTestOneInput,
 * which returns 0 or aborts, and may define LLVMFuzzerCustomMutator.
 */
#ifndef FUZZ_DRIVER_H
#define FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Changes data[size] in place up to max bytes, the same for the same seed. Returns the new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* What the present input was made from, for messages. */
extern uint64_t fuzz_seed;

uint64_t fuzz_random(uint64_t *state);
/* One small change of bytes. */
size_t fuzz_mutate_bytes(uint8_t *data, size_t size, size_t max, uint64_t *state);

#define FUZZ_MUST(what)                                                                            \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s (seed %llu)\n", __FILE__, __LINE__,     \
				#what, (unsigned long long)fuzz_seed);                             \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
