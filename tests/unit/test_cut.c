/* target/table, target/cut, model/load: a table by hand is read exactly; one that lies, safely. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "../tools/forge_table.h"
#include "base/error.h"
#include "target/mode.h"
#include "wire/sample.h"

struct found {
	struct cut cut;
	struct snapshot snapshot;
};

static struct forged forge(void)
{
	struct forged f;

	assert_true(forged_init(&f));
	return f;
}

static struct found take(const struct forged *f, bool ended)
{
	struct error e = {0};
	struct found found;
	struct table t;

	if (table_open_fd(f->fd, &t, &e) < 0 || table_cut(&t, ended, &found.cut, &e) < 0)
		fail_msg("%s", e.message);
	table_close(&t);
	forged_load(&found.cut, &found.snapshot);
	assert_true(forged_is_sound(&found.snapshot));
	return found;
}

static void release(struct found *found)
{
	snapshot_release(&found->snapshot);
	cut_release(&found->cut);
}

static void assert_refused(struct forged *f, const char *why)
{
	struct error e = {0};
	struct table t;

	assert_true(table_open_fd(f->fd, &t, &e) < 0);
	if (!strstr(e.message, why))
		fail_msg("'%s' does not say '%s'", e.message, why);
	forged_release(f);
}

/* ---- the truth of the table as it was made ---- */

static void assert_truth(const struct found *found)
{
	const struct snapshot *s = &found->snapshot;
	const struct block *b = s->blocks;

	assert_int_equal(found->cut.broken_rows, 0);
	assert_int_equal(found->cut.node_blocks[5], 5);
	assert_int_equal(found->cut.node_bytes[5], 260);
	assert_int_equal(found->cut.node_temps[5], 2);
	assert_int_equal(found->cut.node_blocks[6], 1);
	assert_int_equal(found->cut.frees, 3);
	assert_int_equal(s->nr_blocks, 3);
	assert_int_equal(b[0].addr, FORGED_BASE + 10 * 32);
	assert_int_equal(b[0].size, 100);
	assert_int_equal(b[1].addr, FORGED_BASE + 20 * 32);
	assert_int_equal(b[1].size, FORGED_BIG_BYTES);
	assert_int_equal(b[2].addr, FORGED_DENSE_BASE + 3 * 8);
	assert_int_equal(b[2].size, 16);
	assert_int_equal(s->nr_modules, 2);
	assert_string_equal(strings_get(&s->strings, s->modules[0].path), "/opt/program");
	assert_string_equal(strings_get(&s->strings, s->modules[1].path), "/opt/gone.so");
}

static void every_count_is_found(void **state)
{
	struct forged f = forge();
	struct found found = take(&f, true);

	(void)state;
	assert_truth(&found);
	assert_false(found.cut.torn);
	release(&found);
	forged_release(&f);
}

static void a_block_knows_the_modules_of_its_stack(void **state)
{
	struct forged f = forge();
	struct found found = take(&f, true);
	const struct snapshot *s = &found.snapshot;
	const struct stack_node *n = &s->nodes[s->stacks[s->blocks[1].stack].node];

	(void)state;
	assert_int_equal(s->frames[n->frame].module, 1);
	assert_int_equal(s->frames[n->frame].pc, 0x30100);
	n = &s->nodes[n->parent];
	assert_int_equal(s->frames[n->frame].module, 0);
	release(&found);
	forged_release(&f);
}

/* ---- what the program has told ---- */

static const struct generation_row *generation_of(const struct snapshot *s, uint32_t id,
						  uint32_t generation)
{
	for (size_t i = 0; i < s->nr_generations; i++)
		if (s->stacks[s->generations[i].stack].id == id &&
		    s->generations[i].generation == generation)
			return &s->generations[i];
	fail_msg("stack %u has nothing of generation %u", id, generation);
	return NULL;
}

