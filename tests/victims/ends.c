/*
 * Ends in a way of its own: ends HOW. Has lost LOST blocks by then, while another thread holds one
 * on its stack; prints "lost LOST" first.
 *
 *   main      main returns             exit     exit() in a thread
 *   _exit     no destructors           sandbox  main returns, in a sandbox where what waiting needs
 *                                               is deadly
 *   waits     main returns when its standard input ends; prints "pid PID" too
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "truth.h"

#define LOST 7

static pthread_barrier_t barrier;

static void *hold(void *unused)
{
	void *volatile on_stack = malloc(500);

	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	truth_touch(on_stack);
	return unused;
}

static void *lose(void *unused)
{
	for (size_t i = 0; i < LOST; i++)
		truth_touch(memset(malloc(100 + i), 0, 100));
	return unused;
}

static void *end(void *unused)
{
	exit(5);
	return unused;
}

static void enter_sandbox(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(SKIPPED);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "main";
	pthread_t holder, other;
	char line[64];

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&holder, NULL, hold, NULL);
	pthread_barrier_wait(&barrier);
	pthread_create(&other, NULL, lose, NULL);
	pthread_join(other, NULL);
	printf("lost %d\n", LOST);
	if (strcmp(how, "waits") == 0)
		printf("pid %d\n", (int)getpid());
	fflush(stdout);
	if (strcmp(how, "exit") == 0 && pthread_create(&other, NULL, end, NULL) == 0)
		pthread_join(other, NULL);
	if (strcmp(how, "_exit") == 0)
		_exit(0);
	if (strcmp(how, "sandbox") == 0)
		enter_sandbox();
	while (strcmp(how, "waits") == 0 && fgets(line, sizeof(line), stdin))
		;
	return 0;
}
