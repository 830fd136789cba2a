/*
 * Files that were made to hurt: flipped bits, cut ends, absurd headers. The symbolizer must come
 * back, whatever it says. It works in a child, so that a crash is a failed test.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "sym_lab.h"

enum {
	ROUNDS = 120,
	LOOKUPS = 200,
	SECONDS_MAX = 60, /* for one file; a loop, not a slow machine */
};

static uint32_t seed;

static uint32_t next_random(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static bool say_yes(void *process, uint64_t address, uint64_t device, uint64_t inode)
{
	(void)process, (void)address, (void)device, (void)inode;
	return true;
}

/* 0 when the child came back; *named: something was found. The file is believed to be the module's.
 */
static int survive(const struct lab_module *m, const char *path, bool *named)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct sym_options o = {.no_debuginfod = true, .is_mapped = say_yes};
		struct sym *s = sym_new(&o);
		struct sym_module is = m->is;
		const struct sym_frame *f;
		const char *why;
		size_t found = 0;
		uint64_t i;
		int h;

		alarm(SECONDS_MAX);
		is.path = path;
		h = sym_add_module(s, &is);
		for (i = 0; i < LOOKUPS; i++)
			found +=
				sym_resolve(s, h, is.start + (is.end - is.start) * i / LOOKUPS, &f);
		sym_module_source(s, h, &why);
		sym_free(s);
		_exit(found > 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*named = WIFEXITED(status) && WEXITSTATUS(status) == 1;
	return *named ? 0 : status;
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, data, len), 0);
	close(fd);
}

/*
 * Every round has its own seed, so that a failure can be repeated. A third of the rounds changes
 * the beginning, a third the section headers at the end, a third anything.
 */
static void damage(uint8_t *data, size_t len, uint32_t round)
{
	static const uint8_t extremes[] = {0x00, 0xff, 0x7f, 0x80, 0x01};
	uint32_t i, flips;

	seed = round + 1;
	flips = 1 + next_random() % (round % 2 ? 4 : 400);
	for (i = 0; i < flips; i++) {
		size_t at = next_random() % len;

		if (round % 3 == 1)
			at = next_random() % 64;
		else if (round % 3 == 2)
			at = len - 1 - next_random() % (len < 2600 ? len : 2600);
		data[at] = next_random() % 2 ? extremes[next_random() % sizeof(extremes)]
					     : (uint8_t)next_random();
	}
}

static void attack(const char *build)
{
	struct str whole = STR_INIT;
	struct lab_module m;
	char *prog, *bad;
	struct lab l;
	uint32_t i, looked_at = 0;
	bool named;

	lab_open(&l);
	assert_int_equal(lab_sh(&l, "%s -Wl,--build-id=none", build), 0);
	lab_module_init(&m, &l, "prog", 0);
	prog = lab_path(&l, "prog");
	bad = lab_path(&l, "bad");
	assert_int_equal(io_read_file(prog, 64 << 20, &whole), 0);
	assert_int_equal(survive(&m, prog, &named), 0);
	assert_true(named);
	for (i = 0; i < ROUNDS; i++) {
		uint8_t *data = mem_alloc(whole.len);
		size_t len = whole.len;
		int status;

		memcpy(data, whole.data, whole.len);
		damage(data, whole.len, i);
		if (i % 8 == 7)
			len = 1 + next_random() % len;
		write_file(bad, data, len);
		free(data);
		status = survive(&m, bad, &named);
		looked_at += named;
		if (status != 0)
			fail_msg("round %u of '%s': status %#x", i, build, status);
	}
	/* The damage is not such that nothing is ever read. */
	print_message("# %u of %u damaged files still gave names\n", looked_at, ROUNDS);
	assert_true(looked_at > ROUNDS / 4);
	str_release(&whole);
	free(prog);
	free(bad);
	lab_module_release(&m);
	lab_close(&l);
}

static void test_dwarf5(void **state)
{
	(void)state;
	attack("gcc -O2 -gdwarf-5 $VICTIMS/sym_inline.c -o prog");
}

static void test_dwarf4_compressed(void **state)
{
	(void)state;
	attack("gcc -O2 -gdwarf-4 -gz $VICTIMS/sym_inline.c -o prog");
}

static void test_cxx(void **state)
{
	(void)state;
	if (!lab_has("clang++"))
		skip();
	attack("clang++ -O2 -g -std=gnu++17 $VICTIMS/sym_shop.cpp -o prog");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dwarf5),
		cmocka_unit_test(test_dwarf4_compressed),
		cmocka_unit_test(test_cxx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
