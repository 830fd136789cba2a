/*
 * ELF cores made by hand, for tests of whoever reads them: as the kernel lays them out, for both
 * word sizes.
 */
#ifndef SEEP_TEST_FORGE_CORE_H
#define SEEP_TEST_FORGE_CORE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/core_regs.h"

#define FORGE_PAGE 4096u

struct forge_segment {
	uint64_t start, memory_bytes, file_bytes;
	const void *data; /* file_bytes; NULL: zeros */
	uint32_t flags;
};

struct forge_file {
	uint64_t start, end, page;
	const char *path;
};

struct forge_core {
	uint16_t machine;
	struct forge_segment *segments;
	size_t nr, cap;
	struct str notes;
	bool in_section; /* the number of segments stands in a section header */
};

static inline bool forge_wide(const struct forge_core *f)
{
	return core_regs_of(f->machine)->word_bytes == 8;
}

static inline void forge_begin(struct forge_core *f, uint16_t machine)
{
	*f = (struct forge_core){.machine = machine, .notes = STR_INIT};
}

static inline void forge_end(struct forge_core *f)
{
	free(f->segments);
	str_release(&f->notes);
}

static inline void forge_fill(struct str *s, size_t to)
{
	static const char zeros[FORGE_PAGE];

	while (s->len < to)
		str_add_len(s, zeros, to - s->len < sizeof(zeros) ? to - s->len : sizeof(zeros));
}

static inline void forge_note(struct forge_core *f, const char *name, uint32_t type,
			      const void *desc, size_t len)
{
	Elf64_Nhdr h = {(Elf64_Word)strlen(name) + 1, (Elf64_Word)len, type};

	str_add_len(&f->notes, (const char *)&h, sizeof(h));
	str_add_len(&f->notes, name, h.n_namesz);
	forge_fill(&f->notes, (f->notes.len + 3) & ~(size_t)3);
	str_add_len(&f->notes, desc, len);
	forge_fill(&f->notes, (f->notes.len + 3) & ~(size_t)3);
}

static inline void forge_word(const struct forge_core *f, struct str *s, uint64_t value)
{
	str_add_len(s, (const char *)&value, forge_wide(f) ? 8 : 4); /* little-endian */
}

/* A thread whose register word i is seed + i, apart from pc and sp. */
static inline void forge_thread(struct forge_core *f, int32_t tid, uint64_t pc, uint64_t sp,
				uint64_t seed)
{
	const struct core_regs *r = core_regs_of(f->machine);
	char *status = mem_alloc(r->status_bytes), *regs = status + r->status_regs;
	unsigned int width = r->word_bytes;

	memcpy(status + r->status_pid, &tid, 4);
	for (size_t i = 0; i < r->regs_bytes / width; i++) {
		uint64_t word = seed + i;

		memcpy(regs + i * width, &word, width);
	}
	memcpy(regs + r->pc, &pc, width);
	memcpy(regs + r->sp, &sp, width);
	forge_note(f, "CORE", NT_PRSTATUS, status, r->status_bytes);
	free(status);
}

static inline void forge_process(struct forge_core *f, int32_t pid, const char *comm,
				 const char *args)
{
	const struct core_regs *r = core_regs_of(f->machine);
	char *info = mem_alloc(r->info_bytes);

	memcpy(info + r->info_pid, &pid, 4);
	memcpy(info + r->info_comm, comm, strlen(comm));
	memcpy(info + r->info_args, args, strlen(args));
	forge_note(f, "CORE", NT_PRPSINFO, info, r->info_bytes);
	free(info);
}

/* pairs: type, value, …; nr of pairs, AT_NULL is added. */
static inline void forge_auxv(struct forge_core *f, const uint64_t *pairs, size_t nr)
{
	struct str s = STR_INIT;

	for (size_t i = 0; i < 2 * nr; i++)
		forge_word(f, &s, pairs[i]);
	forge_word(f, &s, AT_NULL);
	forge_word(f, &s, 0);
	forge_note(f, "CORE", NT_AUXV, s.data, s.len);
	str_release(&s);
}