static void marks_tell_the_generations_of_blocks(void **state)
{
	struct forged f = forge();
	struct found found = take(&f, true);
	const struct snapshot *s = &found.snapshot;
	const struct generation_row *g;

	(void)state;
	assert_int_equal(s->nr_marks, 2); /* neither the unfinished one nor that of later */
	assert_string_equal(strings_get(&s->strings, s->marks[0].name), "first");
	assert_string_equal(strings_get(&s->strings, s->marks[1].name), "second");
	assert_true(s->marks[0].counted && s->marks[0].total_bytes == 100);
	assert_false(s->marks[1].counted);
	assert_int_equal(s->nr_generations, 3);
	g = generation_of(s, 5, 0);
	assert_true(g->live_blocks == 1 && g->live_bytes == 100);
	g = generation_of(s, 6, 1);
	assert_true(g->live_blocks == 2 && g->live_bytes == FORGED_BIG_BYTES + 16 - 64);
	g = generation_of(s, 5, 2);
	assert_true(g->live_blocks == 1 && g->live_bytes == 64);
	release(&found);
	forged_release(&f);
}

static void a_byte_in_a_pool_counts_once(void **state)
{
	struct forged f = forge();
	struct found found = take(&f, true);

	(void)state;
	assert_int_equal(found.cut.nr_pool_blocks, 1); /* the other is from before a reset */
	assert_int_equal(found.cut.pool_blocks[0].addr, FORGED_POOL_BLOCK);
	assert_int_equal(found.snapshot.pooled_bytes, 64);
	assert_int_equal(found.snapshot.totals.live_bytes, 100 + FORGED_BIG_BYTES + 16);
	assert_int_equal(found.snapshot.totals.live_blocks, 4);
	release(&found);
	forged_release(&f);
}

static void pools_that_lie_are_left_out(void **state)
{
	struct forged f = forge();
	struct wire_pool_row *pools = forged_pools(&f);
	struct found found;

	(void)state;
	forged_header(&f)->pool_depth = UINT32_MAX;
	forged_header(&f)->marks_nr = UINT32_MAX;
	forged_header(&f)->tags_nr = UINT32_MAX;
	memset(forged_marks(&f)[0].name, 'x', sizeof(forged_marks(&f)[0].name));
	pools[20] = pools[8];
	pools[20].stack = 31ull << WIRE_SLOT_NODE_SHIFT; /* there is no such node */
	pools[21] = pools[8];
	pools[21].owner = UINT64_MAX; /* nor such a pool */
	pools[22] = pools[8];
	pools[22].size = UINT64_MAX;
	pools[23] = pools[8];
	pools[23].key |= WIRE_POOL_KEY_WRITING;
	found = take(&f, true);
	assert_int_equal(found.cut.nr_pool_blocks, 1);
	assert_int_equal(found.cut.broken_rows, 2);
	assert_int_equal(found.snapshot.totals.live_bytes, 100 + FORGED_BIG_BYTES + 16);
	release(&found);
	forged_release(&f);
}

static void a_table_of_pools_outside_the_file_is_refused(void **state)
{
	struct forged f = forge();

	(void)state;
	forged_header(&f)->pools_off = f.bytes - 8;
	assert_refused(&f, "makes no sense");
	f = forge();
	forged_header(&f)->pool_levels = 8;
	assert_refused(&f, "makes no sense");
	f = forge();
	forged_header(&f)->marks_cap = WIRE_MARKS_CAP;
	forged_header(&f)->marks_off = f.bytes - 4096;
	assert_refused(&f, "makes no sense");
}

/* ---- notes of what changed ---- */

static void note(const struct forged *f, uint32_t i, enum wire_undo_kind kind, uint64_t key,
		 uint64_t value)
{
	forged_undo(f)[i] = (struct wire_undo){
		.key = (uint64_t)kind << WIRE_UNDO_KIND_SHIFT | WIRE_UNDO_VALID | key,
		.value = value,
	};
	if (forged_header(f)->undo_nr <= i)
		forged_header(f)->undo_nr = i + 1;
}

