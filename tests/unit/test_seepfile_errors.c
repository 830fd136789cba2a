/* Files that are no snapshots, that cannot be opened, and disks that are full. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "forge.h"
#include "seepfile_test.h"

static void test_newer_version(void **state)
{
	struct buffer file = {0};
	struct snapshot back;
	struct error e;

	(void)state;
	forge_header(&file, SEEPFILE_VERSION + 1);
	buffer_add(&file, "whatever comes then", 19);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "one.seep", &back, NULL, &e),
			 -ENOTSUP);
	assert_string_equal(e.message, "snapshot 'one.seep' was written by a newer seep (format 2, "
				       "this one reads up to 1)");
	assert_int_equal(e.status, EXIT_FILE);
	buffer_release(&file);
}

static void refuse_bytes(const char *bytes, size_t len, const char *says)
{
	struct snapshot back;
	struct error e;

	assert_true(seepfile_read_bytes(bytes, len, "x", &back, NULL, &e) < 0);
	assert_int_equal(e.status, EXIT_FILE);
	assert_non_null(strstr(e.message, says));
	assert_true(e.hint[0] || strstr(says, "cut short"));
}

#define REFUSE(bytes, says) refuse_bytes(bytes, sizeof(bytes) - 1, says)

static void test_foreign_files(void **state)
{
	static const char zeroes[100];
	char core[64] = "\x7f"
			"ELF\x02\x01";

	(void)state;
	REFUSE("", "the file is empty");
	REFUSE("\x89", "cut short after 1 bytes");
	REFUSE("\x89SEEP\r\n\x1a\x01", "cut short after 9 bytes");
	REFUSE("\x89SEEP\n\x1a.............................", "changed on its way");
	REFUSE("hello, I am a text file and nothing else", "text file");
	REFUSE("{ \"schema\": \"something else, but long enough\" }", "JSON");
	REFUSE("{}", "JSON");
	REFUSE("v 10400 3\nx /usr/bin/something\n and so on and on", "heaptrack");
	REFUSE("\x1f\x8b\x08....................................", "gzip");
	REFUSE("\x28\xb5\x2f\xfd....................................", "zstd");
	REFUSE("\x01\x02\x03\x04....................................", "not a seep file");
	refuse_bytes(zeroes, sizeof(zeroes), "zeroes");
	refuse_bytes(core, sizeof(core), "ELF program or library");
	core[16] = 4;
	refuse_bytes(core, sizeof(core), "core file");
	core[5] = 2;
	core[16] = 0;
	core[17] = 4;
	refuse_bytes(core, sizeof(core), "core file");
}

static void refuse_path(const char *path, int err, const char *says)
{
	struct snapshot back;
	struct error e;

	assert_int_equal(seepfile_read(path, &back, NULL, &e), err);
	assert_int_equal(e.status, EXIT_FILE);
	assert_non_null(strstr(e.message, says));
	assert_non_null(strstr(e.message, path));
}

static void test_files_that_cannot_be_opened(void **state)
{
	char *path = in_folder("private.seep");
	struct snapshot s;
	uid_t uid = geteuid();
	struct error e;

	(void)state;
	refuse_path(path, -ENOENT, "No such file or directory");
	refuse_path(folder, -EISDIR, "Is a directory");
	refuse_path("/dev/zero", -EINVAL, "device");
	snapshot_init(&s);
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	snapshot_release(&s);
	assert_int_equal(chmod(path, 0), 0);
	/* root may read all: become somebody else for a moment */
	if (!uid)
		assert_int_equal(seteuid(65534), 0);
	refuse_path(path, -EACCES, "Permission denied");
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(unlink(path), 0);
	free(path);
}

/* Runs part in a child process: it changes descriptors or limits. */
static void in_child(void (*part)(const char *path), const char *path)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		part(path);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what))                                                                       \
			_exit(__LINE__ & 0x7f);                                                    \
	} while (0)

static void through_standard_streams(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct snapshot s, back;
	struct error e;

	MUST(dup2(fd, STDOUT_FILENO) == STDOUT_FILENO && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	sample_make(&s, 20, 10, 20);
	MUST(!seepfile_write(&s, "-", &e));
	MUST(!lseek(STDIN_FILENO, 0, SEEK_SET));
	MUST(!seepfile_read("-", &back, NULL, &e));
	MUST(!sample_difference(&s, &back));
	snapshot_release(&s);
	snapshot_release(&back);
	close(fd);
}

static void test_standard_streams(void **state)
{
	char *path = in_folder("stream.seep");

	(void)state;
	in_child(through_standard_streams, path);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void test_disk_full(void **state)
{
	struct snapshot s;
	struct error e;

	(void)state;
	sample_make(&s, 20, 10, 20);
	assert_int_equal(seepfile_write(&s, "/dev/full", &e), -ENOSPC);
	assert_int_equal(e.status, EXIT_FILE);
	assert_string_equal(e.message, "cannot write '/dev/full': No space left on device");
	assert_int_equal(seepfile_write(&s, "/no/such/folder/x.seep", &e), -ENOENT);
	assert_int_equal(e.status, EXIT_FILE);
	assert_non_null(strstr(e.message, "cannot write '/no/such/folder/x.seep'"));
	snapshot_release(&s);
}

static void with_small_limit(const char *path)
{
	const struct rlimit limit = {30000, 30000};
	struct snapshot s;
	struct error e;

	sample_make(&s, 20, 10, 100000);
	MUST(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	MUST(!setrlimit(RLIMIT_FSIZE, &limit));
	MUST(seepfile_write(&s, path, &e) == -EFBIG);
	MUST(e.status == EXIT_FILE && strstr(e.message, "cannot write '"));
	snapshot_release(&s);
}

/* A write that fails halfway leaves the old file as it was, and nothing beside it. */
static void test_old_file_survives(void **state)
{
	char *path = in_folder("old.seep");
	struct snapshot s, back;
	size_t files;
	struct error e;

	(void)state;
	sample_make(&s, 20, 10, 20);
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	files = count_files();
	in_child(with_small_limit, path);
	assert_int_equal(count_files(), files);
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	assert_null(sample_difference(&s, &back));
	snapshot_release(&back);
	snapshot_release(&s);
	assert_int_equal(unlink(path), 0);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newer_version),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_files_that_cannot_be_opened),
		cmocka_unit_test(test_standard_streams),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_old_file_survives),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
