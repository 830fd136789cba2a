/* model/regions: who a region belongs to, on memory maps made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/map_snapshot.h"
#include "model/region_names.h"

static void kind_at(const struct snapshot *s, uint64_t start, enum region_kind kind, uint32_t owner)
{
	size_t i = map_find(s, start);

	assert_true(i < s->nr_regions);
	if (s->regions[i].kind != kind || s->regions[i].owner != owner)
		fail_msg("0x%llx is %s of %d", (unsigned long long)start,
			 region_kind_name((enum region_kind)s->regions[i].kind),
			 (int)s->regions[i].owner);
}

static void every_kind_is_known(void **state)
{
	struct snapshot s;

	(void)state;
	map_snapshot(&s);
	regions_classify(&s);
	for (uint64_t at = 0x400000; at < 0x406000; at += PAGE)
		kind_at(&s, at, REGION_IMAGE, 0);
	kind_at(&s, 0x500000, REGION_HEAP, 0);
	kind_at(&s, 0x7f0000000000, REGION_HEAP, 1);
	kind_at(&s, 0x7f0000021000, REGION_RESERVED, 1);
	kind_at(&s, 0x7f0000100000, REGION_IMAGE, 1);
	kind_at(&s, 0x7f0000103000, REGION_IMAGE, 1);
	kind_at(&s, 0x7f0000104000, REGION_IMAGE, 1);
	kind_at(&s, 0x7f0000200000, REGION_BLOCK, 2);
	kind_at(&s, 0x7f0000400000, REGION_GUARD, 1);
	kind_at(&s, 0x7f0000401000, REGION_STACK, 1);
	kind_at(&s, 0x7f0000411000, REGION_GUARD, NO_INDEX);
	kind_at(&s, 0x7f0000412000, REGION_STACK, NO_INDEX);
	kind_at(&s, 0x7f0000500000, REGION_TLS, 0);
	kind_at(&s, 0x7f0000600000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x7f0000700000, REGION_JIT, NO_INDEX);
	kind_at(&s, 0x7f0000800000, REGION_RESERVED, NO_INDEX);
	kind_at(&s, 0x7f0000a00000, REGION_MAPPED_FILE, NO_INDEX);
	kind_at(&s, 0x7f0000b00000, REGION_SHARED, NO_INDEX);
	kind_at(&s, 0x7f0000c00000, REGION_DEVICE, NO_INDEX);
	kind_at(&s, 0x7f0000d00000, REGION_RECORDER, NO_INDEX);
	kind_at(&s, 0x7ffd00000000, REGION_STACK, 0);
	kind_at(&s, 0x7ffd00100000, REGION_KERNEL, NO_INDEX);
	assert_int_equal(snapshot_check(&s, NULL), 0);
	snapshot_release(&s);
}

static void sections_of_an_image(void **state)
{
	static const struct {
		uint64_t start;
		enum region_section section;
	} cases[] = {
		{0x400000, REGION_SECTION_RODATA},     {0x401000, REGION_SECTION_TEXT},
		{0x402000, REGION_SECTION_RODATA},     {0x403000, REGION_SECTION_RELRO},
		{0x404000, REGION_SECTION_DATA},       {0x405000, REGION_SECTION_BSS},
		{0x7f0000103000, REGION_SECTION_GAP},  {0x500000, REGION_SECTION_NONE},
		{0x7f0000a00000, REGION_SECTION_NONE},
	};
	struct snapshot s;

	(void)state;
	map_snapshot(&s);
	regions_classify(&s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(region_section(&s, map_find(&s, cases[i].start)),
				 cases[i].section);
	/* A read-only part that was written is relro wherever it lies. */
	s.regions[map_find(&s, 0x402000)].anonymous = PAGE;
	assert_int_equal(region_section(&s, map_find(&s, 0x402000)), REGION_SECTION_RELRO);
	snapshot_release(&s);
}

