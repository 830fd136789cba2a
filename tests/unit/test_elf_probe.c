/* target/elf_probe: real programs, hand-made headers, and headers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/elf_probe.h"

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#define OTHER_MACHINE EM_AARCH64
#define OTHER_NAME "64-bit ARM"
#else
#define OUR_MACHINE EM_AARCH64
#define OTHER_MACHINE EM_X86_64
#define OTHER_NAME "64-bit x86"
#endif

static const char loader[] = "/lib/loader.so";

/* The smallest program that we believe: three segments, the loader's name and a dynamic section. */
struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr load, interp, dynamic;
	Elf64_Dyn dyn[2];
	char name[sizeof(loader)];
};

static struct image program(void)
{
	struct image p = {
		.eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		       .e_type = ET_DYN,
		       .e_machine = OUR_MACHINE,
		       .e_phoff = offsetof(struct image, load),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 3},
		.load = {.p_type = PT_LOAD, .p_filesz = sizeof(struct image)},
		.interp = {.p_type = PT_INTERP,
			   .p_offset = offsetof(struct image, name),
			   .p_filesz = sizeof(loader)},
		.dynamic = {.p_type = PT_DYNAMIC,
			    .p_offset = offsetof(struct image, dyn),
			    .p_filesz = 2 * sizeof(Elf64_Dyn)},
		.dyn = {{.d_tag = DT_FLAGS_1, .d_un = {.d_val = DF_1_PIE}}, {.d_tag = DT_NULL}},
	};

	memcpy(p.name, loader, sizeof(loader));
	return p;
}

static int memory_file(const void *data, size_t len)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	return fd;
}

static struct elf_probe probe(const void *data, size_t len)
{
	int fd = memory_file(data, len);
	struct elf_probe p;

	memset(&p, 0x5a, sizeof(p));
	assert_int_equal(elf_probe(fd, &p), 0);
	close(fd);
	return p;
}

static enum elf_kind kind_of(const struct image *p)
{
	return probe(p, sizeof(*p)).kind;
}

static enum elf_kind kind_of_text(const char *text)
{
	return probe(text, strlen(text)).kind;
}

static void knows_itself(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct elf_probe p;

	(void)state;
	assert_int_equal(elf_probe(fd, &p), 0);
	close(fd);
	assert_int_equal(p.kind, ELF_KIND_DYNAMIC);
	assert_int_equal(access(p.interpreter, X_OK), 0);
}

static void tells_the_kinds_of_elf(void **state)
{
	struct image p = program();
	struct elf_probe got = probe(&p, sizeof(p));

	(void)state;
	assert_int_equal(got.kind, ELF_KIND_DYNAMIC);
	assert_string_equal(got.interpreter, loader);
	p.interp.p_type = PT_NULL;
	assert_int_equal(kind_of(&p), ELF_KIND_STATIC);
	p.dyn[0].d_un.d_val = 0;
	assert_int_equal(kind_of(&p), ELF_KIND_LIBRARY);
	p.eh.e_type = ET_EXEC;
	assert_int_equal(kind_of(&p), ELF_KIND_STATIC);
	p.eh.e_type = ET_REL;
	assert_int_equal(kind_of(&p), ELF_KIND_NO_PROGRAM);
	p.eh.e_type = ET_CORE;
	assert_int_equal(kind_of(&p), ELF_KIND_NO_PROGRAM);
	p = program();
	p.load.p_type = PT_NOTE;
	assert_int_equal(kind_of(&p), ELF_KIND_NO_PROGRAM);
}

static void knows_who_uses_no_library(void **state)
{
	struct image p = program();

	(void)state;
	assert_true(probe(&p, sizeof(p)).needs_nothing);
	p.dyn[0].d_tag = DT_NEEDED;
	assert_false(probe(&p, sizeof(p)).needs_nothing);
	/* One that does not end says nothing, nor does one that cannot be read. */
	p = program();
	p.dyn[1].d_tag = DT_FLAGS_1;
	assert_false(probe(&p, sizeof(p)).needs_nothing);
	p = program();
	p.dynamic.p_offset = sizeof(p);
	assert_false(probe(&p, sizeof(p)).needs_nothing);
	p = program();
	p.interp.p_type = PT_NULL;
	assert_false(probe(&p, sizeof(p)).needs_nothing);
}

static void names_foreign_machines(void **state)
{
	struct image p = program();

	(void)state;
	p.eh.e_machine = OTHER_MACHINE;
	assert_int_equal(kind_of(&p), ELF_KIND_FOREIGN);
	assert_string_equal(probe(&p, sizeof(p)).machine, OTHER_NAME);
	p.eh.e_machine = EM_386;
	p.eh.e_ident[EI_CLASS] = ELFCLASS32;
	assert_string_equal(probe(&p, sizeof(p)).machine, "32-bit x86");
	p.eh.e_ident[EI_DATA] = ELFDATA2MSB;
	p.eh.e_machine = __builtin_bswap16(EM_S390);
	assert_string_equal(probe(&p, sizeof(p)).machine, "32-bit S/390");
	p.eh.e_machine = 0xffff;
	assert_string_equal(probe(&p, sizeof(p)).machine, "32-bit, machine 65535");
}

