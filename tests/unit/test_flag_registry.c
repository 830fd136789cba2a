/* target/flag_registry: what is written is read back, and what is damaged is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "target/flag_image.h"
#include "target/flag_install.h"
#include "target/flag_registry.h"

static char folder[] = "/tmp/seep-flags-XXXXXX";
static char path[64];

static int enter(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/flags", folder);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void put(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static struct flag_registry take(const char *text)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	struct error e = {0};

	put(text, strlen(text));
	assert_int_equal(flag_registry_read(path, &r, &e), 0);
	return r;
}

static void no_file_is_no_flag(void **state)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	struct error e = {0};

	(void)state;
	unlink(path);
	assert_int_equal(flag_registry_read(path, &r, &e), 0);
	assert_int_equal(r.nr, 0);
	assert_null(r.recorder);
}

static const struct mode lite = {WIRE_MODE_LITE, 0}, sample = {WIRE_MODE_SAMPLE, 19};

static void is_read_back(void **state)
{
	struct flag_registry r = FLAG_REGISTRY_INIT, back;
	struct error e = {0};
	struct stat st;

	(void)state;
	r.recorder = strdup("/usr/lib/seep/libseep-rec.so");
	flag_registry_set(&r, "/usr/bin/a program", false, 100, 200, lite);
	flag_registry_set(&r, "worker", true, 110, 300, sample);
	flag_registry_set(&r, "/usr/bin/a program", false, 150, 400, lite);
	assert_int_equal(r.nr, 2);
	assert_int_equal(flag_registry_write(&r, path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(flag_registry_read(path, &back, &e), 0);
	assert_int_equal(back.nr, 2);
	assert_int_equal(back.damaged, 0);
	assert_string_equal(back.recorder, r.recorder);
	assert_string_equal(back.flags[0].image, "/usr/bin/a program");
	assert_int_equal(back.flags[0].since_s, 100);
	assert_int_equal(back.flags[0].until_s, 400);
	assert_true(back.flags[1].by_name);
	assert_int_equal(back.flags[0].mode.kind, WIRE_MODE_LITE);
	assert_int_equal(back.flags[1].mode.kind, WIRE_MODE_SAMPLE);
	assert_int_equal(back.flags[1].mode.bits, 19);
	assert_non_null(flag_registry_find(&back, "worker", true));
	assert_null(flag_registry_find(&back, "worker", false));
	flag_registry_release(&r);
	flag_registry_release(&back);
}

static void units_stand_beside_images(void **state)
{
	struct flag_registry r = FLAG_REGISTRY_INIT, back;
	struct error e = {0};

	(void)state;
	flag_registry_set(&r, "/usr/sbin/nginx", false, 100, 200, lite);
	flag_registry_set_unit(&r, "nginx.service", "/usr/sbin/nginx", 110, 300, sample);
	flag_registry_set_unit(&r, "worker@1.service", "/opt/a b", 120, 300, lite);
	flag_registry_set_unit(&r, "nginx.service", "/usr/sbin/nginx2", 150, 400, sample);
	assert_int_equal(flag_registry_write(&r, path, &e), 0);
	assert_int_equal(flag_registry_read(path, &back, &e), 0);
	assert_int_equal(back.damaged, 0);
	assert_int_equal(back.nr, 3);
	assert_null(back.flags[0].unit);
	assert_string_equal(back.flags[1].unit, "nginx.service");
	assert_string_equal(back.flags[1].image, "/usr/sbin/nginx2");
	assert_int_equal(back.flags[1].since_s, 110);
	assert_int_equal(back.flags[1].until_s, 400);
	assert_string_equal(back.flags[2].image, "/opt/a b");
	assert_null(flag_registry_find(&back, "/opt/a b", false));
	assert_non_null(flag_registry_find_unit(&back, "worker@1.service"));
	assert_null(flag_registry_find_unit(&back, "nginx"));
	flag_registry_release(&r);
	flag_registry_release(&back);
}

static void what_is_over_goes(void **state)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;

	(void)state;
	flag_registry_set(&r, "/a", false, 100, 200, lite);
	flag_registry_set(&r, "/b", false, 100, 300, lite);
	flag_registry_set(&r, "/c", false, 100, 200, lite);
	assert_int_equal(flag_registry_expire(&r, 199), 0);
	assert_int_equal(flag_registry_expire(&r, 200), 2);
	assert_int_equal(r.nr, 1);
	assert_string_equal(r.flags[0].image, "/b");
	/* Begun again after its end, it is on since then. */
	flag_registry_set(&r, "/b", false, 300, 500, lite);
	assert_int_equal(r.flags[0].since_s, 300);
	flag_registry_release(&r);
}