/* A core has no smaps: nothing is resident anywhere, and the kinds must not suffer. */
static void figures_are_not_needed(void **state)
{
	struct snapshot s, bare;

	(void)state;
	map_snapshot(&s);
	map_snapshot(&bare);
	for (size_t i = 0; i < bare.nr_regions; i++) {
		struct region *r = &bare.regions[i];

		r->rss = r->pss = r->anonymous = r->private_dirty = r->private_clean = 0;
	}
	regions_classify(&s);
	regions_classify(&bare);
	for (size_t i = 0; i < s.nr_regions; i++)
		assert_int_equal(s.regions[i].kind, bare.regions[i].kind);
	snapshot_release(&s);
	snapshot_release(&bare);
}

static void a_region_is_what_most_of_it_is(void **state)
{
	struct region_claim claims[4];
	struct snapshot s;
	uint32_t outer, inner, direct;

	(void)state;
	snapshot_init(&s);
	outer = map_heap(&s, "main", HEAP_MAIN);
	inner = map_heap(&s, "python", HEAP_SUB);
	direct = map_heap(&s, "direct", HEAP_DIRECT);
	map_region(&s, 0x10000, 0x20000, PR | PW, "", 0);
	map_region(&s, 0x20000, 0x30000, PR | PW, "", 0);
	map_region(&s, 0x30000, 0x40000, PR | PW, "", 0);
	map_region(&s, 0x40000, 0x50000, PR | PW, "", 0);
	map_span(&s, outer, 0x10000, 0x28000); /* over two regions */
	map_span(&s, inner, 0x11000, 0x13000);
	map_span(&s, inner, 0x20000, 0x28000); /* as much as the outer one has there */
	map_span(&s, direct, 0x30000, 0x32000);
	regions_classify(&s);
	kind_at(&s, 0x10000, REGION_HEAP, outer);
	kind_at(&s, 0x20000, REGION_HEAP, inner);
	kind_at(&s, 0x30000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x40000, REGION_UNKNOWN, NO_INDEX);
	regions_claims(&s, claims);
	assert_int_equal(claims[0].nr_heaps, 2);
	assert_int_equal(claims[0].bytes, 0x10000);
	assert_int_equal(claims[1].nr_heaps, 2);
	assert_int_equal(claims[1].bytes, 0x8000);
	assert_int_equal(claims[2].heap, direct);
	assert_int_equal(claims[2].bytes, 0x2000);
	assert_int_equal(claims[2].spans, 1);
	assert_int_equal(claims[3].heap, NO_INDEX);
	snapshot_release(&s);
}

static void a_stack_pointer_in_a_heap_does_not_make_it_a_stack(void **state)
{
	struct snapshot s;

	(void)state;
	map_snapshot(&s);
	map_thread(&s, 102, "fiber", 0x510000, 0);
	/* And one whose own stack is known by its thread pointer only. */
	map_thread(&s, 103, "odd", 0, 0x7f0000600800);
	regions_classify(&s);
	kind_at(&s, 0x500000, REGION_HEAP, 0);
	kind_at(&s, 0x7f0000600000, REGION_STACK, 3);
	snapshot_release(&s);
}

static void a_file_that_is_only_read_is_no_image(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	map_module(&s, "/lib/a.so", 0x10000, 0x20000);
	map_module(&s, "/lib/data.so", 0x30000, 0x40000);
	map_module(&s, "/lib/icu.so", 0x50000, 0x60000);
	map_region(&s, 0x10000, 0x20000, PR, "/lib/a.so", PAGE);
	map_region(&s, 0x20000, 0x28000, PR | PX, "/lib/b.so", PAGE); /* no module knows it */
	map_region(&s, 0x28000, 0x30000, PR, "/lib/b.so", PAGE);
	map_region(&s, 0x30000, 0x38000, PR, "/lib/data.so", PAGE);
	map_region(&s, 0x38000, 0x40000, PR | PW, "/lib/data.so", PAGE);
	map_region(&s, 0x50000, 0x58000, PR, "/lib/icu.so", PAGE);
	map_region(&s, 0x58000, 0x60000, PR, "/lib/icu.so", PAGE)->anonymous = PAGE;
	regions_classify(&s);
	kind_at(&s, 0x10000, REGION_MAPPED_FILE, NO_INDEX);
	kind_at(&s, 0x20000, REGION_IMAGE, NO_INDEX);
	kind_at(&s, 0x28000, REGION_IMAGE, NO_INDEX);
	kind_at(&s, 0x30000, REGION_IMAGE, 1);
	kind_at(&s, 0x50000, REGION_IMAGE, 2);
	snapshot_release(&s);
}

