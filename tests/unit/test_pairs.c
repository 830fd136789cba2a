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
#include "wire/blob.h"

#include "inject_lab.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PLACE(n) ((n) << WIRE_PAIR_PLACE_SHIFT)

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
		const char *text, *library, *open, *close;
		uint32_t opens, closes;
	} good[] = {
		{"open=fopen:close=fclose", "", "fopen", "fclose", 0, PLACE(1)},
		{"open=sqlite3_open:close=sqlite3_close", "", "sqlite3_open", "sqlite3_close",
		 PLACE(2), PLACE(1) | WIRE_PAIR_JUDGED},
		{"open=sqlite3_open_v2:close=sqlite3_close@1", "", "sqlite3_open_v2",
		 "sqlite3_close", PLACE(2), PLACE(1)},
		{"open=a@1:close=b@ok", "", "a", "b", PLACE(1), PLACE(1) | WIRE_PAIR_JUDGED},
		{"open=a@int:close=b@3ok", "", "a", "b", WIRE_PAIR_NUMBER,
		 PLACE(3) | WIRE_PAIR_JUDGED | WIRE_PAIR_NUMBER},
		{"open=sqlite3_open@4:close=x", "", "sqlite3_open", "x", PLACE(4), PLACE(1)},
		{"open=socket@int:close=close@2", "", "socket", "close", WIRE_PAIR_NUMBER,
		 PLACE(2) | WIRE_PAIR_NUMBER},
		{"open=liba.so/_ZN1AC1Ev@6:close=x", "liba.so", "_ZN1AC1Ev", "x", PLACE(6),
		 PLACE(1)},
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
		"open=a,:close=b",
		"open=a:close=b,",
		"open=,a:close=b",
		"open=a@:close=b",
		"open=a@0:close=b",
		"open=a@7:close=b",
		"open=a@12:close=b",
		"open=a@integer:close=b",
		"open=a@int@int:close=b",
		"open=a:close=b@int",
		"open=a@ok:close=b",
		"open=a@1int:close=b",
		"open=a:close=b@ok1",
		"open=a:close=b@7ok",
		"open=a:close=b@okay",
		"open=a:close=b:close=c",
		"open=a=b:close=c",
		"open=/a:close=b",
		"open=l/:close=b",
		"open=l/m/a:close=b",
		"close=a:open=b",
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct pairs p = PAIRS_INIT;

		assert_int_equal(pairs_add(&p, good[i].text, &e), 0);
		assert_int_equal(p.nr, 2);
		assert_true(p.items[0].opens && !p.items[1].opens);
		assert_string_equal(p.items[0].library, good[i].library);
		assert_string_equal(p.items[0].name, good[i].open);
		assert_string_equal(p.items[1].name, good[i].close);
		assert_int_equal(p.items[0].what, good[i].opens);
		assert_int_equal(p.items[1].what, good[i].closes);
		assert_string_equal(p.kinds[0], good[i].open);
		pairs_release(&p);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct pairs p = PAIRS_INIT;

		assert_int_equal(pairs_add(&p, bad[i], &e), -EINVAL);
		assert_int_equal(e.status, EXIT_USAGE);
		assert_true(*e.message && *e.hint);
		assert_int_equal(p.nr, 0);
		pairs_release(&p);
	}
}

static void test_kinds(void **state)
{
	struct pairs p = PAIRS_INIT;
	struct error e;

	(void)state;
	assert_int_equal(pairs_add(&p, "open=a,b@2,c@int:close=d,e@3", &e), 0);
	assert_int_equal(p.nr, 5);
	assert_int_equal(p.items[1].what, PLACE(2) | WIRE_PAIR_NUMBER);
	assert_int_equal(p.items[4].what, PLACE(3) | WIRE_PAIR_NUMBER);
	while (p.nr_kinds < PAIR_KINDS_MAX) {
		assert_int_equal(pairs_add(&p, "open=a:close=b", &e), 0);
		assert_int_equal(p.items[p.nr - 1].what & WIRE_PAIR_KIND, p.nr_kinds - 1);
	}
	assert_int_equal(pairs_add(&p, "open=a:close=b", &e), -EINVAL);
	assert_int_equal(pairs_add_descriptors(&p, &e), -EINVAL);
	assert_int_equal(e.status, EXIT_USAGE);
	pairs_release(&p);
}

/* As C++ has them. */
#define TEN "Ns6detail1"
#define LONG_NAME "_Z" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "Ev"

static const char source[] =
	"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
	"static __attribute__((noinline, used)) void *pool_get(void) { return malloc(4); }\n"
	"__attribute__((noinline)) void pool_put(void *p) { free(p); }\n"
	"__attribute__((noinline)) void *" LONG_NAME "(void) { return malloc(5); }\n"
	"__attribute__((noinline)) void *getdelim_(void) { return malloc(4); }\n"
	"int fclose(FILE *f) { return fflush(f); }\n"
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

