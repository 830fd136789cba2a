/*
 * Entry points of real processes. The truth is what each process says of itself: where dlsym(), or
 * the linker, has put its functions.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "inject/entries.h"
#include "inject/moved.h"
#include "target/target.h"

#include "entries_check.h"
#include "entries_view.h"
#include "inject_lab.h"

static struct inject_lab lab;

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"
#define C_NAMES "malloc calloc realloc free memalign aligned_alloc posix_memalign"

static const struct entry *entry_at(const struct entries *e, uint64_t addr)
{
	for (size_t i = 0; i < e->nr; i++) {
		if (e->items[i].addr == addr && !e->items[i].is_alias_of_earlier)
			return &e->items[i];
	}
	return NULL;
}

static bool has_name(const struct entries *e, const char *name)
{
	for (size_t i = 0; i < e->nr; i++) {
		if (!strcmp(e->items[i].name, name))
			return true;
	}
	return false;
}

/* Each name that the process found is listed, at its place, with its bytes, and can be moved. */
static void check_names(const struct view *v, const char *names)
{
	char *copy = mem_strdup(names), *rest = NULL;

	assert_int_equal(v->result, 0);
	for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		uint64_t addr = inject_run_address(&v->run, name);
		const struct entry *e = entry_at(&v->entries, addr);
		const char *why = "";
		struct moved m;

		if (!addr || !e)
			fail_msg("%s at %#llx is not listed", name, (unsigned long long)addr);
		assert_true(has_name(&v->entries, name));
		assert_true(e->bytes_nr >= 5);
		if (moved_make(e->bytes, e->bytes_nr, addr, addr + (1 << 26), 5, &m, &why))
			fail_msg("%s: %s", name, why);
	}
	free(copy);
}

static void check_allocator(const struct view *v, const char *name)
{
	assert_string_equal(v->entries.allocator, name);
	assert_int_equal(v->entries.allocator_addr, inject_run_address(&v->run, "malloc"));
	assert_string_equal(entry_at(&v->entries, v->entries.allocator_addr)->allocator, name);
}

static bool is_there(const char *command)
{
	char *test = mem_printf("command -v %s >/dev/null 2>&1", command);
	bool there = system(test) == 0;

	free(test);
	return there;
}

static int setup(void **state)
{
	(void)state;
	inject_lab_open(&lab);
	inject_lab_write(&lab, "sayer.c", inject_lab_sayer);
	inject_lab_write(&lab, "static.c", inject_lab_static_sayer);
	return inject_lab_sh(&lab, "gcc -fno-builtin sayer.c -o sayer -ldl") ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	inject_lab_close(&lab);
	return 0;
}

/* ---- each allocator ---- */

static void test_glibc(void **state)
{
	struct view v;

	(void)state;
	assert_true(view_open(&v, &lab,
			      "./sayer " C_NAMES " valloc pvalloc reallocarray dlclose "
			      "iconv_close _dl_find_object"));
	check_names(&v, C_NAMES " valloc pvalloc reallocarray dlclose iconv_close");
	check_allocator(&v, "glibc");
	check_list(&v.entries);
	assert_true(v.entries.has_loader);
	assert_int_equal(v.entries.dl_find_object, inject_run_address(&v.run, "_dl_find_object"));
	assert_true(v.entries.dl_debug_state && v.entries.r_debug && v.entries.vdso_clock_gettime);
	/* Nothing of ld.so: all of one library. */
	for (size_t i = 0; i < v.entries.nr; i++)
		assert_non_null(strstr(v.entries.items[i].module, "libc.so.6"));
	assert_int_equal(v.entries.nr_skipped, 0);
	view_close(&v);
}

