/* Handles of resources beside memory: their listings, generations, csv, and the file that has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../tools/make_snapshot.h"
#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/term.h"
#include "file/seepfile.h"
#include "forge.h"
#include "format/format.h"
#include "model/generations.h"
#include "model/resources.h"

#define FILES "[file descriptors]"
#define THINGS "[thing_get]"

static void add_generation(struct snapshot *s, uint32_t resource, uint32_t generation,
			   uint64_t handles)
{
	ARRAY_PUSH(s->resource_generations, s->nr_resource_generations, s->cap_resource_generations,
		   ((struct generation_row){
			   .stack = resource, .generation = generation, .live_blocks = handles}));
	s->resources[resource].live_blocks += handles;
	s->resources[resource].total_blocks += handles + 10;
}

static uint32_t add_resource(struct snapshot *s, const char *kind, uint32_t node)
{
	uint32_t tag = make_node(s, node, NO_INDEX, FRAME_TAG);

	s->nodes[tag].tag = make_text(s, kind);
	ARRAY_PUSH(s->resources, s->nr_resources, s->cap_resources,
		   ((struct stack){.node = tag, .id = 50 + (uint32_t)s->nr_resources}));
	return (uint32_t)s->nr_resources - 1;
}

/*
 * One mark; a block of memory at "get", and there three descriptors from before the mark and
 * `younger` from after it, and two things from after it.
 */
static void fill(struct snapshot *s, uint64_t younger)
{
	uint32_t module, node, files, things;

	make_begin(s, 10);
	ARRAY_PUSH(s->marks, s->nr_marks, s->cap_marks,
		   ((struct mark){.name = make_text(s, "one"), .monotonic_ns = 5 * MAKE_SECOND}));
	ARRAY_PUSH(s->mark_handles, s->nr_mark_handles, s->cap_mark_handles,
		   ((struct mark_handles){
			   .kind = make_text(s, FILES), .acquired = 30, .released = 27}));
	module = make_module(s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 7);
	node = make_node(s, 0, make_frame(s, module, 0x10), FRAME_NONE);
	make_name(s, "get", "get.c", 5, 0);
	make_stack(s, 4, node, 1, 64);
	ARRAY_PUSH(s->generations, s->nr_generations, s->cap_generations,
		   ((struct generation_row){.live_blocks = 1, .live_bytes = 64}));
	files = add_resource(s, FILES, node);
	things = add_resource(s, THINGS, node);
	add_generation(s, files, 0, 3);
	add_generation(s, files, 1, younger);
	add_generation(s, things, 1, 2);
	snapshot_sum(s);
	assert_int_equal(snapshot_check(s, NULL), 0);
}

static void expect(const struct resource_listings *r, size_t kind, const char *name,
		   uint64_t before, uint64_t after)
{
	const struct listing *l = &r->listings[kind];

	assert_string_equal(r->kinds[kind], name);
	assert_int_equal(l->before ? l->before->totals.live_blocks : 0, before);
	assert_int_equal(l->after->totals.live_blocks, after);
}

static void test_listings(void **state)
{
	struct listing_options options = {.min_bytes = 1000, .grown_only = true};
	struct resource_listings r;
	struct snapshot old, new;

	(void)state;
	fill(&old, 4);
	fill(&new, 6);
	resource_listings_make(&r, &old, &new, &options);
	assert_int_equal(r.nr, 2);
	expect(&r, 0, FILES, 7, 9);
	expect(&r, 1, THINGS, 2, 2);
	/* By how many, not by bytes; and the tag that says of which kind is no line of a stack. */
	assert_int_equal(r.listings[0].nr_rows, 1);
	assert_int_equal(r.listings[1].nr_rows, 0);
	assert_int_equal(listing_change(&r.listings[0], 0)->node, new.stacks[0].node);
	resource_listings_release(&r);
	resource_listings_make(&r, &new, &old, &options);
	assert_int_equal(r.listings[0].nr_rows, 0);
	resource_listings_release(&r);
	snapshot_release(&old);
	snapshot_release(&new);
}

static void test_generations(void **state)
{
	const struct listing_options options = {.sort = SORT_BYTES};
	struct resource_listings r;
	struct snapshot old, new;

	(void)state;
	fill(&old, 4);
	fill(&new, 4);
	generations_only_until(&old, 0);
	generations_only_until(&new, GENERATIONS_END);
	resource_listings_make(&r, &old, &new, &options);
	assert_int_equal(r.nr, 2);
	expect(&r, 0, FILES, 3, 7);
	expect(&r, 1, THINGS, 0, 2);
	resource_listings_release(&r);
	generations_only(&new, 0);
	resource_listings_make(&r, NULL, &new, &options);
	expect(&r, 0, FILES, 0, 3);
	expect(&r, 1, THINGS, 0, 0);
	resource_listings_release(&r);
	snapshot_release(&old);
	snapshot_release(&new);
}

