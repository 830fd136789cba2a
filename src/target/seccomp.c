/*
 * Seccomp filters of another process: fetched with PTRACE_SECCOMP_GET_FILTER, interpreted.
 *
 * Classic BPF as seccomp restricts it (kernel/seccomp.c, seccomp_check_filter(); net/core/filter.c
 * for what the operations do): loads are of struct seccomp_data only, jumps go forwards, so it ends
 * after at most as many steps as it has instructions.
 */
#include "target/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/proc.h"
#include "target/remote_call.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

#define CAPABILITY_SYS_ADMIN 21
#define STATUS_MAX 65536
#define FILTERS_MAX 256
#define CODE_MAX BPF_MAXINSNS

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
};

static uint32_t operate(uint16_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_NEG:
		return -a;
	}
	return 0;
}

static bool holds(uint16_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JSET:
		return a & b;
	}
	return false;
}

/* Loads and stores; false: not one that seccomp has. */
static bool move(struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
	uint32_t *to = BPF_CLASS(f->code) == BPF_LDX ? &m->x : &m->a;

	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (f->k % 4 || f->k > sizeof(*data) - 4)
			return false;
		memcpy(&m->a, (const char *)data + f->k, sizeof(m->a));
		return true;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
		*to = sizeof(*data);
		return true;
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		*to = f->k;
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		if (f->k >= BPF_MEMWORDS)
			return false;
		*to = m->memory[f->k];
		return true;
	case BPF_ST:
	case BPF_STX:
		if (f->k >= BPF_MEMWORDS)
			return false;
		m->memory[f->k] = f->code == BPF_ST ? m->a : m->x;
		return true;
	}
	return false;
}

uint32_t seccomp_run(const struct sock_filter *code, size_t nr, const struct seccomp_data *data)
{
	struct machine m = {0};

	for (size_t at = 0; at < nr; at++) {
		const struct sock_filter *f = &code[at];
		uint32_t b = BPF_SRC(f->code) == BPF_X ? m.x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		case BPF_ALU:
			m.a = operate(BPF_OP(f->code), m.a, b);
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				at += f->k;
			else
				at += holds(BPF_OP(f->code), m.a, b) ? f->jt : f->jf;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
			break;
		default:
			if (!move(&m, f, data))
				return SECCOMP_RET_KILL_PROCESS;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_may_ask(void)
{
	struct str status = STR_INIT;
	const char *line;
	bool may = false;
	uint64_t mode = 1;
	size_t len;

	if (io_read_file("/proc/self/status", STATUS_MAX, &status) == 0) {
		line = proc_find_line(status.data, "CapEff", &len);
		may = line && (strtoull(line, NULL, 16) >> CAPABILITY_SYS_ADMIN & 1) &&
		      proc_find_value(status.data, "Seccomp", &mode) && mode == 0;
	}
	str_release(&status);
	return may;
}

/* Of two actions the kernel takes the one that is less as a signed number. */
static uint32_t stricter(uint32_t a, uint32_t b)
{
	return (int32_t)a < (int32_t)b ? a : b;
}

int seccomp_judge(int32_t tid, const struct seccomp_data *calls, size_t nr, uint32_t *ret_actions)
{
	struct sock_filter *code = mem_alloc_array(CODE_MAX, sizeof(*code));
	long len = 0;
	int r = 0;

	for (size_t i = 0; i < nr; i++)
		ret_actions[i] = SECCOMP_RET_ALLOW;
	for (uintptr_t i = 0; i < FILTERS_MAX && r == 0; i++) {
		/* How long it is; then the filter itself. */
		len = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
		if (len < 0)
			break;
		if (len > CODE_MAX ||
		    ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, code) != len)
			r = -EPROTO;
		for (size_t j = 0; j < nr && r == 0; j++) {
			uint32_t verdict = seccomp_run(code, (size_t)len, &calls[j]);

			ret_actions[j] =
				stricter(ret_actions[j], verdict & SECCOMP_RET_ACTION_FULL);
		}
	}
	/* ENOENT: there is no further one; all else: they cannot be seen. */
	if (r == 0 && (len >= 0 || errno != ENOENT))
		r = len >= 0 ? -EPROTO : -errno;
	free(code);
	return r;
}

bool seccomp_lets_calls_pass(int32_t tid)
{
	/* The addresses are not known here; a filter that asks for them gets zeroes. */
	static const struct seccomp_data calls[] = {
		{.nr = SYS_clone, .arch = AUDIT_ARCH_X86_64, .args = {CLONE_FILES}},
		{.nr = SYS_wait4, .arch = AUDIT_ARCH_X86_64, .args = {1, 0, __WALL | WNOHANG}},
		{.nr = SYS_exit_group, .arch = AUDIT_ARCH_X86_64, .args = {REMOTE_CALL_EXIT}},
		{.nr = SYS_rt_sigreturn, .arch = AUDIT_ARCH_X86_64},
	};
	enum { CALLS_NR = sizeof(calls) / sizeof(calls[0]) };
	uint32_t actions[CALLS_NR];

	if (seccomp_judge(tid, calls, CALLS_NR, actions) < 0)
		return false;
	for (size_t i = 0; i < CALLS_NR; i++) {
		if (actions[i] != SECCOMP_RET_ALLOW && actions[i] != SECCOMP_RET_LOG)
			return false;
	}
	return true;
}