static inline void forge_files(struct forge_core *f, const struct forge_file *files, size_t nr)
{
	struct str s = STR_INIT;

	forge_word(f, &s, nr);
	forge_word(f, &s, FORGE_PAGE);
	for (size_t i = 0; i < nr; i++) {
		forge_word(f, &s, files[i].start);
		forge_word(f, &s, files[i].end);
		forge_word(f, &s, files[i].page);
	}
	for (size_t i = 0; i < nr; i++)
		str_add_len(&s, files[i].path, strlen(files[i].path) + 1);
	forge_note(f, "CORE", NT_FILE, s.data, s.len);
	str_release(&s);
}

static inline void forge_segment(struct forge_core *f, struct forge_segment segment)
{
	ARRAY_PUSH(f->segments, f->nr, f->cap, segment);
}

static inline void forge_header(const struct forge_core *f, struct str *out, const Elf64_Phdr *p)
{
	Elf32_Phdr narrow = {
		.p_type = p->p_type,
		.p_offset = (Elf32_Off)p->p_offset,
		.p_vaddr = (Elf32_Addr)p->p_vaddr,
		.p_filesz = (Elf32_Word)p->p_filesz,
		.p_memsz = (Elf32_Word)p->p_memsz,
		.p_flags = p->p_flags,
	};

	if (forge_wide(f))
		str_add_len(out, (const char *)p, sizeof(*p));
	else
		str_add_len(out, (const char *)&narrow, sizeof(narrow));
}

static inline void forge_ehdr(const struct forge_core *f, struct str *out)
{
	size_t nr = f->nr + 1;
	Elf64_Ehdr wide = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = f->machine,
		.e_phoff = sizeof(wide),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = f->in_section ? PN_XNUM : (Elf64_Half)nr,
		.e_shoff = f->in_section ? sizeof(wide) + nr * sizeof(Elf64_Phdr) : 0,
	};
	Elf32_Ehdr narrow = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = f->machine,
		.e_phoff = sizeof(narrow),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = wide.e_phnum,
		.e_shoff =
			(Elf32_Off)(f->in_section ? sizeof(narrow) + nr * sizeof(Elf32_Phdr) : 0),
	};

	if (forge_wide(f))
		str_add_len(out, (const char *)&wide, sizeof(wide));
	else
		str_add_len(out, (const char *)&narrow, sizeof(narrow));
}

/* Header, program headers, section header, notes; then the segments at whole pages. */
static inline void forge_build(const struct forge_core *f, struct str *out)
{
	bool wide = forge_wide(f);
	size_t head = wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), at;
	Elf64_Shdr sh = {.sh_info = (Elf64_Word)(f->nr + 1)};
	Elf32_Shdr sh32 = {.sh_info = (Elf32_Word)(f->nr + 1)};
	Elf64_Phdr p = {.p_type = PT_NOTE, .p_filesz = f->notes.len};

	str_init(out);
	head += (f->nr + 1) * (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
	head += f->in_section ? (wide ? sizeof(sh) : sizeof(sh32)) : 0;
	forge_ehdr(f, out);
	p.p_offset = head;
	forge_header(f, out, &p);
	at = (head + f->notes.len + FORGE_PAGE - 1) & ~(size_t)(FORGE_PAGE - 1);
	for (size_t i = 0; i < f->nr; i++) {
		const struct forge_segment *s = &f->segments[i];

		p = (Elf64_Phdr){.p_type = PT_LOAD,
				 .p_flags = s->flags,
				 .p_offset = at,
				 .p_vaddr = s->start,
				 .p_filesz = s->file_bytes,
				 .p_memsz = s->memory_bytes};
		forge_header(f, out, &p);
		at += (s->file_bytes + FORGE_PAGE - 1) & ~(uint64_t)(FORGE_PAGE - 1);
	}
	if (f->in_section)
		str_add_len(out, wide ? (char *)&sh : (char *)&sh32,
			    wide ? sizeof(sh) : sizeof(sh32));
	str_add_len(out, f->notes.data, f->notes.len);
	for (size_t i = 0; i < f->nr; i++) {
		const struct forge_segment *s = &f->segments[i];

		if (!s->file_bytes)
			continue;
		forge_fill(out, (out->len + FORGE_PAGE - 1) & ~(size_t)(FORGE_PAGE - 1));
		if (s->data)
			str_add_len(out, s->data, s->file_bytes);
		else
			forge_fill(out, out->len + s->file_bytes);
	}
}

#endif
