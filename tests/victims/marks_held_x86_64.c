/*
 * Tells seep.h's mark as code does that was compiled without a thought for speed or for frame
 * pointers, and takes its time: the address of the recorder's functions is in no register, but in
 * one word of a small frame, when a thread is about to call them.
 *
 * Reads lines. A number: a thread fetches the address, keeps it so many words above its stack
 * pointer, and "holding" is said. Any other line: it calls, if there was anything to call, and
 * "called" or "nothing" is said. The end of the input ends the program.
 */
#include <pthread.h>
#include <seep/seep.h>
#include <stdlib.h>

#include "truth.h"

#define FRAME_BYTES 384 /* behind the red zone */
#define FRAME_WORDS 32	/* that are looked at, and hold nothing else */

static volatile int holding, go;
static const char name[] = "held";

static NOINLINE int mark_slowly(long word)
{
	int called = 0;

	__asm__ volatile(
		"mov %%rsp, %%rbx\n"
		"sub %[bytes], %%rsp\n"
		"and $-16, %%rsp\n"
		"mov %[words], %%ecx\n"
		"1: movq $0, -8(%%rsp,%%rcx,8)\n"
		"dec %%ecx\n"
		"jnz 1b\n"
		"mov %[functions], %%rax\n"
		"mov %%rax, (%%rsp,%[word],8)\n"
		"xor %%eax, %%eax\n"
		"movl $1, %[holding]\n"
		"2: pause\n"
		"cmpl $0, %[go]\n"
		"je 2b\n"
		"mov (%%rsp,%[word],8), %%rax\n"
		"test %%rax, %%rax\n"
		"je 3f\n"
		"mov $1, %[called]\n"
		"lea %[name], %%rdi\n"
		"call *%c[mark](%%rax)\n"
		"3: mov %%rbx, %%rsp\n"
		: [called] "+r"(called), [holding] "=m"(holding)
		: [word] "r"(word), [functions] "m"(seep_program_hooks.functions), [go] "m"(go),
		  [name] "m"(name), [bytes] "i"(FRAME_BYTES), [words] "i"(FRAME_WORDS),
		  [mark] "i"(offsetof(struct seep_functions, mark))
		: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory",
		  "cc");
	return called;
}

static void *hold(void *word)
{
	return (void *)(intptr_t)mark_slowly((long)(intptr_t)word);
}

int main(void)
{
	char line[32];
	void *called;

	truth_print("marks-held", "ready");
	while (fgets(line, sizeof(line), stdin)) {
		pthread_t thread;

		holding = go = 0;
		if (pthread_create(&thread, NULL, hold, (void *)strtol(line, NULL, 10)))
			return 1;
		while (!holding)
			usleep(100);
		dprintf(STDOUT_FILENO, "holding\n");
		if (!fgets(line, sizeof(line), stdin))
			return 0;
		go = 1;
		pthread_join(thread, &called);
		dprintf(STDOUT_FILENO, called ? "called\n" : "nothing\n");
	}
	return 0;
}
