/* Damaged .seep files: what is left is read, what is missing is told, nothing crashes. */
#include <errno.h>

#include "forge.h"
#include "seepfile_test.h"

static void test_cut_at_every_byte(void **state)
{
	struct str bytes = STR_INIT;
	struct snapshot s, back;
	size_t blocks = 0, stacks = 0, readable = 0;

	(void)state;
	sample_make(&s, 20, 10, 40);
	file_bytes(&s, &bytes);
	for (size_t len = 0; len < bytes.len; len++) {
		struct seepfile_damage damage;
		/* a copy of just this length, so that a sanitizer sees reads beyond it */
		void *copy = memcpy(mem_alloc(len), bytes.data, len);

		if (read_part(copy, len, &s, &back, &damage)) {
			assert_true(damage.damaged);
			assert_true(damage.chunks_bad > 0 || len > bytes.len - TRAILER_BYTES - 220);
			assert_true(back.nr_blocks >= blocks && back.nr_stacks >= stacks);
			blocks = back.nr_blocks;
			stacks = back.nr_stacks;
			readable++;
			snapshot_release(&back);
		} else {
			assert_int_equal(readable, 0);
		}
		free(copy);
	}
	/* once the first chunk is whole, there is always something to read */
	assert_true(readable > bytes.len * 2 / 3);
	assert_int_equal(blocks, s.nr_blocks);
	assert_int_equal(stacks, s.nr_stacks);
	snapshot_release(&s);
	str_release(&bytes);
}

/* The chunks of a file behind nr places that only look like chunks, and no index. */
static void put_behind_false_chunks(const struct str *bytes, int nr, struct str *out)
{
	uint8_t fake[CHUNK_MIN_BYTES] = {0};

	put_le32(fake, CHUNK_MAGIC);
	str_clear(out);
	str_add_len(out, bytes->data, FILE_HEADER_BYTES);
	while (nr--)
		str_add_len(out, (const char *)fake, sizeof(fake));
	str_add_len(out, bytes->data + FILE_HEADER_BYTES,
		    bytes->len - FILE_HEADER_BYTES - TRAILER_BYTES);
}

/* The search for chunks passes what is broken, but a file made of nothing else does not hold it up.
 */
static void test_false_chunks(void **state)
{
	struct str bytes = STR_INIT, made = STR_INIT;
	struct seepfile_damage damage;
	struct snapshot s, back;

	(void)state;
	sample_make(&s, 4, 3, 6);
	file_bytes(&s, &bytes);
	put_behind_false_chunks(&bytes, 1000, &made);
	assert_true(read_part(made.data, made.len, &s, &back, &damage));
	assert_string_equal(damage.what,
			    "the index at its end is missing or damaged: no data missing");
	assert_null(sample_difference(&s, &back));
	snapshot_release(&back);
	put_behind_false_chunks(&bytes, 3000, &made);
	assert_false(read_part(made.data, made.len, &s, &back, &damage));
	snapshot_release(&s);
	str_release(&bytes);
	str_release(&made);
}

