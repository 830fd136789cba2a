/* Moving the first instructions: of the allocators of this machine, from their files. */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject/functions.h"
#include "inject/moved.h"

#include "moved_check.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct file {
	uint8_t *bytes;
	size_t nr;
	const Elf64_Shdr *sections;
	size_t sections_nr;
};

static bool open_file(const char *path, struct file *f)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	const Elf64_Ehdr *h;

	if (fd < 0)
		return false;
	fstat(fd, &st);
	f->nr = (size_t)st.st_size;
	f->bytes = mmap(NULL, f->nr, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	assert_true(f->bytes != MAP_FAILED);
	h = (const void *)f->bytes;
	f->sections = (const void *)(f->bytes + h->e_shoff);
	f->sections_nr = h->e_shnum;
	return true;
}

static const uint8_t *code_at(const struct file *f, uint64_t addr)
{
	for (size_t i = 0; i < f->sections_nr; i++) {
		const Elf64_Shdr *s = &f->sections[i];

		if (s->sh_flags & SHF_EXECINSTR && addr >= s->sh_addr &&
		    addr < s->sh_addr + s->sh_size)
			return f->bytes + s->sh_offset + (addr - s->sh_addr);
	}
	return NULL;
}

/* Entries that cannot be moved, as "name: why"; how many there were. */
static size_t check_file(const struct file *f, uint32_t type, char *refused, size_t room)
{
	size_t nr = 0;

	for (size_t i = 0; i < f->sections_nr; i++) {
		const Elf64_Shdr *s = &f->sections[i];
		const Elf64_Sym *symbols = (const void *)(f->bytes + s->sh_offset);
		const char *strings;

		if (s->sh_type != type)
			continue;
		strings = (const char *)f->bytes + f->sections[s->sh_link].sh_offset;
		for (size_t j = 0; j < s->sh_size / sizeof(*symbols); j++) {
			const Elf64_Sym *y = &symbols[j];
			const char *name = strings + y->st_name, *why = "";
			const uint8_t *code = code_at(f, y->st_value);
			struct moved m;

			if (!inject_name_find(name) || ELF64_ST_TYPE(y->st_info) != STT_FUNC ||
			    !y->st_value || !code)
				continue;
			nr++;
			if (moved_make(code, y->st_size, y->st_value, y->st_value + (1 << 26), 5,
				       &m, &why))
				snprintf(refused + strlen(refused), room - strlen(refused),
					 "%s: %s; ", name, why);
			else
				check_steps(&m, 5);
		}
	}
	return nr;
}

static void test_allocators_of_this_machine(void **state)
{
	static const struct {
		const char *path;
		size_t at_least;
	} files[] = {
		{"/lib/x86_64-linux-gnu/libc.so.6", 12},
		{"/lib/ld-musl-x86_64.so.1", 9},
		{"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", 27},
		{"/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", 30},
		{"/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0", 80},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		char refused[4096] = "";
		struct file f;
		size_t nr;

		if (!open_file(files[i].path, &f)) {
			print_message("%s is not here\n", files[i].path);
			continue;
		}
		nr = check_file(&f, SHT_DYNSYM, refused, sizeof(refused));
		print_message("%s: %zu entries; refused: %s\n", files[i].path, nr, refused);
		assert_true(nr >= files[i].at_least);
		if (*refused)
			fail_msg("%s: %s", files[i].path, refused);
		munmap(f.bytes, f.nr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocators_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
