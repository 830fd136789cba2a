/* glibc's heaps in every layout since 2.17, made up by dice: each block must come out as it is. */
#include "glibc_walk.h"

static void check_image(struct image *m, bool with_threads)
{
	struct seen s = {0};
	struct heaps *h = walk(m, &s);
	size_t busy = 3;

	assert_int_equal(heaps_nr(h), 3);
	assert_int_equal(differences(m, &s, 0, 0), 0);
	for (size_t i = 0; i < m->nr; i++)
		busy += m->chunks[i].state == IMAGE_BUSY;
	assert_int_equal(count_state(&s, BLOCK_BUSY), busy);
	assert_int_equal(count_state(&s, BLOCK_TOP), 2);
	expect_sound(h);
	if (with_threads)
		assert_int_equal(heaps_get(h, 0)->nr_tids, 2);
	heaps_free(h);
	free(s.items);
}

static void every_layout(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		for (uint64_t seed = 1; seed < 4; seed++) {
			struct image m;

			print_message("# %s, dice %d\n", layouts[i].name, (int)seed);
			image_make(&m, &layouts[i], seed);
			check_image(&m, true);
			image_release(&m);
		}
	}
}

/* Where registers are not to be had, caches are known by their shape. */
static void without_registers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		struct image m;

		print_message("# %s\n", layouts[i].name);
		image_make(&m, &layouts[i], 7);
		for (size_t k = 0; k < m.t->nr_threads; k++) {
			m.t->threads[k].has_registers = false;
			m.t->threads[k].tp = 0;
		}
		check_image(&m, false);
		image_release(&m);
	}
}

/* After a fork one thread is left; the others' caches are known by what is in them. */
static void forked(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		struct seen s = {0};
		struct heaps *h;
		struct image m;

		print_message("# %s\n", layouts[i].name);
		image_make(&m, &layouts[i], 8);
		m.t->nr_threads = 1;
		h = walk(&m, &s);
		assert_int_equal(differences(&m, &s, 0, 0), 0);
		expect_sound(h);
		heaps_free(h);
		free(s.items);
		image_release(&m);
	}
}

/* With huge pages asked for, 2.35 to 2.41 have heaps of four huge pages of any size. */
static void other_heap_sizes(void **state)
{
	static const uint64_t sizes[] = {1ull << 18, 8ull << 20, 128ull << 20, 4ull << 30};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct image m;

		image_make_of(&m, layout("2.41 aarch64"), 5, sizes[i]);
		check_image(&m, true);
		image_release(&m);
	}
}

/* As libc's file has it: the arena leads to itself, nothing else is set. Nobody has allocated. */
static void idle_arena(void **state)
{
	static const struct heap_ops *const both[] = {&heap_glibc, &heap_unknown, NULL};

	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		struct image m = {.l = &layouts[i]};
		struct heaps *h = NULL;
		struct error e = {0};

		print_message("# %s\n", layouts[i].name);
		m.t = fake_target_new(layouts[i].word, layouts[i].machine);
		image_add_libc(&m);
		fake_target_map(m.t, 0x20000000, 0x5000, MAP_READ | MAP_WRITE, "");
		fake_target_ready(m.t);
		assert_int_equal(heaps_find_with(m.t, both, &h, &e), 0);
		assert_int_equal(heaps_nr(h), 1);
		assert_string_equal(heaps_allocator(h), "");
		heaps_free(h);
		image_put(&m, m.arenas[0] + layouts[i].next, m.arenas[0]);
		image_put(&m, m.arenas[0] + layouts[i].system_mem - layouts[i].word,
			  layouts[i].attached);
		assert_int_equal(heaps_find_with(m.t, both, &h, &e), 0);
		assert_int_equal(heaps_nr(h), 0);
		assert_string_equal(heaps_allocator(h), "glibc");
		heaps_free(h);
		image_release(&m);
	}
}

/* Without caches by malloc's parameters, what a thread points to is none unless its lists fit. */
static void no_caches(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	size_t nr;
	const struct heap_verdict *v;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 91);
	for (unsigned int i = 0; i < 3; i++) {
		memset(fake_target_at(m.t, m.caches[i]), 1, 0x280);
		image_put(&m, m.par + m.l->sbrk_base + (i + 1) * 8, 0);
	}
	h = walk(&m, &s);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(block_at(&s, m.caches[i])->state, BLOCK_BUSY);
	v = heaps_verdicts(h, &nr);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(v[i].expected, v[i].found);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* Somebody else's memory in which a word looks like the header of a big block. */
