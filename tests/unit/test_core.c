/* target_open_core(): cores made by hand, of several machines. */
#include <errno.h>

#include "core_test.h"

static void tells_who_it_was(void **state)
{
	struct sample s;
	struct target *t;
	const struct process_info *p;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so");
	t = open_sample(&s, NULL);
	p = target_process(t);
	assert_int_equal(p->pid, 100);
	assert_string_equal(p->comm, "victim");
	assert_string_equal(p->command, "victim --wait");
	assert_string_equal(p->exe, "/nowhere/lib.so");
	assert_int_equal(target_machine(t), EM_X86_64);
	assert_int_equal(target_word_bytes(t), 8);
	assert_int_equal(target_how(t)->kind, TARGET_CORE);
	assert_true(target_how(t)->consistent);
	target_close(t);
}

static void has_threads_with_registers(void **state)
{
	const struct target_thread *first, *main;
	struct sample s;
	struct target *t;
	size_t nr;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so");
	t = open_sample(&s, NULL);
	target_threads(t, &nr);
	assert_int_equal(nr, 2);
	first = thread(t, 101);
	main = thread(t, 100);
	/* The name is the main thread's; the first in the file is the one that died. */
	assert_string_equal(main->name, "victim");
	assert_string_equal(first->name, "");
	assert_int_equal(first->pc, SAMPLE_CODE + 0x10);
	assert_int_equal(first->sp, SAMPLE_STACK + 0x100);
	assert_int_equal(first->tp, 1021); /* fs_base is word 21 */
	assert_int_equal(main->tp, 2021);
	assert_int_equal(first->gp_bytes, 27 * 8);
	assert_int_equal(first->xstate_bytes, 14);
	assert_memory_equal(first->xstate, "extended state", 14);
	assert_int_equal(first->registers_bytes, 27 * 8 + 14);
	assert_memory_equal(first->registers + 27 * 8, "extended state", 14);
	assert_null(main->xstate);
	target_close(t);
}

static void reads_what_it_holds(void **state)
{
	uint8_t got[4 * FORGE_PAGE];
	struct sample s;
	struct target *t;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so");
	t = open_sample(&s, NULL);
	assert_int_equal(target_read(t, SAMPLE_HEAP, got, sizeof(got)), sizeof(s.heap));
	assert_memory_equal(got, s.heap, sizeof(s.heap));
	assert_true(target_read_all(t, SAMPLE_HEAP + 4090, got, 12));
	assert_memory_equal(got, s.heap + 4090, 12);
	assert_int_equal(target_read(t, SAMPLE_HEAP - 1, got, 2), 0);
	assert_int_equal(target_read(t, SAMPLE_ABSENT, got, 1), 0);
	assert_int_equal(target_read(t, UINT64_MAX, got, 2), 0);
	assert_int_equal(target_residency(t, SAMPLE_HEAP, SAMPLE_HEAP + 4096,
					  &(struct target_residency){0}),
			 -ENOTSUP);
	target_close(t);
}

static void names_regions(void **state)
{
	const struct maps *maps;
	struct sample s;
	struct target *t;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so (deleted)");
	t = open_sample(&s, NULL);
	maps = target_maps(t);
	assert_int_equal(maps->nr, 6);
	assert_string_equal(maps->items[1].path, "/nowhere/lib.so");
	assert_true(maps->items[1].deleted);
	assert_int_equal(maps->items[1].offset, 4096);
	assert_int_equal(maps->items[1].prot, MAP_READ | MAP_EXEC);
	assert_string_equal(maps->items[3].path, "");
	assert_string_equal(maps->items[5].path, "[stack]");
	target_close(t);
}

static void counts_what_is_missing(void **state)
{
	struct str text = STR_INIT;
	struct target_gaps g;
	struct sample s;
	struct target *t;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so");
	t = open_sample(&s, NULL);
	assert_true(target_gaps(t, &g));
	assert_int_equal(g.missing_bytes, 4096 + 4096 + 8192);
	assert_int_equal(g.missing_regions, 3);
	assert_int_equal(g.files_missing, 1);
	assert_int_equal(g.cut_bytes, 0);
	assert_int_equal(g.bad_records, 0);
	target_gaps_describe(&g, &text);
	assert_string_equal(text.data, "16.0 KiB of 3 regions are not in the core; 1 mapped file "
				       "was not found");
	str_release(&text);
	target_close(t);
}