static void test_every_bit_flipped(void **state)
{
	struct str bytes = STR_INIT;
	struct snapshot s, back;
	size_t told = 0;

	(void)state;
	sample_make(&s, 4, 3, 6);
	file_bytes(&s, &bytes);
	for (size_t bit = 0; bit < bytes.len * 8; bit++) {
		struct seepfile_damage damage = {0};

		bytes.data[bit / 8] ^= (char)(1 << bit % 8);
		if (read_part(bytes.data, bytes.len, &s, &back, &damage))
			snapshot_release(&back);
		else
			damage.damaged = true;
		told += damage.damaged;
		bytes.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(told, bytes.len * 8);
	snapshot_release(&s);
	str_release(&bytes);
}

/* Spoils one byte in the middle of the nr-th chunk of the type. */
static void spoil(struct str *bytes, uint32_t type, int nr)
{
	size_t at = FILE_HEADER_BYTES;
	struct chunk c;

	for (;; at += c.bytes) {
		const uint8_t *data = (const uint8_t *)bytes->data + at;

		assert_int_equal(chunk_parse(data, bytes->len - at, &c), 0);
		if (c.type == type && !nr--)
			break;
	}
	bytes->data[at + CHUNK_HEADER_BYTES + c.packed_len / 2] ^= 0x10;
}

static void read_spoilt(const struct snapshot *s, uint32_t type, int nr, const char *says,
			struct snapshot *back)
{
	struct seepfile_damage damage;
	struct str bytes = STR_INIT;
	struct error e;

	file_bytes(s, &bytes);
	spoil(&bytes, type, nr);
	assert_true(read_part(bytes.data, bytes.len, s, back, &damage));
	assert_true(damage.damaged);
	assert_int_equal(damage.chunks_bad, 1);
	assert_string_equal(damage.what, says);
	snapshot_release(back);
	assert_int_equal(seepfile_read_bytes(bytes.data, bytes.len, "x", back, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.message, says));
	assert_int_equal(seepfile_read_bytes(bytes.data, bytes.len, "x", back, &damage, &e), 0);
	str_release(&bytes);
}

static void test_one_chunk_lost(void **state)
{
	struct snapshot s, back;

	(void)state;
	sample_make(&s, 70000, 66000, CHUNK_MAX_ROWS * 2 + 100);
	read_spoilt(&s, FOURCC('B', 'L', 'K', 'S'), 1,
		    "damaged, 24 of 25 chunks are left: 65,536 of 131,172 blocks missing", &back);
	assert_int_equal(back.nr_blocks, CHUNK_MAX_ROWS + 100);
	assert_int_equal(back.blocks[CHUNK_MAX_ROWS].addr, s.blocks[CHUNK_MAX_ROWS * 2].addr);
	snapshot_release(&back);

	/* what others refer to keeps its number */
	read_spoilt(&s, FOURCC('N', 'O', 'D', 'E'), 0,
		    "damaged, 24 of 25 chunks are left: 65,536 of 70,004 stack nodes missing",
		    &back);
	assert_int_equal(back.nr_nodes, s.nr_nodes);
	assert_int_equal(back.nodes[0].special, FRAME_NONE);
	assert_int_equal(back.nodes[9].special, FRAME_UNKNOWN_STACK);
	assert_int_equal(back.nodes[65536].frame, s.nodes[65536].frame);
	assert_true(back.totals.live_bytes == s.totals.live_bytes);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('S', 'T', 'K', 'S'), 1,
		    "damaged, 24 of 25 chunks are left: 464 of 66,000 stacks missing", &back);
	assert_int_equal(back.nr_stacks, s.nr_stacks);
	assert_int_equal(back.nr_blocks, s.nr_blocks);
	assert_int_equal(back.stacks[65999].live_blocks, 0);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('M', 'A', 'R', 'K'), 0,
		    "damaged, 24 of 25 chunks are left: all 3 marks missing", &back);
	assert_int_equal(back.nr_marks, 3);
	assert_int_equal(back.marks[1].name, 0);
	assert_int_equal(back.generations[1].generation, 3);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('G', 'E', 'N', 'S'), 2,
		    "damaged, 24 of 25 chunks are left: 928 of 132,000 generations missing", &back);
	assert_int_equal(back.nr_generations, 131072);
	assert_int_equal(back.nr_marks, 3);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('H', 'E', 'A', 'P'), 0,
		    "damaged, 24 of 25 chunks are left: all 3 heaps missing", &back);
	assert_int_equal(back.nr_heaps, 3);
	assert_int_equal(back.heaps[1].kind, HEAP_UNKNOWN);
	assert_int_equal(back.heaps[1].figures.busy_blocks, 0);
	assert_int_equal(back.blocks[2].heap, 1);
	assert_int_equal(back.spans[2].heap, 2);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('T', 'H', 'R', 'D'), 0,
		    "damaged, 24 of 25 chunks are left: all 3 threads missing", &back);
	assert_int_equal(back.nr_threads, 3);
	assert_int_equal(back.threads[1].tid, 0);
	assert_int_equal(back.regions[2].owner, 0);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('S', 'P', 'A', 'N'), 0,
		    "damaged, 24 of 25 chunks are left: all 3 heap spans missing", &back);
	assert_int_equal(back.nr_spans, 0);
	assert_int_equal(back.nr_heaps, 3);
	snapshot_release(&back);

	read_spoilt(&s, CHUNK_META, 0, "damaged, 24 of 25 chunks are left: no data missing", &back);
	assert_null(sample_difference(&s, &back));
	snapshot_release(&back);
	snapshot_release(&s);
}

