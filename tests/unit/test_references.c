/*
 * References: the graph that comes of a snapshot's rows is the one that comes of memory; their
 * chunks in the file; and what is done to files that lie about them.
 */
#include <errno.h>

#include "base/mem.h"
#include "file/chunk.h"
#include "file/layout.h"
#include "model/reach.h"
#include "model/reach_path.h"
#include "model/references.h"
#include "seepfile_test.h"

#define BASE 0x7f0000100000ull
#define STEP 64 /* from one block to the next: there is a gap behind most */
#define BLOCKS_MAX 60
#define ROOTS 5

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	return sample_random(&seed) % n;
}

/* A small random heap, and words that point into it. */
struct made {
	size_t nr;
	uint64_t words[BLOCKS_MAX][STEP / 8];
	uint64_t size[BLOCKS_MAX];
	uint64_t roots[ROOTS];
};

static uint64_t random_pointer(const struct made *m)
{
	uint64_t offset = random_below(3) ? 0 : random_below(STEP);

	return BASE + random_below(m->nr) * STEP + offset;
}

static void make(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->nr = 1 + random_below(BLOCKS_MAX);
	for (size_t i = 0; i < m->nr; i++) {
		m->size[i] = 8 * (1 + random_below(STEP / 8));
		for (size_t k = 0; k < m->size[i] / 8; k++)
			m->words[i][k] = random_below(4) ? random_below(5000) : random_pointer(m);
	}
	for (size_t i = 0; i < ROOTS; i++)
		m->roots[i] = random_below(3) ? random_pointer(m) : 0;
}

static struct reach *reach_of(const struct made *m)
{
	struct reach *r = reach_new(8);

	assert_int_equal(reach_add_span(r, BASE, BASE + m->nr * STEP, 8), 0);
	for (size_t i = 0; i < m->nr; i++)
		assert_int_equal(reach_add_block(r, BASE + i * STEP, m->size[i]), 0);
	reach_seal(r);
	reach_scan(r, BASE, m->words, m->nr * STEP);
	reach_scan_end(r);
	for (size_t i = 0; i < ROOTS; i++)
		reach_root(r, m->roots[i]);
	reach_mark(r);
	return r;
}

/* The block that a word points into, by the sizes alone; false: none. */
static bool look_up(const struct made *m, uint64_t word, uint32_t *ret_block, uint32_t *ret_into)
{
	uint64_t block = (word - BASE) / STEP, into = (word - BASE) % STEP;

	if (word < BASE || block >= m->nr || into >= m->size[block])
		return false;
	*ret_block = (uint32_t)block;
	*ret_into = (uint32_t)into;
	return true;
}

static void snapshot_of(const struct made *m, struct snapshot *s)
{
	uint32_t block, into;

	snapshot_init(s);
	for (size_t i = 0; i < m->nr; i++) {
		struct ref_block b = {.addr = BASE + i * STEP, .size = m->size[i]};

		for (size_t k = 0; k < m->size[i] / 8; k++) {
			if (!look_up(m, m->words[i][k], &block, &into))
				continue;
			ARRAY_PUSH(s->ref_edges, s->nr_ref_edges, s->cap_ref_edges,
				   ((struct ref_edge){block, (uint32_t)k, into}));
			b.nr_edges++;
		}
		ARRAY_PUSH(s->ref_blocks, s->nr_ref_blocks, s->cap_ref_blocks, b);
	}
	ARRAY_PUSH(s->ref_owners, s->nr_ref_owners, s->cap_ref_owners, ((struct ref_owner){0}));
	for (size_t i = 0; i < ROOTS; i++) {
		if (look_up(m, m->roots[i], &block, &into))
			ARRAY_PUSH(s->ref_roots, s->nr_ref_roots, s->cap_ref_roots,
				   ((struct ref_root){.where = i, .block = block, .into = into}));
	}
	s->ref_account.word_bytes = 8;
	s->has_references = true;
	assert_int_equal(snapshot_check(s, NULL), 0);
}

static void compare(const struct made *m, const struct reach *memory, const struct snapshot *s,
		    const struct reach *kept)
{
	assert_true(reach_blocks(kept) == m->nr);
	for (uint32_t i = 0; i < m->nr; i++) {
		uint64_t addr = BASE + i * STEP;
		uint32_t id = reach_find(memory, addr);
		size_t nr, nr_kept;
		const uint32_t *edges = reach_edges(kept, i, &nr_kept);

		assert_int_equal(reach_find(kept, addr), i);
		assert_int_equal(reach_find(kept, addr + m->size[i] - 1), i);
		assert_int_equal(reach_find(kept, addr + m->size[i]),
				 m->size[i] == STEP && i + 1 < m->nr ? i + 1 : REACH_NONE);
		assert_int_equal(references_find(s, addr), i);
		assert_int_equal(references_find(s, addr + 1), NO_INDEX);
		assert_true(reach_is_block(kept, i));
		assert_true(reach_address(kept, i) == addr);
		assert_true(reach_size(kept, i) == m->size[i]);
		assert_int_equal(reach_state(kept, i), reach_state(memory, id));
		reach_edges(memory, id, &nr);
		for (size_t k = 0; k < nr_kept; k++)
			assert_true((edges[k] & ~REACH_WEAK) < m->nr);
		assert_true(nr_kept <= nr); /* those of memory may point into gaps */
	}
	assert_int_equal(reach_find(kept, BASE - 1), REACH_NONE);
}

