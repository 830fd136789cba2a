/*
 * A process that must not be made to clone itself, or not everywhere, and says so; it then counts
 * without an end, in a word whose address it prints.
 *
 *   kills       a seccomp filter that kills it for clone and wait4
 *   allows      a seccomp filter that forbids only something else
 *   userfault   a page that nobody has supplied yet, and one that somebody has
 *   leaderless  the first thread has ended; another goes on
 *   namespace   its next child would begin a pid namespace (root only)
 *   churn       starts threads that end at once
 *   spawn       starts processes by vfork that end at once
 *   vfork       twenty threads wait in vfork for children that stay in its memory
 *
 * look_hazard HAZARD
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define CANNOT 77

static volatile uint64_t counter;
static uint64_t page_addr;

static int filter_calls(const uint32_t *calls, size_t nr, uint32_t verdict)
{
	struct sock_filter code[16], *at = code;
	struct sock_fprog program = {.filter = code};

	*at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					     offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < nr; i++) {
		*at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
	}
	*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)(at - code);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int kills(void)
{
	static const uint32_t calls[] = {SYS_clone, SYS_wait4};

	return filter_calls(calls, 2, SECCOMP_RET_KILL_PROCESS);
}

static int allows(void)
{
	static const uint32_t calls[] = {SYS_reboot};

	return filter_calls(calls, 1, SECCOMP_RET_KILL_PROCESS);
}

static int userfault(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
	char *page = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct uffdio_register range = {
		.range = {(uintptr_t)page, 2 * PAGE_BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (fd < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api))
		return -1;
	page[0] = 'x';
	page_addr = (uintptr_t)page;
	return ioctl(fd, UFFDIO_REGISTER, &range);
}

static int namespace(void)
{
	return unshare(CLONE_NEWPID);
}

static void *count(void *unused)
{
	(void)unused;
	for (;;)
		counter++;
	return NULL;
}

static void *nothing(void *unused)
{
	return unused;
}

static void say_ready(void)
{
	printf("{\"counter\":%lu,\"page\":%lu}\n", (unsigned long)(uintptr_t)&counter,
	       (unsigned long)page_addr);
	fflush(stdout);
}

/* Born detached: pthread_detach() of a thread that is about to end is a race in older glibc. */
static void *start_threads(void *unused)
{
	pthread_attr_t detached;
	pthread_t thread;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (;; counter++)
		pthread_create(&thread, &detached, nothing, unused);
	return NULL;
}

static void start_processes(void)
{
	char *const argv[] = {"true", NULL}, *const env[] = {NULL};
	int status;
	pid_t pid;

	for (;; counter++) {
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env) ||
		    waitpid(-1, &status, 0) != pid || status) {
			fprintf(stderr, "a child went wrong\n");
			exit(9);
		}
	}
}

/* The child ends with us. */
static void *wait_in_vfork(void *unused)
{
	pid_t pid = vfork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return unused;
}

static void start_vforks(void)
{
	pthread_t thread;

	for (int i = 0; i < 20; i++)
		pthread_create(&thread, NULL, wait_in_vfork, NULL);
}

static int prepare(const char *hazard)
{
	if (!strcmp(hazard, "kills"))
		return kills();
	if (!strcmp(hazard, "allows"))
		return allows();
	if (!strcmp(hazard, "userfault"))
		return userfault();
	if (!strcmp(hazard, "namespace"))
		return namespace();
	return 0;
}

int main(int argc, char **argv)
{
	const char *hazard = argc > 1 ? argv[1] : "";
	pthread_t thread;

	if (prepare(hazard))
		return CANNOT;
	say_ready();
	if (!strcmp(hazard, "leaderless")) {
		pthread_create(&thread, NULL, count, NULL);
		pthread_exit(NULL);
	}
	if (!strcmp(hazard, "churn")) {
		pthread_create(&thread, NULL, start_threads, NULL);
		start_threads(NULL);
	}
	if (!strcmp(hazard, "spawn"))
		start_processes();
	if (!strcmp(hazard, "vfork"))
		start_vforks();
	count(NULL);
	return 0;
}
