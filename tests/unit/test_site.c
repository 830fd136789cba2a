/* Which line of a stack is blamed, and what is folded away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/make_snapshot.h"
#include "base/str.h"
#include "model/lines.h"
#include "model/site.h"

/* The program, the C library, libstdc++, and seep's recorder, with one frame of each kind. */
struct world {
	struct snapshot s;
	uint32_t prog, libc, cxx, rec;
};

static void world_init(struct world *w)
{
	make_begin(&w->s, 10);
	w->prog = make_module(&w->s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 0xaa);
	w->libc = make_module(&w->s, "/usr/lib/libc.so.6", 0x7f0000000000,
			      MODULE_SYSTEM | MODULE_ALLOCATOR, 0xbb);
	w->cxx = make_module(&w->s, "/usr/lib/libstdc++.so.6", 0x7f1000000000, MODULE_SYSTEM, 0xcc);
	w->rec = make_module(&w->s, "/usr/lib/seep/libseep-rec.so", 0x7f2000000000, MODULE_RECORDER,
			     0xdd);
}

static uint32_t named(struct world *w, uint32_t module, uint64_t offset, const char *function,
		      const char *file, uint32_t line)
{
	uint32_t frame = make_frame(&w->s, module, offset);

	make_name(&w->s, function, file, line, 0x10);
	return frame;
}

static void take(struct world *w, struct lines *l, const uint32_t *frames, size_t nr,
		 const struct wrapper_names *wrappers)
{
	lines_init(l);
	lines_of_stack(l, &w->s, make_chain(&w->s, frames, nr), wrappers);
	assert_int_equal(snapshot_check(&w->s, NULL), 0);
}

static void test_allocator_and_startup_are_folded(void **state)
{
	struct world w;
	struct lines l;
	struct site site;

	(void)state;
	world_init(&w);
	const uint32_t frames[] = {
		named(&w, w.rec, 0x10, "hook_malloc", "", 0),
		named(&w, w.libc, 0x100, "malloc", "", 0),
		named(&w, w.cxx, 0x200, "operator new(unsigned long)", "", 0),
		named(&w, w.prog, 0x1000, "make_thing", "src/thing.cc", 7),
		named(&w, w.prog, 0x2000, "main", "src/main.cc", 20),
		make_frame(&w.s, w.libc, 0x300),
		named(&w, w.libc, 0x310, "__libc_start_main@@GLIBC_2.34", "", 0),
		named(&w, w.prog, 0x3000, "_start", "", 0),
	};

	take(&w, &l, frames, 8, NULL);
	assert_int_equal(l.nr, 8);
	assert_int_equal(l.inner, 3);
	assert_int_equal(l.outer, 5);
	site = site_of(&l);
	assert_int_equal(site.inner, 3);
	assert_int_equal(site.lead, 3);
	assert_int_equal(site.host, 3);
	assert_string_equal(l.items[3].function, "make_thing");
	assert_int_equal(l.items[3].module_offset, 0x1000);
	assert_int_equal(l.items[3].address, 0x401000);
	assert_int_equal(l.items[0].kind, LINE_RECORDER);
	assert_int_equal(l.items[5].kind, LINE_LIBRARY);
	lines_release(&l);
	snapshot_release(&w.s);
}

static void test_own_code_is_put_forward(void **state)
{
	struct world w;
	struct lines l;
	struct site site;

	(void)state;
	world_init(&w);
	const uint32_t frames[] = {
		named(&w, w.libc, 0x100, "malloc", "", 0),
		named(&w, w.libc, 0x110, "strdup", "", 0),
		named(&w, w.prog, 0x1000, "std::string::assign", "/usr/include/c++/12/string.h", 3),
		named(&w, w.prog, 0x2000, "config_set", "config.c", 42),
	};

	take(&w, &l, frames, 4, NULL);
	site = site_of(&l);
	assert_string_equal(l.items[site.inner].function, "strdup");
	assert_string_equal(l.items[site.lead].function, "config_set");
	lines_release(&l);
	snapshot_release(&w.s);
}

