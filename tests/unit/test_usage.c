/* target/usage, recorded, proc: on this process, and on made-up /proc folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/find.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/recorded.h"
#include "target/usage.h"
#include "wire/wire.h"

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
		cmocka_unit_test(container_and_old_kernel), cmocka_unit_test(broken_stat),
		cmocka_unit_test(usage_counts_our_memory),  cmocka_unit_test(the_recorder_is_seen),
		cmocka_unit_test(values_in_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
