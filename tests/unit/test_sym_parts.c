/* The parts of the symbolizer that need no ELF file: ranges, names, demangling, checksum, perf
 * maps. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "sym/crc.h"
#include "sym/demangle.h"
#include "sym/names.h"
#include "sym/ranges.h"
#include "sym_lab.h"

static void test_ranges_nested(void **state)
{
	struct ranges r = {0};

	(void)state;
	ranges_add(&r, 100, 200, 0, 1);
	ranges_add(&r, 120, 150, 1, 2);
	ranges_add(&r, 130, 140, 2, 3);
	ranges_add(&r, 300, 300, 9, 4);
	ranges_add(&r, 400, 350, 9, 5);
	ranges_flatten(&r);
	assert_null(ranges_find(&r, 99));
	assert_int_equal(ranges_find(&r, 100)->id, 1);
	assert_int_equal(ranges_find(&r, 120)->id, 2);
	assert_int_equal(ranges_find(&r, 135)->id, 3);
	assert_int_equal(ranges_find(&r, 140)->id, 2);
	assert_int_equal(ranges_find(&r, 150)->id, 1);
	assert_int_equal(ranges_find(&r, 199)->id, 1);
	assert_null(ranges_find(&r, 200));
	assert_null(ranges_find(&r, 300));
	assert_null(ranges_find(&r, 360));
	ranges_release(&r);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* The winner by looking at all ranges, as ranges.h describes it. */
static uint32_t slow_find(const struct range *all, size_t nr, uint64_t addr)
{
	const struct range *best = NULL;
	size_t i;

	for (i = 0; i < nr; i++) {
		const struct range *r = &all[i];

		if (addr < r->lo || addr >= r->hi)
			continue;
		if (!best || r->weight > best->weight ||
		    (r->weight == best->weight && r->hi - r->lo <= best->hi - best->lo))
			best = r;
	}
	return best ? best->id : UINT32_MAX;
}

static void test_ranges_random(void **state)
{
	uint32_t seed = 7, round, i, addr;

	(void)state;
	for (round = 0; round < 200; round++) {
		struct range all[60];
		struct ranges r = {0};
		size_t nr = next_random(&seed) % 60;

		for (i = 0; i < nr; i++) {
			uint64_t lo = next_random(&seed) % 250;

			all[i] = (struct range){.lo = lo, .id = i};
			all[i].hi = lo + 1 + next_random(&seed) % 60;
			all[i].weight = next_random(&seed) % 4;
			ranges_add(&r, all[i].lo, all[i].hi, all[i].weight, i);
		}
		ranges_flatten(&r);
		for (addr = 0; addr < 320; addr++) {
			const struct range *found = ranges_find(&r, addr);

			assert_int_equal(found ? found->id : UINT32_MAX, slow_find(all, nr, addr));
		}
		ranges_release(&r);
	}
}

static void test_names(void **state)
{
	struct names n;
	const char *a;
	char text[32];
	int i;

	(void)state;
	names_init(&n);
	a = names_add(&n, "malloc");
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "name%d", i);
		names_add(&n, text);
	}
	assert_ptr_equal(names_add(&n, "malloc"), a);
	assert_string_equal(a, "malloc");
	assert_string_equal(names_add(&n, NULL), "");
	assert_string_equal(names_add(&n, ""), "");
	names_release(&n);
}

static void test_paths(void **state)
{
	static const struct {
		const char *folder, *path, *want;
	} cases[] = {
		{"/build/obj", "../src/a.c", "/build/src/a.c"},
		{"/build", "/usr/include/stdio.h", "/usr/include/stdio.h"},
		{"/build", "./x//y/./z.c", "/build/x/y/z.c"},
		{"/", "a.c", "/a.c"},
		{"/a", "../../../b.c", "/../../b.c"},
		{NULL, "a.c", "a.c"},
		{NULL, "../a.c", "../a.c"},
		{"./malloc", "arena.c", "malloc/arena.c"},
		{"", "..", ".."},
		{"/x", "", ""},
		{"/x", NULL, ""},
	};
	struct names n;
	size_t i;

	(void)state;
	names_init(&n);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(names_add_path(&n, cases[i].folder, cases[i].path),
				    cases[i].want);
	names_release(&n);
}

