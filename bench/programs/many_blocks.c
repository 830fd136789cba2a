/*
 * Holds many blocks of the sizes that programs have, a part of them freed again:
 * many_blocks [MILLIONS [MEAN_BYTES]]; prints "ready PID" and waits for the end of its input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t seed = 88172645463325252ull;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

int main(int argc, char **argv)
{
	size_t nr = (size_t)(argc > 1 ? atof(argv[1]) * 1e6 : 1e6);
	size_t mean = argc > 2 ? (size_t)atol(argv[2]) : 270;
	void *kept = NULL;
	char line[16];

	for (size_t i = 0; i < nr; i++) {
		size_t size = sizeof(void *) + next() % (2 * mean - 16);
		void *p = malloc(size);

		if (!p)
			return 1;
		memset(p, (int)i, size);
		/* One in ten goes again, an earlier one in its place in the chain. */
		if (i % 10 == 9 && kept) {
			void *older = *(void **)kept;

			free(kept);
			kept = older;
		}
		memcpy(p, &kept, sizeof(kept));
		kept = p;
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		continue;
	return 0;
}
