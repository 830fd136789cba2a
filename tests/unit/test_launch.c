/*
 * target/launch: from start to end in this process, with a library that records nothing in the
 * place of the recorder; and who gets a table from the launcher's socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/launch.h"
#include "target/launch_private.h"

#define WAIT_FOR_LINE "read line"

/* What the launcher reported. */
struct report {
	int ends, firsts, failures;
	int32_t last_pid;
	uint32_t last_image;
	bool last_ended;
};

static void on_end(const struct launched *p, void *context)
{
	struct report *r = context;

	r->ends++;
	r->firsts += p->is_first;
	r->last_pid = p->pid;
	r->last_image = p->image;
	r->last_ended = p->ended;
}

static void on_failure(const struct launched *p, void *context)
{
	struct report *r = context;

	(void)p;
	r->failures++;
}

static struct launch *start(const char *script, bool follow)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct launch_options o = {.argv = (char *const *)argv,
				   .recorder = "/nonexistent/libnone.so",
				   .follow = follow};
	struct error e = {0};
	struct launch *l;

	if (launch_start(&o, &l, &e) < 0)
		fail_msg("%s", e.message);
	return l;
}

static int finish(struct launch *l, struct report *r)
{
	struct launch_events events = {.ended = on_end, .failed = on_failure, .context = r};
	struct error e = {0};
	int status;

	*r = (struct report){0};
	assert_int_equal(launch_wait(l, &events, &status, &e), 0);
	launch_free(l);
	return status;
}

/* The loader says that it cannot preload; that is not what is tested here. */
static int silence(void **state)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	dup2(null, STDERR_FILENO);
	return close(null);
}

