/* target/process, find, explain: on children of this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/find.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/usage.h"

#define NOBODY 65534

/* A child that does `prepare`, tells us so, and then stays until it is told to end. */
struct child {
	pid_t pid;
	int hold;
};

static struct child start_child(void (*prepare)(const void *), const void *arg)
{
	int ready[2], hold[2];
	struct child c;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		close(hold[1]);
		prepare(arg);
		if (write(ready[1], "", 1) == 1 && read(hold[0], &byte, 1) <= 0)
			_exit(0);
		_exit(1);
	}
	close(ready[1]);
	close(hold[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	c.hold = hold[1];
	return c;
}

/* Youngest first: a later child has inherited what holds an earlier one. */
static void end_child(struct child *c)
{
	int status;

	close(c->hold);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_int_equal(status, 0);
}

static void set_name(const void *name)
{
	prctl(PR_SET_NAME, name);
}

/* A name that nothing else on this machine has. */
static void unique_name(char *ret, size_t size, const char *prefix)
{
	snprintf(ret, size, "%s%d", prefix, getpid());
}

static void reads_itself(void **state)
{
	struct process_info p;
	struct error e = {0};

	(void)state;
	assert_int_equal(process_read(getpid(), &p, &e), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.tgid, getpid());
	assert_int_equal(p.ppid, getppid());
	assert_int_equal(p.uid, getuid());
	assert_int_equal(p.euid, geteuid());
	assert_true(p.start_ticks > 0);
	assert_int_equal(strlen(p.boot_id), 36);
	assert_false(p.kernel_thread);
	assert_false(process_is_zombie(&p));
	assert_int_equal(strncmp(p.comm, "test_process", 12), 0);
	assert_string_equal(process_name(&p), "test_process");
	assert_non_null(strstr(p.command, "test_process"));
	assert_int_equal(process_check(p.pid, p.start_ticks), 0);
	assert_int_equal(process_check(p.pid, p.start_ticks + 1), -ESTALE);
	process_info_release(&p);
	process_info_release(&p);
}

/* The kernel puts the name unescaped into the middle of a line of fields. */
static void names_cannot_fake_fields(void **state)
{
	struct child c = start_child(set_name, ") Z 1 (\n) R 7");
	struct process_info p;

	(void)state;
	assert_int_equal(process_read(c.pid, &p, NULL), 0);
	assert_string_equal(p.comm, ") Z 1 (\n) R 7");
	assert_int_equal(p.ppid, getpid());
	assert_false(process_is_zombie(&p));
	process_info_release(&p);
	end_child(&c);
}

static void is_called_what_people_call_it(void **state)
{
	static const struct {
		const char *comm, *exe, *argv0, *name;
	} cases[] = {
		{"python3", "/usr/bin/python3.11", "python3", "python3.11"},
		{"ls", "/usr/bin/busybox", "ls", "ls"},
		{"redis-server", "/usr/bin/redis-check-rdb", "redis-server unix:/tmp/r.sock",
		 "redis-server"},
		{"postgres", "/usr/lib/postgresql/15/bin/postgres", "postgres: checkpointer ",
		 "postgres"},
		{"Web Content", "/opt/browser/browser", "/opt/browser/browser", "browser"},
		{"a-name-of-fiftee", "/bin/a-name-of-fifteen-and-more", "x",
		 "a-name-of-fifteen-and-more"},
		{"daemon", "", "/usr/sbin/daemon", "daemon"},
		{"bash", "", "-bash", "bash"},
		{"", "", "only-this", "only-this"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct process_info p = {.exe = (char *)cases[i].exe,
					 .argv0 = (char *)cases[i].argv0};

		strcpy(p.comm, cases[i].comm);
		assert_string_equal(process_name(&p), cases[i].name);
	}
}

static void finds_by_pid_and_name(void **state)
{
	struct error e = {0};
	char name[16], text[32], wrong[16];
	struct child c;
	int pid = 0;

	(void)state;
	unique_name(name, sizeof(name), "sp-one-");
	c = start_child(set_name, name);
	assert_int_equal(process_find_one(name, &pid, &e), 0);
	assert_int_equal(pid, c.pid);
	pid = 0;
	snprintf(text, sizeof(text), "%d", c.pid);
	assert_int_equal(process_find_one(text, &pid, &e), 0);
	assert_int_equal(pid, c.pid);

	snprintf(wrong, sizeof(wrong), "%s", name);
	wrong[1] = 'q';
	assert_int_equal(process_find_one(wrong, &pid, &e), -ESRCH);
	assert_int_equal(e.status, EXIT_TARGET);
	snprintf(text, sizeof(text), "'%s'", wrong);
	assert_non_null(strstr(e.message, "no process is called "));
	assert_non_null(strstr(e.message, text));
	assert_non_null(strstr(e.hint, name));
	end_child(&c);
	assert_int_equal(process_find_one(name, &pid, &e), -ESRCH);
}

static void several_are_listed(void **state)
{
	struct child a, b;
	struct error e = {0};
	char name[16], text[32];
	int32_t *pids;
	size_t nr;
	int pid;

	(void)state;
	unique_name(name, sizeof(name), "sp-two-");
	a = start_child(set_name, name);
	b = start_child(set_name, name);
	assert_int_equal(process_find_one(name, &pid, &e), -EEXIST);
	assert_int_equal(e.status, EXIT_TARGET);
	assert_non_null(strstr(e.message, "2 processes are called"));
	snprintf(text, sizeof(text), "%d, %d", a.pid < b.pid ? a.pid : b.pid,
		 a.pid < b.pid ? b.pid : a.pid);
	assert_non_null(strstr(e.hint, text));
	assert_int_equal(process_find_all(name, &pids, &nr, &e), 0);
	assert_int_equal(nr, 2);
	assert_true(pids[0] < pids[1]);
	free(pids);
	end_child(&b);
	end_child(&a);
}

static void what_is_no_target_is_said(void **state)
{
	struct error e = {0};
	int pid;

	(void)state;
	assert_int_equal(process_find_one("", &pid, &e), -EINVAL);
	assert_int_equal(e.status, EXIT_USAGE);
	assert_int_equal(process_find_one("99999999999999999999999", &pid, &e), -ESRCH);
	assert_string_equal(e.message, "no such process: 99999999999999999999999");
	assert_int_equal(process_find_one("0", &pid, &e), -ESRCH);
	assert_string_equal(e.message, "no such process: 0");
	assert_int_equal(process_find_one("4294967297", &pid, &e), -ESRCH);
}

static void fits_only_the_whole_name(void **state)
{
	char comm[] = "averylongcommna", exe[] = "/opt/x/averylongcommname-server",
	     argv0[] = "./srv";
	struct process_info p = {.exe = exe, .argv0 = argv0};

	(void)state;
	memcpy(p.comm, comm, sizeof(comm));
	assert_true(find_name_fits(&p, "averylongcommname-server"));
	assert_true(find_name_fits(&p, "averylongcommna"));
	assert_true(find_name_fits(&p, "srv"));
	assert_false(find_name_fits(&p, "averylong"));
	assert_false(find_name_fits(&p, ""));
	assert_false(find_name_fits(&p, "x"));
}

static void *wait_on_barrier(void *barrier)
{
	prctl(PR_SET_NAME, "second one");
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

static void lists_threads(void **state)
{
	struct process_thread *threads;
	pthread_barrier_t barrier;
	struct error e = {0};
	char text[32];
	pthread_t second;
	size_t nr;
	int pid, r;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&second, NULL, wait_on_barrier, &barrier), 0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(process_threads(getpid(), &threads, &nr, &e), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(threads[0].tid, getpid());
	assert_string_equal(threads[0].name, "test_process");
	assert_string_equal(threads[1].name, "second one");
	snprintf(text, sizeof(text), "%d", threads[1].tid);
	r = process_find_one(text, &pid, &e);
	free(threads);
	pthread_barrier_wait(&barrier);
	pthread_join(second, NULL);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(r, -ESRCH);
	assert_non_null(strstr(e.message, "is a thread of process"));
	snprintf(text, sizeof(text), "%d", getpid());
	assert_non_null(strstr(e.hint, text));
}

static void a_zombie_has_its_own_message(void **state)
{
	struct error e = {0};
	struct usage u;
	struct maps m;
	siginfo_t info;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	/* Ended, but left for us to collect. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(maps_read(pid, &m, &e) < 0);
	assert_non_null(strstr(e.message, "has ended (zombie)"));
	assert_int_equal(e.status, EXIT_TARGET);
	assert_true(e.hint[0]);
	assert_int_equal(usage_read(pid, 0, 0, &u), -ESTALE);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(maps_read(pid, &m, &e), -ESRCH);
	assert_non_null(strstr(e.message, "no such process"));
}

static void a_kernel_thread_has_its_own_message(void **state)
{
	struct process_info p;
	struct error e = {0};
	struct maps m;

	(void)state;
	/* kthreadd is always 2; in a container there is none. */
	if (process_read(2, &p, NULL) < 0)
		skip();
	if (!p.kernel_thread) {
		process_info_release(&p);
		skip();
	}
	process_info_release(&p);
	assert_true(maps_read(2, &m, &e) < 0);
	assert_non_null(strstr(e.message, "is a kernel thread"));
	assert_true(e.hint[0]);
}

static void protect(const void *arg)
{
	(void)arg;
	prctl(PR_SET_DUMPABLE, 0);
}

/* Runs in a child that has become an ordinary user; returns its exit status. */
static int look_at_protected(pid_t roots)
{
	struct child c;
	struct error e = {0};
	struct maps m;
	int status = 0;

	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
			       setresuid(NOBODY, NOBODY, NOBODY)))
		return 77;
	/* Changing the user has protected us as well; what is forked is to start unprotected. */
	prctl(PR_SET_DUMPABLE, 1);
	c = start_child(protect, NULL);
	if (maps_read(c.pid, &m, &e) != -EACCES || e.status != EXIT_TARGET)
		status |= 1;
	if (!strstr(e.message, "cannot read memory map of process") ||
	    !strstr(e.hint, "not dumpable"))
		status |= 2;
	end_child(&c);
	if (roots) {
		if (maps_read(roots, &m, &e) != -EACCES)
			status |= 4;
		if (!strstr(e.hint, "belongs to root (uid 0)"))
			status |= 8;
	}
	return status;
}

static void refusals_say_why(void **state)
{
	pid_t pid, roots = geteuid() == 0 ? getpid() : 0;
	int status;

	(void)state;
	pid = fork();
	if (!pid)
		_exit(look_at_protected(roots));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_itself),
		cmocka_unit_test(names_cannot_fake_fields),
		cmocka_unit_test(is_called_what_people_call_it),
		cmocka_unit_test(finds_by_pid_and_name),
		cmocka_unit_test(several_are_listed),
		cmocka_unit_test(what_is_no_target_is_said),
		cmocka_unit_test(fits_only_the_whole_name),
		cmocka_unit_test(lists_threads),
		cmocka_unit_test(a_zombie_has_its_own_message),
		cmocka_unit_test(a_kernel_thread_has_its_own_message),
		cmocka_unit_test(refusals_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
