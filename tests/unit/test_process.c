/* target/process, find, usage, explain: on children of this test, and on made-up /proc folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/find.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/recorded.h"
#include "target/usage.h"
#include "wire/wire.h"

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

/* A folder that looks like /proc/PID. */
static int fake_folder(char *path)
{
	strcpy(path, "/tmp/seep-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void remove_folder(int dir, const char *path)
{
	static const char *const names[] = {"stat", "status", "smaps_rollup", "cmdline"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	close(dir);
	assert_int_equal(rmdir(path), 0);
}

static const char stat_line[] =
	"17 (x y) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9\n";

static void container_and_old_kernel(void **state)
{
	char path[64];
	int dir = fake_folder(path);
	struct process_info p;
	struct usage u;
	uint64_t own;

	(void)state;
	put(dir, "stat", stat_line);
	put(dir, "status",
	    "Name:\tx\nState:\tS (sleeping)\nTgid:\t17\nUid:\t5\t6\t7\t8\nNSpid:\t17\t200\t3\n"
	    "VmRSS:\t    1000 kB\nVmSwap:\t 24 kB\nVmPTE:\t12 kB\nThreads:\t3\n");
	put(dir, "cmdline", "");
	assert_int_equal(process_read_at(dir, 17, &p), 0);
	assert_string_equal(p.comm, "x y");
	assert_int_equal(p.start_ticks, 4711);
	assert_int_equal(p.ns_pid, 3);
	assert_int_equal(p.uid, 5);
	assert_int_equal(p.euid, 6);
	assert_string_equal(p.exe, "");
	assert_string_equal(p.command, "");
	process_info_release(&p);

	/* No RssAnon before Linux 4.5, no smaps_rollup before 4.14, no fd folder here. */
	assert_int_equal(usage_read_at(dir, USAGE_WANT_PSS | USAGE_WANT_DESCRIPTORS, &u), 0);
	assert_true(usage_has(&u, USAGE_RSS));
	assert_int_equal(u.value[USAGE_RSS], 1000 * 1024);
	assert_int_equal(u.value[USAGE_PAGE_TABLES], 12 * 1024);
	assert_int_equal(u.value[USAGE_THREADS], 3);
	assert_false(usage_has(&u, USAGE_ANON));
	assert_false(usage_has(&u, USAGE_PSS));
	assert_false(usage_has(&u, USAGE_DESCRIPTORS));
	assert_true(usage_own_bytes(&u, &own));
	assert_int_equal(own, 1024 * 1024);

	put(dir, "smaps_rollup",
	    "1000-2000 ---p 00000000 00:00 0 [rollup]\nRss: 5 kB\nPss:  7 kB\n");
	assert_int_equal(usage_read_at(dir, USAGE_WANT_PSS, &u), 0);
	assert_int_equal(u.value[USAGE_PSS], 7 * 1024);
	assert_int_equal(usage_read_at(dir, 0, &u), 0);
	assert_false(usage_has(&u, USAGE_PSS));

	put(dir, "status", "State:\tZ (zombie)\nVmRSS:\t1 kB\n");
	assert_int_equal(usage_read_at(dir, 0, &u), -ESRCH);
	put(dir, "status", "VmRSS:\tmany kB\nVmRSS:\nThreads:\t99999999999999999999999\n");
	assert_int_equal(usage_read_at(dir, 0, &u), 0);
	assert_int_equal(u.known, 0);
	assert_false(usage_own_bytes(&u, &own));
	remove_folder(dir, path);
}

static void broken_stat(void **state)
{
	static const char *const texts[] = {"",	      "17",	      "17 (x",
					    "17 )x(", "17 (x) S 1 2", "17 (x) S"};
	char path[64];
	int dir = fake_folder(path);
	struct process_info p;

	(void)state;
	assert_int_equal(process_read_at(dir, 17, &p), -ESRCH);
	put(dir, "status", "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(dir, "stat", texts[i]);
		assert_int_equal(process_read_at(dir, 17, &p), -EPROTO);
	}
	remove_folder(dir, path);
}

/* What we map and touch is what the figures go up by. */
static void usage_counts_our_memory(void **state)
{
	const size_t bytes = 24u << 20;
	struct process_info p;
	struct usage before, after;
	uint64_t own_before = 0, own_after = 0;
	char *memory;
	int fd;

	(void)state;
	assert_int_equal(process_read(getpid(), &p, NULL), 0);
	assert_int_equal(usage_read(p.pid, p.start_ticks, USAGE_WANT_DESCRIPTORS, &before), 0);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	memset(memory, 1, bytes);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(usage_read(p.pid, p.start_ticks, USAGE_WANT_DESCRIPTORS | USAGE_WANT_PSS,
				    &after),
			 0);
	assert_int_equal(after.value[USAGE_DESCRIPTORS], before.value[USAGE_DESCRIPTORS] + 1);
	assert_true(usage_own_bytes(&before, &own_before) && usage_own_bytes(&after, &own_after));
	assert_true(own_after - own_before >= bytes);
	assert_true(own_after - own_before < bytes + (2u << 20));
	assert_true(after.value[USAGE_RSS] >= bytes);
	assert_true(after.t_ns >= before.t_ns);
	close(fd);
	munmap(memory, bytes);
	process_info_release(&p);
}

/* A file in memory that looks like the recorder's, held by this process under its own descriptor.
 */
static int begin_recording(struct wire_header *header, void **ret_memory)
{
	char name[64];
	int fd = memfd_create("placeholder", MFD_CLOEXEC), real;

	/* The name tells the descriptor, so that has to be known first. */
	snprintf(name, sizeof(name), "%s.%d.%d", WIRE_NAME, getpid(), fd);
	close(fd);
	real = memfd_create(name, MFD_CLOEXEC);
	assert_int_equal(real, fd);
	assert_int_equal(pwrite(real, header, sizeof(*header), 0), sizeof(*header));
	*ret_memory = mmap(NULL, sizeof(*header), PROT_READ, MAP_SHARED, real, 0);
	assert_true(*ret_memory != MAP_FAILED);
	return real;
}

static struct recorded look_at_ourselves(void)
{
	int dir = proc_open(getpid());
	struct recorded r = recorded_look(dir);

	close(dir);
	return r;
}

static void the_recorder_is_seen(void **state)
{
	static struct wire_header header = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.began_monotonic_ns = 123456789,
	};
	struct recorded r;
	void *memory;
	int fd;

	(void)state;
	assert_int_equal(look_at_ourselves().answer, RECORDED_NO);
	fd = begin_recording(&header, &memory);
	r = look_at_ourselves();
	assert_int_equal(r.answer, RECORDED_YES);
	assert_int_equal(r.since_ns, 123456789);
	/* The launcher's descriptor is another file by now; the process's own memory tells. */
	assert_int_equal(dup2(STDERR_FILENO, fd), fd);
	r = look_at_ourselves();
	assert_int_equal(r.answer, RECORDED_YES);
	assert_true(r.since_ns == 123456789 || (geteuid() != 0 && !r.since_ns));
	munmap(memory, sizeof(header));
	close(fd);
	/* Of another version: it is there, and nothing more can be said. */
	header.version = WIRE_VERSION + 1;
	fd = begin_recording(&header, &memory);
	r = look_at_ourselves();
	assert_int_equal(r.answer, RECORDED_YES);
	assert_int_equal(r.since_ns, 0);
	munmap(memory, sizeof(header));
	close(fd);
	assert_int_equal(look_at_ourselves().answer, RECORDED_NO);
}

static void values_in_text(void **state)
{
	static const char text[] =
		"AB:\t1 kB\nB:  22\nC:\nD: 5 MB\nE: 18446744073709551615 kB\nF: 3 kB";
	uint64_t v = 0;
	size_t len;

	(void)state;
	assert_true(proc_find_value(text, "B", &v));
	assert_int_equal(v, 22);
	assert_true(proc_find_value(text, "AB", &v));
	assert_int_equal(v, 1024);
	assert_false(proc_find_value(text, "C", &v));
	assert_true(proc_find_value(text, "D", &v));
	assert_int_equal(v, 5);
	assert_false(proc_find_value(text, "E", &v));
	assert_true(proc_find_value(text, "F", &v));
	assert_int_equal(v, 3072);
	assert_false(proc_find_value(text, "G", &v));
	assert_null(proc_find_line(NULL, "G", &len));
	assert_null(proc_find_line("", "G", &len));
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
		cmocka_unit_test(container_and_old_kernel),
		cmocka_unit_test(broken_stat),
		cmocka_unit_test(usage_counts_our_memory),
		cmocka_unit_test(the_recorder_is_seen),
		cmocka_unit_test(values_in_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
