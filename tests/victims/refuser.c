/*
 * A process into which the recorder must not be put, or with care. It brings itself into the state
 * that its argument names, says "ready", and waits for the end of its input.
 *
 *   vfork       its child has its memory, and does not call exec
 *   shared      another process has its memory for good
 *   locked      all of its memory is locked, and what it will map
 *   strict      seccomp's strict mode
 *   kills       a filter that kills it for process_vm_readv
 *   kills-yield a filter that kills it for sched_yield
 *   fails       a filter that lets process_vm_readv fail
 *   no-mmap     a filter that lets mmap fail
 *   limited     little address space
 *   undumpable  not to be looked at by its own user
 *   probed      a breakpoint instruction begins calloc
 *   patched     something else has changed malloc's first instruction
 *   recorded    a mapping like the recorder's
 *
 * refuser [STATE]
 */
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CANNOT 77

static char stack[65536];

static void must(int good)
{
	if (!good)
		_exit(CANNOT);
}

static void ready(void)
{
	must(write(1, "ready\n", 6) == 6);
}

static void wait_for_end(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		continue;
}

static pid_t starter;

static int idle(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Whose end came before that tells nobody of it. */
	while (getppid() == starter)
		pause();
	return 0;
}

static void change(const char *function, uint8_t byte)
{
	uint8_t *code = dlsym(RTLD_DEFAULT, function);
	uintptr_t page = (uintptr_t)code & ~(uintptr_t)4095;

	must(code && !mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
	*code = byte;
}

static void filter(uint32_t call, uint32_t verdict)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};

	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	     !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void recorded(void)
{
	int fd = memfd_create("seep-rec.1.2", 0);

	must(fd >= 0 && !ftruncate(fd, 4096) &&
	     mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
}

static void limited(void)
{
	struct rlimit l = {1ul << 26, 1ul << 26};

	must(!setrlimit(RLIMIT_AS, &l));
}

/* The child has its own end of the input. */
static void lend(void)
{
	if (vfork() == 0) {
		ready();
		wait_for_end();
		_exit(0);
	}
}

static void become(const char *state)
{
	if (!strcmp(state, "vfork"))
		lend();
	else if (!strcmp(state, "shared"))
		must(clone(idle, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) > 0);
	else if (!strcmp(state, "locked"))
		must(!mlockall(MCL_CURRENT | MCL_FUTURE));
	else if (!strcmp(state, "strict"))
		must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	else if (!strcmp(state, "kills"))
		filter(SYS_process_vm_readv, SECCOMP_RET_KILL_PROCESS);
	else if (!strcmp(state, "kills-yield"))
		filter(SYS_sched_yield, SECCOMP_RET_KILL_PROCESS);
	else if (!strcmp(state, "fails"))
		filter(SYS_process_vm_readv, SECCOMP_RET_ERRNO | 1);
	else if (!strcmp(state, "no-mmap"))
		filter(SYS_mmap, SECCOMP_RET_ERRNO | 1);
	else if (!strcmp(state, "limited"))
		limited();
	else if (!strcmp(state, "undumpable"))
		must(!prctl(PR_SET_DUMPABLE, 0));
	else if (!strcmp(state, "probed"))
		change("calloc", 0xcc);
	else if (!strcmp(state, "patched"))
		change("malloc", 0xe9);
	else if (!strcmp(state, "recorded"))
		recorded();
	else
		must(0);
}

int main(int argc, char **argv)
{
	free(malloc(10));
	starter = getpid();
	if (argc > 1)
		become(argv[1]);
	ready();
	wait_for_end();
	syscall(SYS_exit, 0); /* strict mode knows no other */
	return 0;
}