static void reads_32_bit_cores(void **state)
{
	static const uint32_t tls[2][4] = {{12, 0x1234000, 0xfffff, 0x51},
					   {13, 0x5678000, 0xfffff, 0x51}};
	static uint8_t page[FORGE_PAGE];
	const struct target_thread *first;
	struct forge_core f;
	struct str bytes;
	struct target *t;
	uint64_t word;

	(void)state;
	memcpy(page + 16, "\x78\x56\x34\x92", 4);
	forge_begin(&f, EM_386);
	/* gs is word 10: selector (13 << 3) | 3. */
	forge_thread(&f, 7, 0x8049000, 0xffffd000, (13 << 3 | 3) - 10);
	forge_note(&f, "LINUX", NT_386_TLS, tls, sizeof(tls));
	forge_process(&f, 7, "old", "old");
	forge_segment(&f, (struct forge_segment){0xffffd000, 4096, 4096, page, PF_R | PF_W});
	forge_build(&f, &bytes);
	t = open_bytes(&bytes, NULL);
	first = thread(t, 7);
	assert_int_equal(first->pc, 0x8049000);
	assert_int_equal(first->sp, 0xffffd000);
	assert_int_equal(first->tp, 0x5678000);
	assert_int_equal(target_word_bytes(t), 4);
	assert_int_equal(target_machine(t), EM_386);
	assert_string_equal(target_process(t)->comm, "old");
	assert_true(target_read_word(t, 0xffffd010, &word));
	assert_int_equal(word, 0x92345678);
	assert_string_equal(target_maps(t)->items[0].path, "[stack]");
	target_close(t);
	str_release(&bytes);
	forge_end(&f);
}

static void reads_aarch64_cores(void **state)
{
	static const uint64_t tp = 0xffff12345000;
	const struct target_thread *first;
	struct forge_core f;
	struct str bytes;
	struct target *t;

	(void)state;
	forge_begin(&f, EM_AARCH64);
	forge_thread(&f, 9, 0xaaaa0000, 0xffffff000, 0);
	forge_note(&f, "LINUX", NT_ARM_TLS, &tp, sizeof(tp));
	forge_segment(&f, (struct forge_segment){0xfffffe000, 8192, 8192, NULL, PF_R});
	forge_build(&f, &bytes);
	t = open_bytes(&bytes, NULL);
	first = thread(t, 9);
	assert_int_equal(first->pc, 0xaaaa0000);
	assert_int_equal(first->sp, 0xffffff000);
	assert_int_equal(first->tp, tp);
	assert_int_equal(target_process(t)->pid, 9);
	target_close(t);
	str_release(&bytes);
	forge_end(&f);
}

static void more_segments_than_a_header_counts(void **state)
{
	static const uint8_t byte = 0x5a;
	const size_t nr = 70000;
	struct forge_core f;
	struct str bytes;
	struct target *t;
	uint8_t got;

	(void)state;
	forge_begin(&f, EM_X86_64);
	f.in_section = true;
	/* Descending; only the first one has bytes. */
	for (size_t i = nr; i-- > 0;)
		forge_segment(&f, (struct forge_segment){0x100000 + i * 0x2000, 4096, i == 69999,
							 &byte, PF_R});
	forge_build(&f, &bytes);
	t = open_bytes(&bytes, NULL);
	assert_int_equal(target_maps(t)->nr, nr);
	assert_int_equal(target_maps(t)->items[0].start, 0x100000);
	assert_int_equal(target_read(t, 0x100000 + 69999 * 0x2000ull, &got, 1), 1);
	assert_int_equal(got, byte);
	target_close(t);
	str_release(&bytes);
	forge_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_who_it_was),
		cmocka_unit_test(has_threads_with_registers),
		cmocka_unit_test(reads_what_it_holds),
		cmocka_unit_test(names_regions),
		cmocka_unit_test(counts_what_is_missing),
		cmocka_unit_test(reads_32_bit_cores),
		cmocka_unit_test(reads_aarch64_cores),
		cmocka_unit_test(more_segments_than_a_header_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
