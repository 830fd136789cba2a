/*
 * How a victim tells which blocks it holds: "0xADDRESS USABLE" a line, as malloc_usable_size()
 * says, at the end "ready PID". No stdio, and nothing else that would allocate behind its back.
 */
#ifndef SEEP_VICTIM_HELD_BLOCKS_H
#define SEEP_VICTIM_HELD_BLOCKS_H

#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static char held_text[1 << 16];
static size_t held_used;

static void held_flush(void)
{
	for (size_t at = 0; at < held_used;) {
		ssize_t n = write(STDOUT_FILENO, held_text + at, held_used - at);

		if (n <= 0)
			_exit(1);
		at += (size_t)n;
	}
	held_used = 0;
}

static void held_put(const char *text)
{
	size_t len = strlen(text);

	if (held_used + len > sizeof(held_text))
		held_flush();
	memcpy(held_text + held_used, text, len);
	held_used += len;
}

static void held_put_number(uint64_t n, unsigned int base)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	held_put(digits + at);
}

static void held_print(void *block)
{
	held_put("0x");
	held_put_number((uintptr_t)block, 16);
	held_put(" ");
	held_put_number(malloc_usable_size(block), 10);
	held_put("\n");
}

static void held_ready(void)
{
	held_put("ready ");
	held_put_number((uint64_t)getpid(), 10);
	held_put("\n");
	held_flush();
}

/* The same numbers in every run, from a seed that is not 0 (xorshift64). */
static uint64_t held_dice(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