static void chance_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		uint64_t base = layouts[i].word == 8 ? 0x7f5400000000ull : 0xd8000000;
		struct image m;

		print_message("# %s\n", layouts[i].name);
		image_make(&m, &layouts[i], 95);
		fake_target_map(m.t, base, 0x60000, MAP_READ | MAP_WRITE, "");
		fake_target_ready(m.t);
		for (uint64_t at = base + 0x3000; at < base + 0x30000; at += 0x6000) {
			uint64_t lead = layouts[i].align == 16 && layouts[i].word == 4 ? 8 : 0;

			image_put(&m, at + lead, lead);
			image_put(&m, at + lead + layouts[i].word,
				  (0x22000 - lead -
				   (layouts[i].direct_full ? 2 * layouts[i].word : 0)) |
					  2);
		}
		check_image(&m, true);
		image_release(&m);
	}
}

/* The header of a block in words. */
static void described(void **state)
{
	struct image m;
	struct seen s = {0};
	struct str text = STR_INIT;
	struct heap_block b;
	struct heaps *h;
	char line[80];
	size_t i;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 81);
	h = walk(&m, &s);
	i = victim_chunk(&m, IMAGE_FREE);
	assert_int_equal(heaps_find_block(h, m.chunks[i].at + 40, &b), 0);
	assert_int_equal(b.addr, m.chunks[i].at + 16);
	heaps_describe(h, &b, &text);
	snprintf(line, sizeof(line), "chunk 0x%llx, size 0x%llx\nflags PREV_INUSE\nnext free 0x",
		 (unsigned long long)m.chunks[i].at, (unsigned long long)m.chunks[i].size);
	assert_memory_equal(text.data, line, strlen(line));
	str_clear(&text);
	assert_int_equal(heaps_find_block(h, m.direct[2] + 5, &b), 0);
	assert_int_equal(b.addr, m.direct[2]);
	heaps_describe(h, &b, &text);
	assert_non_null(strstr(text.data, "flags IS_MMAPPED\nmapping begins 0xff0 bytes before\n"));
	str_release(&text);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* Addresses that a thread in the middle may hold. */
struct held {
	uint64_t items[4096];
	size_t nr;
	int32_t tid;
};

static void hold(void *context, uint64_t addr, int32_t tid)
{
	struct held *h = context;

	assert_true(h->nr < sizeof(h->items) / sizeof(h->items[0]));
	assert_int_equal(tid, h->tid);
	h->items[h->nr++] = addr;
}

static bool is_held(const struct held *h, uint64_t addr)
{
	for (size_t i = 0; i < h->nr; i++)
		if (h->items[i] == addr)
			return true;
	return false;
}

/*
 * malloc_consolidate() has taken a fast list off its arena: nobody knows its chunks but a register,
 * which holds the first one's header. The rest hang on the links in them.
 */
static void list_taken_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		const struct image_chunk *one;
		uint8_t registers[64] = {0};
		struct held held = {.nr = 0};
		struct seen s = {0};
		struct heaps *h;
		struct image m;
		uint64_t head, listed = 0;

		print_message("# %s\n", layouts[i].name);
		image_make(&m, &layouts[i], 96);
		one = m.chunks;
		while (one->state != (layouts[i].nr_fast ? IMAGE_FAST : IMAGE_BUSY))
			one++;
		head = one->at;
		if (layouts[i].nr_fast) {
			uint64_t list = m.arenas[one->arena] + m.l->fast +
					image_fast_bin(&m, one->size) * m.l->word;

			head = image_get(&m, list);
			image_put(&m, list, 0);
		}
		memcpy(registers + 2 * m.l->word, &head, m.l->word);
		target_set_registers(&m.t->threads[1], registers, sizeof(registers));
		held.tid = m.t->threads[1].tid;
		h = walk(&m, &s);
		heaps_in_hand(h, hold, &held);
		for (size_t k = 0; k < m.nr; k++) {
			const struct image_chunk *c = &m.chunks[k];
			bool wanted =
				c->at == head ||
				(c->state == IMAGE_FAST && one->state == IMAGE_FAST &&
				 c->arena == one->arena &&
				 image_fast_bin(&m, c->size) == image_fast_bin(&m, one->size));

			listed += wanted;
			if (wanted)
				assert_true(is_held(&held, image_user(&m, c)));
		}
		/* What a busy block holds may look like one link more. */
		assert_true(held.nr >= listed && held.nr <= listed + !layouts[i].nr_fast);
		if (layouts[i].nr_fast)
			assert_true(listed > 1);
		heaps_free(h);
		free(s.items);
		image_release(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout),	  cmocka_unit_test(without_registers),
		cmocka_unit_test(forked),	  cmocka_unit_test(other_heap_sizes),
		cmocka_unit_test(idle_arena),	  cmocka_unit_test(no_caches),
		cmocka_unit_test(chance_header),  cmocka_unit_test(described),
		cmocka_unit_test(list_taken_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
