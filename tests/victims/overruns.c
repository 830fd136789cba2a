/*
 * Writes over the end of one of its blocks, as bugs do, and holds still: what lies behind is the
 * size of the next block. Says where, then waits for the end of its input.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 100, BYTES = 200, VICTIM = 40 };

int main(void)
{
	static char *blocks[BLOCKS];
	char line[16];

	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = malloc(BYTES);
	/* 200 bytes are exactly what glibc can give of a chunk of 208: no padding is hit first. */
	memset(blocks[VICTIM], 'A', BYTES + sizeof(size_t));
	dprintf(STDOUT_FILENO, "{\"pid\":%d,\"block\":%" PRIuPTR ",\"behind\":%" PRIuPTR "}\n",
		(int)getpid(), (uintptr_t)blocks[VICTIM], (uintptr_t)blocks[VICTIM + 1]);
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		;
	/* free() and exit() would notice, and abort. */
	_exit(0);
}