/* What is found with these pairs in a process; *ret is filled if 0. */
static int look_for(struct target *t, const char *const *texts, size_t nr, struct pairs *p,
		    struct entries *ret, struct error *e)
{
	int r;

	*p = (struct pairs)PAIRS_INIT;
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(pairs_add(p, texts[i], e), 0);
	assert_int_equal(entries_find(t, ret, e), 0);
	r = pairs_find(t, p, ret, e);
	return r;
}

static void start(const char *build, struct inject_run *run, struct target **t)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	struct error e;

	inject_lab_write(&lab, "pool.c", source);
	assert_true(inject_lab_sh(&lab, "%s", build));
	assert_true(inject_run_start(&lab, "./pool", run));
	assert_int_equal(target_open_pid(run->pid, &live, t, &e), 0);
}

static void test_find(void **state)
{
	static const char *const texts[] = {"open=pool_get:close=pool_put@2",
					    "open=fopen:close=libc.so.6/fclose"};
	struct inject_run run;
	struct entries found;
	struct target *t;
	struct pairs p;
	struct error e;

	(void)state;
	start("gcc -O1 -rdynamic pool.c -o pool", &run, &t);
	assert_int_equal(look_for(t, texts, 2, &p, &found, &e), 0);
	assert_int_equal(find(&found, "pool_get")->addr, inject_run_address(&run, "pool_get"));
	assert_int_equal(find(&found, "pool_put")->addr, inject_run_address(&run, "pool_put"));
	assert_int_equal(find(&found, "fopen")->addr, inject_run_address(&run, "fopen"));
	assert_int_equal(find(&found, "pool_get")->function, INJECT_acquires);
	assert_int_equal(find(&found, "pool_put")->function, INJECT_releases);
	assert_int_equal(find(&found, "pool_put")->what, PLACE(2));
	assert_true(find(&found, "pool_get")->bytes_nr >= 5);
	assert_non_null(strstr(find(&found, "fclose")->module, "libc.so.6"));
	/* Memory is recorded as it is without them. */
	assert_non_null(find(&found, "malloc"));
	entries_release(&found);
	pairs_release(&p);
	target_close(t);
	inject_run_stop(&run);
}

static void test_refused(void **state)
{
	static const struct {
		const char *texts[2], *says;
		int err;
	} cases[] = {
		{{"open=pool_get:close=pool_lost"}, "has no function 'pool_lost'", -ENOENT},
		{{"open=libm.so/pool_get:close=pool_put"}, "in 'libm.so'", -ENOENT},
		{{"open=fopen:close=fclose"}, "in several modules", -EEXIST},
		{{"open=malloc:close=pool_put"}, "recorded already", -EEXIST},
		{{"open=pool_get:close=free"}, "recorded already", -EEXIST},
		{{"open=pool_get:close=pool_put", "open=getdelim_:close=pool_put"},
		 "recorded already",
		 -EEXIST},
	};
	struct inject_run run;
	struct entries found;
	struct target *t;
	struct pairs p;
	struct error e;

	(void)state;
	start("gcc -O1 -rdynamic pool.c -o pool", &run, &t);
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t nr = cases[i].texts[1] ? 2 : 1;

		assert_int_equal(look_for(t, cases[i].texts, nr, &p, &found, &e), cases[i].err);
		assert_int_equal(e.status, EXIT_TARGET);
		assert_non_null(strstr(e.message, cases[i].says));
		assert_true(*e.hint);
		entries_release(&found);
		pairs_release(&p);
	}
	target_close(t);
	inject_run_stop(&run);
}

/* In a program without symbol table, so that only its exports have it. */
static void test_long_name(void **state)
{
	static const char *const texts[] = {"open=" LONG_NAME ":close=pool_put"};
	struct inject_run run;
	struct entries found;
	struct target *t;
	struct pairs p;
	struct error e;

	(void)state;
	start("gcc -O1 -rdynamic -s pool.c -o pool", &run, &t);
	assert_int_equal(look_for(t, texts, 1, &p, &found, &e), 0);
	assert_int_equal(find(&found, LONG_NAME)->function, INJECT_acquires);
	entries_release(&found);
	pairs_release(&p);
	target_close(t);
	inject_run_stop(&run);
}

/* Where an exception could not pass through. */
static void test_static(void **state)
{
	static const char *const texts[] = {"open=pool_get:close=pool_put"};
	struct inject_run run;
	struct entries found;
	struct target *t;
	struct pairs p;
	struct error e;

	(void)state;
	start("gcc -O1 -static pool.c -o pool", &run, &t);
	assert_int_equal(look_for(t, texts, 1, &p, &found, &e), -ENOTSUP);
	assert_int_equal(e.status, EXIT_TARGET);
	assert_non_null(strstr(e.message, "glibc 2.35"));
	entries_release(&found);
	pairs_release(&p);
	target_close(t);
	inject_run_stop(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	  cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_find),	  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_name), cmocka_unit_test(test_static),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