static void counts_that_a_dead_reader_left_are_added_once(void **state)
{
	struct forged f = forge();

	(void)state;
	forged_header(&f)->pid = getpid();
	forged_header(&f)->slow = WIRE_SLOW_SNAPSHOT;
	note(&f, 0, WIRE_UNDO_COUNT, 5, 40);
	note(&f, 1, WIRE_UNDO_COUNT, 6, 7);
	/* One more of 30 bytes, which turned out to be 20. */
	note(&f, 2, WIRE_UNDO_COUNT, 6, 30);
	note(&f, 3, WIRE_UNDO_UNCOUNT, 6, 30);
	note(&f, 4, WIRE_UNDO_COUNT, 6, 20);
	for (int again = 0; again < 2; again++) {
		struct found found = take(&f, false);

		assert_int_equal(found.cut.node_blocks[5], 6);
		assert_int_equal(found.cut.node_bytes[5], 300);
		assert_int_equal(found.cut.node_blocks[6], 3);
		assert_int_equal(found.cut.node_bytes[6], FORGED_BIG_BYTES + 7 + 20);
		assert_false(found.cut.torn);
		assert_int_equal(forged_header(&f)->slow, 0);
		assert_int_equal(forged_header(&f)->undo_nr, 0);
		release(&found);
	}
	forged_release(&f);
}

static void notes_of_nothing_are_passed_over(void **state)
{
	struct forged f = forge();
	struct found found;

	(void)state;
	note(&f, 0, WIRE_UNDO_COUNT, 1u << 30, 40);
	note(&f, 1, WIRE_UNDO_SLOT, WIRE_UNDO_KEY_MASK, UINT64_MAX);
	note(&f, 2, WIRE_UNDO_SLOT, 0, 5ull << WIRE_SLOT_NODE_SHIFT);
	note(&f, 3, 77, 5, 5);
	forged_header(&f)->undo_nr = UINT32_MAX;
	found = take(&f, true);
	assert_truth(&found);
	release(&found);
	forged_release(&f);
}

/* ---- samples ---- */

#define SAMPLE_BITS 10
#define SAMPLE_NODE 7

/* A sample of 100 bytes at node 5, one that was freed, and one noted while somebody looked. */
static void add_sample(const struct forged *f)
{
	forged_header(f)->nodes_nr = SAMPLE_NODE + 1;
	forged_header(f)->counts_nr = 5;
	forged_nodes(f)[SAMPLE_NODE] = (struct wire_node){
		.pc = WIRE_PC_SAMPLED + SAMPLE_BITS,
		.parent = 5,
		.count = 4,
	};
	forged_counts(f)[4] = (struct wire_count){
		.blocks = 2 * 5 * WIRE_WEIGHT_ONE,
		.bytes = 2 * 500,
		.temps = 5 * WIRE_WEIGHT_ONE,
		.samples = 2,
	};
	forged_slots(f, 0)[50] = (uint64_t)SAMPLE_NODE << WIRE_SLOT_NODE_SHIFT | 100;
	note(f, 0, WIRE_UNDO_SAMPLE, (uint64_t)SAMPLE_BITS << 32 | SAMPLE_NODE, 100);
}

static void samples_count_for_their_stack(void **state)
{
	const double weight = 1 / -expm1(-100.0 / 1024);
	struct forged f = forge();

	(void)state;
	forged_header(&f)->pid = getpid();
	add_sample(&f);
	for (int again = 0; again < 2; again++) {
		struct found found = take(&f, false);
		const struct cut *c = &found.cut;
		const struct snapshot *s = &found.snapshot;
		const struct stack *k = &s->stacks[s->blocks[2].stack];

		assert_int_equal(c->broken_rows, 0);
		assert_int_equal(c->node_blocks[5], 5);
		assert_int_equal(c->node_blocks[SAMPLE_NODE], 0);
		assert_int_equal(c->node_samples[5], 3);
		assert_int_equal(s->blocks[2].addr, FORGED_BASE + 50 * 32);
		assert_int_equal(s->blocks[2].sampled, SAMPLE_BITS + 1);
		assert_int_equal(k->total_samples, 3);
		assert_int_equal(k->live_samples, 1);
		assert_int_equal(k->live_blocks, 2 + lround(weight)); /* one is the pool's */
		assert_int_equal(k->live_bytes, 164 + lround(100 * weight));
		assert_int_equal(k->total_blocks, 5 + lround(10 + weight));
		assert_int_equal(k->total_bytes, 260 + 1000 + lround(100 * weight));
		assert_int_equal(k->temporary_blocks, 2 + 5);
		release(&found);
	}
	forged_release(&f);
}