static void test_inlined_function_keeps_its_host(void **state)
{
	struct world w;
	struct lines l;
	struct site site;
	struct str key = STR_INIT;

	(void)state;
	world_init(&w);
	uint32_t inlined = make_frame(&w.s, w.prog, 0x1000);

	make_name(&w.s, "cpu_info_new", "cpu_info.c", 31, 0);
	make_name(&w.s, "collect", "worker.c", 99, 0);
	make_name(&w.s, "worker_turn", "worker.c", 150, 0x3c);
	take(&w, &l, &inlined, 1, NULL);
	assert_int_equal(l.nr, 3);
	site = site_of(&l);
	assert_int_equal(site.lead, 0);
	assert_int_equal(site.host, 1);
	assert_true(l.items[0].inlined && l.items[1].inlined && !l.items[2].inlined);
	assert_int_equal(l.items[0].function_offset, 0);
	assert_int_equal(l.items[2].function_offset, 0x3c);
	site_key(&l, &site, &key);
	assert_string_equal(key.data,
			    "/opt/meter/bin/meter\ncpu_info_new\ncpu_info.c\n31\ncollect\n99");
	str_release(&key);
	lines_release(&l);
	snapshot_release(&w.s);
}

static void test_wrappers_are_folded_on_request(void **state)
{
	static const char *const patterns[] = {"pool_*"};
	const struct wrapper_names wrappers = {.patterns = patterns, .nr = 1};
	struct world w;
	struct lines l;

	(void)state;
	world_init(&w);
	const uint32_t frames[] = {
		named(&w, w.libc, 0x100, "malloc", "", 0),
		named(&w, w.prog, 0x1000, "pool_get", "pool.c", 5),
		named(&w, w.prog, 0x2000, "parse", "parse.c", 6),
	};

	take(&w, &l, frames, 3, NULL);
	assert_string_equal(l.items[site_of(&l).lead].function, "pool_get");
	lines_release(&l);
	take(&w, &l, frames, 3, &wrappers);
	assert_string_equal(l.items[site_of(&l).lead].function, "parse");
	lines_release(&l);
	snapshot_release(&w.s);
}

static void test_marks_and_nameless_stacks(void **state)
{
	struct world w;
	struct lines l;
	uint32_t node;

	(void)state;
	world_init(&w);
	lines_init(&l);
	lines_of_stack(&l, &w.s, 0, NULL);
	assert_int_equal(l.nr, 1);
	assert_int_equal(l.items[0].kind, LINE_MARK);
	assert_int_equal(l.items[0].special, FRAME_UNKNOWN_STACK);

	/* Only the allocator: its outermost call is all there is. */
	node = make_node(&w.s, 0, NO_INDEX, FRAME_CUT);
	node = make_node(&w.s, node, named(&w, w.libc, 0x100, "calloc", "", 0), FRAME_NONE);
	lines_of_stack(&l, &w.s, node, NULL);
	assert_int_equal(l.nr, 2);
	assert_int_equal(l.items[1].special, FRAME_CUT);
	assert_int_equal(l.inner, 1);

	/* A private allocator without names is still an allocator where it is innermost. */
	uint32_t arena = make_module(&w.s, "/opt/meter/lib/libarena.so", 0x7f3000000000,
				     MODULE_ALLOCATOR, 0);
	node = make_node(&w.s, 0, make_frame(&w.s, w.prog, 0x5000), FRAME_NONE);
	node = make_node(&w.s, node, make_frame(&w.s, arena, 0x10), FRAME_NONE);
	lines_of_stack(&l, &w.s, node, NULL);
	assert_int_equal(l.items[0].kind, LINE_ALLOCATOR);
	assert_int_equal(l.items[1].kind, LINE_OWN);
	assert_int_equal(site_of(&l).lead, 1);
	lines_release(&l);
	snapshot_release(&w.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocator_and_startup_are_folded),
		cmocka_unit_test(test_own_code_is_put_forward),
		cmocka_unit_test(test_inlined_function_keeps_its_host),
		cmocka_unit_test(test_wrappers_are_folded_on_request),
		cmocka_unit_test(test_marks_and_nameless_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
