/*
 * A program's core with a library that is mapped and mostly not in the core, and that library as a
 * file. What the tests change, they change in the struct before it is built.
 *
 *   0x400000 ┌───────────────┐ lib, page 0: headers; in the core
 *   0x401000 ├───────────────┤ lib, page 1: code; not in the core
 *   0x403000 ├───────────────┤ lib, page 2: relocated, then protected; not in the core
 *   0x500000 ├───────────────┤ anonymous, 3 pages, in the core
 *   0x600000 ├───────────────┤ anonymous, 2 pages, not in the core
 *   0x700000 └───────────────┘ stack, 1 page, in the core
 */
#ifndef SEEP_TEST_SAMPLE_CORE_H
#define SEEP_TEST_SAMPLE_CORE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "forge_core.h"

#define SAMPLE_LIB 0x400000ull
#define SAMPLE_CODE 0x401000ull
#define SAMPLE_RELRO 0x403000ull
#define SAMPLE_HEAP 0x500000ull
#define SAMPLE_ABSENT 0x600000ull
#define SAMPLE_STACK 0x700000ull
#define SAMPLE_LIB_BYTES (3 * FORGE_PAGE)

struct sample_lib {
	Elf64_Ehdr eh;
	Elf64_Phdr headers[4];
	Elf64_Nhdr note;
	char note_name[4];
	uint8_t build_id[20];
};

struct sample {
	struct forge_core forge;
	uint8_t lib[SAMPLE_LIB_BYTES];
	uint8_t heap[3 * FORGE_PAGE];
	uint8_t stack[FORGE_PAGE];
	char lib_path[256]; /* as the core names it */
};

static inline struct sample_lib *sample_lib(struct sample *s)
{
	return (struct sample_lib *)s->lib;
}

static inline void sample_make_lib(struct sample *s)
{
	struct sample_lib head = {
		.eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		       .e_type = ET_DYN,
		       .e_machine = EM_X86_64,
		       .e_phoff = offsetof(struct sample_lib, headers),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 4},
		.headers = {{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 4096, .p_memsz = 4096},
			    {.p_type = PT_LOAD,
			     .p_flags = PF_R | PF_X,
			     .p_offset = 4096,
			     .p_vaddr = 0x1000,
			     .p_filesz = 4096,
			     .p_memsz = 4096},
			    {.p_type = PT_LOAD,
			     .p_flags = PF_R | PF_W,
			     .p_offset = 8192,
			     .p_vaddr = 0x3000,
			     .p_filesz = 4096,
			     .p_memsz = 4096},
			    {.p_type = PT_NOTE,
			     .p_offset = offsetof(struct sample_lib, note),
			     .p_vaddr = offsetof(struct sample_lib, note),
			     .p_filesz = 36,
			     .p_memsz = 36}},
		.note = {4, 20, NT_GNU_BUILD_ID},
		.note_name = "GNU",
	};

	for (size_t i = 0; i < sizeof(s->lib); i++)
		s->lib[i] = (uint8_t)(i / 7 + (i >> 12));
	for (size_t i = 0; i < sizeof(head.build_id); i++)
		head.build_id[i] = (uint8_t)(0xa0 + i);
	memcpy(s->lib, &head, sizeof(head));
}

/* Everything but the build: sample_file() makes a file of it. */
static inline void sample_begin(struct sample *s, const char *lib_path)
{
	struct forge_core *f = &s->forge;
	const uint64_t auxv[] = {AT_PHDR, SAMPLE_LIB + 64, AT_RANDOM, SAMPLE_STACK + 0x800};

	snprintf(s->lib_path, sizeof(s->lib_path), "%s", lib_path);
	sample_make_lib(s);
	for (size_t i = 0; i < sizeof(s->heap); i++)
		s->heap[i] = (uint8_t)(i * 31 + 5);
	memset(s->stack, 0x77, sizeof(s->stack));
	forge_begin(f, EM_X86_64);
	forge_thread(f, 101, SAMPLE_CODE + 0x10, SAMPLE_STACK + 0x100, 1000);
	forge_process(f, 100, "victim", "victim --wait ");
	forge_auxv(f, auxv, 2);
	forge_files(f,
		    (const struct forge_file[]){
			    {SAMPLE_LIB, SAMPLE_LIB + 0x1000, 0, s->lib_path},
			    {SAMPLE_CODE, SAMPLE_CODE + 0x1000, 1, s->lib_path},
			    {SAMPLE_RELRO, SAMPLE_RELRO + 0x1000, 2, s->lib_path},
		    },
		    3);
	forge_note(f, "CORE", NT_FPREGSET, "floating", 8);
	forge_note(f, "LINUX", NT_X86_XSTATE, "extended state", 14);
	forge_thread(f, 100, SAMPLE_CODE + 0x20, SAMPLE_STACK + 0x300, 2000);
	forge_segment(f, (struct forge_segment){SAMPLE_LIB, 4096, 4096, s->lib, PF_R});
	forge_segment(f, (struct forge_segment){SAMPLE_CODE, 4096, 0, NULL, PF_R | PF_X});
	forge_segment(f, (struct forge_segment){SAMPLE_RELRO, 4096, 0, NULL, PF_R});
	forge_segment(f, (struct forge_segment){SAMPLE_HEAP, sizeof(s->heap), sizeof(s->heap),
						s->heap, PF_R | PF_W});
	forge_segment(f, (struct forge_segment){SAMPLE_ABSENT, 8192, 0, NULL, PF_R | PF_W});
	forge_segment(f, (struct forge_segment){SAMPLE_STACK, sizeof(s->stack), sizeof(s->stack),
						s->stack, PF_R | PF_W});
}

/* A file without a name, and the path that opens it. */
static inline int sample_file(const void *bytes, size_t len, char path[static 64])
{
	int fd = memfd_create("sample", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		abort();
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

#endif
