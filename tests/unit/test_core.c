/* target_open_core(): cores made by hand, for whole, cut, and lying ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "base/str.h"
#include "sample_core.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

static struct target *open_bytes(const struct str *bytes, const char *files)
{
	struct target_options o = {.files = files};
	struct error e = {0};
	struct target *t = NULL;
	char path[64];
	int fd = sample_file(bytes->data, bytes->len, path);

	assert_true(target_is_core(path));
	if (target_open_core(path, &o, &t, &e) < 0)
		fail_msg("%s", e.message);
	close(fd);
	return t;
}

static struct target *open_sample(struct sample *s, const char *files)
{
	struct str bytes;
	struct target *t;

	forge_build(&s->forge, &bytes);
	t = open_bytes(&bytes, files);
	str_release(&bytes);
	forge_end(&s->forge);
	return t;
}

static const struct target_thread *thread(const struct target *t, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	fail_msg("no thread %d", tid);
	return NULL;
}

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

/* ---- files ---- */

struct folder {
	char path[64], file[160];
};

static void put_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static int make_folder(void **state)
{
	struct folder *f = mem_alloc(sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/seep-core-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/lib.so", f->path);
	*state = f;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;

	unlink(f->file);
	rmdir(f->path);
	free(f);
	return 0;
}

static void code_of(struct target *t, struct sample *s, bool there)
{
	uint8_t got[2 * FORGE_PAGE];

	assert_int_equal(target_read(t, SAMPLE_CODE, got, sizeof(got)), there ? 4096 : 0);
	if (there)
		assert_memory_equal(got, s->lib + 4096, 4096);
	/* Never from the file: relocations were written to it. */
	assert_int_equal(target_read(t, SAMPLE_RELRO, got, 1), 0);
}

static void reads_code_from_the_file(void **state)
{
	struct folder *f = *state;
	struct target_gaps g;
	struct sample s;
	struct target *t;
	uint8_t got[2 * FORGE_PAGE];

	sample_begin(&s, f->file);
	put_file(f->file, s.lib, sizeof(s.lib));
	t = open_sample(&s, NULL);
	code_of(t, &s, true);
	target_gaps(t, &g);
	assert_int_equal(g.missing_bytes, 4096 + 8192);
	assert_int_equal(g.files_missing + g.files_other + g.files_unverified, 0);
	/* One read across what the core holds and what the file holds. */
	assert_int_equal(target_read(t, SAMPLE_LIB, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, s.lib, sizeof(got));
	target_close(t);
}

static void finds_files_by_name_in_folders(void **state)
{
	struct folder *f = *state;
	struct sample s;
	struct target *t;
	char folders[128];

	sample_begin(&s, "/usr/lib/elsewhere/lib.so");
	put_file(f->file, s.lib, sizeof(s.lib));
	snprintf(folders, sizeof(folders), "/nonexistent::%s", f->path);
	t = open_sample(&s, folders);
	code_of(t, &s, true);
	target_close(t);
}

static void finds_files_by_build_id(void **state)
{
	struct folder *f = *state;
	char *tree = mem_printf("%s/.build-id", f->path), *dir = mem_printf("%s/a0", tree);
	char *file = mem_printf("%s/a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3", dir);
	struct sample s;
	struct target *t;

	assert_int_equal(mkdir(tree, 0700), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	sample_begin(&s, "/usr/lib/elsewhere/other-name.so");
	put_file(file, s.lib, sizeof(s.lib));
	t = open_sample(&s, f->path);
	code_of(t, &s, true);
	target_close(t);
	unlink(file);
	rmdir(dir);
	rmdir(tree);
	free(tree);
	free(dir);
	free(file);
}

static void refuses_another_build(void **state)
{
	struct folder *f = *state;
	struct target_gaps g;
	struct sample s;
	struct target *t;

	sample_begin(&s, f->file);
	s.lib[4096 + 5] ^= 1;
	sample_lib(&s)->build_id[3] ^= 1;
	put_file(f->file, s.lib, sizeof(s.lib));
	sample_lib(&s)->build_id[3] ^= 1;
	t = open_sample(&s, NULL);
	code_of(t, &s, false);
	target_gaps(t, &g);
	assert_int_equal(g.files_other, 1);
	target_close(t);
}

static void notices_a_file_that_changes_meanwhile(void **state)
{
	struct folder *f = *state;
	struct sample s;
	struct target *t;

	sample_begin(&s, f->file);
	put_file(f->file, s.lib, sizeof(s.lib));
	t = open_sample(&s, NULL);
	put_file(f->file, s.lib, sizeof(s.lib) - 10);
	code_of(t, &s, false);
	target_close(t);
}

/* Debug information has the same build-id and headers, but no code. */
static void refuses_files_without_contents(void **state)
{
	struct folder *f = *state;
	struct sample s;
	struct target *t;
	Elf64_Shdr code = {.sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR};

	sample_begin(&s, f->file);
	sample_lib(&s)->eh.e_shoff = 8192;
	sample_lib(&s)->eh.e_shnum = 1;
	memcpy(s.lib + 8192, &code, sizeof(code));
	put_file(f->file, s.lib, sizeof(s.lib));
	t = open_sample(&s, NULL);
	code_of(t, &s, false);
	target_close(t);
}

static struct target *open_without_head(struct sample *s, const struct folder *f, time_t written)
{
	struct timespec times[2] = {{.tv_sec = written}, {.tv_sec = written}};

	sample_begin(s, f->file);
	s->forge.segments[0].file_bytes = 0;
	put_file(f->file, s->lib, sizeof(s->lib));
	assert_int_equal(utimensat(AT_FDCWD, f->file, times, 0), 0);
	return open_sample(s, NULL);
}

static void says_which_files_it_only_believes(void **state)
{
	struct folder *f = *state;
	struct target_gaps g;
	struct sample s;
	struct target *t = open_without_head(&s, f, 1000000000);

	code_of(t, &s, true);
	target_gaps(t, &g);
	assert_int_equal(g.files_unverified, 1);
	target_close(t);
	/* Written after the core: it proves nothing. */
	t = open_without_head(&s, f, time(NULL) + 1000);
	code_of(t, &s, false);
	target_gaps(t, &g);
	assert_int_equal(g.files_other, 1);
	target_close(t);
}

/* gcore leaves segments out that it can tell from NT_FILE. */
static void files_without_segments_are_regions(void **state)
{
	struct folder *f = *state;
	struct sample s;
	struct target *t;

	sample_begin(&s, f->file);
	put_file(f->file, s.lib, sizeof(s.lib));
	memmove(&s.forge.segments[1], &s.forge.segments[3], 3 * sizeof(s.forge.segments[0]));
	s.forge.nr -= 2;
	t = open_sample(&s, NULL);
	assert_int_equal(target_maps(t)->nr, 6);
	assert_int_equal(target_maps(t)->items[1].prot, MAP_READ | MAP_EXEC);
	code_of(t, &s, true);
	target_close(t);
}

static void modules_come_from_the_core(void **state)
{
	struct folder *f = *state;
	const struct target_module *m;
	struct sample s;
	struct target *t;
	size_t nr;

	sample_begin(&s, f->file);
	put_file(f->file, s.lib, sizeof(s.lib));
	t = open_sample(&s, NULL);
	m = target_modules(t, &nr);
	assert_int_equal(nr, 1);
	assert_int_equal(m->start, SAMPLE_LIB);
	assert_int_equal(m->end, SAMPLE_RELRO + 0x1000);
	assert_int_equal(m->build_id_len, 20);
	assert_int_equal(m->build_id[0], 0xa0);
	assert_true(m->flags & TARGET_MODULE_MAIN);
	target_close(t);
}

/* ---- other machines ---- */

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

/* ---- damage ---- */

static void every_cut_is_noticed(void **state)
{
	struct target_gaps g;
	struct sample s;
	struct str bytes;
	size_t refused = 0, read = 0;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so");
	forge_build(&s.forge, &bytes);
	for (size_t len = bytes.len - 1; len > 0; len -= len > 4096 ? 97 : 1) {
		uint8_t got[sizeof(s.heap)];
		struct error e = {0};
		struct target *t;
		char path[64];
		int fd = sample_file(bytes.data, len, path);

		if (target_open_core(path, NULL, &t, &e) < 0) {
			assert_int_equal(e.status, EXIT_FILE);
			refused++;
		} else {
			size_t there = target_read(t, SAMPLE_HEAP, got, sizeof(got));

			assert_true(target_gaps(t, &g));
			assert_true(g.cut_bytes > 0 || g.bad_records > 0);
			assert_memory_equal(got, s.heap, there);
			read++;
			target_close(t);
		}
		close(fd);
	}
	assert_true(refused > 64 && read > 64);
	str_release(&bytes);
	forge_end(&s.forge);
}

static void cut_memory_is_not_made_up(void **state)
{
	struct folder *f = *state;
	struct target_gaps g;
	struct sample s;
	struct str bytes;
	struct target *t;
	uint8_t got[FORGE_PAGE];

	/* The core is to hold the code, but ends before it; the file may be older. */
	sample_begin(&s, f->file);
	put_file(f->file, s.lib, sizeof(s.lib));
	s.forge.nr = 2;
	s.forge.segments[1].file_bytes = 4096;
	s.forge.segments[1].data = s.lib + 4096;
	forge_build(&s.forge, &bytes);
	bytes.len -= 4000;
	t = open_bytes(&bytes, NULL);
	assert_int_equal(target_read(t, SAMPLE_CODE, got, sizeof(got)), 96);
	assert_memory_equal(got, s.lib + 4096, 96);
	target_gaps(t, &g);
	assert_int_equal(g.cut_bytes, 4000);
	target_close(t);
	str_release(&bytes);
	forge_end(&s.forge);
}

static void overlapping_segments_are_left_out(void **state)
{
	struct target_gaps g;
	struct sample s;
	struct target *t;

	(void)state;
	sample_begin(&s, "/nowhere/lib.so");
	forge_segment(&s.forge, (struct forge_segment){SAMPLE_HEAP + 4096, 4096, 0, NULL, PF_R});
	forge_segment(&s.forge, (struct forge_segment){UINT64_MAX - 10, 4096, 0, NULL, PF_R});
	t = open_sample(&s, NULL);
	target_gaps(t, &g);
	assert_int_equal(g.bad_records, 2);
	assert_int_equal(target_maps(t)->nr, 6);
	target_close(t);
}

static void refused(const void *bytes, size_t len, const char *message, const char *hint)
{
	struct error e = {0};
	struct target *t = NULL;
	char path[64];
	int fd = sample_file(bytes, len, path);

	assert_true(target_open_core(path, NULL, &t, &e) < 0);
	assert_null(t);
	assert_int_equal(e.status, EXIT_FILE);
	if (!strstr(e.message, message))
		fail_msg("'%s' does not say '%s'", e.message, message);
	if (!strstr(e.hint, hint))
		fail_msg("'%s' does not say '%s'", e.hint, hint);
	close(fd);
}

static void other_files_are_refused_by_name(void **state)
{
	struct error e = {0};
	struct target *t;
	struct sample s;

	(void)state;
	sample_make_lib(&s);
	refused("", 0, "the file is empty", "ulimit -c");
	refused("just text, of some length", 25, "it is not an ELF file", "");
	refused("\x7f"
		"ELF",
		4, "it ends within its first header", "");
	refused("\x1f\x8b\x08 some", 8, "gzip-compressed", "gzip -d");
	refused("\x28\xb5\x2f\xfd some", 9, "zstd-compressed", "zstd -d");
	refused(s.lib, sizeof(s.lib), "it is an ELF program or library", "a target is");
	assert_int_equal(target_open_core("/nonexistent/core", NULL, &t, &e), -ENOENT);
	assert_int_equal(e.status, EXIT_FILE);
	assert_int_equal(target_open_core("/", NULL, &t, &e), -EISDIR);
	assert_false(target_is_core("/"));
	assert_false(target_is_core("/nonexistent/core"));
}

static void other_machines_are_refused_by_name(void **state)
{
	Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_CORE,
			 .e_machine = EM_RISCV};

	(void)state;
	refused(&eh, sizeof(eh), "another machine (riscv64)", "x86-64, i386 and aarch64");
	eh.e_machine = 999;
	refused(&eh, sizeof(eh), "another machine (machine 999)", "");
	eh.e_ident[EI_DATA] = ELFDATA2MSB;
	eh.e_type = __builtin_bswap16(ET_CORE);
	eh.e_machine = __builtin_bswap16(EM_S390);
	refused(&eh, sizeof(eh), "another machine (s390x, big-endian)", "");
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_CLASS] = ELFCLASS32;
	eh.e_type = ET_CORE;
	eh.e_machine = EM_X86_64;
	refused(&eh, sizeof(eh), "another machine (x32)", "");
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_who_it_was),
		cmocka_unit_test(has_threads_with_registers),
		cmocka_unit_test(reads_what_it_holds),
		cmocka_unit_test(names_regions),
		cmocka_unit_test(counts_what_is_missing),
		IN_FOLDER(reads_code_from_the_file),
		IN_FOLDER(finds_files_by_name_in_folders),
		IN_FOLDER(finds_files_by_build_id),
		IN_FOLDER(refuses_another_build),
		IN_FOLDER(notices_a_file_that_changes_meanwhile),
		IN_FOLDER(refuses_files_without_contents),
		IN_FOLDER(says_which_files_it_only_believes),
		IN_FOLDER(files_without_segments_are_regions),
		IN_FOLDER(modules_come_from_the_core),
		cmocka_unit_test(reads_32_bit_cores),
		cmocka_unit_test(reads_aarch64_cores),
		cmocka_unit_test(more_segments_than_a_header_counts),
		cmocka_unit_test(every_cut_is_noticed),
		IN_FOLDER(cut_memory_is_not_made_up),
		cmocka_unit_test(overlapping_segments_are_left_out),
		cmocka_unit_test(other_files_are_refused_by_name),
		cmocka_unit_test(other_machines_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
