/*
 * debuginfod, by a server that is a folder (file://): asked when the environment names it, and not
 * otherwise. libdw reads the variable when it is loaded, so main() sets it and starts itself again.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sym_lab.h"

#define SOURCE "sym_inline.c"
#define SERVER "SEEP_TEST_SERVER" /* the folder; also says that this is the second start */

static const struct lab_frame chain[] = {
	{"make_cell", "cell"},
	{"make_row", "row"},
	{"make_table", "table"},
	{NULL, NULL},
};

struct fixture {
	struct lab lab;
	struct lab_module module;
	uint64_t pc;
};

static int set_up(void **state)
{
	struct fixture *x = mem_alloc(sizeof(*x));

	x->lab.dir = getenv(SERVER);
	assert_int_equal(
		lab_sh(&x->lab, "gcc -O2 -g -Wl,--build-id=sha1 $VICTIMS/" SOURCE " -o prog"), 0);
	lab_module_init(&x->module, &x->lab, "prog", 0);
	x->pc = lab_note(&x->lab, "prog", "cell");
	assert_int_equal(lab_sh(&x->lab, "ID=$(readelf -n prog | sed -n 's/.*Build ID: //p') && "
					 "mkdir -p buildid/$ID && "
					 "objcopy --only-keep-debug prog buildid/$ID/debuginfo && "
					 "strip prog && cp prog buildid/$ID/executable"),
			 0);
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;

	lab_module_release(&x->module);
	free(x);
	return 0;
}

static size_t look(const struct fixture *x, bool no_debuginfod)
{
	struct sym_options o = {.no_debuginfod = no_debuginfod};
	struct sym *s = sym_new(&o);
	int h = sym_add_module(s, &x->module.is);
	const struct sym_frame *f;
	size_t nr = sym_resolve(s, h, x->pc - 1, &f);

	if (nr > 0)
		lab_expect(s, h, x->pc, SOURCE, chain);
	sym_free(s);
	return nr;
}

static void skip_without_library(void)
{
	void *library = dlopen("libdebuginfod.so.1", RTLD_LAZY);

	if (!library) {
		print_message("# skipped: libdebuginfod is not installed\n");
		skip();
	}
	dlclose(library);
}

static void test_asked(void **state)
{
	skip_without_library();
	assert_int_equal(look(*state, false), 3);
}

static void test_not_asked(void **state)
{
	assert_int_equal(look(*state, true), 0);
}

/* The program itself is not on this machine. */
static void test_program_fetched(void **state)
{
	const struct fixture *x = *state;

	skip_without_library();
	assert_int_equal(lab_sh(&x->lab, "rm prog"), 0);
	assert_int_equal(look(x, true), 0);
	assert_int_equal(look(x, false), 3);
}

static void test_unset(void **state)
{
	char *urls = mem_strdup(getenv("DEBUGINFOD_URLS"));

	unsetenv("DEBUGINFOD_URLS");
	assert_int_equal(look(*state, false), 0);
	setenv("DEBUGINFOD_URLS", "", 1);
	assert_int_equal(look(*state, false), 0);
	setenv("DEBUGINFOD_URLS", urls, 1);
	free(urls);
}

static int start_again(char **argv)
{
	struct lab l;
	char *urls, *cache;

	lab_open(&l);
	urls = mem_printf("file://%s", l.dir);
	cache = lab_path(&l, "cache");
	setenv(SERVER, l.dir, 1);
	setenv("DEBUGINFOD_URLS", urls, 1);
	setenv("DEBUGINFOD_CACHE_PATH", cache, 1);
	execv("/proc/self/exe", argv);
	perror("cannot start the test again");
	return 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_program_fetched, set_up, tear_down),
	};
	struct lab l = {.dir = getenv(SERVER)};
	int failed;

	(void)argc;
	if (!l.dir)
		return start_again(argv);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	l.dir = mem_strdup(l.dir);
	lab_close(&l);
	return failed;
}