static void samples_that_cannot_be(void **state)
{
	struct forged f = forge();
	struct found found;

	(void)state;
	add_sample(&f);
	forged_nodes(&f)[SAMPLE_NODE].parent = 0; /* of no stack */
	note(&f, 1, WIRE_UNDO_SAMPLE, (uint64_t)SAMPLE_BITS << 32 | UINT32_MAX, 1);
	note(&f, 2, WIRE_UNDO_SAMPLE, 200ull << 32 | SAMPLE_NODE, 1);
	found = take(&f, false);
	assert_int_equal(found.cut.broken_rows, 1);
	assert_int_equal(found.snapshot.nr_blocks, 3);
	release(&found);
	forged_nodes(&f)[SAMPLE_NODE].pc = WIRE_PC_SAMPLED + WIRE_SAMPLE_BITS_MAX + 1; /* code */
	forged_nodes(&f)[SAMPLE_NODE].parent = 5;
	found = take(&f, true);
	assert_int_equal(found.snapshot.nr_blocks, 4);
	assert_int_equal(found.snapshot.blocks[2].sampled, 0);
	release(&found);
	forged_release(&f);
}

/* ---- modes ---- */

static void changes_of_the_mode_are_kept(void **state)
{
	const struct mode off = {WIRE_MODE_OFF, 0}, sample = {WIRE_MODE_SAMPLE, 12};
	struct forged f = forge();
	struct error e = {0};
	struct found found;
	struct table t;
	int settled;

	(void)state;
	forged_header(&f)->pid = getpid();
	mode_begin(forged_header(&f), sample, 1000);
	assert_int_equal(forged_header(&f)->slow, WIRE_SLOW_SAMPLE);
	assert_int_equal(table_open_fd(f.fd, &t, &e), 0);
	forged_header(&f)->slow |= WIRE_SLOW_FREES;
	assert_int_equal(mode_change(&t, off, &settled, &e), 0);
	assert_true(settled);
	assert_int_equal(forged_header(&f)->slow, WIRE_SLOW_OFF | WIRE_SLOW_FREES);
	forged_thread(&f)->unseen[0] = (struct wire_unseen){5, 500, 2};
	forged_thread(&f)->unseen[1] = (struct wire_unseen){1, 100, 1};
	found = take(&f, false);
	assert_int_equal(found.snapshot.nr_modes, 2);
	assert_int_equal(found.snapshot.modes[0].mode, MODE_SAMPLE);
	assert_int_equal(found.snapshot.modes[0].since_ns, 1000);
	assert_int_equal(found.snapshot.modes[0].mean_bytes, 4096);
	assert_int_equal(found.snapshot.modes[1].mode, MODE_OFF);
	assert_int_equal(found.snapshot.mode_changes, 1);
	assert_int_equal(found.snapshot.sampled_ns, found.snapshot.modes[1].since_ns - 1000);
	assert_int_equal(found.snapshot.unrecorded.blocks, 6);
	assert_int_equal(found.snapshot.unrecorded.bytes, 600);
	assert_int_equal(found.snapshot.unrecorded.frees, 3);
	release(&found);
	table_close(&t);
	forged_release(&f);
}

static void histories_that_lie(void **state)
{
	struct forged f = forge();
	struct wire_header *h = forged_header(&f);
	struct found found;

	(void)state;
	h->changes_nr = UINT32_MAX;
	for (uint32_t i = 0; i < WIRE_CHANGES_MAX; i++)
		h->changes[i] = (struct wire_mode_change){UINT64_MAX - i, i % 7, i % 40};
	h->mode_ns[WIRE_MODE_OFF] = UINT64_MAX;
	found = take(&f, true);
	for (size_t i = 0; i < found.snapshot.nr_modes; i++)
		assert_true(found.snapshot.modes[i].mode < MODES_NR);
	release(&found);
	forged_release(&f);
}

