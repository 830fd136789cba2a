/* Each reason not to put the recorder into a process, provoked for real. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "inject/preflight.h"
#include "inject/recorder_calls.h"
#include "target/process.h"
#include "target/target.h"

#include "inject_lab.h"

#define NOBODY 65534

static struct inject_lab lab;

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	return inject_lab_sh(&lab,
			     "cp '%s/tests/victims/refuser.c' victim.c && gcc -w "
			     "-D_GNU_SOURCE -O1 -fno-builtin victim.c -o victim -ldl",
			     getenv("SEEP_SOURCE"))
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

static const char *reason(const struct preflight *p, enum preflight_code code)
{
	for (size_t i = 0; i < p->nr_refuse; i++) {
		if (p->refuse[i].code == code)
			return p->refuse[i].text;
	}
	return NULL;
}

/* It is refused for this, and says so, with a hint. */
static void check_refused(const struct preflight *p, enum preflight_code code, const char *text)
{
	const char *found = reason(p, code);
	struct error e = {0};

	if (!found)
		fail_msg("not refused: %s; instead: %s", text,
			 p->nr_refuse ? p->refuse[0].text : "nothing");
	if (!strstr(found, text))
		fail_msg("'%s' is not in '%s'", text, found);
	assert_true(preflight_refuses(p, &e));
	assert_int_equal(e.status, EXIT_TARGET);
	assert_true(*e.message && *e.hint);
}

static void check_victim(const char *command, enum preflight_code code, const char *text)
{
	struct inject_run run;
	struct preflight p;

	assert_true(inject_run_start(&lab, command, &run));
	preflight(run.pid, NULL, &p);
	check_refused(&p, code, text);
	preflight_release(&p);
	inject_run_stop(&run);
}

static void test_nothing_against_it(void **state)
{
	struct inject_run run;
	struct preflight p;
	struct error e;

	(void)state;
	assert_true(inject_run_start(&lab, "./victim", &run));
	preflight(run.pid, NULL, &p);
	if (p.nr_refuse)
		fail_msg("%s", p.refuse[0].text);
	assert_false(preflight_refuses(&p, &e));
	assert_int_equal(p.nr_notes, 0);
	assert_int_equal(p.threads_nr, 1);
	assert_true(p.modules_nr >= 3);
	assert_true(p.entries.nr > 10);
	assert_false(p.filtered);
	preflight_release(&p);
	inject_run_stop(&run);
}

static void test_states(void **state)
{
	(void)state;
	check_victim("./victim vfork", PREFLIGHT_VFORK, "is in vfork(): a child uses its memory");
	check_victim("./victim shared", PREFLIGHT_SHARED, "shares its memory with process");
	check_victim("./victim limited", PREFLIGHT_ADDRESS_SPACE, "MiB of addresses (RLIMIT_AS)");
	check_victim("./victim recorded", PREFLIGHT_RECORDED, "is being recorded already");
	check_victim("./victim patched", PREFLIGHT_PATCHED,
		     "malloc of libc.so.6 was changed in memory by something else");
	check_victim("./victim probed", PREFLIGHT_PATCHED,
		     "a breakpoint or probe stands in calloc of libc.so.6");
	if (geteuid() == 0)
		check_victim("./victim locked", PREFLIGHT_LOCKED, "has locked all of its memory");
}

static void test_stopped(void **state)
{
	struct inject_run run;
	struct preflight p;
	int status;

	(void)state;
	assert_true(inject_run_start(&lab, "./victim", &run));
	kill(run.pid, SIGSTOP);
	assert_int_equal(waitpid(run.pid, &status, WUNTRACED), run.pid);
	preflight(run.pid, NULL, &p);
	check_refused(&p, PREFLIGHT_STOPPED, "is stopped");
	preflight_release(&p);
	kill(run.pid, SIGCONT);
	inject_run_stop(&run);
}