/* Takes the file of a small snapshot apart; *s is what it held. */
static void start_forgery(struct forge *f, struct snapshot *s)
{
	struct str bytes = STR_INIT;

	sample_make(s, 12, 8, 20);
	file_bytes(s, &bytes);
	assert_true(forge_take(f, (const uint8_t *)bytes.data, bytes.len));
	str_release(&bytes);
}

static void test_unknown_chunks_are_skipped(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	forge_add(&f, FOURCC('N', 'E', 'W', '!'), 0, 7, "what later seeps write", 22);
	forge_make(&f, &file);
	assert_true(read_part(file.data, file.len, &s, &back, &damage));
	assert_false(damage.damaged);
	snapshot_release(&back);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

static void test_unknown_columns_are_skipped(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	columns_add_bytes(&forge_find(&f, FOURCC('B', 'L', 'K', 'S'))->raw, 99, COLUMN_BYTES,
			  "0123456789", 10);
	columns_add_bytes(&forge_find(&f, CHUNK_META)->raw, 999, COLUMN_VARINT, "\x01", 1);
	forge_make(&f, &file);
	assert_true(read_part(file.data, file.len, &s, &back, &damage));
	assert_false(damage.damaged);
	snapshot_release(&back);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

/* The chunk without the columns whose id is above `last`, as an earlier seep would have written it.
 */
static void drop_columns(struct forge_chunk *c, unsigned int last)
{
	struct buffer kept = {0};
	size_t at = 0;

	while (at < c->raw.len) {
		const uint8_t *head = c->raw.data + at;
		size_t bytes = COLUMN_HEADER_BYTES + get_le32(head + 4);

		if ((unsigned int)(head[0] | head[1] << 8) <= last)
			buffer_add(&kept, head, bytes);
		at += bytes;
	}
	buffer_release(&c->raw);
	c->raw = kept;
}

static void test_columns_that_came_later(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct error e;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	drop_columns(forge_find(&f, FOURCC('B', 'L', 'K', 'S')), 4);
	drop_columns(forge_find(&f, FOURCC('T', 'H', 'R', 'D')), 2);
	drop_columns(forge_find(&f, FOURCC('R', 'E', 'G', 'N')), 5);
	drop_columns(forge_find(&f, FOURCC('N', 'O', 'D', 'E')), 3);
	forge_make(&f, &file);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "x", &back, &damage, &e), 0);
	assert_false(damage.damaged);
	assert_int_equal(back.nr_blocks, s.nr_blocks);
	for (size_t i = 0; i < s.nr_blocks; i++) {
		assert_int_equal(back.blocks[i].addr, s.blocks[i].addr);
		assert_int_equal(back.blocks[i].heap, NO_INDEX);
		assert_int_equal(back.blocks[i].state, BLOCK_BUSY);
	}
	assert_int_equal(back.threads[2].heap, NO_INDEX);
	assert_int_equal(back.threads[2].sp, 0);
	assert_int_equal(back.nodes[4].tag, 0);
	assert_int_equal(back.regions[3].kind, REGION_UNKNOWN);
	assert_int_equal(back.regions[3].owner, NO_INDEX);
	assert_int_equal(back.regions[3].rss, 0);
	snapshot_release(&back);
	buffer_release(&file);

	/* but not the columns that were there from the start */
	drop_columns(forge_find(&f, FOURCC('B', 'L', 'K', 'S')), 3);
	forge_make(&f, &file);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "x", &back, &damage, &e), 0);
	assert_true(damage.damaged);
	assert_int_equal(back.nr_blocks, 0);
	snapshot_release(&back);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