static void damaged_lines_are_left_out(void **state)
{
	static const char *const bad[] = {
		"",
		"ust",
		"ust 1 2 lite path",
		"ust 1 2 lite path relative",
		"ust 1 2 lite name with/slash",
		"ust 1 2 lite name ",
		"ust 1 2 full path /x",
		"ust 1 2 lite inode /x",
		"ust 1 2 sample=0 path /x",
		"ust 1 2 sample=2G path /x",
		"ust 1 2 sample path /x",
		"ust -1 2 lite path /x",
		"ust 1 2x lite path /x",
		"ust 1 99999999999999999999 lite path /x",
		"ust 1 2 lite path /x\033[2J",
		"ust 1 2 lite path /good",
		"recorder relative.so",
		"recorder /second.so",
		"ust 1 2 lite unit /x",
		"ust 1 2 lite unit a.service",
		"ust 1 2 lite unit a.service relative",
		"ust 1 2 lite unit ../a.service /x",
		"ust 1 2 lite unit  /x",
		"hello world",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[256];
		struct flag_registry r;

		snprintf(text, sizeof(text),
			 "seep-flags 1\nrecorder /r.so\nust 1 2 lite path /good\n%s\nust 1 2 lite "
			 "name last\n",
			 bad[i]);
		r = take(text);
		assert_int_equal(r.damaged, 1);
		assert_int_equal(r.damaged_line, 4);
		assert_int_equal(r.nr, 2);
		assert_string_equal(r.flags[1].image, "last");
		flag_registry_release(&r);
	}
}

static void a_line_that_was_cut_off_does_not_count(void **state)
{
	struct flag_registry r = take("seep-flags 1\nust 1 2 lite path /usr/bin/prog");

	(void)state;
	assert_int_equal(r.nr, 0);
	assert_int_equal(r.damaged, 1);
	flag_registry_release(&r);
}

static void other_files_are_refused(void **state)
{
	static const char *const other[] = {"", "seep-flags 2\n", "seep-flags 1", "\n", "# x\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct flag_registry r = FLAG_REGISTRY_INIT;
		struct error e = {0};

		put(other[i], strlen(other[i]));
		assert_int_equal(flag_registry_read(path, &r, &e), -EINVAL);
		assert_int_equal(e.status, EXIT_FILE);
		assert_true(*e.hint);
	}
}

static void more_than_the_stub_reads_is_refused(void **state)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	struct error e = {0};
	char image[200];

	(void)state;
	put("seep-flags 1\n", strlen("seep-flags 1\n"));
	for (int i = 0; i < 200; i++) {
		snprintf(image, sizeof(image), "/%0150d", i);
		flag_registry_set(&r, image, false, 1, 2, lite);
	}
	assert_int_equal(flag_registry_write(&r, path, &e), -E2BIG);
	flag_registry_release(&r);
	/* What was there is there still. */
	assert_int_equal(flag_registry_read(path, &r, &e), 0);
	assert_int_equal(r.nr, 0);
}

static void names_are_resolved(void **state)
{
	struct error e = {0};
	char *name, link[96];

	(void)state;
	snprintf(link, sizeof(link), "%s/link", folder);
	assert_int_equal(symlink("/bin/sh", link), 0);
	assert_int_equal(flag_image_name(link, false, true, &name, &e), 0);
	assert_null(strstr(name, "/link"));
	free(name);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(flag_image_name(link, false, true, &name, &e), -ENOENT);
	/* What is gone can still be switched off. */
	assert_int_equal(flag_image_name(link, false, false, &name, &e), 0);
	assert_string_equal(name, link);
	free(name);
	assert_int_equal(flag_image_name("sh", false, true, &name, &e), -EINVAL);
	assert_int_equal(flag_image_name("/bin/sh", true, true, &name, &e), -EINVAL);
	assert_int_equal(flag_image_name("", true, true, &name, &e), -EINVAL);
	assert_int_equal(flag_image_name("a\nb", true, true, &name, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_no_flag),
		cmocka_unit_test(is_read_back),
		cmocka_unit_test(units_stand_beside_images),
		cmocka_unit_test(what_is_over_goes),
		cmocka_unit_test(damaged_lines_are_left_out),
		cmocka_unit_test(a_line_that_was_cut_off_does_not_count),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test(more_than_the_stub_reads_is_refused),
		cmocka_unit_test(names_are_resolved),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