static void test_preloaded_allocators(void **state)
{
	static const struct {
		const char *library, *allocator, *names;
	} all[] = {
		{"libjemalloc.so.2", "jemalloc",
		 C_NAMES " valloc mallocx rallocx xallocx dallocx sdallocx _Znwm _Znam _ZdlPv "
			 "_ZdaPvm _ZnwmSt11align_val_t _ZdlPvmSt11align_val_t"},
		{"libtcmalloc_minimal.so.4", "tcmalloc",
		 C_NAMES " pvalloc tc_malloc tc_free tc_new tc_delete tc_deletearray_sized "
			 "tc_memalign tc_malloc_skip_new_handler _Znwm _ZdaPv"},
		{"libmimalloc.so.2.0", "mimalloc",
		 C_NAMES " valloc pvalloc reallocarray mi_malloc mi_free mi_heap_malloc mi_calloc "
			 "mi_heap_realloc mi_malloc_aligned mi_zalloc mi_reallocf _Znwm _ZdlPv"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		char *path = mem_printf(LIBRARIES "%s", all[i].library), *command;
		struct view v;

		command = mem_printf("env LD_PRELOAD=%s ./sayer %s", path, all[i].names);
		if (access(path, R_OK) == 0) {
			assert_true(view_open(&v, &lab, command));
			check_names(&v, all[i].names);
			check_allocator(&v, all[i].allocator);
			check_list(&v.entries);
			/* libc's own are there still, and may be called. */
			assert_true(has_name(&v.entries, "iconv_close"));
			assert_true(v.entries.nr > 30);
			view_close(&v);
		} else {
			print_message("%s is not here\n", path);
		}
		free(command);
		free(path);
	}
}

static void check_static(const char *compile, const char *allocator)
{
	struct view v;

	if (!inject_lab_sh(&lab, "%s static.c -o static", compile)) {
		print_message("cannot: %s\n", compile);
		return;
	}
	assert_true(view_open(&v, &lab, "./static"));
	check_names(&v, "malloc calloc realloc free");
	check_allocator(&v, allocator);
	check_list(&v.entries);
	assert_false(v.entries.has_loader);
	view_close(&v);
}

static void test_static(void **state)
{
	(void)state;
	check_static("gcc -fno-builtin -static", "glibc");
	check_static("gcc -fno-builtin -fPIE -static-pie", "glibc");
	if (is_there("musl-gcc"))
		check_static("musl-gcc -fno-builtin -static", "musl");
}

static void test_musl(void **state)
{
	struct view v;

	(void)state;
	if (!is_there("musl-gcc") || !inject_lab_sh(&lab, "musl-gcc -fno-builtin sayer.c -o musl"))
		skip();
	assert_true(view_open(&v, &lab, "./musl " C_NAMES " valloc dlclose"));
	check_names(&v, C_NAMES " valloc dlclose");
	check_allocator(&v, "musl");
	assert_true(v.entries.has_loader);
	view_close(&v);
}

static void test_static_and_stripped(void **state)
{
	struct view v;

	(void)state;
	if (!inject_lab_sh(&lab, "gcc -static -s static.c -o stripped"))
		skip();
	assert_true(view_open(&v, &lab, "./stripped"));
	assert_int_equal(v.result, -ENOENT);
	assert_non_null(strstr(v.error.message, "its program is static and stripped"));
	assert_non_null(strstr(v.error.hint, "symbol table"));
	view_close(&v);
}

static void test_other_word_size(void **state)
{
	struct view v;

	(void)state;
	if (!inject_lab_sh(&lab, "gcc -m32 static.c -o narrow 2>/dev/null"))
		skip();
	assert_true(view_open(&v, &lab, "./narrow"));
	assert_int_equal(v.result, -ENOTSUP);
	assert_non_null(strstr(v.error.message, "is no 64-bit x86 program"));
	view_close(&v);
}

/* ---- programs that bring their own ---- */

/* jemalloc inside the program: known by what only it has. */
static void test_linked_in(void **state)
{
	struct view v;

	(void)state;
	if (access(LIBRARIES "libjemalloc_pic.a", R_OK) < 0 ||
	    !inject_lab_sh(&lab, "gcc -fno-builtin -rdynamic sayer.c -o linked " LIBRARIES
				 "libjemalloc_pic.a -lm -ldl -lpthread -lstdc++"))
		skip();
	assert_true(view_open(&v, &lab, "./linked " C_NAMES));
	check_names(&v, C_NAMES);
	check_allocator(&v, "jemalloc");
	assert_string_equal(v.entries.allocator_module, "");
	view_close(&v);
}

static const char prefixed[] =
	"typedef unsigned long size_t;\n"
	"#define V __attribute__((noinline, visibility(\"hidden\")))\n"
	"static char room[1 << 20]; static size_t used;\n"
	"V void *je_malloc(size_t n) { used += n + 16; return room + used; }\n"
	"V void *je_calloc(size_t n, size_t m) { return je_malloc(n * m); }\n"
	"V void *je_realloc(void *p, size_t n) { return p ? p : je_malloc(n); }\n"
	"V void je_free(void *p) { *(volatile char *)p = 0; used -= !used; }\n"
	"V void *je_mallocx(size_t n, int f) { return je_malloc(n + !f); }\n"
	"/* Not of that family, whatever they are called. */\n"
	"void *tc_new(int a, int b) { return room + a * b; }\n"
	"int mallocx(int a) { return a + 5 * (int)used; }\n"
	"long mi_free(long a) { return a * 77 + (long)used; }\n"
	"void _ZdlPv(void *p) { room[5] = p != 0; room[6]++; }\n"
	"static void *valloc(size_t n) { return room + n * 3 + used; }\n"
	"void *use(void) { je_free(je_realloc(je_calloc(3, 5), 7)); je_free(je_mallocx(4, 1));\n"
	"	return valloc(3); }\n";

static void test_prefixed_and_false_friends(void **state)
{
	struct view v;

	(void)state;
	inject_lab_write(&lab, "prefixed.c", prefixed);
	assert_true(inject_lab_sh(&lab, "gcc -O1 -w -fno-builtin -rdynamic sayer.c prefixed.c "
					"-o prefixed -ldl"));
	assert_true(view_open(&v, &lab, "./prefixed malloc free"));
	check_names(&v, "malloc free");
	check_allocator(&v, "glibc");
	assert_true(has_name(&v.entries, "je_malloc") && has_name(&v.entries, "je_mallocx") &&
		    has_name(&v.entries, "je_free"));
	assert_false(has_name(&v.entries, "tc_new") || has_name(&v.entries, "mallocx") ||
		     has_name(&v.entries, "mi_free") || has_name(&v.entries, "_ZdlPv"));
	for (size_t i = 0; i < v.entries.nr; i++) {
		const struct entry *e = &v.entries.items[i];

		if (!strncmp(e->name, "je_", 3)) {
			assert_string_equal(e->allocator, "jemalloc");
			assert_string_equal(e->module, "");
		} else {
			assert_non_null(strstr(e->module, "libc.so.6"));
		}
	}
	view_close(&v);
	/* Stripped, they cannot be known; libc's still can. */
	assert_true(inject_lab_sh(&lab, "strip prefixed"));
	assert_true(view_open(&v, &lab, "./prefixed malloc free"));
	check_names(&v, "malloc free");
	assert_false(has_name(&v.entries, "je_malloc"));
	view_close(&v);
}

static const char own_malloc[] =
	"#include <stddef.h>\n#include <string.h>\n"
	"static char room[1 << 24]; static size_t used;\n"
	"void *malloc(size_t n) { used += 16; void *p = room + used; used += (n + 15) & ~15ul;\n"
	"	return p; }\n"
	"void *calloc(size_t n, size_t m) { return memset(malloc(n * m), 0, n * m); }\n"
	"void *realloc(void *p, size_t n) { void *q = malloc(n); if (p) memcpy(q, p, n);\n"
	"	return q; }\n"
	"void free(void *p) { if (p) *(char *)p = 0; used += 0; }\n";

static void test_own_malloc(void **state)
{
	struct view v;

	(void)state;
	inject_lab_write(&lab, "own.c", own_malloc);
	assert_true(inject_lab_sh(&lab, "gcc -O1 -fno-builtin sayer.c own.c -o own -ldl"));
	assert_true(view_open(&v, &lab, "./own malloc calloc realloc free"));
	check_names(&v, "malloc calloc realloc free");
	check_allocator(&v, "unknown");
	assert_string_equal(v.entries.allocator_module, "");
	view_close(&v);
}

/* A library with an allocator for itself alone, which no other module can mean. */
static void test_hidden_in_library(void **state)
{
	struct view v;

	(void)state;
	inject_lab_write(&lab, "own.c", own_malloc);
	inject_lab_write(&lab, "user.c",
			 "#include <stdlib.h>\n#include <stdio.h>\n"
			 "__attribute__((visibility(\"default\"), constructor))\n"
			 "void say(void) { free(realloc(calloc(3, 4), 30));\n"
			 "printf(\"hidden %p\\n\", (void *)malloc); }\n");
	assert_true(inject_lab_sh(&lab,
				  "gcc -O1 -fno-builtin -fPIC -fvisibility=hidden -shared "
				  "own.c user.c -o libown.so && gcc -fno-builtin sayer.c -o "
				  "with-own ./libown.so -ldl -Wl,--no-as-needed ./libown.so"));
	assert_true(view_open(&v, &lab, "./with-own malloc free"));
	check_names(&v, "malloc free");
	check_allocator(&v, "glibc");
	assert_non_null(entry_at(&v.entries, inject_run_address(&v.run, "hidden")));
	view_close(&v);
}

/* Two C libraries in one process. */
static void test_second_namespace(void **state)
{
	static const char source[] =
		"#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdio.h>\n#include <unistd.h>\n"
		"int main(void)\n{\n	char c;\n"
		"	void *h = dlmopen(LM_ID_NEWLM, \"libc.so.6\", RTLD_NOW);\n"
		"	printf(\"malloc %p\\nother %p\\nready\\n\", dlsym(RTLD_DEFAULT, "
		"\"malloc\"), dlsym(h, \"malloc\"));\n"
		"	fflush(stdout);\n	return read(0, &c, 1) != 0;\n}\n";
	struct view v;

	(void)state;
	inject_lab_write(&lab, "two.c", source);
	assert_true(inject_lab_sh(&lab, "gcc two.c -o two -ldl"));
	assert_true(view_open(&v, &lab, "./two"));
	check_names(&v, "malloc");
	check_allocator(&v, "glibc");
	assert_true(inject_run_address(&v.run, "other") != 0);
	assert_int_not_equal(inject_run_address(&v.run, "other"), v.entries.allocator_addr);
	assert_non_null(entry_at(&v.entries, inject_run_address(&v.run, "other")));
	view_close(&v);
}

/* The file is gone, and another one has its name. */
static void test_replaced_file(void **state)
{
	struct view v;

	(void)state;
	if (!inject_lab_sh(&lab, "gcc -static static.c -o replaced"))
		skip();
	assert_true(inject_run_start(&lab, "./replaced", &v.run));
	assert_true(inject_lab_sh(&lab, "cp sayer new && mv new replaced"));
	v.entries = (struct entries)ENTRIES_INIT;
	assert_int_equal(target_open_pid(v.run.pid,
					 &(struct target_options){.wish = TARGET_WISH_LIVE},
					 &v.target, &v.error),
			 0);
	v.result = entries_find(v.target, &v.entries, &v.error);
	if (geteuid() == 0)
		check_names(&v, "malloc free");
	else /* the wrong file is not taken for it */
		assert_true(v.result == -ENOENT || !v.entries.nr_skipped);
	view_close(&v);
}

static void test_function_chosen_at_start(void **state)
{
	static const char source[] =
		"#include <stddef.h>\n"
		"void *malloc(size_t); void free(void *);\n"
		"static void one(void *p, size_t n) { (void)n; free(p); }\n"
		"static void *choose(void) { return (void *)one; }\n"
		"void free_sized(void *p, size_t n) __attribute__((ifunc(\"choose\")));\n";
	struct view v;

	(void)state;
	inject_lab_write(&lab, "own.c", own_malloc);
	inject_lab_write(&lab, "chosen.c", source);
	if (!inject_lab_sh(&lab, "gcc -O1 -w -fno-builtin -rdynamic sayer.c own.c chosen.c -o "
				 "chosen -ldl"))
		skip();
	assert_true(view_open(&v, &lab, "./chosen malloc free"));
	check_names(&v, "malloc free");
	assert_false(has_name(&v.entries, "free_sized"));
	assert_int_equal(v.entries.nr_skipped, 1);
	assert_string_equal(v.entries.skipped[0].name, "free_sized");
	view_close(&v);
}

/* ---- what it costs ---- */

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_many_modules(void **state)
{
	static const char source[] =
		"#include <dlfcn.h>\n#include <stdio.h>\n#include <unistd.h>\n"
		"int main(void)\n{\n	char c, name[64]; int nr = 0;\n"
		"	static const char *const large[] = {\n"
		"\"libcrypto.so.3\",\n\"libstdc++.so.6\","
		"		\"libglib-2.0.so.0\", \"libxml2.so.2\", \"libicuuc.so.72\"};\n"
		"	for (int i = 0; i < 5; i++)\n"
		"		nr += dlopen(large[i], RTLD_LAZY) != 0;\n"
		"	for (int i = 0; i < 50; i++) {\n"
		"		snprintf(name, sizeof(name), \"./libsmall%d.so\", i);\n"
		"		nr += dlopen(name, RTLD_LAZY) != 0;\n	}\n"
		"	printf(\"loaded 0x%x\\nready\\n\", nr);\n"
		"	fflush(stdout);\n	return read(0, &c, 1) != 0;\n}\n";
	struct view v;
	double before;

	(void)state;
	inject_lab_write(&lab, "many.c", source);
	assert_true(inject_lab_sh(&lab, "gcc many.c -o many -ldl && gcc -shared -fPIC own.c -o "
					"small.so && for i in $(seq 0 49); do cp small.so "
					"libsmall$i.so; done"));
	assert_true(view_open(&v, &lab, "./many"));
	assert_true(inject_run_address(&v.run, "loaded") >= 50);
	entries_release(&v.entries);
	before = cpu_ms();
	assert_int_equal(entries_find(v.target, &v.entries, &v.error), 0);
	print_message("%zu modules, %zu entries: %.1f ms\n", v.entries.modules_nr, v.entries.nr,
		      cpu_ms() - before);
	/* 50 ms for 50 modules, also under a sanitizer and on a busy machine. */
	assert_true(cpu_ms() - before < 50 + (double)v.entries.modules_nr);
	view_close(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glibc),
		cmocka_unit_test(test_preloaded_allocators),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_musl),
		cmocka_unit_test(test_static_and_stripped),
		cmocka_unit_test(test_other_word_size),
		cmocka_unit_test(test_linked_in),
		cmocka_unit_test(test_prefixed_and_false_friends),
		cmocka_unit_test(test_own_malloc),
		cmocka_unit_test(test_hidden_in_library),
		cmocka_unit_test(test_second_namespace),
		cmocka_unit_test(test_replaced_file),
		cmocka_unit_test(test_function_chosen_at_start),
		cmocka_unit_test(test_many_modules),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
