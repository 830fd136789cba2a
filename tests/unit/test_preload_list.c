/* target/preload_list: one entry comes and goes, everything else stays to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/str.h"
#include "target/preload_list.h"

#define NAME "libseep-flags.so"
#define OURS "/usr/lib/seep/" NAME

static char *set(const char *text, const char *path)
{
	struct str out = STR_INIT;

	preload_list_set(text, strlen(text), NAME, path, &out);
	return str_detach(&out);
}

static void assert_set(const char *before, const char *path, const char *after)
{
	char *got = set(before, path);

	assert_string_equal(got, after);
	free(got);
}

static void is_added_behind_everything(void **state)
{
	(void)state;
	assert_set("", OURS, OURS "\n");
	assert_set("/lib/a.so\n", OURS, "/lib/a.so\n" OURS "\n");
	assert_set("# why\n/lib/a.so:/lib/b.so # both\n\n", OURS,
		   "# why\n/lib/a.so:/lib/b.so # both\n\n" OURS "\n");
	assert_set("/lib/a.so", OURS, "/lib/a.so\n" OURS);
}

static void is_there_once(void **state)
{
	(void)state;
	assert_set(OURS "\n", OURS, OURS "\n");
	assert_set("/a.so " OURS " /b.so\n", OURS, "/a.so " OURS " /b.so\n");
	assert_set(OURS "\n/x.so\n" OURS "\n", OURS, "/x.so\n" OURS "\n");
	/* Of an older place of installation only the new one is left. */
	assert_set("/opt/old/" NAME "\n/x.so\n", OURS, "/x.so\n" OURS "\n");
}

static void is_taken_away_alone(void **state)
{
	(void)state;
	assert_set(OURS "\n", NULL, "");
	assert_set("\t" OURS " \n/x.so\n", NULL, "/x.so\n");
	assert_set("/a.so:" OURS ":/b.so\n", NULL, "/a.so:/b.so\n");
	assert_set(OURS " /b.so # two\n", NULL, "/b.so # two\n");
	assert_set(OURS " # seep\n", NULL, "# seep\n");
	assert_set("", NULL, "");
}

static void what_is_like_it_stays(void **state)
{
	static const char *const others[] = {
		"# " OURS "\n",		 "/x.so # " OURS "\n",	     "/usr/lib/" NAME ".1\n",
		"/usr/lib/my" NAME "\n", "/usr/lib/" NAME "/x.so\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(preload_list_holds(others[i], strlen(others[i]), NAME));
		assert_set(others[i], NULL, others[i]);
	}
	assert_true(preload_list_holds("a:" OURS, strlen("a:" OURS), NAME));
}

/* Whatever stood there: added and taken away again it is as it was. */
static void there_and_back_is_nothing(void **state)
{
	static const char letters[] = " \n\t:#/ab\n";
	uint64_t seed = 12345;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[24] = "";
		char *with, *back;

		for (size_t i = 0; i < (size_t)round % 20; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			text[i] = letters[(seed >> 33) % (sizeof(letters) - 1)];
		}
		with = set(text, OURS);
		assert_true(preload_list_holds(with, strlen(with), NAME));
		back = set(with, NULL);
		assert_string_equal(back, text);
		free(with);
		free(back);
	}
}

static void file_keeps_its_mode_and_goes_when_empty(void **state)
{
	char folder[] = "/tmp/seep-preload-XXXXXX", path[64];
	struct error e = {0};
	struct stat st;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/ld.so.preload", folder);
	assert_int_equal(preload_list_write(path, NAME, NULL, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(preload_list_write(path, NAME, OURS, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(preload_list_write(path, NAME, NULL, &e), 0);
	assert_int_equal(access(path, F_OK), -1);

	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs("# mine\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(preload_list_write(path, NAME, OURS, &e), 0);
	assert_int_equal(preload_list_write(path, NAME, NULL, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(st.st_size, strlen("# mine\n"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_added_behind_everything),
		cmocka_unit_test(is_there_once),
		cmocka_unit_test(is_taken_away_alone),
		cmocka_unit_test(what_is_like_it_stays),
		cmocka_unit_test(there_and_back_is_nothing),
		cmocka_unit_test(file_keeps_its_mode_and_goes_when_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
