/* Built without unwind tables: an unwinder that trusts tables knows nothing about these frames. */
#include <stddef.h>

int no_cfi_c(int depth, void (*callback)(size_t));

__attribute__((noinline)) int no_cfi_c(int depth, void (*callback)(size_t))
{
	volatile char room[40];

	room[depth & 31] = (char)depth;
	if (depth > 0)
		return no_cfi_c(depth - 1, callback) + room[depth & 31];
	callback(30);
	return room[0];
}
