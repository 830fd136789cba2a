/*
 * Preloaded after liblsan.so: LeakSanitizer initialises itself at the first allocation, and a
 * program that calls signal() before it jumps to address 0. So there is a first allocation before
 * main().
 */
#include <stdlib.h>

static void wake(void) __attribute__((constructor));

static void wake(void)
{
	void *block = malloc(1);

	__asm__ volatile("" : : "r"(block) : "memory");
	free(block);
}
