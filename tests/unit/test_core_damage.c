/* target_open_core(): cores that are cut, that lie, and that are none. */
#include <errno.h>

#include "core_test.h"

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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_is_noticed),
		IN_FOLDER(cut_memory_is_not_made_up),
		cmocka_unit_test(overlapping_segments_are_left_out),
		cmocka_unit_test(other_files_are_refused_by_name),
		cmocka_unit_test(other_machines_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