/* ---- lies ---- */

static void parents_that_are_no_ancestors(void **state)
{
	struct forged f = forge();
	struct found found;

	(void)state;
	forged_nodes(&f)[1].parent = 0x7ffffff0;
	forged_nodes(&f)[1].count = 3;
	forged_counts(&f)[3].blocks = 1;
	forged_nodes(&f)[3].parent = 3;
	forged_nodes(&f)[4].parent = 4;
	forged_nodes(&f)[5].parent = UINT32_MAX;
	forged_nodes(&f)[6].parent = 31;
	found = take(&f, true);
	assert_int_equal(found.cut.broken_rows, 3);
	for (size_t i = 0; i < found.cut.nr_nodes; i++)
		assert_int_equal(found.cut.nodes[i].parent, WIRE_NODE_ROOT);
	assert_int_equal(found.snapshot.losses.dropped_blocks, 3);
	release(&found);
	forged_release(&f);
}

static void blocks_of_no_stack_and_no_size(void **state)
{
	struct forged f = forge();
	struct found found;

	(void)state;
	forged_slots(&f, 0)[10] = (uint64_t)FORGED_NODES << WIRE_SLOT_NODE_SHIFT | 100;
	forged_slots(&f, 0)[21] = 0;
	forged_slots(&f, 0)[30] = UINT64_MAX;
	found = take(&f, true);
	assert_int_equal(found.cut.broken_rows, 2);
	assert_int_equal(found.snapshot.nr_blocks, 2);
	assert_int_equal(found.snapshot.blocks[0].size, 0);
	assert_int_equal(found.snapshot.blocks[1].size, 16);
	release(&found);
	forged_release(&f);
}

static void chunks_that_shadow_nothing(void **state)
{
	struct forged f = forge();
	struct found found;

	(void)state;
	forged_header(&f)->chunk_base[0] = 0;
	forged_header(&f)->chunk_base[1] = UINT64_MAX;
	found = take(&f, true);
	assert_int_equal(found.cut.broken_rows, 2);
	assert_int_equal(found.snapshot.nr_blocks, 1);
	release(&found);
	forged_release(&f);
}

static void counts_beyond_what_there_is_room_for(void **state)
{
	struct forged f = forge();
	struct wire_header *h = forged_header(&f);
	struct found found;

	(void)state;
	h->nodes_nr = h->modules_nr = h->threads_nr = h->chunks_nr = h->undo_nr = UINT32_MAX;
	h->counts_nr = UINT32_MAX;
	forged_nodes(&f)[4].count = UINT32_MAX;
	forged_thread(&f)->pending_node = UINT32_MAX;
	forged_thread(&f)->records[0] = (struct wire_record){.node = UINT32_MAX, .blocks = 1};
	found = take(&f, true);
	assert_int_equal(found.cut.nr_nodes, h->nodes_cap);
	assert_int_equal(found.cut.nr_modules, h->modules_cap);
	assert_int_equal(found.snapshot.nr_blocks, 3);
	release(&found);
	h->nodes_nr = 0;
	found = take(&f, true);
	assert_int_equal(found.cut.nr_nodes, WIRE_NODE_FIRST);
	assert_int_equal(found.cut.broken_rows, 4); /* the pool's block is one of them */
	release(&found);
	forged_release(&f);
}

static void modules_that_make_no_sense(void **state)
{
	struct forged f = forge();
	struct wire_module *m = forged_modules(&f);
	struct found found;

	(void)state;
	m[0].build_id_len = 255;
	m[1].start = UINT64_MAX;
	m[1].end = 0;
	m[1].state = 12345;
	memset(m[1].path, 'x', sizeof(m[1].path));
	forged_nodes(&f)[6].pc = 0xffffull << WIRE_PC_BITS;
	memset(forged_header(&f)->allocator, 'y', sizeof(forged_header(&f)->allocator));
	found = take(&f, true);
	assert_int_equal(found.snapshot.modules[0].build_id_len, 0);
	assert_int_equal(
		strlen(strings_get(&found.snapshot.strings, found.snapshot.modules[1].path)),
		WIRE_PATH_MAX - 1);
	assert_int_equal(strlen(strings_get(&found.snapshot.strings, found.snapshot.allocator)),
			 sizeof(forged_header(&f)->allocator) - 1);
	release(&found);
	forged_release(&f);
}

