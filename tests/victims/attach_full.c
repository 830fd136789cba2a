/*
 * A process that has all mappings that the system lets it have, but a few.
 *
 * attach_full FREE    prints "ready"; a line of input ends it
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LAST 16

int main(int argc, char **argv)
{
	int free_count = argc > 1 ? atoi(argv[1]) : 0;
	void *last[LAST] = {NULL};
	size_t nr = 0;

	for (;; nr++) {
		/* Of two kinds, so that neighbours are not made one. */
		void *p = mmap(NULL, 4096, nr % 2 ? PROT_READ : PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			break;
		last[nr % LAST] = p;
	}
	for (int i = 1; i <= free_count && i < LAST; i++)
		munmap(last[(nr - (size_t)i) % LAST], 4096);
	printf("ready\n");
	fflush(stdout);
	getchar();
	free(malloc(100));
	return 0;
}
