/*
 * Signal handlers that stay in the middle of the allocator's functions for a while, and go back
 * through code that is no library's. Each thread allocates all the time.
 *
 * attach_handlers    prints "ready"; a line of input ends it, with the number of handlers run
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define STAY_NS 20000000
#define SA_RESTORER_FLAG 0x04000000ul

/* Not as the C library has it, so that nobody knows it by its bytes. */
void own_restorer(void);
__asm__(".text\n"
	".p2align 4\n"
	"own_restorer:\n"
	"	xor %eax, %eax\n"
	"	add $15, %al\n"
	"	syscall\n");

/* As the kernel has it: arch/x86/include/uapi/asm/signal.h. */
struct kernel_action {
	void (*handler)(int signal);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint64_t handled;
static volatile bool over;

static void stay(int signal)
{
	struct timespec t = {.tv_nsec = STAY_NS};

	(void)signal;
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
	/* Not by libc's function, which sets errno. */
	syscall(SYS_nanosleep, &t, NULL);
}

static void *work(void *context)
{
	while (!over) {
		char *p = malloc(64), *q = malloc(100);

		if (!p || !q)
			_exit(3);
		memset(p, 1, 64);
		p = realloc(p, 200);
		if (p[63] != 1)
			_exit(4);
		free(p);
		free(q);
	}
	return context;
}

static void *disturb(void *context)
{
	const pthread_t *threads = context;

	while (!over) {
		struct timespec t = {.tv_nsec = STAY_NS * 5 / 4};

		for (int i = 0; i < THREADS; i++)
			pthread_kill(threads[i], SIGUSR1);
		nanosleep(&t, NULL);
	}
	return NULL;
}

int main(void)
{
	struct kernel_action action = {stay, SA_RESTORER_FLAG | SA_RESTART, own_restorer, 0};
	pthread_t threads[THREADS], other;

	if (syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8))
		return 2;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	pthread_create(&other, NULL, disturb, threads);
	printf("ready\n");
	fflush(stdout);
	getchar();
	over = true;
	pthread_join(other, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%llu\n", (unsigned long long)handled);
	return 0;
}
