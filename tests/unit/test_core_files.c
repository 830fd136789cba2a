/* target_open_core(): the files that a core was made from, found, believed and refused. */
#include <errno.h>
#include <time.h>

#include "core_test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(reads_code_from_the_file),
		IN_FOLDER(finds_files_by_name_in_folders),
		IN_FOLDER(finds_files_by_build_id),
		IN_FOLDER(refuses_another_build),
		IN_FOLDER(notices_a_file_that_changes_meanwhile),
		IN_FOLDER(refuses_files_without_contents),
		IN_FOLDER(says_which_files_it_only_believes),
		IN_FOLDER(files_without_segments_are_regions),
		IN_FOLDER(modules_come_from_the_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
