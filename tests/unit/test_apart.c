/*
 * Do malloc and free of a library keep apart from its other functions? The truth is how each was
 * written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "inject/entries.h"

#include "entries_view.h"
#include "inject_lab.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MIMALLOC "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0"

static struct inject_lab lab;

/* An allocator that never frees. MALLOC and FREE are what the two do before. */
static const char library[] =
	"#define _GNU_SOURCE\n#include <dlfcn.h>\n"
	"#include <stddef.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
	"#define OWN __attribute__((noinline, noipa))\n"
	"#define OPEN __attribute__((visibility(\"default\"))) OWN\n"
	"void *memalign(size_t, size_t);\n"
	"static char room[1 << 24]; static size_t used;\n"
	"static volatile size_t never; void *(*volatile callback)(size_t); volatile int way;\n"
	"OWN static void *take(size_t n)\n"
	"{ char *p = room + used; used += (n + 31) & ~(size_t)15; return p; }\n"
	"OPEN void *memalign(size_t a, size_t n) { return take(n + a); }\n"
	"OPEN void *calloc(size_t a, size_t n) { return take(a * n); }\n"
	"OPEN void *realloc(void *p, size_t n)\n"
	"{ void *q = take(n); return memcpy(q, p ? p : q, n); }\n"
	"OPEN void helper(size_t n) { used += n; }\n"
	"__attribute__((used)) OWN static void *by_memalign(size_t n) { return memalign(16, n); }\n"
	"static void *(*volatile next)(size_t); static void (*volatile next_free)(void *);\n"
	"__attribute__((constructor)) static void find_next(void)\n"
	"{ next = dlsym(RTLD_NEXT, \"malloc\"); next_free = dlsym(RTLD_NEXT, \"free\"); }\n"
	/* `over` goes on to a page that has become another mapping. */
	"#ifdef SPLIT\n#include <sys/mman.h>\n"
	"__attribute__((visibility(\"hidden\"))) void *over(size_t);\n"
	"__asm__(\".section .text.split, \\\"ax\\\"\\n.globl over\\n.hidden over\\n\"\n"
	"\".p2align 12\\n\"\n"
	"\".skip 4090, 0x90\\nover: .skip 6, 0x90\\njmp by_memalign\\n.p2align 12\\n.text\");\n"
	"__attribute__((constructor)) static void split(void)\n"
	"{ mprotect((char *)over + 6, 4096, PROT_READ | PROT_WRITE | PROT_EXEC); }\n#endif\n"
	"OPEN void *malloc(size_t n) { if (never) { MALLOC; } return take(n); }\n"
	"OPEN void free(void *p) { if (never) { FREE; } used += 16 * !p; }\n";

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	inject_lab_write(&lab, "sayer.c", inject_lab_sayer);
	inject_lab_write(&lab, "library.c", library);
	return inject_lab_sh(&lab, "gcc -fno-builtin sayer.c -o sayer -ldl") ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

/* Of a function of the module that the program's malloc is of. */
static bool is_apart(const struct entries *e, const char *name)
{
	for (size_t i = 0; i < e->nr; i++)
		if (!strcmp(e->items[i].name, name) &&
		    !strcmp(e->items[i].module, e->allocator_module))
			return e->items[i].is_apart;
	fail_msg("%s is not listed", name);
	return false;
}

static void build(const char *of_malloc, const char *of_free, const char *options, const char *name)
{
	if (!inject_lab_sh(&lab,
			   "gcc -O2 -w -fPIC -shared -fno-builtin -fvisibility=hidden %s "
			   "'-DMALLOC=%s' '-DFREE=%s' library.c -o %s -ldl",
			   options, of_malloc, of_free, name))
		fail_msg("it cannot be built: %s, %s", of_malloc, of_free);
}

static void check(const char *of_malloc, const char *of_free, const char *options, bool malloc_is,
		  bool free_is)
{
	struct view v;

	build(of_malloc, of_free, options, "libmimalloc-like.so");
	assert_true(
		view_open(&v, &lab, "env LD_PRELOAD=./libmimalloc-like.so ./sayer malloc free"));
	assert_int_equal(v.result, 0);
	assert_int_equal(v.entries.allocator_addr, inject_run_address(&v.run, "malloc"));
	if (is_apart(&v.entries, "malloc") != malloc_is)
		fail_msg("malloc with %s (%s): in truth it is %sapart", of_malloc, options,
			 malloc_is ? "" : "not ");
	if (is_apart(&v.entries, "free") != free_is)
		fail_msg("free with %s (%s): in truth it is %sapart", of_free, options,
			 free_is ? "" : "not ");
	view_close(&v);
}

