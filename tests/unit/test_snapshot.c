/* Sums, the consistency check, comparing identities, finding modules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "sample_snapshot.h"

static void test_empty_is_consistent(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	assert_int_equal(s.nr_nodes, 1);
	assert_int_equal(s.nodes[0].frame, NO_INDEX);
	assert_int_equal(snapshot_check(&s, NULL), 0);
	snapshot_sum(&s);
	assert_int_equal(s.totals.total_blocks, 0);
	snapshot_release(&s);
	snapshot_release(&s);
	snapshot_release(NULL);
}

static void test_sums(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	ARRAY_PUSH(s.stacks, s.nr_stacks, s.cap_stacks,
		   ((struct stack){0, 1, 2, 200, 10, 1000, 3, 1, 2}));
	ARRAY_PUSH(s.stacks, s.nr_stacks, s.cap_stacks,
		   ((struct stack){0, 2, 1, 7, 1, 7, 0, 3, 4}));
	snapshot_sum(&s);
	assert_int_equal(s.totals.live_blocks, 3);
	assert_int_equal(s.totals.live_bytes, 207);
	assert_int_equal(s.totals.total_blocks, 11);
	assert_int_equal(s.totals.total_bytes, 1007);
	assert_int_equal(s.totals.freed_blocks, 8);
	assert_int_equal(s.totals.freed_bytes, 800);
	assert_int_equal(s.totals.temporary_blocks, 3);
	assert_int_equal(s.totals.live_samples, 4);
	assert_int_equal(s.totals.total_samples, 6);

	/* hostile counters neither wrap round nor go below nothing */
	s.stacks[0].live_bytes = UINT64_MAX;
	snapshot_sum(&s);
	assert_true(s.totals.live_bytes == UINT64_MAX);
	assert_int_equal(s.totals.freed_bytes, 0);
	snapshot_release(&s);
}

static void add_mark_handles(struct snapshot *s, uint32_t mark, uint32_t kind)
{
	ARRAY_PUSH(s->mark_handles, s->nr_mark_handles, s->cap_mark_handles,
		   ((struct mark_handles){.mark = mark, .kind = kind}));
}

static void add_resource_generation(struct snapshot *s, uint32_t resource, uint32_t generation)
{
	ARRAY_PUSH(s->resource_generations, s->nr_resource_generations, s->cap_resource_generations,
		   ((struct generation_row){.stack = resource, .generation = generation}));
}