static void test_traced(void **state)
{
	struct inject_run run;
	struct preflight p;
	char *text;

	(void)state;
	assert_true(inject_run_start(&lab, "./victim", &run));
	assert_int_equal(ptrace(PTRACE_SEIZE, run.pid, 0, 0), 0);
	text = mem_printf("process %d is traced by process %d ('", run.pid, getpid());
	preflight(run.pid, NULL, &p);
	check_refused(&p, PREFLIGHT_TRACED, text);
	preflight_release(&p);
	free(text);
	inject_run_stop(&run);
}

static void test_gone(void **state)
{
	struct preflight p;
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	preflight(pid, NULL, &p);
	check_refused(&p, PREFLIGHT_NOT_READABLE, "has ended (zombie)");
	preflight_release(&p);
	waitpid(pid, NULL, 0);
	preflight(pid, NULL, &p);
	assert_non_null(reason(&p, PREFLIGHT_NOT_READABLE));
	assert_non_null(strstr(p.refuse[0].text, "no such process"));
	preflight_release(&p);
	preflight(getpid(), NULL, &p);
	assert_true(preflight_has(&p, PREFLIGHT_SELF));
	preflight_release(&p);
}

static void test_kernel_thread(void **state)
{
	struct process_info info;
	struct preflight p;
	bool kernel;

	(void)state;
	if (process_read(2, &info, NULL) < 0)
		skip();
	kernel = info.kernel_thread;
	process_info_release(&info);
	if (!kernel)
		skip();
	preflight(2, NULL, &p);
	check_refused(&p, PREFLIGHT_NOT_READABLE, "is a kernel thread");
	preflight_release(&p);
}

static void test_other_machine(void **state)
{
	(void)state;
	if (!inject_lab_sh(&lab,
			   "gcc -w -D_GNU_SOURCE -m32 -O1 victim.c -o narrow -ldl 2>/dev/null"))
		skip();
	check_victim("./narrow", PREFLIGHT_MACHINE, "is no 64-bit x86 program");
}

static void test_no_allocator(void **state)
{
	(void)state;
	if (!inject_lab_sh(&lab,
			   "gcc -w -D_GNU_SOURCE -O1 -static -s victim.c -o stripped 2>/dev/null"))
		skip();
	check_victim("./stripped", PREFLIGHT_NO_ENTRIES, "its program is static and stripped");
}

/* malloc that is three bytes long. */
static void test_not_movable(void **state)
{
	(void)state;
	inject_lab_write(&lab, "short.S",
			 ".globl malloc, free, calloc, realloc\n"
			 ".macro F name\n.type \\name, @function\n\\name:\n xor %eax, %eax\n ret\n"
			 ".size \\name, . - \\name\n.endm\n"
			 "F malloc\nF free\nF calloc\nF realloc\n"
			 ".section .note.GNU-stack,\"\",@progbits\n");
	assert_true(inject_lab_sh(
		&lab, "gcc -w -D_GNU_SOURCE -O1 -fno-builtin victim.c short.S -o short -ldl"));
	check_victim("./short", PREFLIGHT_NOT_MOVABLE,
		     "cannot stand before malloc of the program: it is too short");
}

static void test_wine(void **state)
{
	struct inject_run run;
	struct preflight p;

	(void)state;
	assert_true(inject_lab_sh(&lab, "cp victim wine64"));
	assert_true(inject_run_start(&lab, "./wine64", &run));
	preflight(run.pid, NULL, &p);
	assert_int_equal(p.nr_refuse, 0);
	assert_true(preflight_has(&p, PREFLIGHT_WINE));
	preflight_release(&p);
	inject_run_stop(&run);
}

/* ---- filters ---- */

static void test_strict(void **state)
{
	(void)state;
	check_victim("./victim strict", PREFLIGHT_SECCOMP, "is in strict seccomp mode");
}