static void test_traffic(void **state)
{
	struct generation_traffic t;
	struct snapshot s;

	(void)state;
	fill(&s, 4);
	t = generations_traffic_of(&s, FILES, 0);
	assert_true(t.known && t.blocks == 30 && t.frees == 27 && t.bytes == 0);
	assert_false(generations_traffic_of(&s, FILES, 1).known);
	assert_false(generations_traffic_of(&s, THINGS, 0).known);
	ARRAY_PUSH(s.marks, s.nr_marks, s.cap_marks, ((struct mark){.name = 0}));
	ARRAY_PUSH(s.mark_handles, s.nr_mark_handles, s.cap_mark_handles,
		   ((struct mark_handles){.mark = 1,
					  .kind = s.mark_handles[0].kind,
					  .acquired = 31,
					  .released = 30}));
	t = generations_traffic_of(&s, FILES, 1);
	assert_true(t.known && t.blocks == 1 && t.frees == 3);
	/* A forged file. */
	s.mark_handles[1].released = 26;
	assert_false(generations_traffic_of(&s, FILES, 1).known);
	snapshot_release(&s);
}

/* Nothing is better than what may be wrong. */
static void test_earlier_versions(void **state)
{
	struct snapshot s;

	(void)state;
	fill(&s, 4);
	assert_true(generations_of_resources(&s));
	s.nr_resource_generations = 0;
	assert_false(generations_of_resources(&s));
	generations_only_until(&s, 0);
	assert_int_equal(s.nr_resources, 0);
	assert_int_equal(s.totals.live_blocks, 1);
	snapshot_release(&s);
	/* Where none is held there is nothing to be known. */
	fill(&s, 4);
	s.nr_resource_generations = 0;
	s.resources[0].live_blocks = s.resources[1].live_blocks = 0;
	assert_true(generations_of_resources(&s));
	snapshot_release(&s);
}

/* What fill(4) makes, read from a file. */
static void check_read(const char *path)
{
	struct seepfile_damage damage;
	struct snapshot s, back;

	fill(&s, 4);
	assert_int_equal(seepfile_read(path, &back, &damage, NULL), 0);
	assert_false(damage.damaged);
	assert_int_equal(back.nr_mark_handles, 1);
	assert_int_equal(back.mark_handles[0].acquired, 30);
	assert_int_equal(back.mark_handles[0].released, 27);
	assert_string_equal(strings_get(&back.strings, back.mark_handles[0].kind), FILES);
	assert_int_equal(back.nr_resources, 2);
	assert_int_equal(back.resources[0].live_blocks, 7);
	assert_int_equal(back.nr_resource_generations, 3);
	assert_memory_equal(back.resource_generations, s.resource_generations,
			    3 * sizeof(*s.resource_generations));
	snapshot_release(&s);
	snapshot_release(&back);
}

static void test_file(void **state)
{
	char path[] = "/tmp/resources-XXXXXX";
	struct snapshot s;

	(void)state;
	fill(&s, 4);
	close(mkstemp(path));
	assert_int_equal(seepfile_write(&s, path, NULL), 0);
	snapshot_release(&s);
	check_read(path);
	unlink(path);
}

/* Written by the version that first had generations of handles. */
static void test_kept_file(void **state)
{
	const char *data = getenv("SEEP_TEST_DATA");
	char *path;

	(void)state;
	if (!data)
		skip();
	path = mem_printf("%s/v1-resources.seep", data);
	check_read(path);
	free(path);
}

/* The file of fill(4) in chunks. */
static void take_apart(struct forge *f)
{
	char path[] = "/tmp/resources-XXXXXX";
	struct str bytes = STR_INIT;
	struct snapshot s;

	fill(&s, 4);
	close(mkstemp(path));
	assert_int_equal(seepfile_write(&s, path, NULL), 0);
	assert_int_equal(io_read_file(path, 1 << 20, &bytes), 0);
	assert_true(forge_take(f, (const uint8_t *)bytes.data, bytes.len));
	unlink(path);
	str_release(&bytes);
	snapshot_release(&s);
}

/* What is read of the file when only these chunks of it are left. */
static void read_parts(const struct forge *parts, struct snapshot *ret)
{
	struct seepfile_damage damage;
	struct buffer file = {0};

	forge_make(parts, &file);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "x", ret, &damage, NULL), 0);
	assert_true(damage.damaged);
	assert_int_equal(snapshot_check(ret, NULL), 0);
	buffer_release(&file);
}

static void read_without(const struct forge *whole, uint32_t type, struct snapshot *ret)
{
	struct forge parts = {.nr = 0};

	for (size_t i = 0; i < whole->nr; i++)
		if (whole->chunks[i].type != type)
			parts.chunks[parts.nr++] = whole->chunks[i];
	assert_int_equal(parts.nr + 1, whole->nr);
	read_parts(&parts, ret);
}

