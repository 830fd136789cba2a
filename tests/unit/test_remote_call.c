/*
 * A tracer that is killed in the middle of a call that it makes another process make: what is left
 * of the call is made by whoever comes next, once. The other process stands still meanwhile.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/foreign_fd.h"
#include "target/freeze.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/registers.h"
#include "target/remote_call.h"

#define ROUNDS 3

static int calls_left = -1; /* of ptrace, until the caller is killed; negative: never */

/* In the place of libc's. */
long ptrace(enum __ptrace_request request, ...)
{
	long tid, addr, data;
	va_list list;

	va_start(list, request);
	tid = va_arg(list, pid_t);
	addr = (long)va_arg(list, void *);
	data = (long)va_arg(list, void *);
	va_end(list);
	if (calls_left >= 0 && calls_left-- == 0)
		raise(SIGKILL);
	return syscall(SYS_ptrace, request, tid, addr, data);
}

struct victim {
	pid_t pid;
	int in, out; /* a byte is answered by the same byte */
	int dir, mem;
	struct maps maps;
	struct remote_places places;
};

static void answer(int from, int to)
{
	char c;

	while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1)
		;
	_exit(7);
}

static void victim_start(struct victim *v)
{
	int to[2], from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	v->pid = fork();
	assert_true(v->pid >= 0);
	if (!v->pid) {
		close(to[1]);
		close(from[0]);
		answer(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	v->in = to[1];
	v->out = from[0];
	v->dir = proc_open(v->pid);
	v->mem = foreign_memory(v->dir);
	v->maps = (struct maps)MAPS_INIT;
	assert_int_equal(maps_read_at(v->dir, &v->maps), 0);
	assert_int_equal(remote_places_find(v->mem, &v->maps, &v->places), 0);
}

static void victim_end(struct victim *v)
{
	int status;

	close(v->in);
	assert_int_equal(waitpid(v->pid, &status, 0), v->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	maps_release(&v->maps);
	close(v->out);
	close(v->mem);
}

static void check_answers(const struct victim *v)
{
	for (char c = 'a'; c < 'a' + ROUNDS; c++) {
		char got = 0;

		assert_int_equal(write(v->in, &c, 1), 1);
		assert_int_equal(read(v->out, &got, 1), 1);
		assert_int_equal(got, c);
	}
}

static int freeze_it(struct freeze *f, const struct victim *v)
{
	freeze_init(f, v->pid, proc_open(v->pid));
	return freeze_stop(f);
}

/* Maps a page at `where`; killed at the given call of ptrace. Returns whether it was. */
static bool map_killed(const struct victim *v, uint64_t where, int at)
{
	struct freeze f;
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct remote_call call = {
			.mem = v->mem,
			.places = &v->places,
			.maps = &v->maps,
			.nr = SYS_mmap,
			.args = {where, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				 (uint64_t)-1, 0},
		};

		if (freeze_it(&f, v) < 0)
			_exit(1);
		calls_left = at;
		call.tid = f.threads[0].tid;
		if (remote_call_run(&call) < 0)
			_exit(2);
		calls_left = -1;
		freeze_go(&f);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status);
}

static bool is_mapped(const struct victim *v, uint64_t where)
{
	char byte;

	return pread(v->mem, &byte, 1, (off_t)where) == 1;
}

static void wait_until_stopped(const struct victim *v)
{
	int status;

	assert_int_equal(waitpid(v->pid, &status, WUNTRACED), v->pid);
	assert_true(WIFSTOPPED(status));
}

static void test_finish(void **state)
{
	bool killed = true;
	int finished = 0, at;

	(void)state;
	registers_prepare();
	for (at = 0; killed; at++) {
		void *room = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		uint64_t where = (uint64_t)room;
		struct victim v;
		struct freeze f;
		int r;

		victim_start(&v);
		munmap(room, 4096);
		kill(v.pid, SIGSTOP);
		wait_until_stopped(&v);
		killed = map_killed(&v, where, at);
		assert_int_equal(freeze_it(&f, &v), 0);
		r = remote_call_finish(f.threads[0].tid, v.mem, &v.places);
		assert_true(r == 0 || r == 1);
		if (r)
			assert_true(is_mapped(&v, where));
		finished += r;
		/* Not twice. */
		assert_int_equal(remote_call_finish(f.threads[0].tid, v.mem, &v.places), 0);
		freeze_go(&f);
		freeze_release(&f);
		kill(v.pid, SIGCONT);
		check_answers(&v);
		victim_end(&v);
	}
	assert_true(at > 8);
	/* Between the registers and the call itself. */
	assert_true(finished >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