/* Root may see filters, but only once the process stands still: then each call is judged. */
static void check_filter(const char *mode, const char *refused_call, bool kills_peek)
{
	char *command = mem_printf("./victim %s", mode);
	struct inject_run run;
	struct preflight p;
	const char *call = NULL;
	int status;
	bool pass;

	assert_true(inject_run_start(&lab, command, &run));
	preflight(run.pid, NULL, &p);
	assert_true(p.filtered);
	assert_int_equal(p.nr_refuse, 0);
	preflight_release(&p);
	assert_int_equal(ptrace(PTRACE_SEIZE, run.pid, 0, 0), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, run.pid, 0, 0), 0);
	assert_int_equal(waitpid(run.pid, &status, __WALL), run.pid);
	pass = recorder_calls_pass(run.pid, &call);
	assert_int_equal(pass, refused_call == NULL);
	if (refused_call)
		assert_string_equal(call, refused_call);
	assert_int_equal(recorder_calls_kill_peek(run.pid), kills_peek);
	assert_int_equal(ptrace(PTRACE_DETACH, run.pid, 0, 0), 0);
	inject_run_stop(&run);
	free(command);
}

static void test_filters(void **state)
{
	struct inject_run run;
	struct preflight p;

	(void)state;
	assert_true(inject_run_start(&lab, "./victim kills", &run));
	preflight(run.pid, NULL, &p);
	if (!p.suspend_seccomp) {
		check_refused(&p, PREFLIGHT_SECCOMP, "has a seccomp filter");
		preflight_release(&p);
		inject_run_stop(&run);
		return;
	}
	preflight_release(&p);
	inject_run_stop(&run);
	check_filter("kills-yield", "sched_yield", false);
	check_filter("kills", NULL, true);
	check_filter("fails", NULL, false);
	check_filter("no-mmap", "mmap", false);
}

/* ---- as another user: in a child, which says what it was told ---- */

static void as_nobody(pid_t pid, char *ret, size_t size)
{
	int out[2];
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(out), 0);
	child = fork();
	if (child == 0) {
		struct preflight p;
		struct error e = {0};

		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(1);
		prctl(PR_SET_DUMPABLE, 1);
		preflight(pid, NULL, &p);
		preflight_refuses(&p, &e);
		dprintf(out[1], "%d: %s\n%s\n", p.nr_refuse ? (int)p.refuse[0].code : -1, e.message,
			e.hint);
		_exit(0);
	}
	close(out[1]);
	got = read(out[0], ret, size - 1);
	ret[got > 0 ? got : 0] = 0;
	close(out[0]);
	waitpid(child, NULL, 0);
}

static void test_without_rights(void **state)
{
	char text[2048], expected[16];
	struct inject_run run;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(expected, sizeof(expected), "%d: ", PREFLIGHT_NOT_READABLE);
	assert_true(inject_run_start(&lab, "./victim", &run));
	as_nobody(run.pid, text, sizeof(text));
	assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
	assert_non_null(strstr(text, "belongs to root (uid 0): run seep as root"));
	inject_run_stop(&run);
	/* Its own process, which does not want to be looked at. */
	if (!inject_run_start(&lab,
			      "setpriv --reuid 65534 --regid 65534 --clear-groups ./victim "
			      "undumpable",
			      &run))
		skip();
	as_nobody(run.pid, text, sizeof(text));
	assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
	assert_non_null(strstr(text, "not dumpable"));
	inject_run_stop(&run);
	/* Its own process with a filter: nobody but root may see that. */
	assert_true(inject_run_start(
		&lab, "setpriv --reuid 65534 --regid 65534 --clear-groups ./victim fails", &run));
	as_nobody(run.pid, text, sizeof(text));
	snprintf(expected, sizeof(expected), "%d: ", PREFLIGHT_SECCOMP);
	assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
	inject_run_stop(&run);
	/* And nothing against it. */
	assert_true(inject_run_start(
		&lab, "setpriv --reuid 65534 --regid 65534 --clear-groups ./victim", &run));
	as_nobody(run.pid, text, sizeof(text));
	assert_int_equal(strncmp(text, "-1: ", 4), 0);
	inject_run_stop(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_against_it),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_traced),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_kernel_thread),
		cmocka_unit_test(test_other_machine),
		cmocka_unit_test(test_no_allocator),
		cmocka_unit_test(test_not_movable),
		cmocka_unit_test(test_wine),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_without_rights),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