static void unloaded_modules_and_the_recorder(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	map_module(&s, "/lib/old.so", 0x10000, 0x20000);
	s.modules[0].flags = MODULE_UNLOADED;
	map_module(&s, "/lib/libseep-rec.so", 0x30000, 0x40000);
	s.modules[1].flags = MODULE_RECORDER;
	map_region(&s, 0x10000, 0x20000, PR | PW, "", 0);
	map_region(&s, 0x30000, 0x40000, PR | PX, "/lib/libseep-rec.so", PAGE);
	regions_classify(&s);
	kind_at(&s, 0x10000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x30000, REGION_RECORDER, NO_INDEX);
	snapshot_release(&s);
}

static void memory_behind_a_module_is_its_own_or_not(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	map_module(&s, "/lib/a.so", 0x10000, 0x13000);
	map_region(&s, 0x10000, 0x11000, PR | PX, "/lib/a.so", PAGE);
	/* The kernel joined a page of .bss with a megabyte of something else. */
	map_region(&s, 0x12000, 0x113000, PR | PW, "", PAGE);
	regions_classify(&s);
	kind_at(&s, 0x12000, REGION_UNKNOWN, NO_INDEX);
	s.regions[1].end = 0x14000;
	regions_classify(&s);
	kind_at(&s, 0x12000, REGION_IMAGE, 0);
	snapshot_release(&s);
}

