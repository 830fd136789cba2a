/*
 * Runs a fuzz target without libFuzzer: first every file named on the command line as it is, then
 * mutations of them, the same ones on every run, until the iterations or the seconds are used up.
 * The entry points are libFuzzer's, so a target links against either.
 *
 *   fuzz_NAME [--iterations N] [--seconds N] [--seed N] FILE…
 *
 * With --seed N and one iteration a failure that names its seed is repeated alone.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "driver.h"

struct options {
	uint64_t iterations, seconds, seed;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64: any seed gives a good sequence. */
uint64_t fuzz_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

size_t fuzz_mutate_bytes(uint8_t *data, size_t size, size_t max, uint64_t *state)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
	uint64_t r = fuzz_random(state);
	size_t at = size ? (size_t)(r >> 8) % size : 0;

	if (!size)
		return 0;
	switch (r % 5) {
	case 0:
		data[at] ^= (uint8_t)(1u << (r >> 4) % 8);
		return size;
	case 1:
		data[at] = edges[(r >> 4) % sizeof(edges)];
		return size;
	case 2: /* cut the end off */
		return r >> 60 ? size : at;
	case 3: /* repeat a piece */
		if (size - at > max - size)
			return size;
		memmove(data + size, data + at, size - at);
		return size + (size - at);
	default: /* take a few bytes out */
		r = (r >> 4) % 8 < size - at ? (r >> 4) % 8 : size - at;
		memmove(data + at, data + at + r, size - at - r);
		return size - r;
	}
}

__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
						     unsigned int seed)
{
	uint64_t state = seed;

	for (uint64_t n = 1 + fuzz_random(&state) % 8; n; n--)
		size = fuzz_mutate_bytes(data, size, max, &state);
	return size;
}

/* A copy of exactly this size, so that a sanitizer sees the first byte read beyond it. */
static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = memcpy(mem_alloc(size), data, size);

	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void mutate_all(const struct options *o, const struct str *files, size_t nr)
{
	uint64_t until = now_ns() + o->seconds * 1000000000u, done = 0;
	enum { ROOM = 1 << 16 };
	uint8_t *data = mem_alloc(ROOM);

	for (; done < o->iterations && now_ns() < until; done++) {
		const struct str *file = &files[(o->seed + done) % nr];
		size_t size = file->len < ROOM / 2 ? file->len : ROOM / 2;

		memcpy(data, file->data, size);
		fuzz_seed = o->seed + done;
		size = LLVMFuzzerCustomMutator(data, size, ROOM, (unsigned int)fuzz_seed);
		run_one(data, size);
	}
	printf("%llu mutations of %zu files\n", (unsigned long long)done, nr);
	free(data);
}

static bool parse_option(struct options *o, const char *name, const char *value)
{
	if (!value)
		return false;
	if (!strcmp(name, "--iterations"))
		return !parse_count(value, &o->iterations);
	if (!strcmp(name, "--seconds"))
		return !parse_count(value, &o->seconds);
	if (!strcmp(name, "--seed"))
		return !parse_count(value, &o->seed);
	return false;
}

uint64_t fuzz_seed;

int main(int argc, char **argv)
{
	struct options o = {.iterations = 10000, .seconds = 30};
	struct str *files = mem_alloc_array((size_t)argc, sizeof(*files));
	size_t nr = 0;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-') {
			if (!parse_option(&o, argv[i], argv[i + 1]))
				return 2;
			i++;
			continue;
		}
		str_init(&files[nr]);
		if (io_read_file(argv[i], SIZE_MAX, &files[nr])) {
			fprintf(stderr, "cannot read %s\n", argv[i]);
			return 2;
		}
		run_one((const uint8_t *)files[nr].data, files[nr].len);
		nr++;
	}
	if (nr)
		mutate_all(&o, files, nr);
	while (nr)
		str_release(&files[--nr]);
	free(files);
	return 0;
}