/* Breaks one promise; returns false when there are no more. */
static bool break_promise(struct snapshot *s, int nr, const char **ret_says)
{
	const uint32_t texts = (uint32_t)s->strings.nr, many = 1u << 30;

#define BREAK(number, how, says)                                                                   \
	case number:                                                                               \
		how;                                                                               \
		*ret_says = says;                                                                  \
		return true
	switch (nr) {
		BREAK(0, s->identity.name = texts, "text");
		BREAK(1, s->identity.exe = texts, "text");
		BREAK(2, s->identity.command = many, "text");
		BREAK(3, s->identity.host = NO_INDEX, "text");
		BREAK(4, s->allocator = texts, "text");
		BREAK(5, memset(s->identity.boot_id, 'a', sizeof(s->identity.boot_id)), "boot id");
		BREAK(6, s->modules[1].path = texts, "module 1 refers to text");
		BREAK(7, s->modules[1].end = s->modules[1].start - 1, "module 1 ends before");
		BREAK(8, s->modules[1].build_id_len = BUILD_ID_MAX + 1, "build-id of 21 bytes");
		BREAK(9, s->frames[2].module = (uint32_t)s->nr_modules, "frame 2 refers to module");
		BREAK(10, s->frames[2].symbols_nr = many, "frame 2 refers to symbol");
		BREAK(11, s->frames[2].symbols_first = NO_INDEX, "frame 2 refers to symbol");
		BREAK(12, s->symbols[0].function = texts, "symbol 0 refers to text");
		BREAK(13, s->symbols[1].file = texts, "symbol 1 refers to text");
		BREAK(14, s->nodes[0].parent = 1, "no root");
		BREAK(15, s->nodes[0].frame = 0, "no root");
		BREAK(16, s->nodes[0].special = FRAME_CUT, "no root");
		BREAK(17, s->nodes[5].parent = 5, "node 5 has parent 5");
		BREAK(18, s->nodes[5].parent = NO_INDEX, "node 5 has parent");
		BREAK(19, s->nodes[5].frame = (uint32_t)s->nr_frames, "node 5 refers to frame");
		BREAK(20, s->nodes[5].frame = NO_INDEX, "node 5 refers to frame");
		BREAK(21, s->nodes[1].frame = 0, "node 1 is a mark and has a frame");
		BREAK(22, s->nodes[1].special = FRAME_TAG + 1, "unknown kind 5");
		BREAK(23, s->stacks[3].node = (uint32_t)s->nr_nodes, "stack 3 refers to node");
		BREAK(24, s->blocks[9].stack = (uint32_t)s->nr_stacks, "block 9 refers to stack");
		BREAK(25, s->has_blocks = false, "without blocks");
		BREAK(26, s->threads[2].name = texts, "thread 2 refers to text");
		BREAK(27, s->regions[4].path = texts, "region 4 refers to text");
		BREAK(28, s->regions[4].end = s->regions[4].start - 1, "region 4 ends before");
		BREAK(29, s->regions[4].prot = 16, "protection 16");
		BREAK(30, s->strings.data[0] = 'x', "first text");
		BREAK(31, s->strings.data[s->strings.len - 1] = 'x', "last text");
		BREAK(32, s->strings.offsets[3] = (uint32_t)s->strings.len,
		      "text 3 refers to byte");
		BREAK(33, s->nr_nodes = 0, "no root");
		BREAK(34, s->method = texts, "text");
		BREAK(35, s->has_heaps = false, "without heaps");
		BREAK(36, s->heaps[1].allocator = texts, "heap 1 refers to text");
		BREAK(37, s->heaps[1].name = texts, "heap 1 refers to text");
		BREAK(38, s->heaps[1].fault = many, "heap 1 refers to text");
		BREAK(39, s->heaps[1].parent = 1, "heap 1 lies in heap 1");
		BREAK(40, s->heaps[0].parent = 2, "heap 0 lies in heap 2");
		BREAK(41, s->heaps[2].kind = HEAP_UNKNOWN + 1, "heap 2 is of unknown kind");
		BREAK(42, s->spans[1].heap = 3, "span 1 refers to heap 3");
		BREAK(43, s->spans[1].heap = NO_INDEX, "span 1 refers to heap");
		BREAK(44, s->spans[1].committed_end = s->spans[1].end + 1, "span 1 ends before");
		BREAK(45, s->spans[1].committed_end = s->spans[1].start - 1, "span 1 ends before");
		BREAK(46, s->spans[2].start = s->spans[1].start - 1, "span 2 starts before");
		BREAK(47, s->checks[2].what = texts, "check 2 refers to text");
		BREAK(48, s->checks[2].heap = 3, "check 2 refers to heap 3");
		BREAK(49, s->blocks[7].heap = 3, "block 7 refers to heap 3");
		BREAK(50, s->blocks[7].state = BLOCK_STATES, "block 7 is of unknown kind 6");
		BREAK(51, s->threads[1].heap = 3, "thread 1 refers to heap 3");
		BREAK(52, s->regions[1].kind = REGION_KINDS, "region 1 is of unknown kind");
		BREAK(53, s->regions[1].owner = 3, "region 1 refers to heap 3");
		BREAK(54, s->regions[2].owner = 3, "region 2 refers to thread 3");
		BREAK(55, s->regions[3].owner = 6, "region 3 refers to module 6");
		BREAK(56, s->regions[4].owner = 0, "has an owner");
		BREAK(57, s->nodes[4].tag = texts, "node 4 refers to text");
		BREAK(58, s->nodes[4].frame = 0, "node 4 is a mark and has a frame");
		BREAK(59, s->marks[2].name = texts, "mark 2 refers to text");
		BREAK(60, s->generations[5].stack = (uint32_t)s->nr_stacks,
		      "generation 5 refers to stack");
		BREAK(61, s->generations[5].generation = 4,
		      "generation 5 refers to generation 4, but there are 4");
		BREAK(62, s->resources[1].node = (uint32_t)s->nr_nodes,
		      "resource 1 refers to node");
		BREAK(63, add_resource_generation(s, 3, 0),
		      "generation of resources 0 refers to resource 3");
		BREAK(64, add_resource_generation(s, 2, 4),
		      "generation of resources 0 refers to generation 4");
		BREAK(65, add_mark_handles(s, 3, 0), "handles 0 refers to mark 3");
		BREAK(66, add_mark_handles(s, 2, texts), "handles 0 refers to text");
	default:
		return false;
	}
#undef BREAK
}

