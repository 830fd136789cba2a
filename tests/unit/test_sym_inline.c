/* Functions, lines and inlined calls, from what each compiler and each form of DWARF writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sym_lab.h"

#define C_SOURCE "sym_inline.c"
#define CXX_SOURCE "sym_shop.cpp"

static const struct lab_frame cell_chain[] = {
	{"make_cell", "cell"},
	{"make_row", "row"},
	{"make_table", "table"},
	{NULL, NULL},
};

static int set_up(void **state)
{
	struct lab *l = mem_alloc(sizeof(*l));

	lab_open(l);
	*state = l;
	return 0;
}

static int tear_down(void **state)
{
	lab_close(*state);
	free(*state);
	return 0;
}

static void c_chain(void **state, const char *compiler, const char *flags)
{
	char *build = mem_printf("%s %s $VICTIMS/" C_SOURCE " -o prog", compiler, flags);

	if (!lab_has(compiler))
		skip();
	lab_expect_build(*state, build, "cell", C_SOURCE, cell_chain);
	free(build);
}

static void test_gcc_dwarf5(void **state)
{
	c_chain(state, "gcc", "-O2 -gdwarf-5");
}

static void test_gcc_dwarf4_compressed(void **state)
{
	c_chain(state, "gcc", "-O2 -gdwarf-4 -gz");
}

static void test_gcc_split(void **state)
{
	c_chain(state, "gcc", "-O2 -gdwarf-5 -gsplit-dwarf");
}

static void test_gcc_no_pie(void **state)
{
	c_chain(state, "gcc", "-O1 -g -no-pie -fno-pie");
}

static void test_gcc_sections(void **state)
{
	c_chain(state, "gcc", "-O2 -g -ffunction-sections -Wl,--gc-sections");
}

static void test_clang_dwarf5(void **state)
{
	struct lab *l = *state;
	char *sections;

	c_chain(state, "clang", "-O2 -gdwarf-5");
	/* What makes clang's files different: the index that dwarf_addrdie() needs is not for them.
	 */
	sections = lab_output(l, "clang -O2 -gdwarf-5 -c $VICTIMS/" C_SOURCE
				 " -o prog.o && readelf -SW prog.o");
	assert_non_null(sections);
	assert_null(strstr(sections, ".debug_aranges"));
	free(sections);
}

static void test_clang_split4(void **state)
{
	c_chain(state, "clang", "-O2 -gdwarf-4 -gsplit-dwarf");
}

static void test_relative_source(void **state)
{
	struct lab *l = *state;

	/* The file is named relative to the folder of the compilation, with detours. */
	assert_int_equal(lab_sh(l, "mkdir -p a/b && cp $VICTIMS/" C_SOURCE " . && cd a/b && "
				   "gcc -O2 -g ../.././a/../" C_SOURCE " -o ../../prog"),
			 0);
	{
		struct sym_options o = {.no_debuginfod = true};
		struct sym *s = sym_new(&o);
		const struct sym_frame *f;
		struct lab_module m;
		char *wanted = lab_path(l, C_SOURCE);

		lab_module_init(&m, l, "prog", 0);
		assert_int_equal(sym_resolve(s, sym_add_module(s, &m.is),
					     lab_note(l, "prog", "main") - 1, &f),
				 1);
		assert_string_equal(f[0].file, wanted);
		assert_int_equal(f[0].line, lab_mark(C_SOURCE, "main-note"));
		free(wanted);
		lab_module_release(&m);
		sym_free(s);
	}
}

/* Without inlined functions the real one is named, with its own line, not the line inlined into it.
 */
static void test_no_inlines(void **state)
{
	struct sym_options o = {.no_debuginfod = true, .no_inlines = true};
	static const struct lab_frame only[] = {{"make_table", "table"}, {NULL, NULL}};
	struct lab *l = *state;
	struct lab_module m;
	struct sym *s = sym_new(&o);

	assert_int_equal(lab_sh(l, "gcc -O2 -g $VICTIMS/" C_SOURCE " -o prog"), 0);
	lab_module_init(&m, l, "prog", 0);
	lab_expect(s, sym_add_module(s, &m.is), lab_note(l, "prog", "cell"), C_SOURCE, only);
	lab_module_release(&m);
	sym_free(s);
}