static void test_same_graph(void **state)
{
	(void)state;
	for (uint64_t i = 1; i < 500; i++) {
		struct made m;
		struct snapshot s;
		struct root_hits hits;
		struct reach *memory, *kept;

		seed = i * 7919;
		make(&m);
		memory = reach_of(&m);
		snapshot_of(&m, &s);
		kept = references_reach(&s, 0, &hits);
		assert_int_equal(hits.nr, s.nr_ref_roots);
		compare(&m, memory, &s, kept);
		reach_free(memory);
		reach_free(kept);
		root_hits_release(&hits);
		snapshot_release(&s);
	}
}

/* An object that was found to be held by its parts, which only its contents told. */
static void test_held(void **state)
{
	struct made m = {.nr = 2, .size = {64, 64}, .roots = {BASE + 40}};
	struct root_hits hits;
	struct snapshot s;
	struct reach *r;

	(void)state;
	m.words[0][3] = BASE + STEP;
	snapshot_of(&m, &s);
	r = references_reach(&s, 0, &hits);
	assert_int_equal(reach_state(r, 1), REACH_POSSIBLE);
	reach_free(r);
	root_hits_release(&hits);
	s.ref_blocks[0].flags = REF_BLOCK_HELD;
	r = references_reach(&s, 0, &hits);
	assert_int_equal(reach_state(r, 0), REACH_HELD);
	assert_int_equal(reach_state(r, 1), REACH_HELD);
	assert_int_equal(hits.nr, 1);
	reach_free(r);
	root_hits_release(&hits);
	snapshot_release(&s);
}

static void expect_root(struct snapshot *s, struct ref_owner owner, uint64_t where,
			const char *text)
{
	struct ref_root root = {.where = where, .detail = strings_add(&s->strings, ", in f")};
	struct str out = STR_INIT;

	owner.before = strings_add(&s->strings, "global data shop");
	owner.behind = strings_add(&s->strings, " (lib.so)");
	s->ref_owners[0] = owner;
	references_describe_root(s, &root, &out);
	assert_string_equal(out.data, text);
	str_release(&out);
}

static void test_names(void **state)
{
	struct made m = {.nr = 1, .size = {64}};
	struct snapshot s;

	(void)state;
	snapshot_of(&m, &s);
	expect_root(&s, (struct ref_owner){.base = 0x1000}, 0x1040,
		    "global data shop+0x40 (lib.so), in f");
	expect_root(&s, (struct ref_owner){.base = 0x1000}, 0x1000,
		    "global data shop (lib.so), in f");
	expect_root(&s, (struct ref_owner){.base = 0x1000, .always_offset = 1}, 0x1000,
		    "global data shop+0x0 (lib.so), in f");
	expect_root(&s, (struct ref_owner){.always_offset = 1}, 0x40,
		    "global data shop+0x40 (lib.so), in f");
	expect_root(&s, (struct ref_owner){.base = 0}, 0x40, "global data shop (lib.so), in f");
	snapshot_release(&s);
}