static void reports_the_end_once(void **state)
{
	struct report r;
	struct launch *l = start("exit 7", false);
	int32_t pid = launch_first(l)->pid;

	(void)state;
	assert_int_equal(launch_first(l)->image, 1);
	assert_true(launch_first(l)->is_first);
	assert_int_equal(launch_first(l)->info.pid, pid);
	assert_true(launch_first(l)->info.start_ticks > 0);
	assert_int_equal(WEXITSTATUS(finish(l, &r)), 7);
	assert_int_equal(r.ends, 1);
	assert_int_equal(r.firsts, 1);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.last_pid, pid);
	assert_true(r.last_ended);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void status_is_that_of_waitpid(void **state)
{
	struct report r;
	int status;

	(void)state;
	assert_int_equal(finish(start("exit 0", false), &r), 0);
	status = finish(start("kill -TERM $$", false), &r);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	status = finish(start("kill -KILL $$", false), &r);
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void works_where_children_are_ignored(void **state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old, after;
	struct report r;

	(void)state;
	sigaction(SIGCHLD, &ignore, &old);
	assert_int_equal(WEXITSTATUS(finish(start("exit 5", false), &r)), 5);
	sigaction(SIGCHLD, &old, &after);
	assert_ptr_equal(after.sa_handler, SIG_IGN);
}

static int nr_descriptors(void)
{
	int nr = 0;

	for (int fd = 0; fd < 1024; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void leaves_nothing_behind(void **state)
{
	int before = nr_descriptors();
	sigset_t mask_before, mask_after;
	struct report r;

	(void)state;
	sigprocmask(SIG_BLOCK, NULL, &mask_before);
	finish(start("exit 0", true), &r);
	finish(start("exit 0", false), &r);
	sigprocmask(SIG_BLOCK, NULL, &mask_after);
	assert_int_equal(nr_descriptors(), before);
	for (int s = 1; s < 32; s++)
		assert_int_equal(sigismember(&mask_before, s), sigismember(&mask_after, s));
}

static void failure_to_start_leaves_nothing_either(void **state)
{
	const char *argv[] = {"/nonexistent/program", NULL};
	struct launch_options o = {.argv = (char *const *)argv, .recorder = "/x"};
	int before = nr_descriptors();
	struct error e = {0};
	struct launch *l = NULL;

	(void)state;
	assert_int_equal(launch_start(&o, &l, &e), -ENOENT);
	assert_null(l);
	assert_int_equal(e.status, EXIT_TARGET);
	assert_int_equal(nr_descriptors(), before);
}

/* ---- the socket, with clients in the place of recorders ---- */

static int receive_table(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd = -1;

	memcpy(addr.sun_path + 1, name, strlen(name));
	if (connect(s, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) == 0 &&
	    recvmsg(s, &msg, MSG_CMSG_CLOEXEC) == 1 && msg.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	close(s);
	return fd;
}

/* Image number of the table that is got; 0: none; 99: something that is no table. */
static int got_image(const char *name)
{
	int fd = receive_table(name);
	struct wire_header *h;

	if (fd < 0)
		return 0;
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (h == MAP_FAILED || h->magic != WIRE_MAGIC || h->state != WIRE_STATE_NONE)
		return 99;
	return (int)h->image;
}

/* A child that asks `times`, tells the answers through a pipe, and ends the program. */
static int32_t start_client(const struct launch *l, int times, int out, int end_program)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (int i = 0; i < times; i++) {
		char image = (char)got_image(l->socket_name);

		if (write(out, &image, 1) != 1)
			_exit(1);
	}
	if (write(end_program, "\n", 1) != 1)
		_exit(1);
	_exit(0);
}

struct talk {
	int stdin_copy, program[2], answers[2];
};

/* The program reads a line from our pipe. */
static void talk_open(struct talk *t)
{
	t->stdin_copy = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_int_equal(pipe2(t->program, O_CLOEXEC), 0);
	assert_int_equal(pipe2(t->answers, O_CLOEXEC), 0);
	dup2(t->program[0], STDIN_FILENO);
}

static void talk_close(struct talk *t)
{
	dup2(t->stdin_copy, STDIN_FILENO);
	close(t->stdin_copy);
	for (int i = 0; i < 2; i++) {
		close(t->program[i]);
		close(t->answers[i]);
	}
}

static int answer(const struct talk *t)
{
	char image;

	assert_int_equal(read(t->answers[0], &image, 1), 1);
	return image;
}

static void children_get_tables_when_followed(void **state)
{
	struct talk t;
	struct report r;
	struct launch *l;
	int32_t pid;

	(void)state;
	talk_open(&t);
	l = start(WAIT_FOR_LINE, true);
	pid = start_client(l, 3, t.answers[1], t.program[1]);
	finish(l, &r);
	assert_int_equal(answer(&t), 1);
	assert_int_equal(answer(&t), 2);
	assert_int_equal(answer(&t), 3);
	assert_int_equal(r.ends, 2);
	assert_int_equal(r.firsts, 1);
	assert_int_not_equal(r.last_pid, pid);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	talk_close(&t);
}

static void strangers_get_none(void **state)
{
	struct talk t;
	struct report r;
	struct launch *l;
	int32_t pid;

	(void)state;
	talk_open(&t);
	l = start(WAIT_FOR_LINE, false);
	pid = start_client(l, 2, t.answers[1], t.program[1]);
	finish(l, &r);
	assert_int_equal(answer(&t), 0);
	assert_int_equal(answer(&t), 0);
	assert_int_equal(r.ends, 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	talk_close(&t);
}

/* It goes on until the program itself has been collected, and only then does what we look for. */
static void orphans_are_followed(void **state)
{
	struct report r;
	struct launch *l;
	char path[] = "/tmp/seep-test-XXXXXX", script[256];
	int fd = mkstemp(path);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	snprintf(script, sizeof(script),
		 "(sh -c 'while kill -0 '$$'; do :; done; echo late >%s' &) 2>/dev/null; exit 4",
		 path);
	l = start(script, true);
	assert_int_equal(WEXITSTATUS(finish(l, &r)), 4);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, strlen("late\n"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	close(fd);
	unlink(path);
}

/* ---- signals to us alone ---- */

static void signals_are_passed_on(void **state)
{
	struct report r;
	struct launch *l;
	pid_t sender;

	(void)state;
	l = start("trap 'exit 42' USR1; kill -STOP $$; while :; do :; done", false);
	/* From outside of our family: the sender's parent ends before it sends. */
	sender = fork();
	if (sender == 0) {
		pid_t us = getppid();
		int32_t program = launch_first(l)->pid;
		char path[64];

		if (fork())
			_exit(0);
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)program);
		for (char state_letter = 0; state_letter != 'T';) {
			FILE *f = fopen(path, "r");

			if (!f || fscanf(f, "%*d %*s %c", &state_letter) != 1)
				_exit(1);
			fclose(f);
		}
		kill(us, SIGUSR1);
		kill(program, SIGCONT);
		_exit(0);
	}
	assert_int_equal(waitpid(sender, NULL, 0), sender);
	assert_int_equal(WEXITSTATUS(finish(l, &r)), 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_the_end_once),
		cmocka_unit_test(status_is_that_of_waitpid),
		cmocka_unit_test(works_where_children_are_ignored),
		cmocka_unit_test(leaves_nothing_behind),
		cmocka_unit_test(failure_to_start_leaves_nothing_either),
		cmocka_unit_test(children_get_tables_when_followed),
		cmocka_unit_test(strangers_get_none),
		cmocka_unit_test(orphans_are_followed),
		cmocka_unit_test(signals_are_passed_on),
	};

	return cmocka_run_group_tests_name("launch", tests, silence, NULL);
}
