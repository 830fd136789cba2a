/* The .seep file: what is written comes back, whole; files of old versions too. */
#include <sys/stat.h>
#include <time.h>

#include "file/layout.h"
#include "seepfile_test.h"

static void round_trip(const struct snapshot *s)
{
	char *path = in_folder("round.seep");
	struct seepfile_damage damage;
	struct snapshot back;
	struct stat st;
	struct error e;

	assert_int_equal(seepfile_write(s, path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(seepfile_read(path, &back, &damage, &e), 0);
	assert_false(damage.damaged);
	assert_int_equal(damage.chunks_bad, 0);
	assert_string_equal(damage.what, "");
	assert_null(sample_difference(s, &back));
	snapshot_release(&back);
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	assert_null(sample_difference(s, &back));
	snapshot_release(&back);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void test_round_trip_rich(void **state)
{
	struct snapshot s;

	(void)state;
	sample_make(&s, 200, 100, 1000);
	round_trip(&s);
	s.has_recorder = s.symbols_resolved = s.losses.torn = false;
	round_trip(&s);
	s.at_exit = false;
	s.blocks[17].addr = UINT64_MAX;
	s.blocks[18].size = UINT64_MAX;
	s.stacks[3].total_bytes = UINT64_MAX;
	snapshot_sum(&s);
	round_trip(&s);
	snapshot_release(&s);
}

static void test_round_trip_empty(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	round_trip(&s);
	snapshot_release(&s);
}

/* Arrays that need several chunks, and just not. */
static void test_round_trip_many_rows(void **state)
{
	struct snapshot s;

	(void)state;
	sample_make(&s, 70000, 66000, CHUNK_MAX_ROWS * 2 + 1);
	round_trip(&s);
	snapshot_release(&s);
	sample_make(&s, 20, 10, CHUNK_MAX_ROWS);
	round_trip(&s);
	snapshot_release(&s);
}

static void test_round_trip_long_texts(void **state)
{
	char *text = mem_alloc(CHUNK_MAX_TEXT + 2);
	struct str bytes = STR_INIT;
	struct snapshot s, back;
	struct error e;
	uint32_t id;

	(void)state;
	sample_make(&s, 20, 10, 20);
	for (size_t len = CHUNK_MAX_TEXT; len > CHUNK_MAX_TEXT - 4; len--) {
		memset(text, (int)('a' + len % 26), len);
		text[len] = '\0';
		strings_add(&s.strings, text);
	}
	round_trip(&s);
	memset(text, 'z', CHUNK_MAX_TEXT + 1);
	id = strings_add(&s.strings, text);
	file_bytes(&s, &bytes);
	assert_int_equal(seepfile_read_bytes(bytes.data, bytes.len, "x", &back, NULL, &e), 0);
	assert_int_equal(strlen(strings_get(&back.strings, id)), CHUNK_MAX_TEXT);
	snapshot_release(&back);
	snapshot_release(&s);
	str_release(&bytes);
	free(text);
}

static char *data_file(const char *name)
{
	const char *data = getenv("SEEP_TEST_DATA");

	if (!data) {
		print_message("# SEEP_TEST_DATA does not name tests/data: skipped\n");
		skip();
	}
	return mem_printf("%s/%s", data, name);
}

/* Files of every version stay readable; what is in them is said here, not computed. */
static void read_kept(const char *name, struct snapshot *s, struct seepfile_damage *damage)
{
	char *path = data_file(name);
	struct error e;

	assert_int_equal(seepfile_read(path, s, damage, &e), 0);
	free(path);
}

static void test_kept_version_1(void **state)
{
	struct seepfile_damage damage;
	struct snapshot s;

	(void)state;
	read_kept("v1.seep", &s, &damage);
	assert_false(damage.damaged);
	assert_int_equal(s.identity.pid, 4242);
	assert_string_equal(strings_get(&s.strings, s.identity.exe), "/usr/bin/meter");
	assert_string_equal(strings_get(&s.strings, s.allocator), "glibc");
	assert_int_equal(s.nr_modules, 6);
	assert_int_equal(s.nr_frames, 12);
	assert_int_equal(s.nr_symbols, 12);
	assert_int_equal(s.nr_nodes, 16);
	assert_int_equal(s.nr_stacks, 8);
	assert_int_equal(s.nr_blocks, 20);
	assert_int_equal(s.nr_regions, 5);
	assert_int_equal(s.nr_threads, 3);
	assert_int_equal(s.threads[0].tid, -1);
	assert_int_equal(s.blocks[0].addr, 0x555500001010);
	assert_int_equal(s.blocks[0].age_ms, UINT32_MAX);
	assert_int_equal(s.blocks[1].age_ms, 16);
	assert_true(s.losses.torn && s.losses.missing_stacks == UINT64_MAX);
	assert_true(s.totals.total_bytes == s.totals.live_bytes * 100);
	snapshot_release(&s);
}

static void test_kept_version_1_cut(void **state)
{
	struct seepfile_damage damage;
	struct snapshot s;

	(void)state;
	read_kept("v1-cut.seep", &s, &damage);
	assert_string_equal(damage.what, "cut short, 7 of 11 chunks are left: all 3 threads, "
					 "all 5 regions, all 20 blocks missing");
	assert_int_equal(damage.chunks_good, 7);
	assert_int_equal(damage.chunks_bad, 4);
	assert_int_equal(s.nr_stacks, 8);
	assert_int_equal(s.nr_blocks, 0);
	snapshot_release(&s);
}

static void test_kept_version_1_marks(void **state)
{
	struct seepfile_damage damage;
	struct snapshot s;

	(void)state;
	read_kept("v1-marks.seep", &s, &damage);
	assert_false(damage.damaged);
	assert_int_equal(s.nr_marks, 3);
	assert_string_equal(strings_get(&s.strings, s.marks[2].name), "mark_2");
	assert_int_equal(s.marks[2].monotonic_ns, 900000002000);
	assert_false(s.marks[1].counted);
	assert_int_equal(s.marks[2].total_bytes, 2000);
	assert_int_equal(s.nr_generations, 16);
	assert_int_equal(s.generations[5].stack, 2);
	assert_int_equal(s.generations[5].generation, 3);
	assert_int_equal(s.generations[5].live_bytes, 500);
	assert_int_equal(s.nodes[4].special, FRAME_TAG);
	assert_string_equal(strings_get(&s.strings, s.nodes[4].tag), "[request]");
	assert_int_equal(s.pooled_bytes, 7654321);
	assert_int_equal(s.losses.lost_marks, 8);
	assert_int_equal(s.losses.lost_tags, 9);
	snapshot_release(&s);
}

/* Version 1 with heaps, regions' use and blocks' states: the columns that came later. */
static void test_kept_version_1_heaps(void **state)
{
	struct seepfile_damage damage;
	struct snapshot s;

	(void)state;
	read_kept("v1-heaps.seep", &s, &damage);
	assert_false(damage.damaged);
	assert_true(s.has_heaps && s.has_region_use);
	assert_string_equal(strings_get(&s.strings, s.method), "frozen clone");
	assert_int_equal(s.figures.peak_rss, 12);
	assert_int_equal(s.nr_heaps, 3);
	assert_string_equal(strings_get(&s.strings, s.heaps[2].name), "arena_2");
	assert_int_equal(s.heaps[2].parent, 1);
	assert_int_equal(s.heaps[2].addr, 0x555500020020);
	assert_int_equal(s.heaps[2].fault_addr, 0x555500020100);
	assert_int_equal(s.heaps[2].figures.reserved_bytes, 3000);
	assert_int_equal(s.heaps[2].figures.overhead_absent_bytes, 3018);
	assert_int_equal(s.nr_spans, 3);
	assert_int_equal(s.spans[1].committed_end, 0x555500011000);
	assert_int_equal(s.nr_checks, 3);
	assert_true(s.checks[2].found == UINT64_MAX - 2);
	assert_int_equal(s.threads[2].heap, 2);
	assert_int_equal(s.regions[2].kind, REGION_STACK);
	assert_int_equal(s.regions[4].huge, 410);
	assert_int_equal(s.blocks[3].heap, 2);
	assert_int_equal(s.blocks[3].state, BLOCK_FREE);
	assert_int_equal(s.blocks[9].stack, NO_INDEX);
	snapshot_release(&s);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Half a million blocks, or as many as SEEP_TEST_BLOCKS says; prints what they cost. */
static void test_large(void **state)
{
	const char *blocks = getenv("SEEP_TEST_BLOCKS");
	char *path = in_folder("large.seep");
	struct snapshot s, back;
	double start, written, read_back;
	struct stat st;
	struct error e;

	(void)state;
	sample_make(&s, 100000, 50000, blocks ? strtoul(blocks, NULL, 10) : 500000);
	start = seconds();
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	written = seconds();
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	read_back = seconds();
	assert_null(sample_difference(&s, &back));
	assert_int_equal(stat(path, &st), 0);
	print_message("# %zu blocks: written in %.2f s, read in %.2f s, %.1f MB\n", s.nr_blocks,
		      written - start, read_back - written, (double)st.st_size / 1e6);
	/* addresses, sizes and stacks here are random: real ones are smaller still */
	assert_true((size_t)st.st_size < s.nr_blocks * 12);
	snapshot_release(&s);
	snapshot_release(&back);
	assert_int_equal(unlink(path), 0);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_rich),
		cmocka_unit_test(test_round_trip_empty),
		cmocka_unit_test(test_round_trip_many_rows),
		cmocka_unit_test(test_round_trip_long_texts),
		cmocka_unit_test(test_kept_version_1),
		cmocka_unit_test(test_kept_version_1_cut),
		cmocka_unit_test(test_kept_version_1_heaps),
		cmocka_unit_test(test_kept_version_1_marks),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