static void test_offset_and_cache(void **state)
{
	struct sym_options o = {.no_debuginfod = true};
	const struct sym_frame *f, *again;
	struct lab *l = *state;
	struct lab_module m;
	struct sym *s = sym_new(&o);
	uint64_t start, pc;
	char *nm;
	int h;

	assert_int_equal(lab_sh(l, "gcc -O2 -g $VICTIMS/" C_SOURCE " -o prog"), 0);
	nm = lab_output(l, "nm prog | sed -n 's/ T make_table$//p'");
	assert_non_null(nm);
	start = strtoull(nm, NULL, 16);
	assert_int_not_equal(start, 0);
	lab_module_init(&m, l, "prog", 0x7f0000000000);
	h = sym_add_module(s, &m.is);
	pc = lab_note(l, "prog", "cell") - 1 + 0x7f0000000000;
	assert_int_equal(sym_resolve(s, h, pc, &f), 3);
	assert_int_equal(f[2].offset, pc - 0x7f0000000000 - start);
	assert_int_equal(sym_resolve(s, h, pc, &again), 3);
	assert_ptr_equal(f, again);
	/* Outside of the file there is nothing. */
	assert_int_equal(sym_resolve(s, h, 0x1234, &f), 0);
	assert_int_equal(sym_resolve(s, h, UINT64_MAX, &f), 0);
	assert_int_equal(sym_resolve(s, 99, pc, &f), 0);
	free(nm);
	lab_module_release(&m);
	sym_free(s);
}

static void cxx(void **state, const char *compiler)
{
	static const struct lab_frame item[] = {
		{"shop::Item::Item(char const*, int)", "item"},
		{"shop::stock(shop::Shelf<double>&)", "stock"},
		{NULL, NULL},
	};
	static const struct lab_frame put[] = {
		{"shop::Shelf<double>::put(std::__cxx11::basic_string<char, "
		 "std::char_traits<char>, std::allocator<char> > const&, double const&)",
		 "put"},
		{NULL, NULL},
	};
	char *build;

	if (!lab_has(compiler))
		skip();
	build = mem_printf("%s -std=gnu++17 -O2 -g $VICTIMS/" CXX_SOURCE " -o prog", compiler);
	lab_expect_build(*state, build, "item", CXX_SOURCE, item);
	lab_expect_build(*state, "true", "put", CXX_SOURCE, put);
	free(build);
}

static void test_gxx(void **state)
{
	cxx(state, "g++");
}

static void test_clangxx(void **state)
{
	cxx(state, "clang++");
}

static void test_rust(void **state)
{
	static const struct lab_frame chain[] = {
		{"<sym_rust::Basket>::add", "add"},
		{"sym_rust::fill", "fill"},
		{NULL, NULL},
	};

	if (!lab_has("rustc"))
		skip();
	lab_expect_build(*state,
			 "rustc -O -g -C symbol-mangling-version=v0 "
			 "-C force-frame-pointers=yes $VICTIMS/sym_rust.rs -o prog",
			 "add", "sym_rust.rs", chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gcc_dwarf5),   cmocka_unit_test(test_gcc_dwarf4_compressed),
		cmocka_unit_test(test_gcc_split),    cmocka_unit_test(test_gcc_no_pie),
		cmocka_unit_test(test_gcc_sections), cmocka_unit_test(test_clang_dwarf5),
		cmocka_unit_test(test_clang_split4), cmocka_unit_test(test_relative_source),
		cmocka_unit_test(test_no_inlines),   cmocka_unit_test(test_offset_and_cache),
		cmocka_unit_test(test_gxx),	     cmocka_unit_test(test_clangxx),
		cmocka_unit_test(test_rust),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
