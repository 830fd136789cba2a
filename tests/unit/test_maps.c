/* target/maps: the kernel's text, hostile text, and the maps of this very process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "target/maps.h"

static struct maps parse(const char *text)
{
	struct maps m;

	maps_parse(text, strlen(text), &m);
	return m;
}

static void reads_every_field(void **state)
{
	struct maps m =
		parse("55d0c0a00000-55d0c0a28000 r-xp 00002000 fd:1e 1835 /usr/bin/cat\n"
		      "7f0000000000-7f0000021000 rw-s 00000000 00:01 77   /dev/zero (deleted)\n"
		      "7ffc1a2b3000-7ffc1a2d4000 ---p 00000000 00:00 0    [stack]\n"
		      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n");

	(void)state;
	assert_int_equal(m.nr, 4);
	assert_int_equal(m.bad_lines, 0);
	assert_int_equal(m.items[0].start, 0x55d0c0a00000);
	assert_int_equal(m.items[0].end, 0x55d0c0a28000);
	assert_int_equal(m.items[0].offset, 0x2000);
	assert_int_equal(m.items[0].prot, MAP_READ | MAP_EXEC);
	assert_int_equal(m.items[0].dev_major, 0xfd);
	assert_int_equal(m.items[0].dev_minor, 0x1e);
	assert_int_equal(m.items[0].inode, 1835);
	assert_string_equal(m.items[0].path, "/usr/bin/cat");
	assert_false(m.items[0].deleted);
	assert_int_equal(m.items[1].prot, MAP_READ | MAP_WRITE | MAP_IS_SHARED);
	assert_string_equal(m.items[1].path, "/dev/zero");
	assert_true(m.items[1].deleted);
	assert_int_equal(m.items[2].prot, 0);
	assert_string_equal(m.items[2].path, "[stack]");
	assert_int_equal(m.items[3].start, 0xffffffffff600000);
	maps_release(&m);
}

static void paths_may_hold_anything(void **state)
{
	struct maps m = parse("1000-2000 r--p 0 0:0 1 /a b/c  d\n"
			      "2000-3000 r--p 0 0:0 1 /new\\012line\n"
			      "3000-4000 r--p 0 0:0 1 /back\\134slash \x1b[31m\n"
			      "4000-5000 r--p 0 0:0 1 /x (deleted) (deleted)\n"
			      "5000-6000 r--p 0 0:0 1  (deleted)\n"
			      "6000-7000 rw-p 0 0:0 0 [anon:y (deleted)]\n"
			      "7000-8000 rw-p 0 0:0 0\n"
			      "8000-9000 rw-p 0 0:0 0 \n"
			      "9000-a000 rw-p 0 0:0 1 /no-newline-at-end");

	(void)state;
	assert_int_equal(m.nr, 9);
	assert_string_equal(m.items[0].path, "/a b/c  d");
	assert_string_equal(m.items[1].path, "/new\nline");
	assert_string_equal(m.items[2].path, "/back\\134slash \x1b[31m");
	assert_string_equal(m.items[3].path, "/x (deleted)");
	assert_true(m.items[3].deleted);
	assert_string_equal(m.items[4].path, "(deleted)");
	assert_false(m.items[4].deleted);
	assert_string_equal(m.items[5].path, "[anon:y (deleted)]");
	assert_false(m.items[5].deleted);
	assert_string_equal(m.items[6].path, "");
	assert_string_equal(m.items[7].path, "");
	assert_string_equal(m.items[8].path, "/no-newline-at-end");
	maps_release(&m);
}

static void what_is_no_map_is_counted(void **state)
{
	static const char *const bad[] = {
		"hello",
		"1000-2000",
		"1000 2000 r--p 0 0:0 1 /x",
		"2000-1000 r--p 0 0:0 1 /x",
		"1000-1000 r--p 0 0:0 1 /x",
		"1000-2000 r--q 0 0:0 1 /x",
		"1000-2000 rwxp0 0:0 1 /x",
		"1000-2000 r--p 0 0:0 1x /x",
		"1000-2000 r--p 0 00 1 /x",
		"10000000000000000-20000000000000000 r--p 0 0:0 1 /x",
		"1000-2000 r--p 0 100000000:0 1 /x",
		"1000-2000 r--p 0 0:0 18446744073709551616 /x",
		"-1000-2000 r--p 0 0:0 1 /x",
		"1000-2000 r--p 0 0:0 ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct maps m = parse(bad[i]);

		if (m.nr != 0 || m.bad_lines != 1)
			fail_msg("accepted: %s", bad[i]);
		maps_release(&m);
	}
}

static void lines_that_go_backwards_are_left_out(void **state)
{
	struct maps m = parse("3000-5000 r--p 0 0:0 1 /a\n"
			      "1000-2000 r--p 0 0:0 1 /b\n"
			      "4000-6000 r--p 0 0:0 1 /c\n"
			      "\n"
			      "5000-6000 r--p 0 0:0 1 /d\n");

	(void)state;
	assert_int_equal(m.nr, 2);
	assert_int_equal(m.bad_lines, 2);
	assert_string_equal(m.items[1].path, "/d");
	maps_release(&m);
}

static void nothing_and_nul_bytes(void **state)
{
	static const char with_nul[] = "1000-2000 r--p 0 0:0 1 /a\0b\n\0\0\n";
	struct maps m;

	(void)state;
	maps_parse("", 0, &m);
	assert_int_equal(m.nr, 0);
	assert_null(maps_find(&m, 0x1000));
	maps_release(&m);
	maps_parse(with_nul, sizeof(with_nul) - 1, &m);
	assert_int_equal(m.nr, 1);
	assert_string_equal(m.items[0].path, "/a");
	assert_int_equal(m.bad_lines, 1);
	maps_release(&m);
	maps_release(&m);
	maps_release(NULL);
}

static void finds_among_65536(void **state)
{
	struct str text = STR_INIT;
	struct maps m;

	(void)state;
	for (uint64_t i = 0; i < 65536; i++)
		str_printf(&text,
			   "%" PRIx64 "-%" PRIx64 " rw-p 00000000 00:00 0 /lib/%" PRIu64 "\n",
			   0x10000 + i * 0x3000, 0x11000 + i * 0x3000, i);
	maps_parse(text.data, text.len, &m);
	str_release(&text);
	assert_int_equal(m.nr, 65536);
	assert_null(maps_find(&m, 0));
	assert_null(maps_find(&m, 0xffff));
	assert_null(maps_find(&m, 0x11000));
	assert_null(maps_find(&m, UINT64_MAX));
	for (uint64_t i = 0; i < 65536; i++) {
		assert_ptr_equal(maps_find(&m, 0x10000 + i * 0x3000), &m.items[i]);
		assert_ptr_equal(maps_find(&m, 0x10fff + i * 0x3000), &m.items[i]);
	}
	assert_ptr_equal(maps_find_path(&m, "/lib/40000", 0), &m.items[40000]);
	assert_null(maps_find_path(&m, "/lib/40000", 40001));
	maps_release(&m);
}

static void the_recorder_is_recognized(void **state)
{
	struct maps m = parse("1000-2000 rw-s 0 0:1 9 /memfd:seep-recipes (deleted)\n"
			      "2000-3000 rw-s 0 0:1 9 /tmp/memfd:seep-rec\n"
			      "3000-4000 rw-s 0 0:1 9 /memfd:seep-rec\n"
			      "4000-5000 rw-p 0 0:1 9 /memfd:seep-rec (deleted)\n"
			      "5000-6000 rw-s 0 0:1 9 /memfd:seep-rec.77.5 (deleted)\n");
	struct maps plain = parse("6000-7000 rw-s 0 0:1 9 /memfd:seep-rec (deleted)\n");
	struct maps none = parse("6000-7000 rw-p 0 0:1 9 /lib/libc.so.6\n");

	(void)state;
	assert_ptr_equal(maps_find_recorder(&m), &m.items[4]);
	assert_ptr_equal(maps_find_recorder(&plain), &plain.items[0]);
	assert_null(maps_find_recorder(&none));
	maps_release(&m);
	maps_release(&plain);
	maps_release(&none);
}

static void own_maps_hold_what_we_mapped(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct error e = {0};
	const struct map *map;
	struct maps m;
	char *memory;
	int fd;

	(void)state;
	fd = memfd_create("a name\nwith a newline", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(3 * page)), 0);
	memory = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, (off_t)page);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(maps_read(getpid(), &m, &e), 0);
	assert_int_equal(m.bad_lines, 0);
	map = maps_find(&m, (uint64_t)(uintptr_t)memory + page + 5);
	assert_non_null(map);
	assert_int_equal(map->start, (uintptr_t)memory);
	assert_int_equal(map->end, (uintptr_t)memory + 2 * page);
	assert_int_equal(map->offset, page);
	assert_int_equal(map->prot, MAP_READ | MAP_IS_SHARED);
	assert_string_equal(map->path, "/memfd:a name\nwith a newline");
	assert_true(map->deleted);
	map = maps_find(&m, (uint64_t)(uintptr_t)&own_maps_hold_what_we_mapped);
	assert_non_null(map);
	assert_true(map->prot & MAP_EXEC);
	assert_non_null(strstr(map->path, "test_maps"));
	maps_release(&m);
	munmap(memory, 2 * page);
	close(fd);
}

static void no_such_process(void **state)
{
	struct error e = {0};
	struct maps m;

	(void)state;
	assert_int_equal(maps_read(0, &m, &e), -ESRCH);
	assert_string_equal(e.message, "no such process: 0");
	assert_int_equal(e.status, EXIT_TARGET);
	assert_int_equal(maps_read(-5, &m, NULL), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(paths_may_hold_anything),
		cmocka_unit_test(what_is_no_map_is_counted),
		cmocka_unit_test(lines_that_go_backwards_are_left_out),
		cmocka_unit_test(nothing_and_nul_bytes),
		cmocka_unit_test(finds_among_65536),
		cmocka_unit_test(the_recorder_is_recognized),
		cmocka_unit_test(own_maps_hold_what_we_mapped),
		cmocka_unit_test(no_such_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