/* Lies with right checksums; returns false when there are no more. */
static bool lie(struct forge *f, int nr)
{
	struct forge_chunk *blocks = forge_find(f, FOURCC('B', 'L', 'K', 'S'));
	struct forge_chunk *strings = forge_find(f, CHUNK_STRINGS);
	struct forge_chunk *meta = forge_find(f, CHUNK_META);
	struct buffer *raw = &blocks->raw;

	switch (nr) {
	case 0:
		blocks->rows = UINT32_MAX;
		return true;
	case 1:
		blocks->rows--;
		return true;
	case 2:
		blocks->first_row = UINT64_MAX;
		return true;
	case 3: /* an array that starts beyond its end */
		blocks->first_row = 1u << 30;
		return true;
	case 4: /* a column longer than the payload */
		put_le32(raw->data + 4, UINT32_MAX);
		return true;
	case 5: /* numbers that never end */
		memset(raw->data + COLUMN_HEADER_BYTES, 0xff, raw->len - COLUMN_HEADER_BYTES);
		return true;
	case 6: /* no columns at all */
		raw->len = 0;
		return true;
	case 7: /* a bomb: far more bytes than 20 rows can need */
		raw->len = 0;
		memset(buffer_reserve(raw, CHUNK_MAX_RAW), 0, CHUNK_MAX_RAW);
		raw->len = CHUNK_MAX_RAW;
		return true;
	case 8: /* a text with a NUL inside */
		strings->raw.data[strings->raw.len - 1] = '\0';
		return true;
	case 9: /* lengths do not add up */
		strings->raw.len--;
		return true;
	case 10:
		meta->rows = 0;
		return true;
	case 11: /* the same rows twice */
		forge_add(f, blocks->type, 0, blocks->rows, raw->data, raw->len);
		return true;
	case 12: /* 2^40 rows out of nowhere */
		strings->first_row = 1ull << 40;
		return true;
	default:
		return false;
	}
}

static void test_lies_are_seen(void **state)
{
	int nr = 0;

	(void)state;
	for (bool more = true; more; nr++) {
		struct seepfile_damage damage = {0};
		struct buffer file = {0};
		struct snapshot s, back;
		struct forge f;

		start_forgery(&f, &s);
		more = lie(&f, nr);
		forge_make(&f, &file);
		if (read_part(file.data, file.len, &s, &back, &damage)) {
			assert_int_equal(damage.damaged, more);
			snapshot_release(&back);
		}
		buffer_release(&file);
		forge_release(&f);
		snapshot_release(&s);
	}
	assert_int_equal(nr, 14);
}

static void test_contradictions_are_refused(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct error e;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	s.blocks[3].stack = 8;
	forge_find(&f, FOURCC('B', 'L', 'K', 'S'))->raw.len = 0;
	columns_encode(&tables[TABLE_BLOCKS].rows, s.blocks, s.nr_blocks,
		       &forge_find(&f, FOURCC('B', 'L', 'K', 'S'))->raw);
	forge_make(&f, &file);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "x", &back, &damage, &e),
			 -EBADMSG);
	assert_string_equal(e.message, "cannot read snapshot 'x': it contradicts itself: "
				       "block 3 refers to stack 8, but there are 8");
	/* nor are they written */
	assert_int_equal(seepfile_write(&s, "/dev/null", &e), -EINVAL);
	assert_int_equal(e.status, EXIT_INTERNAL);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_false_chunks),
		cmocka_unit_test(test_every_bit_flipped),
		cmocka_unit_test(test_one_chunk_lost),
		cmocka_unit_test(test_unknown_chunks_are_skipped),
		cmocka_unit_test(test_unknown_columns_are_skipped),
		cmocka_unit_test(test_columns_that_came_later),
		cmocka_unit_test(test_lies_are_seen),
		cmocka_unit_test(test_contradictions_are_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
