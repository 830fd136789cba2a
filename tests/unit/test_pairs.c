/* Functions that the user names: what is typed, and where they are in real processes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "inject/entries.h"
#include "inject/pairs.h"
#include "target/target.h"

#include "inject_lab.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct inject_lab lab;

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

static void test_parse(void **state)
{
	static const struct {
		const char *text, *open, *close;
		enum pair_handle handle;
		int argument;
	} good[] = {
		{"open=fopen:close=fclose", "fopen", "fclose", PAIR_RESULT, 0},
		{"open=sqlite3_open@arg2:close=sqlite3_close", "sqlite3_open", "sqlite3_close",
		 PAIR_AT, 2},
		{"open=socket@int:close=close", "socket", "close", PAIR_NUMBER, 0},
		{"open=_ZN1AC1Ev@arg6:close=x", "_ZN1AC1Ev", "x", PAIR_AT, 6},
	};
	static const char *const bad[] = {
		"",
		"open",
		"open=",
		"open=a",
		"open=a:",
		"open=a:close",
		"open=a:close=",
		"open=:close=b",
		"open=a@:close=b",
		"open=a@arg:close=b",
		"open=a@arg0:close=b",
		"open=a@arg7:close=b",
		"open=a@arg12:close=b",
		"open=a@integer:close=b",
		"open=a@int@int:close=b",
		"open=a:close=b@int",
		"open=a:close=b:close=c",
		"open=a=b:close=c",
		"close=a:open=b",
		"open=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:close=b",
	};
	struct error e;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(pair_parse(good[i].text, &p, &e), 0);
		assert_string_equal(p.open, good[i].open);
		assert_string_equal(p.close, good[i].close);
		assert_int_equal(p.handle, good[i].handle);
		assert_int_equal(p.argument, good[i].argument);
		pair_release(&p);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(pair_parse(bad[i], &p, &e), -EINVAL);
		assert_int_equal(e.status, EXIT_USAGE);
		assert_true(*e.message && *e.hint);
	}
}

static const char source[] =
	"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
	"static __attribute__((noinline, used)) void *pool_get(void) { return malloc(4); }\n"
	"__attribute__((noinline)) void pool_put(void *p) { free(p); }\n"
	"int main(void)\n{\n	char c;\n	pool_put(pool_get());\n"
	"	printf(\"pool_get %p\\npool_put %p\\nfopen %p\\nready\\n\", (void *)pool_get,\n"
	"	       (void *)pool_put, (void *)fopen);\n"
	"	fflush(stdout);\n	return read(0, &c, 1) != 0;\n}\n";

static const struct entry *find(const struct entries *e, const char *name)
{
	for (size_t i = 0; i < e->nr; i++) {
		if (!strcmp(e->items[i].name, name))
			return &e->items[i];
	}
	return NULL;
}

static void test_find(void **state)
{
	static const char *const builds[] = {"gcc -O1 pool.c -o pool",
					     "gcc -O1 -static pool.c -o pool"};
	struct pair pairs[2];
	struct error e;

	(void)state;
	inject_lab_write(&lab, "pool.c", source);
	assert_int_equal(pair_parse("open=pool_get:close=pool_put", &pairs[0], &e), 0);
	assert_int_equal(pair_parse("open=fopen:close=fclose", &pairs[1], &e), 0);
	for (size_t i = 0; i < COUNT(builds); i++) {
		const struct target_options live = {.wish = TARGET_WISH_LIVE};
		struct entries known, found;
		struct inject_run run;
		struct target *t;

		assert_true(inject_lab_sh(&lab, "%s", builds[i]));
		assert_true(inject_run_start(&lab, "./pool", &run));
		assert_int_equal(target_open_pid(run.pid, &live, &t, &e), 0);
		assert_int_equal(entries_find(t, &known, &e), 0);
		if (i == 0)
			assert_int_equal(pairs_find(t, pairs, 2, &known, &found, &e), 0);
		else /* fclose may not be linked in */
			assert_int_equal(pairs_find(t, pairs, 1, &known, &found, &e), 0);
		assert_int_equal(find(&found, "pool_get")->addr,
				 inject_run_address(&run, "pool_get"));
		assert_int_equal(find(&found, "pool_put")->addr,
				 inject_run_address(&run, "pool_put"));
		assert_int_equal(find(&found, "pool_get")->function, INJECT_acquires);
		assert_int_equal(find(&found, "pool_put")->function, INJECT_releases);
		assert_true(find(&found, "pool_get")->bytes_nr >= 5);
		/* Code of modules may go; but memory is not what is recorded. */
		assert_non_null(find(&found, "dlclose"));
		assert_null(find(&found, "malloc"));
		if (i == 0)
			assert_int_equal(find(&found, "fopen")->addr,
					 inject_run_address(&run, "fopen"));
		entries_release(&found);
		entries_release(&known);
		target_close(t);
		inject_run_stop(&run);
	}
	pair_release(&pairs[0]);
	pair_release(&pairs[1]);
}

static void test_missing(void **state)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	struct inject_run run;
	struct entries found;
	struct target *t;
	struct pair p;
	struct error e;

	(void)state;
	inject_lab_write(&lab, "pool.c", source);
	assert_true(inject_lab_sh(&lab, "gcc -O1 pool.c -o pool"));
	assert_true(inject_run_start(&lab, "./pool", &run));
	assert_int_equal(pair_parse("open=pool_get:close=pool_lost", &p, &e), 0);
	assert_int_equal(target_open_pid(run.pid, &live, &t, &e), 0);
	assert_int_equal(pairs_find(t, &p, 1, NULL, &found, &e), -ENOENT);
	assert_int_equal(e.status, EXIT_TARGET);
	assert_non_null(strstr(e.message, "has no function 'pool_lost'"));
	pair_release(&p);
	target_close(t);
	inject_run_stop(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