static void test_lost_chunks(void **state)
{
	struct snapshot back;
	const char **kinds;
	struct forge f;
	size_t nr;

	(void)state;
	take_apart(&f);
	/* Of which kind they are is not known; there were two. */
	read_without(&f, FOURCC('R', 'S', 'R', 'C'), &back);
	kinds = resources_kinds(NULL, &back, &nr);
	assert_int_equal(nr, 0);
	free(kinds);
	assert_int_equal(back.nr_resources, 2);
	assert_int_equal(back.nr_resource_generations, 3);
	generations_only(&back, 1);
	assert_int_equal(back.resources[0].live_blocks, 4);
	snapshot_release(&back);
	read_without(&f, FOURCC('M', 'A', 'R', 'K'), &back);
	assert_true(generations_traffic_of(&back, FILES, 0).known);
	snapshot_release(&back);
	read_without(&f, FOURCC('M', 'K', 'H', 'D'), &back);
	assert_false(generations_traffic_of(&back, FILES, 0).known);
	snapshot_release(&back);
	read_without(&f, FOURCC('R', 'G', 'E', 'N'), &back);
	assert_false(generations_of_resources(&back));
	snapshot_release(&back);
	forge_release(&f);
}

/* Whatever a chunk refers to is made up. */
static void test_one_chunk_left(void **state)
{
	struct snapshot back;
	struct forge f;

	(void)state;
	take_apart(&f);
	for (size_t i = 0; i < f.nr; i++) {
		struct forge two = {.chunks = {*forge_find(&f, CHUNK_META), f.chunks[i]}, .nr = 2};

		read_parts(&two, &back);
		snapshot_release(&back);
	}
	forge_release(&f);
}

static void refuses(const struct snapshot *s, const char *says)
{
	struct error e = {0};

	assert_true(snapshot_check(s, &e) < 0);
	assert_non_null(strstr(e.message, says));
}

static void test_contradictions(void **state)
{
	struct snapshot s;

	(void)state;
	fill(&s, 4);
	s.resource_generations[2].stack = 2;
	refuses(&s, "generation of resources 2 refers to resource 2, but there are 2");
	s.resource_generations[2].stack = 1;
	s.resource_generations[2].generation = 2;
	refuses(&s, "generation of resources 2 refers to generation 2, but there are 2");
	s.resource_generations[2].generation = 1;
	s.mark_handles[0].mark = 1;
	refuses(&s, "handles 0 refers to mark 1, but there are 1");
	s.mark_handles[0].mark = 0;
	s.mark_handles[0].kind = (uint32_t)s.strings.nr;
	refuses(&s, "handles 0 ");
	snapshot_release(&s);
}

static char *as_csv(const struct snapshot *before, const struct snapshot *after)
{
	const struct format_options how = {.palette = term_palette(-1, COLOUR_NEVER)};
	const struct listing_options options = {.sort = SORT_BYTES};
	struct resource_listings r;
	struct listing memory;
	struct view v = {.listing = &memory};
	struct out out;
	char *text;

	listing_make(&memory, before, after, &options);
	resource_listings_make(&r, before, after, &options);
	v.resources = r.listings;
	v.kinds = r.kinds;
	v.nr_resources = r.nr;
	out_init(&out, NULL, NULL);
	assert_int_equal(format_csv(&out, &v, &how, NULL), 0);
	assert_int_equal(out_finish(&out), 0);
	text = str_detach(&out.text);
	out_release(&out);
	listing_release(&memory);
	resource_listings_release(&r);
	return text;
}

static void test_csv(void **state)
{
	const char *p;
	struct snapshot s;
	char *text;

	(void)state;
	fill(&s, 4);
	text = as_csv(NULL, &s);
	p = strstr(text, "\r\n");
	assert_memory_equal(p - strlen(",live_samples,kind"), ",live_samples,kind", 18);
	p = strstr(p, "\r\n1,64,1,64,1,0,1,get,");
	assert_non_null(p);
	p = strstr(p, ",0,memory\r\n1,0,7,0,27,0,1,get,");
	assert_non_null(p);
	p = strstr(p, ",0," FILES "\r\n1,0,2,0,12,0,1,get,");
	assert_non_null(p);
	assert_string_equal(strstr(p, ",0," THINGS), ",0," THINGS "\r\n");
	free(text);
	/* What does not say anything of resources looks as it always did. */
	s.nr_resources = s.nr_resource_generations = 0;
	text = as_csv(NULL, &s);
	assert_null(strstr(text, "kind"));
	assert_null(strstr(text, "memory"));
	free(text);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listings),	 cmocka_unit_test(test_generations),
		cmocka_unit_test(test_earlier_versions), cmocka_unit_test(test_file),
		cmocka_unit_test(test_kept_file),	 cmocka_unit_test(test_lost_chunks),
		cmocka_unit_test(test_one_chunk_left),	 cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_traffic),		 cmocka_unit_test(test_csv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