static void test_demangle(void **state)
{
	static const struct {
		const char *mangled, *want;
	} cases[] = {
		{"malloc", "malloc"},
		{"_start", "_start"},
		{"_Z", "_Z"},
		{"_Rubbish", "_Rubbish"},
		{"_Define", "_Define"},
		{"_ZN3FooC4Ev", "Foo::Foo()"},
		{"_ZNSt6vectorIiSaIiEE9push_backEOi",
		 "std::vector<int, std::allocator<int> >::push_back(int&&)"},
		{"_ZL3barv.constprop.0", "bar() [clone .constprop.0]"},
		{"_ZdlPvm", "operator delete(void*, unsigned long)"},
		/* Rust, legacy: the hash goes away. */
		{"_ZN4core3fmt9Formatter3pad17h1234567890abcdefE", "core::fmt::Formatter::pad"},
		{"_ZN60_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..Drop$GT$4drop"
		 "17h0123456789abcdefE",
		 "<alloc::vec::Vec<T> as core::ops::Drop>::drop"},
		/* Rust, v0. */
		{"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
		{"_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate",
		 "<std::path::PathBuf>::new"},
		/* D. */
		{"_D3std5stdio7writelnFZv", "std.stdio.writeln()"},
		{"_Dmain", "D main"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str s = STR_INIT;

		demangle(cases[i].mangled, &s);
		assert_string_equal(s.data, cases[i].want);
		str_release(&s);
	}
}

/* f(p<…>) whose argument doubles at every step: `steps` of them stand for 2^steps names. */
static char *doubling_name(int steps)
{
	struct str s = STR_INIT;
	int i;

	str_add(&s, "_Z1fI1ivE");
	str_release(&s);
	s = (struct str)STR_INIT;
	str_add(&s, "_Z1f1pI1aS0_E");
	for (i = 1; i < steps; i++) {
		int id = i; /* S0_ is a, S1_ is p<a, a>, … */

		str_printf(&s, "S_IS%c_S%c_E", id < 10 ? '0' + id : 'A' + id - 10,
			   id < 10 ? '0' + id : 'A' + id - 10);
	}
	return str_detach(&s);
}

static void test_demangle_bomb(void **state)
{
	struct str s = STR_INIT;
	char *name;

	(void)state;
	/* The construction is right: a few steps do grow … */
	name = doubling_name(6);
	demangle(name, &s);
	assert_true(strncmp(s.data, "f(p<a, a>, p<p<a, a>, p<a, a> >", 31) == 0);
	assert_true(s.len > 2 * strlen(name));
	free(name);
	/* … and many give the name itself, at once. */
	str_clear(&s);
	str_add(&s, "before ");
	name = doubling_name(34);
	demangle(name, &s);
	assert_memory_equal(s.data, "before _Z1f", 11);
	assert_int_equal(s.len, 7 + strlen(name));
	free(name);
	str_release(&s);
}

static int write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

static void test_crc(void **state)
{
	struct lab l;
	char *path;
	int fd;

	(void)state;
	lab_open(&l);
	path = lab_path(&l, "check");
	/* The check value that CRC catalogues print for this polynomial. */
	fd = write_file(path, "123456789", 9);
	assert_true(crc_of_file_is(fd, 0xcbf43926));
	assert_false(crc_of_file_is(fd, 0xcbf43927));
	close(fd);
	fd = write_file(path, "The quick brown fox jumps over the lazy dog", 43);
	assert_true(crc_of_file_is(fd, 0x414fa339));
	close(fd);
	free(path);
	lab_close(&l);
}

static void expect_jit(struct sym *s, uint64_t addr, const char *name, uint32_t offset)
{
	const struct sym_frame *f;

	if (!name) {
		assert_int_equal(sym_resolve(s, -1, addr, &f), 0);
		return;
	}
	assert_int_equal(sym_resolve(s, -1, addr, &f), 1);
	assert_string_equal(f->function, name);
	assert_int_equal(f->offset, offset);
}

static void test_perf_map(void **state)
{
	static const char text[] = "7f0000001000 100 LazyCompile:~add app.js:3\n"
				   "0x7f0000001100 0x80 _ZN3FooC4Ev\n"
				   "not a line\n"
				   "7f0000001200 zz broken\n"
				   "7f0000001180 40 old\n"
				   "7f0000001170 60 new\n" /* memory used again */
				   "7f0000001300 40 cut";
	struct sym_options o = {.pid = 4242, .namespace_pid = 17};
	struct sym *s;
	const char *why;
	struct lab l;
	char *path;

	(void)state;
	lab_open(&l);
	assert_int_equal(lab_sh(&l, "mkdir tmp"), 0);
	path = lab_path(&l, "tmp/perf-17.map");
	close(write_file(path, text, sizeof(text) - 1));
	o.root = l.dir;
	s = sym_new(&o);
	expect_jit(s, 0x7f0000001000, "LazyCompile:~add app.js:3", 0);
	expect_jit(s, 0x7f00000010ff, "LazyCompile:~add app.js:3", 0xff);
	expect_jit(s, 0x7f0000001101, "Foo::Foo()", 1);
	expect_jit(s, 0x7f0000001185, "new", 0x15);
	expect_jit(s, 0x7f00000011d0, NULL, 0);
	expect_jit(s, 0x7f0000001200, NULL, 0);
	expect_jit(s, 0x7f0000001300, NULL, 0);
	assert_int_equal(sym_module_source(s, -1, &why), SYM_PERF_MAP);
	sym_free(s);

	/* A map that anybody may have written is not believed, nor one behind a link. */
	assert_int_equal(chmod(path, 0666), 0);
	s = sym_new(&o);
	expect_jit(s, 0x7f0000001000, NULL, 0);
	assert_int_equal(sym_module_source(s, -1, &why), SYM_NONE);
	assert_true(*why != '\0');
	sym_free(s);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(lab_sh(&l, "mv tmp/perf-17.map tmp/real && ln -s real tmp/perf-17.map"),
			 0);
	s = sym_new(&o);
	expect_jit(s, 0x7f0000001000, NULL, 0);
	sym_free(s);
	free(path);
	lab_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_nested), cmocka_unit_test(test_ranges_random),
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_paths),
		cmocka_unit_test(test_demangle),      cmocka_unit_test(test_demangle_bomb),
		cmocka_unit_test(test_crc),	      cmocka_unit_test(test_perf_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