static void reads_script_lines_as_the_kernel_does(void **state)
{
	char far[600];

	(void)state;
	assert_string_equal(probe("#!/bin/sh", 9).interpreter, "/bin/sh");
	assert_string_equal(probe("#! \t/usr/bin/env python3\nx", 26).interpreter, "/usr/bin/env");
	assert_string_equal(probe("#!/bin/sh\r\n", 11).interpreter, "/bin/sh\r");
	assert_int_equal(kind_of_text("#!/bin/sh"), ELF_KIND_SCRIPT);
	assert_int_equal(kind_of_text("#!\n/bin/sh"), ELF_KIND_NO_PROGRAM);
	assert_int_equal(kind_of_text("#!"), ELF_KIND_NO_PROGRAM);
	memset(far, 'x', sizeof(far));
	memcpy(far, "#!/", 3);
	assert_int_equal(probe(far, sizeof(far)).kind, ELF_KIND_NO_PROGRAM);
	far[255] = '\n';
	assert_int_equal(probe(far, sizeof(far)).kind, ELF_KIND_SCRIPT);
	assert_int_equal(strlen(probe(far, sizeof(far)).interpreter), 253);
}

static void tells_text_from_data(void **state)
{
	(void)state;
	assert_int_equal(kind_of_text(""), ELF_KIND_EMPTY);
	assert_int_equal(kind_of_text("echo hello\n"), ELF_KIND_TEXT);
	assert_int_equal(kind_of_text("#"), ELF_KIND_TEXT);
	assert_int_equal(probe("echo\nexit\n\0\0", 12).kind, ELF_KIND_TEXT);
	assert_int_equal(probe("ab\0cd\n", 6).kind, ELF_KIND_NO_PROGRAM);
	assert_int_equal(kind_of_text("\x7f"), ELF_KIND_CUT);
	assert_int_equal(kind_of_text("\x7f"
				      "ELF"),
			 ELF_KIND_CUT);
}

/* No prefix of a program passes for one. */
static void notices_every_cut(void **state)
{
	struct image p = program();

	(void)state;
	for (size_t len = 1; len < sizeof(p); len++)
		assert_int_equal(probe(&p, len).kind, ELF_KIND_CUT);
}

static void believes_no_offset(void **state)
{
	static const uint64_t lies[] = {sizeof(struct image), 1ull << 40, INT64_MAX, UINT64_MAX - 7,
					UINT64_MAX};
	struct image p;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		p = program();
		p.eh.e_phoff = lies[i];
		assert_int_equal(kind_of(&p), ELF_KIND_CUT);
		p = program();
		p.interp.p_offset = lies[i];
		assert_int_equal(kind_of(&p), ELF_KIND_CUT);
		p = program();
		p.load.p_filesz = lies[i] + (i == 0);
		assert_int_equal(kind_of(&p), ELF_KIND_CUT);
		p = program();
		p.interp.p_type = PT_NULL;
		p.dynamic.p_offset = lies[i];
		assert_int_equal(kind_of(&p), ELF_KIND_LIBRARY);
	}
}

static void refuses_names_that_are_none(void **state)
{
	struct image p = program();

	(void)state;
	p.interp.p_filesz--; /* no NUL at its end */
	assert_int_equal(kind_of(&p), ELF_KIND_CUT);
	p = program();
	p.interp.p_filesz = ELF_INTERPRETER_MAX + 1;
	assert_int_equal(kind_of(&p), ELF_KIND_CUT);
	p = program();
	p.name[0] = '\0';
	assert_int_equal(kind_of(&p), ELF_KIND_CUT);
	p = program();
	p.eh.e_phnum = 0xffff;
	assert_int_equal(kind_of(&p), ELF_KIND_NO_PROGRAM);
	p = program();
	p.eh.e_phentsize = 32;
	assert_int_equal(kind_of(&p), ELF_KIND_NO_PROGRAM);
}

/* Whatever single byte is wrong: an answer, and a name that ends. */
static void survives_every_wrong_byte(void **state)
{
	struct image p = program();
	unsigned char *bytes = (unsigned char *)&p;

	(void)state;
	for (size_t i = 0; i < sizeof(p); i++) {
		for (unsigned int flip = 1; flip < 0x200; flip <<= 1) {
			unsigned char was = bytes[i];
			struct elf_probe got;

			bytes[i] ^= (unsigned char)(flip < 0x100 ? flip : 0xff);
			got = probe(&p, sizeof(p));
			assert_in_range(got.kind, ELF_KIND_DYNAMIC, ELF_KIND_NO_PROGRAM);
			assert_non_null(memchr(got.machine, 0, sizeof(got.machine)));
			assert_non_null(memchr(got.interpreter, 0, sizeof(got.interpreter)));
			assert_true(got.kind != ELF_KIND_DYNAMIC || got.interpreter[0]);
			bytes[i] = was;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_itself),
		cmocka_unit_test(tells_the_kinds_of_elf),
		cmocka_unit_test(knows_who_uses_no_library),
		cmocka_unit_test(names_foreign_machines),
		cmocka_unit_test(reads_script_lines_as_the_kernel_does),
		cmocka_unit_test(tells_text_from_data),
		cmocka_unit_test(notices_every_cut),
		cmocka_unit_test(believes_no_offset),
		cmocka_unit_test(refuses_names_that_are_none),
		cmocka_unit_test(survives_every_wrong_byte),
	};

	return cmocka_run_group_tests_name("elf_probe", tests, NULL, NULL);
}