static void test_broken_promises(void **state)
{
	const char *says;
	struct snapshot s;
	struct error e;
	int nr = 0;

	(void)state;
	for (;; nr++) {
		sample_make(&s, 12, 8, 20);
		assert_int_equal(snapshot_check(&s, &e), 0);
		if (!break_promise(&s, nr, &says))
			break;
		assert_int_equal(snapshot_check(&s, &e), -EINVAL);
		assert_non_null(strstr(e.message, says));
		snapshot_release(&s);
	}
	snapshot_release(&s);
	assert_int_equal(nr, 67);
}

static void test_last_symbol_is_in_range(void **state)
{
	struct snapshot s;

	(void)state;
	sample_make(&s, 12, 8, 20);
	s.frames[0].symbols_first = (uint32_t)s.nr_symbols - 1;
	s.frames[0].symbols_nr = 1;
	assert_int_equal(snapshot_check(&s, NULL), 0);
	s.frames[0].symbols_nr = 2;
	assert_int_equal(snapshot_check(&s, NULL), -EINVAL);
	snapshot_release(&s);
}

/* How two snapshots differ, "" not at all. */
static const char *difference(const struct snapshot *a, const struct snapshot *b, struct error *e)
{
	e->message[0] = '\0';
	if (!snapshot_same_process(a, b, e))
		return "";
	assert_int_equal(e->status, EXIT_USAGE);
	assert_non_null(strstr(e->hint, "--force"));
	return e->message;
}

static void test_same_process(void **state)
{
	struct snapshot a, b;
	struct error e;

	(void)state;
	sample_make(&a, 6, 4, 4);
	sample_make(&b, 6, 4, 4);
	assert_string_equal(difference(&a, &b, &e), "");
	b.identity.image = 3;
	assert_non_null(strstr(difference(&a, &b, &e), "executed another program"));
	b.identity.image = 0;
	assert_string_equal(difference(&a, &b, &e), "");
	b.identity.exe = strings_add(&b.strings, "/usr/bin/meter (deleted)");
	assert_string_equal(difference(&a, &b, &e), "");
	b.identity.exe = strings_add(&b.strings, "/usr/bin/meters");
	assert_non_null(strstr(difference(&a, &b, &e), "'/usr/bin/meter', then '/usr/bin/meters'"));
	b.identity.start_ticks++;
	assert_non_null(strstr(difference(&a, &b, &e), "4242 was started anew"));
	b.identity.pid = 1;
	assert_non_null(strstr(difference(&a, &b, &e), "process 4242 ('meter') and process 1"));
	b.identity.boot_id[0] = 'f';
	assert_non_null(strstr(difference(&a, &b, &e), "booted"));
	/* Of a core neither the boot nor the start is known. */
	b.identity.boot_id[0] = 0;
	b.identity.start_ticks = 0;
	assert_non_null(strstr(difference(&a, &b, &e), "process 4242 ('meter') and process 1"));
	b.identity.pid = a.identity.pid;
	assert_non_null(strstr(difference(&a, &b, &e), "'/usr/bin/meter', then '/usr/bin/meters'"));
	b.identity.exe = strings_add(&b.strings, "/usr/bin/meter");
	assert_non_null(strstr(difference(&a, &b, &e), "a core does not tell which start"));
	b.identity.boot_id[0] = 'f';
	b.identity.host = strings_add(&b.strings, "otherhost");
	assert_non_null(strstr(difference(&a, &b, &e), "'testhost', the other on 'otherhost'"));
	snapshot_release(&a);
	snapshot_release(&b);
}

static void test_find_module(void **state)
{
	struct snapshot s;

	(void)state;
	sample_make(&s, 12, 4, 4);
	for (size_t i = 0; i < s.nr_modules; i++)
		s.modules[i].flags = 0;
	assert_int_equal(snapshot_find_module(&s, s.modules[2].start), 2);
	assert_int_equal(snapshot_find_module(&s, s.modules[2].end - 1), 2);
	assert_int_equal(snapshot_find_module(&s, s.modules[2].end), NO_INDEX);
	assert_int_equal(snapshot_find_module(&s, s.modules[0].start - 1), NO_INDEX);
	s.modules[2].flags = MODULE_UNLOADED;
	assert_int_equal(snapshot_find_module(&s, s.modules[2].start), NO_INDEX);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_is_consistent),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_broken_promises),
		cmocka_unit_test(test_last_symbol_is_in_range),
		cmocka_unit_test(test_same_process),
		cmocka_unit_test(test_find_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
