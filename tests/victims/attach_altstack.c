/*
 * A thread whose alternate signal stack lies behind its stack, in one mapping, as goroutines have
 * theirs. A handler that has interrupted code of no module leaves its frame there, and is never run
 * again: what is left looks as if it still were.
 *
 * attach_altstack    prints "ready"; allocates from the first line of input on, until a signal has
 * come in code of no module, then prints "caught"; the second line ends it.
 */
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#define STACK_BYTES (256u << 10)
#define MODULES_MAX 16

static struct range {
	uint64_t start, end;
} modules[MODULES_MAX];
static size_t nr_modules;
static volatile bool caught;
static sem_t begin, done;
static char *stack;

static int note_module(struct dl_phdr_info *info, size_t bytes, void *context)
{
	struct range *m = &modules[nr_modules];

	(void)bytes;
	(void)context;
	if (nr_modules == MODULES_MAX)
		return 1;
	nr_modules++;
	m->start = UINT64_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t at = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD)
			continue;
		m->start = at < m->start ? at : m->start;
		m->end = at + p->p_memsz;
	}
	return 0;
}

static void handle(int signal, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	uint64_t pc = (uint64_t)c->uc_mcontext.gregs[REG_RIP];

	(void)signal;
	(void)info;
	for (size_t i = 0; i < nr_modules; i++)
		if (pc >= modules[i].start && pc < modules[i].end)
			return;
	/* A handler that is run later would leave its frame in the place of this one. */
	sigaddset(&c->uc_sigmask, SIGUSR1);
	caught = true;
}

static void *work(void *context)
{
	stack_t other = {.ss_sp = stack + STACK_BYTES, .ss_size = STACK_BYTES};

	if (sigaltstack(&other, NULL))
		exit(3);
	sem_wait(&begin);
	while (!caught)
		free(malloc(100));
	sem_wait(&done);
	return context;
}

static void disturb(pthread_t thread)
{
	const struct timespec t = {.tv_nsec = 1000000};

	while (!caught) {
		pthread_kill(thread, SIGUSR1);
		nanosleep(&t, NULL);
	}
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = handle,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	pthread_attr_t attributes;
	pthread_t thread;

	stack = mmap(NULL, 2 * STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	pthread_attr_init(&attributes);
	if (stack == MAP_FAILED || pthread_attr_setstack(&attributes, stack, STACK_BYTES) ||
	    sigaction(SIGUSR1, &action, NULL) || sem_init(&begin, 0, 0) || sem_init(&done, 0, 0))
		return 2;
	dl_iterate_phdr(note_module, NULL);
	pthread_create(&thread, &attributes, work, NULL);
	printf("ready\n");
	fflush(stdout);
	getchar();
	sem_post(&begin);
	disturb(thread);
	printf("caught\n");
	fflush(stdout);
	getchar();
	sem_post(&done);
	pthread_join(thread, NULL);
	return 0;
}