#define REFUSED_WITH(change)                                                                       \
	do {                                                                                       \
		struct forged f = forge();                                                         \
		struct wire_header *h = forged_header(&f);                                         \
                                                                                                   \
		change;                                                                            \
		assert_refused(&f, "its layout makes no sense");                                   \
	} while (0)

static void layouts_that_do_not_fit_the_file(void **state)
{
	(void)state;
	REFUSED_WITH(h->file_bytes = UINT64_MAX);
	REFUSED_WITH(h->file_bytes = sizeof(*h));
	REFUSED_WITH(h->nodes_off = 8);
	REFUSED_WITH(h->nodes_off = UINT64_MAX - 100);
	REFUSED_WITH(h->counts_off = h->file_bytes - 4);
	REFUSED_WITH(h->extra_off = h->file_bytes);
	REFUSED_WITH(h->undo_off = UINT64_MAX);
	REFUSED_WITH(h->modules_off = h->file_bytes - 1);
	REFUSED_WITH(h->nodes_cap = 0);
	REFUSED_WITH(h->nodes_cap = UINT32_MAX);
	REFUSED_WITH(h->modules_cap = UINT32_MAX);
	REFUSED_WITH(h->undo_cap = UINT32_MAX);
	REFUSED_WITH(h->chunks_cap = 3);
	REFUSED_WITH(h->chunks_cap = UINT32_MAX);
	REFUSED_WITH(h->threads_cap = UINT32_MAX);
	REFUSED_WITH(h->thread_stride = 8);
	REFUSED_WITH(h->thread_stride = UINT64_MAX / 2 + 1);
}

static void files_that_are_no_tables(void **state)
{
	struct forged f = forge();

	(void)state;
	forged_header(&f)->version++;
	assert_refused(&f, "another version");
	f = forge();
	forged_header(&f)->magic = 0;
	assert_refused(&f, "another version");
}

static void files_that_could_shrink_under_the_reader(void **state)
{
	struct forged f = forge();
	int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING), sealed = f.fd;

	(void)state;
	assert_int_equal(ftruncate(loose, (off_t)f.bytes), 0);
	assert_int_equal(pwrite(loose, f.file, sizeof(struct wire_header), 0),
			 sizeof(struct wire_header));
	f.fd = loose;
	assert_refused(&f, "it could shrink");
	assert_int_equal(fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	f = forge();
	close(f.fd);
	f.fd = empty;
	assert_refused(&f, "it is too short");
	close(sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_count_is_found),
		cmocka_unit_test(marks_tell_the_generations_of_blocks),
		cmocka_unit_test(a_byte_in_a_pool_counts_once),
		cmocka_unit_test(pools_that_lie_are_left_out),
		cmocka_unit_test(a_table_of_pools_outside_the_file_is_refused),
		cmocka_unit_test(a_block_knows_the_modules_of_its_stack),
		cmocka_unit_test(counts_that_a_dead_reader_left_are_added_once),
		cmocka_unit_test(notes_of_nothing_are_passed_over),
		cmocka_unit_test(samples_count_for_their_stack),
		cmocka_unit_test(samples_that_cannot_be),
		cmocka_unit_test(changes_of_the_mode_are_kept),
		cmocka_unit_test(histories_that_lie),
		cmocka_unit_test(parents_that_are_no_ancestors),
		cmocka_unit_test(blocks_of_no_stack_and_no_size),
		cmocka_unit_test(chunks_that_shadow_nothing),
		cmocka_unit_test(counts_beyond_what_there_is_room_for),
		cmocka_unit_test(modules_that_make_no_sense),
		cmocka_unit_test(layouts_that_do_not_fit_the_file),
		cmocka_unit_test(files_that_are_no_tables),
		cmocka_unit_test(files_that_could_shrink_under_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