static void test_ways(void **state)
{
	static const char bound[] = "-Wl,-z,now", lazy[] = "-Wl,-z,lazy", direct[] = "-fno-plt",
			  within[] = "-Wl,-Bsymbolic,-z,now -fno-semantic-interposition",
			  split[] = "-Wl,-z,now -DSPLIT";
	static const struct {
		const char *of_malloc, *of_free, *options;
		bool malloc_is, free_is;
	} all[] = {
		{"", "", bound, true, true},
		{"", "", lazy, true, true},
		{"getpid()", "getpid()", bound, true, true},
		{"helper(n)", "helper(1)", bound, true, true},
		{"helper(n)", "helper(1)", direct, true, true},
		{"helper(n)", "helper(1)", within, true, true},
		/* Where a stub leads is known only once it has been called. */
		{"helper(n)", "helper(1)", lazy, false, false},
		/* The other's blocks are others. */
		{"free(room)", "malloc(5)", bound, true, true},
		{"free(room)", "memalign(5, 6)", within, true, true},
		/* The same block, or it cannot be told. */
		{"return memalign(16, n)", "realloc(p, 0)", bound, false, false},
		{"return memalign(16, n)", "realloc(p, 0)", direct, false, false},
		{"return memalign(16, n)", "realloc(p, 0)", within, false, false},
		{"void *p = malloc(n + 1); helper(n); return p", "free(room + 16); helper(1)",
		 bound, false, false},
		{"return realloc(0, n)", "", bound, false, true},
		{"return by_memalign(n)", "", bound, false, true},
		{"callback = by_memalign; return callback(n)", "", bound, false, true},
		{"callback = malloc; return callback(n)", "", direct, false, true},
		/* Code that is not looked at. */
		{"", "", split, true, true},
		{"return over(n)", "", split, false, true},
		/* Another allocator's. */
		{"return next(n)", "next_free(p)", bound, false, false},
		{"return next(n)", "next_free(p)", direct, false, false},
		{"void *p = next(n); helper(2); return p", "next_free(p); helper(2)", bound, false,
		 false},
		{"abort()", "abort()", bound, true, true},
		/* One case of many. */
		{"switch (way) { case 1: return memalign(1, n); case 2: helper(2); break; case 3: "
		 "used += 9; break; case 4: helper(5); used--; break; case 5: used *= 7; break; "
		 "case 6: helper(n); }",
		 "", bound, false, true},
		{"goto *(const void *[]){&&a, &&b, &&c}[way]; a: return memalign(1, n); b: "
		 "helper(2); c: used--",
		 "", bound, false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		check(all[i].of_malloc, all[i].of_free, all[i].options, all[i].malloc_is,
		      all[i].free_is);
}

/* Its malloc may be another's, by ways that are not followed. */
static void test_unknown(void **state)
{
	struct view v;

	(void)state;
	build("", "", "-Wl,-z,now", "libother.so");
	assert_true(view_open(&v, &lab, "env LD_PRELOAD=./libother.so ./sayer malloc free"));
	assert_int_equal(v.entries.allocator_addr, inject_run_address(&v.run, "malloc"));
	assert_false(is_apart(&v.entries, "malloc"));
	assert_false(is_apart(&v.entries, "free"));
	view_close(&v);
}

static void test_mimalloc(void **state)
{
	struct view v;

	(void)state;
	if (access(MIMALLOC, R_OK) < 0)
		skip();
	assert_true(view_open(&v, &lab, "env LD_PRELOAD=" MIMALLOC " ./sayer malloc free"));
	assert_true(is_apart(&v.entries, "malloc"));
	assert_true(is_apart(&v.entries, "free"));
	assert_true(is_apart(&v.entries, "mi_malloc"));
	assert_true(is_apart(&v.entries, "mi_free"));
	view_close(&v);
}

/* What is part of a program may know its callers. */
static void test_program(void **state)
{
	struct view v;

	(void)state;
	assert_true(inject_lab_sh(&lab, "gcc -O2 -fno-builtin -rdynamic -DMALLOC= -DFREE= sayer.c "
					"library.c -o own -ldl"));
	assert_true(view_open(&v, &lab, "./own malloc free"));
	assert_string_equal(v.entries.allocator_module, "");
	assert_false(is_apart(&v.entries, "malloc"));
	assert_false(is_apart(&v.entries, "free"));
	view_close(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_mimalloc),
		cmocka_unit_test(test_program),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