static void test_round_trip(void **state)
{
	char *path = in_folder("refs.seep");
	struct snapshot s, back;
	struct error e;

	(void)state;
	sample_make(&s, 20, 8, 20);
	sample_references(&s, CHUNK_MAX_ROWS + 5);
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	assert_null(sample_difference(&s, &back));
	snapshot_release(&back);
	snapshot_release(&s);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static bool spoil(struct str *bytes, uint32_t type)
{
	for (size_t at = FILE_HEADER_BYTES;;) {
		const uint8_t *data = (const uint8_t *)bytes->data + at;
		struct chunk c;

		if (chunk_parse(data, bytes->len - at, &c))
			return false;
		if (c.type == type) {
			bytes->data[at + CHUNK_HEADER_BYTES] ^= 0x10;
			return true;
		}
		at += c.bytes;
	}
}

/* One chunk of them lost: none is given, and that is said; all the rest is there. */
static void test_chunk_lost(void **state)
{
	static const char types[][5] = {"RFBL", "RFED", "RFOW", "RFRT", "RFPT"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct seepfile_damage damage;
		struct str bytes = STR_INIT;
		struct snapshot s, back;
		const char *t = types[i];

		sample_make(&s, 20, 8, 20);
		sample_references(&s, 100);
		file_bytes(&s, &bytes);
		assert_true(spoil(&bytes, FOURCC(t[0], t[1], t[2], t[3])));
		assert_true(read_part(bytes.data, bytes.len, &s, &back, &damage));
		assert_true(damage.damaged && damage.references_lost);
		assert_false(back.has_references);
		assert_int_equal(back.nr_ref_blocks + back.nr_ref_edges + back.nr_ref_roots, 0);
		assert_int_equal(back.nr_blocks, s.nr_blocks);
		snapshot_release(&back);
		snapshot_release(&s);
		str_release(&bytes);
	}
}

/* Another chunk lost: references stay. */
static void test_other_chunk_lost(void **state)
{
	struct seepfile_damage damage;
	struct str bytes = STR_INIT;
	struct snapshot s, back;

	(void)state;
	sample_make(&s, 20, 8, 20);
	sample_references(&s, 100);
	file_bytes(&s, &bytes);
	assert_true(spoil(&bytes, FOURCC('S', 'T', 'R', 'S')));
	assert_true(read_part(bytes.data, bytes.len, &s, &back, &damage));
	assert_true(damage.damaged && !damage.references_lost && back.has_references);
	assert_int_equal(back.nr_ref_edges, s.nr_ref_edges);
	snapshot_release(&back);
	snapshot_release(&s);
	str_release(&bytes);
}

static void test_cut_at_every_byte(void **state)
{
	struct snapshot s;
	struct str bytes = STR_INIT;

	(void)state;
	sample_make(&s, 5, 4, 6);
	sample_references(&s, 9);
	file_bytes(&s, &bytes);
	for (size_t len = 0; len < bytes.len; len++) {
		struct seepfile_damage damage;
		struct snapshot back;

		if (!read_part(bytes.data, len, &s, &back, &damage))
			continue;
		assert_true(damage.damaged);
		assert_true(back.has_references != damage.references_lost);
		if (back.has_references)
			assert_int_equal(back.nr_ref_edges, s.nr_ref_edges);
		snapshot_release(&back);
	}
	snapshot_release(&s);
	str_release(&bytes);
}

static void lie(struct snapshot *s, int nr)
{
	switch (nr) {
	case 0:
		s->ref_account.word_bytes = 0;
		break;
	case 1:
		s->ref_blocks[3].addr = s->ref_blocks[2].addr;
		break;
	case 2:
		s->ref_blocks[8].size = UINT64_MAX;
		break;
	case 3:
		s->ref_blocks[2].nr_edges++;
		break;
	case 4:
		s->ref_blocks[2].nr_edges = UINT64_MAX;
		break;
	case 5:
		s->ref_edges[1].block = 9;
		break;
	case 6:
		s->ref_roots[1].block = NO_INDEX;
		break;
	case 7:
		s->ref_roots[1].owner = 4;
		break;
	case 8:
		s->ref_roots[1].detail = 1000000;
		break;
	case 9:
		s->ref_owners[1].behind = 1000000;
		break;
	case 10:
		s->ref_blocks[1].class_name = 1000000;
		break;
	case 11:
		s->ref_patterns[0].label = 1000000;
		break;
	case 12:
		s->has_references = false;
		break;
	}
}

static void test_contradictions(void **state)
{
	(void)state;
	for (int i = 0; i <= 13; i++) {
		struct snapshot s;
		struct error e = {0};

		sample_make(&s, 5, 4, 6);
		sample_references(&s, 9);
		lie(&s, i);
		assert_int_equal(snapshot_check(&s, &e), i == 13 ? 0 : -EINVAL);
		assert_true((e.message[0] != 0) == (i != 13));
		snapshot_release(&s);
	}
}

/* A file as the first version that had references wrote it. */
static void test_kept_file(void **state)
{
	const char *data = getenv("SEEP_TEST_DATA");
	struct snapshot s;
	struct error e;
	char *path;

	(void)state;
	if (!data)
		skip();
	path = mem_printf("%s/v1-references.seep", data);
	assert_int_equal(seepfile_read(path, &s, NULL, &e), 0);
	assert_true(s.has_references);
	assert_int_equal(s.ref_account.word_bytes, 8);
	assert_int_equal(s.ref_account.unread_bytes, 3);
	assert_true(s.ref_account.rejected_blocks == UINT64_MAX);
	assert_true(s.ref_account.has_registers && s.ref_account.has_kernel);
	assert_int_equal(s.nr_ref_blocks, 9);
	assert_true(s.ref_blocks[8].addr == 0x555500009010);
	assert_string_equal(strings_get(&s.strings, s.ref_blocks[5].class_name), "Class_5");
	assert_int_equal(s.ref_blocks[7].flags, REF_BLOCK_HELD);
	assert_int_equal(s.nr_ref_owners, 4);
	assert_true(s.ref_owners[2].base == 0x2000);
	assert_int_equal(s.ref_owners[2].always_offset, 1);
	assert_string_equal(strings_get(&s.strings, s.ref_owners[3].behind), "behind_3");
	assert_int_equal(s.nr_ref_roots, 4);
	assert_int_equal(s.ref_roots[3].into, REF_FAR);
	assert_string_equal(strings_get(&s.strings, s.ref_roots[3].detail), "detail_3");
	assert_string_equal(strings_get(&s.strings, s.ref_patterns[0].pattern), "pattern_1");
	snapshot_release(&s);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_graph),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_chunk_lost),
		cmocka_unit_test(test_other_chunk_lost),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_kept_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
