/* System calls of the recorder, and what a filter makes of them; see recorder_calls.h. */
#include "inject/recorder_calls.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "target/seccomp.h"

#define A AUDIT_ARCH_X86_64

/* By rec/: the same order in both tables; and one that it can do without. Addresses are not known
 * here, and are zeroes. */
static const struct seccomp_data peek = {
	.nr = SYS_process_vm_readv, .arch = A, .args = {1, 0, 1, 0, 1}};

static const struct seccomp_data calls[] = {
	{.nr = SYS_gettid, .arch = A},
	{.nr = SYS_getpid, .arch = A},
	{.nr = SYS_mmap,
	 .arch = A,
	 .args = {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint32_t)-1}},
	{.nr = SYS_munmap, .arch = A, .args = {4096, 4096}},
	{.nr = SYS_madvise, .arch = A, .args = {4096, 4096, MADV_DONTFORK}},
	{.nr = SYS_openat, .arch = A, .args = {(uint32_t)AT_FDCWD, 0, O_CLOEXEC}},
	{.nr = SYS_read, .arch = A, .args = {3, 0, 4096}},
	{.nr = SYS_close, .arch = A, .args = {3}},
	{.nr = SYS_tgkill, .arch = A, .args = {1, 1}},
	{.nr = SYS_clock_gettime, .arch = A, .args = {CLOCK_MONOTONIC_COARSE}},
	{.nr = SYS_sched_yield, .arch = A},
	{.nr = SYS_prlimit64, .arch = A, .args = {0, 3}},
	{.nr = SYS_mlock, .arch = A, .args = {4096, 4096}},
	{.nr = SYS_munlockall, .arch = A},
};

static const struct {
	const char *name;
	bool essential; /* it must succeed; others may fail, and then something is not known */
} properties[] = {
	{"gettid", true},   {"getpid", true},	      {"mmap", true},	      {"munmap", false},
	{"madvise", false}, {"openat", false},	      {"read", false},	      {"close", false},
	{"tgkill", false},  {"clock_gettime", false}, {"sched_yield", false}, {"prlimit64", false},
	{"mlock", false},   {"munlockall", false},
};

#define CALLS_NR (sizeof(calls) / sizeof(calls[0]))
_Static_assert(sizeof(properties) / sizeof(properties[0]) == CALLS_NR, "one for each");

/* What fails does no harm. */
static bool is_harmless(uint32_t action)
{
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG ||
	       action == SECCOMP_RET_ERRNO;
}

bool recorder_calls_kill_peek(int32_t tid)
{
	uint32_t action;

	return seccomp_judge(tid, &peek, 1, &action) < 0 || !is_harmless(action);
}

bool recorder_calls_pass(int32_t tid, const char **ret_call)
{
	uint32_t actions[CALLS_NR];

	if (seccomp_judge(tid, calls, CALLS_NR, actions) < 0) {
		*ret_call = "";
		return false;
	}
	for (size_t i = 0; i < CALLS_NR; i++) {
		bool passes = is_harmless(actions[i]) &&
			      (actions[i] != SECCOMP_RET_ERRNO || !properties[i].essential);

		if (passes)
			continue;
		*ret_call = properties[i].name;
		return false;
	}
	return true;
}
