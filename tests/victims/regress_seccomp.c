/*
 * Enters a sandbox after it has started, as servers do for what they do not trust, and allocates
 * there: deep in the stack, and in a new thread. A forbidden system call is its death.
 *
 * regress-seccomp open     no file may be opened
 * regress-seccomp more     nor other threads be signalled, yielded to or made to see memory
 * regress-seccomp strict   read, write and exit only
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "truth.h"

#define STRICT_STATUS 3

static const int forbidden[] = {SYS_openat, SYS_tgkill, SYS_membarrier, SYS_sched_yield};

static int forbid(size_t nr)
{
	struct sock_filter code[2 * sizeof(forbidden) / sizeof(forbidden[0]) + 2];
	struct sock_fprog program = {.filter = code};
	size_t n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < nr; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (uint32_t)forbidden[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static NOINLINE int deep_in_the_stack(int levels)
{
	volatile char frame[4096];
	void *p;

	frame[3] = (char)levels;
	if (levels > 0)
		return deep_in_the_stack(levels - 1) + frame[3];
	p = malloc(opaque(100));
	truth_touch(p);
	free(p);
	return frame[3];
}

static void *run_thread(void *arg)
{
	free(malloc(opaque(10)));
	return arg;
}

static int strict(void)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		return SKIPPED;
	for (size_t i = 0; i < 40; i++)
		free(malloc(opaque(i)));
	deep_in_the_stack(2);
	return (int)syscall(SYS_exit, STRICT_STATUS);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "open";
	pthread_t thread;

	free(malloc(opaque(5)));
	if (!strcmp(how, "strict"))
		return strict();
	if (forbid(!strcmp(how, "open") ? 1 : sizeof(forbidden) / sizeof(forbidden[0])) < 0)
		return SKIPPED;
	deep_in_the_stack(100);
	if (pthread_create(&thread, NULL, run_thread, NULL) || pthread_join(thread, NULL))
		return 2;
	return 0;
}
