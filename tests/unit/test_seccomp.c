/* target/seccomp: filters as programs have them, and filters that no kernel would take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "target/seccomp.h"

#define NR(code) (sizeof(code) / sizeof((code)[0]))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static const struct seccomp_data clone_call = {
	.nr = SYS_clone, .arch = AUDIT_ARCH_X86_64, .args = {0x400}};

static uint32_t verdict_of(const struct sock_filter *code, size_t nr, int call)
{
	struct seccomp_data data = clone_call;

	data.nr = call;
	return seccomp_run(code, nr, &data);
}

static void allows_and_forbids(void **state)
{
	static const struct sock_filter code[] = {
		LOAD(arch),
		IS(AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		IS(SYS_clone, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | 1),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct seccomp_data other = clone_call;

	(void)state;
	assert_int_equal(verdict_of(code, NR(code), SYS_clone), SECCOMP_RET_ERRNO | 1);
	assert_int_equal(verdict_of(code, NR(code), SYS_wait4), SECCOMP_RET_ALLOW);
	other.arch = AUDIT_ARCH_I386;
	assert_int_equal(seccomp_run(code, NR(code), &other), SECCOMP_RET_KILL_PROCESS);
}

/* As container engines do: clone is allowed unless it makes namespaces. */
static void looks_into_flags(void **state)
{
	static const struct sock_filter code[] = {
		LOAD(args[0]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7e020000),
		IS(0, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | 1),
	};
	struct seccomp_data with_namespace = clone_call;

	(void)state;
	assert_int_equal(seccomp_run(code, NR(code), &clone_call), SECCOMP_RET_ALLOW);
	with_namespace.args[0] |= 0x20000000;
	assert_int_equal(seccomp_run(code, NR(code), &with_namespace), SECCOMP_RET_ERRNO | 1);
}

static void computes(void **state)
{
	static const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 40),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_IMM, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32),
		BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		RETURN(1),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	(void)state;
	assert_int_equal(seccomp_run(code, NR(code), &clone_call), 79);
}

/* Outside of its data, beyond its end, without an answer. */
static void lies(void **state)
{
	static const struct sock_filter beyond[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
						    RETURN(SECCOMP_RET_ALLOW)};
	static const struct sock_filter odd[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
						 RETURN(SECCOMP_RET_ALLOW)};
	static const struct sock_filter far[] = {BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0),
						 RETURN(SECCOMP_RET_ALLOW)};
	static const struct sock_filter memory[] = {BPF_STMT(BPF_LD | BPF_MEM, 16),
						    RETURN(SECCOMP_RET_ALLOW)};

	(void)state;
	assert_int_equal(seccomp_run(beyond, NR(beyond), &clone_call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(seccomp_run(odd, NR(odd), &clone_call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(seccomp_run(far, 1, &clone_call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(seccomp_run(memory, NR(memory), &clone_call), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(seccomp_run(NULL, 0, &clone_call), SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_and_forbids),
		cmocka_unit_test(looks_into_flags),
		cmocka_unit_test(computes),
		cmocka_unit_test(lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
