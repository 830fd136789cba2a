/* target/cut: whom a reader waits for whose hook does not end, in whatever pid namespace it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../tools/forge_table.h"
#include "base/error.h"

static int32_t ended_process(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return child;
}

/* as_seen 0: only the header says whose it is. */
static bool torn_by_thread(int32_t pid, int32_t tid, int32_t as_seen)
{
	struct error e = {0};
	struct forged f;
	struct table t;
	struct cut cut;
	bool torn;

	assert_true(forged_init(&f));
	forged_header(&f)->pid = pid;
	forged_thread(&f)->tid = tid;
	forged_thread(&f)->busy = 1;
	assert_int_equal(table_open_fd(f.fd, &t, &e), 0);
	t.pid = as_seen;
	if (table_cut(&t, false, &cut, &e) < 0)
		fail_msg("%s", e.message);
	torn = cut.torn;
	assert_int_equal(forged_header(&f)->slow, 0);
	cut_release(&cut);
	table_close(&t);
	forged_release(&f);
	return torn;
}

static void only_a_living_thread_holds_a_reader_up(void **state)
{
	int32_t ended = ended_process();

	(void)state;
	assert_true(torn_by_thread(getpid(), gettid(), 0));
	assert_true(torn_by_thread(getpid(), gettid(), getpid()));
	assert_false(torn_by_thread(getpid(), ended, getpid()));
	assert_false(torn_by_thread(ended, ended, ended));
}

static void a_thread_is_known_by_its_own_number(void **state)
{
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	(void)state;
	if (child < 0)
		skip(); /* only root may */
	if (child == 0)
		for (;;)
			pause();
	/* It is number 1 there, and so is its first thread; number 2 has never been. */
	assert_true(torn_by_thread(child, 1, child));
	assert_true(torn_by_thread(1, 1, child));
	assert_false(torn_by_thread(child, 2, child));
	assert_false(torn_by_thread(1, child, child));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_living_thread_holds_a_reader_up),
		cmocka_unit_test(a_thread_is_known_by_its_own_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