static void names_alone(void **state)
{
	static const struct {
		const char *path;
		bool shared;
		enum region_kind kind;
		bool anonymous;
	} cases[] = {
		{"", false, REGION_UNKNOWN, true},
		{"", true, REGION_SHARED, true},
		{"[heap]", false, REGION_HEAP, true},
		{"[heap] ", false, REGION_MAPPED_FILE, false},
		{"[stack]", false, REGION_STACK, true},
		{"[stack:123]", false, REGION_STACK, true},
		{"[anon:v8]", false, REGION_UNKNOWN, true},
		{"[anon: glibc: pthread stack: 77]", false, REGION_STACK, true},
		{"[anon:scudo:primary]", false, REGION_HEAP, true},
		{"[anon:unclosed", false, REGION_MAPPED_FILE, false},
		{"/dev/zero", true, REGION_SHARED, false},
		{"/dev/zero", false, REGION_UNKNOWN, true},
		{"/dev/shm/x", true, REGION_SHARED, false},
		{"/dev/shm/x", false, REGION_MAPPED_FILE, false},
		{"/SYSV00001234", true, REGION_SHARED, false},
		{"/memfd:x", true, REGION_SHARED, false},
		{"/dev/nvidia0", true, REGION_DEVICE, false},
		{"anon_inode:[io_uring]", true, REGION_DEVICE, false},
		{"[vvar_vclock]", false, REGION_KERNEL, false},
		{"/home/x/[heap]", false, REGION_MAPPED_FILE, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct region_name n = region_name_of(cases[i].path, cases[i].shared);

		if (n.kind != cases[i].kind || n.anonymous != cases[i].anonymous)
			fail_msg("'%s' is %s", cases[i].path, region_kind_name(n.kind));
	}
}

static void kinds_have_names_of_their_own(void **state)
{
	(void)state;
	for (int i = 0; i < REGION_KINDS; i++) {
		assert_true(*region_kind_name((enum region_kind)i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(region_kind_name((enum region_kind)i),
						region_kind_name((enum region_kind)k));
	}
	assert_true(*region_kind_name((enum region_kind)99));
}

static void nothing_at_all(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	regions_classify(&s);
	snapshot_release(&s);
}

/* 200,000 rows of everything: a sweep takes milliseconds, a search in rows would take minutes. */
static void many_rows(void **state)
{
	const size_t nr = 200000;
	struct snapshot s;
	uint32_t heap;

	(void)state;
	snapshot_init(&s);
	heap = map_heap(&s, "main", HEAP_MAIN);
	for (size_t i = 0; i < nr; i++) {
		uint64_t at = 0x10000 + i * 4 * PAGE;

		map_region(&s, at, at + 2 * PAGE, PR | PW, "", PAGE);
		if (i % 2)
			map_span(&s, heap, at, at + 2 * PAGE);
		if (i % 4 == 0)
			map_thread(&s, (int32_t)i + 1, "", at + PAGE, 0);
		if (i % 4 == 2)
			map_module(&s, "/lib/x.so", at, at + 4 * PAGE);
	}
	regions_classify(&s);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(s.regions[i].kind, i % 2   ? REGION_HEAP
						    : i % 4 ? REGION_UNKNOWN
							    : REGION_STACK);
	snapshot_release(&s);
}

/* Of [start, end) the first page is in memory, whatever it is. */
static bool one_page(void *context, uint64_t start, uint64_t end, uint64_t *ret_resident,
		     uint64_t *ret_swapped)
{
	bool *answers = context;

	assert_true(start < end);
	*ret_resident = PAGE;
	*ret_swapped = 0;
	return *answers;
}

/* A pool of 4 MiB that ends at the first thread's TLS; and [pool][stack][pool] of a MiB each. */
static void joined_mappings(struct snapshot *s)
{
	snapshot_init(s);
	s->identity.pid = MAP_PID;
	s->has_region_use = true;
	map_region(s, 0x10000000, 0x10403000, PR | PW, "", 900 * PAGE);
	map_region(s, 0x20000000, 0x20300000, PR | PW, "", 300 * PAGE);
	map_thread(s, MAP_PID, "prog", 0, 0x10400740);
	s->threads[0].tls_start = 0x10400000;
	s->threads[0].tls_end = 0x10402000;
	map_thread(s, 101, "work", 0x201ff000, 0x201ffc00);
	s->threads[1].stack_start = 0x20100000;
	s->threads[1].stack_end = 0x20200000;
}

static uint64_t all_rss(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->nr_regions; i++)
		sum += s->regions[i].rss;
	return sum;
}

static void regions_are_cut_where_a_threads_memory_ends(void **state)
{
	bool answers = true;
	struct snapshot s;

	(void)state;
	joined_mappings(&s);
	regions_split(&s, one_page, &answers);
	regions_classify(&s);
	assert_int_equal(s.nr_regions, 5);
	kind_at(&s, 0x10000000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x10400000, REGION_TLS, 0);
	assert_int_equal(s.regions[1].end, 0x10403000); /* the loader's page above it too */
	assert_int_equal(s.regions[0].rss, 899 * PAGE);
	assert_int_equal(s.regions[0].private_dirty, 899 * PAGE);
	assert_int_equal(s.regions[1].rss, PAGE);
	kind_at(&s, 0x20000000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x20100000, REGION_STACK, 1);
	kind_at(&s, 0x20200000, REGION_UNKNOWN, NO_INDEX);
	assert_int_equal(all_rss(&s), 1200 * PAGE);
	assert_int_equal(snapshot_check(&s, NULL), 0);
	snapshot_release(&s);
}

/* The rows between those that are cut stay where they belong. */
static void few_of_many_are_cut(void **state)
{
	bool answers = true;
	struct snapshot s;
	uint64_t last = 0;

	(void)state;
	snapshot_init(&s);
	s.identity.pid = MAP_PID;
	s.has_region_use = true;
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t start = 0x20000000 + (uint64_t)i * 0x400000;

		map_region(&s, start, start + 0x300000, PR | PW, "", (100 + i) * PAGE);
		if (i % 33 != 0)
			continue;
		map_thread(&s, 101 + (int)i, "work", start + 0x1ff000, start + 0x1ffc00);
		s.threads[s.nr_threads - 1].stack_start = start + 0x100000;
		s.threads[s.nr_threads - 1].stack_end = start + 0x200000;
	}
	regions_split(&s, one_page, &answers);
	assert_int_equal(s.nr_regions, 100 + 4 * 2);
	for (size_t i = 0; i < s.nr_regions; i++) {
		const struct region *r = &s.regions[i];
		uint64_t whole = (r->start - 0x20000000) / 0x400000;

		assert_true(r->start >= last && r->start < r->end);
		last = r->end;
		assert_int_equal(r->end - r->start, whole % 33 ? 0x300000 : 0x100000);
		if (whole % 33)
			assert_int_equal(r->rss, (100 + whole) * PAGE);
	}
	assert_int_equal(all_rss(&s), (100 * 100 + 99 * 50) * PAGE);
	assert_int_equal(snapshot_check(&s, NULL), 0);
	snapshot_release(&s);
}

/* Pages that are shared with a forked relative: nobody can say which part has how many. */
static void regions_that_cannot_be_cut_are_what_most_of_them_is(void **state)
{
	bool answers = true;
	struct snapshot s;

	(void)state;
	for (int i = 0; i < 2; i++) {
		joined_mappings(&s);
		s.regions[0].pss -= i ? 0 : PAGE;
		s.regions[1].pss -= i ? 0 : PAGE;
		answers = !i;
		regions_split(&s, one_page, &answers);
		regions_classify(&s);
		assert_int_equal(s.nr_regions, 2);
		kind_at(&s, 0x10000000, REGION_UNKNOWN, NO_INDEX);
		kind_at(&s, 0x20000000, REGION_UNKNOWN, NO_INDEX);
		s.threads[1].stack_end = 0x20300000;
		regions_classify(&s);
		kind_at(&s, 0x20000000, REGION_STACK, 1);
		snapshot_release(&s);
	}
}

/* A snapshot of before: what a thread has is not known. */
static void a_thread_pointer_does_not_claim_hundreds_of_megabytes(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	s.identity.pid = MAP_PID;
	map_region(&s, 0x10000000, 0x20000000, PR | PW, "", 0);
	map_region(&s, 0x30000000, 0x30003000, PR | PW, "", 0);
	map_region(&s, 0x40000000, 0x50000000, PR | PW, "", 0);
	map_region(&s, 0x60000000, 0x60001000, 0, "", 0);
	map_region(&s, 0x60001000, 0x70000000, PR | PW, "", 0);
	map_thread(&s, MAP_PID, "prog", 0, 0x1fffe740);
	map_thread(&s, MAP_PID, "prog", 0, 0x30000740);
	map_thread(&s, 102, "go", 0x48000000, 0);
	map_thread(&s, 103, "big", 0x68000000, 0);
	regions_classify(&s);
	kind_at(&s, 0x10000000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x30000000, REGION_TLS, 1);
	kind_at(&s, 0x40000000, REGION_UNKNOWN, NO_INDEX);
	kind_at(&s, 0x60001000, REGION_STACK, 3);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_known),
		cmocka_unit_test(sections_of_an_image),
		cmocka_unit_test(figures_are_not_needed),
		cmocka_unit_test(a_region_is_what_most_of_it_is),
		cmocka_unit_test(a_stack_pointer_in_a_heap_does_not_make_it_a_stack),
		cmocka_unit_test(a_file_that_is_only_read_is_no_image),
		cmocka_unit_test(unloaded_modules_and_the_recorder),
		cmocka_unit_test(memory_behind_a_module_is_its_own_or_not),
		cmocka_unit_test(names_alone),
		cmocka_unit_test(kinds_have_names_of_their_own),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(regions_are_cut_where_a_threads_memory_ends),
		cmocka_unit_test(few_of_many_are_cut),
		cmocka_unit_test(regions_that_cannot_be_cut_are_what_most_of_them_is),
		cmocka_unit_test(a_thread_pointer_does_not_claim_hundreds_of_megabytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
