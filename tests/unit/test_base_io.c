/* base/io: whole files, or the old one untouched. base/progress: silence where nobody looks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"

struct place {
	char *folder, *file;
};

static int make_place(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct place *p = mem_alloc(sizeof(*p));

	p->folder = mem_printf("%s/seep-io-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(p->folder))
		return -1;
	p->file = mem_printf("%s/file", p->folder);
	*state = p;
	return 0;
}

/* Empties the folder too: a test that failed may have left something. */
static int remove_place(void **state)
{
	struct place *p = *state;
	DIR *d = opendir(p->folder);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char *path = mem_printf("%s/%s", p->folder, entry->d_name);

		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			unlink(path);
		free(path);
	}
	if (d)
		closedir(d);
	rmdir(p->folder);
	free(p->folder);
	free(p->file);
	free(p);
	return 0;
}

static size_t count_files(const char *folder)
{
	DIR *d = opendir(folder);
	size_t nr = 0;

	assert_non_null(d);
	while (readdir(d))
		nr++;
	closedir(d);
	return nr - 2;
}

static void write_file(const char *path, const char *text)
{
	struct replace r;

	assert_int_equal(replace_open(&r, path, NULL), 0);
	assert_int_equal(replace_write(&r, text, strlen(text), NULL), 0);
	assert_int_equal(replace_commit(&r, NULL), 0);
	replace_close(&r);
}

static void assert_file(const char *path, const char *text)
{
	struct str s = STR_INIT;

	assert_int_equal(io_read_file(path, 4096, &s), 0);
	assert_string_equal(s.data, text);
	str_release(&s);
}

static void committed_file_is_whole_and_private(void **state)
{
	struct place *p = *state;
	struct stat st;

	write_file(p->file, "first");
	assert_file(p->file, "first");
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	write_file(p->file, "second");
	assert_file(p->file, "second");
	assert_int_equal(count_files(p->folder), 1);
}

static void abandoned_write_leaves_the_old_file(void **state)
{
	struct place *p = *state;
	struct replace r;

	write_file(p->file, "good");
	assert_int_equal(replace_open(&r, p->file, NULL), 0);
	assert_int_equal(replace_write(&r, "half", 4, NULL), 0);
	assert_file(p->file, "good");
	replace_close(&r);
	replace_close(&r);
	assert_file(p->file, "good");
	assert_int_equal(count_files(p->folder), 1);
}

static void full_disk_is_told_and_cleaned_up(void **state)
{
	struct replace r;
	struct error e;

	(void)state;
	assert_int_equal(replace_open(&r, "/dev/full", NULL), 0);
	assert_int_equal(replace_write(&r, "x", 1, &e), -ENOSPC);
	replace_close(&r);
	assert_int_equal(e.status, EXIT_FILE);
	assert_string_equal(e.message, "cannot write '/dev/full': No space left on device");
	assert_true(strlen(e.hint) > 0);
}

static void link_is_followed(void **state)
{
	struct place *p = *state;
	char *link = mem_printf("%s/link", p->folder);
	struct stat st;

	write_file(p->file, "old");
	assert_int_equal(symlink("file", link), 0);
	write_file(link, "new");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_file(p->file, "new");
	free(link);
}

static void impossible_places_are_refused(void **state)
{
	struct place *p = *state;
	char *deep = mem_printf("%s/none/file", p->folder);
	char *expected = mem_printf("cannot write '%s': No such file or directory", deep);
	struct replace r;
	struct error e;

	assert_int_equal(replace_open(&r, deep, &e), -ENOENT);
	assert_string_equal(e.message, expected);
	assert_int_equal(replace_open(&r, p->folder, &e), -EISDIR);
	assert_int_equal(count_files(p->folder), 0);
	free(expected);
	free(deep);
}

static void reading_has_a_cap(void **state)
{
	struct place *p = *state;
	struct str s = STR_INIT;

	write_file(p->file, "12345");
	str_add(&s, "before");
	assert_int_equal(io_read_file(p->file, 4, &s), -EFBIG);
	assert_string_equal(s.data, "before");
	assert_int_equal(io_read_file(p->file, 5, &s), 0);
	assert_string_equal(s.data, "before12345");
	assert_int_equal(io_read_file("/dev/zero", 1000000, &s), -EFBIG);
	assert_int_equal(s.len, 11);
	assert_int_equal(io_read_file(p->folder, 10, &s), -EISDIR);
	str_release(&s);
}

static void short_reads_are_joined(void **state)
{
	char got[16] = "";
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(io_write_all(fds[1], "ab", 2), 0);
	assert_int_equal(io_write_all(fds[1], "cd", 2), 0);
	close(fds[1]);
	assert_int_equal(io_read_all(fds[0], got, sizeof(got)), 4);
	assert_memory_equal(got, "abcd", 4);
	close(fds[0]);
	assert_int_equal(io_write_all(-1, "x", 1), -EBADF);
}

static void progress_is_silent_without_a_terminal(void **state)
{
	struct place *p = *state;
	struct progress progress;
	int fd = open(p->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	assert_true(fd >= 0);
	progress_start(&progress, fd, "reading", 100);
	progress.start_ns = 0; /* as if it had begun long ago */
	progress_step(&progress, 50);
	progress_end(&progress);
	progress_step(NULL, 1);
	progress_end(NULL);
	assert_int_equal(progress.done, 50);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	close(fd);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(committed_file_is_whole_and_private),
		IN_PLACE(abandoned_write_leaves_the_old_file),
		cmocka_unit_test(full_disk_is_told_and_cleaned_up),
		IN_PLACE(link_is_followed),
		IN_PLACE(impossible_places_are_refused),
		IN_PLACE(reading_has_a_cap),
		cmocka_unit_test(short_reads_are_joined),
		IN_PLACE(progress_is_silent_without_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
