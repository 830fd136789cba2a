/* Program headers by hand: a loader's view of the file, as far as the kernel itself would look. */
#include "target/elf_probe.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 256	     /* the kernel looks no further for the end of a #! line */
#define HEADERS_BYTES 65536u /* and loads no longer program headers */
#define DYNAMIC_MAX 4096     /* entries looked at, and then given up */

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#error "the recorder does not know this machine"
#endif

struct file {
	int fd;
	uint64_t bytes;
};

static bool inside(const struct file *f, uint64_t offset, uint64_t len)
{
	return offset <= f->bytes && len <= f->bytes - offset;
}

/* All of it: 1; end of the file before that: 0; negative errno. */
static int read_at(const struct file *f, uint64_t offset, void *to, size_t len)
{
	char *p = to;

	if (!inside(f, offset, len))
		return 0;
	while (len) {
		ssize_t got = pread(f->fd, p, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return 0;
		p += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return 1;
}

static const char *machine_name(unsigned int machine)
{
	static const struct {
		unsigned int machine;
		const char *name;
	} names[] = {
		{EM_386, "x86"},       {EM_X86_64, "x86"},   {EM_ARM, "ARM"},
		{EM_AARCH64, "ARM"},   {EM_RISCV, "RISC-V"}, {EM_PPC, "PowerPC"},
		{EM_PPC64, "PowerPC"}, {EM_S390, "S/390"},   {EM_MIPS, "MIPS"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return NULL;
}

static void name_foreign(struct elf_probe *p, const unsigned char *head)
{
	bool big = head[EI_DATA] == ELFDATA2MSB;
	unsigned int machine = big ? head[18] << 8 | head[19] : head[19] << 8 | head[18];
	const char *name = machine_name(machine);
	int bits = head[EI_CLASS] == ELFCLASS32 ? 32 : 64;

	p->kind = ELF_KIND_FOREIGN;
	if (name)
		snprintf(p->machine, sizeof(p->machine), "%d-bit %s", bits, name);
	else
		snprintf(p->machine, sizeof(p->machine), "%d-bit, machine %u", bits, machine);
}

/* "#! /usr/bin/env python3": the kernel takes the first word. */
static void probe_script(struct elf_probe *p, const char *head, size_t len)
{
	size_t at = 2, end;

	while (at < len && (head[at] == ' ' || head[at] == '\t'))
		at++;
	end = at;
	while (end < len && !strchr(" \t\n", head[end])) /* finds NUL as well */
		end++;
	p->kind = ELF_KIND_NO_PROGRAM;
	if (end == at || end == HEAD_BYTES)
		return;
	memcpy(p->interpreter, head + at, end - at);
	p->interpreter[end - at] = '\0';
	p->kind = ELF_KIND_SCRIPT;
}

/* Shells run what has no format of its own unless there is a NUL in its first line. */
static bool looks_like_text(const char *head, size_t len)
{
	const char *newline = memchr(head, '\n', len);

	return !memchr(head, '\0', newline ? (size_t)(newline - head) : len);
}

/* PT_INTERP: 1 read, 0 not inside the file or not a path. */
static int read_interpreter(const struct file *f, const Elf64_Phdr *ph, struct elf_probe *p)
{
	int r;

	if (ph->p_filesz < 2 || ph->p_filesz > sizeof(p->interpreter))
		return 0;
	r = read_at(f, ph->p_offset, p->interpreter, ph->p_filesz);
	if (r <= 0)
		return r;
	if (p->interpreter[ph->p_filesz - 1] == '\0' && p->interpreter[0])
		return 1;
	p->interpreter[0] = '\0';
	return 0;
}

/* Position-independent programs without a loader are marked; what is not marked is a library. */
static int is_static_pie(const struct file *f, const Elf64_Phdr *ph)
{
	uint64_t nr = ph->p_filesz / sizeof(Elf64_Dyn);

	for (uint64_t i = 0; i < nr && i < DYNAMIC_MAX; i++) {
		Elf64_Dyn dyn;
		int r = read_at(f, ph->p_offset + i * sizeof(dyn), &dyn, sizeof(dyn));

		if (r <= 0)
			return r;
		if (dyn.d_tag == DT_NULL)
			return 0;
		if (dyn.d_tag == DT_FLAGS_1)
			return (dyn.d_un.d_val & DF_1_PIE) != 0;
	}
	return 0;
}

/* Where in the file an address of the loaded program comes from; 0: nowhere. */
static uint64_t offset_of(const struct file *f, const Elf64_Ehdr *eh, uint64_t addr)
{
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		Elf64_Phdr ph;

		if (read_at(f, eh->e_phoff + (uint64_t)i * sizeof(ph), &ph, sizeof(ph)) <= 0)
			return 0;
		if (ph.p_type == PT_LOAD && addr >= ph.p_vaddr && addr - ph.p_vaddr < ph.p_filesz)
			return ph.p_offset + (addr - ph.p_vaddr);
	}
	return 0;
}

/* What a program wants its loader to load. */
static void probe_needs(const struct file *f, const Elf64_Ehdr *eh, const Elf64_Phdr *dynamic,
			struct elf_probe *p)
{
	static const char name[] = "libasan.so";
	uint64_t nr = dynamic->p_filesz / sizeof(Elf64_Dyn), names = 0;
	char found[sizeof(name)] = "";
	bool any = false;
	Elf64_Dyn dyn;

	/* First the table of names, then who is named. */
	for (int pass = 0; pass < 2; pass++) {
		for (uint64_t i = 0; i < nr && i < DYNAMIC_MAX; i++) {
			if (read_at(f, dynamic->p_offset + i * sizeof(dyn), &dyn, sizeof(dyn)) <= 0)
				return;
			if (dyn.d_tag == DT_NULL) {
				p->needs_nothing = !any;
				break;
			}
			any |= dyn.d_tag == DT_NEEDED;
			if (!pass && dyn.d_tag == DT_STRTAB)
				names = offset_of(f, eh, dyn.d_un.d_ptr);
			if (pass && names && dyn.d_tag == DT_NEEDED &&
			    read_at(f, names + dyn.d_un.d_val, found, sizeof(name) - 1) > 0 &&
			    !memcmp(found, name, sizeof(name) - 1))
				p->needs_asan = true;
		}
	}
}

/* The program headers one by one; r > 0 as long as all is well. */
static int probe_segments(const struct file *f, const Elf64_Ehdr *eh, struct elf_probe *p)
{
	bool loads = false, named = false;
	Elf64_Phdr dynamic = {0};
	int r = 1;

	if (!inside(f, eh->e_phoff, eh->e_phnum * sizeof(Elf64_Phdr)))
		return 0;
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		Elf64_Phdr ph;

		r = read_at(f, eh->e_phoff + (uint64_t)i * sizeof(ph), &ph, sizeof(ph));
		if (r <= 0)
			return r;
		if (ph.p_type == PT_LOAD && !inside(f, ph.p_offset, ph.p_filesz))
			return 0;
		loads |= ph.p_type == PT_LOAD;
		if (ph.p_type == PT_DYNAMIC)
			dynamic = ph;
		if (ph.p_type != PT_INTERP || named)
			continue;
		r = read_interpreter(f, &ph, p);
		if (r <= 0)
			return r;
		named = true;
	}
	p->kind = named ? ELF_KIND_DYNAMIC : ELF_KIND_STATIC;
	if (named)
		probe_needs(f, eh, &dynamic, p);
	if (!loads)
		p->kind = ELF_KIND_NO_PROGRAM;
	if (!loads || named || eh->e_type == ET_EXEC)
		return 1;
	r = is_static_pie(f, &dynamic);
	if (r == 0)
		p->kind = ELF_KIND_LIBRARY;
	return r < 0 ? r : 1;
}

static int probe_elf(const struct file *f, struct elf_probe *p)
{
	Elf64_Ehdr eh;
	int r = read_at(f, 0, &eh, sizeof(eh));

	p->kind = ELF_KIND_CUT;
	if (r <= 0)
		return r;
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh.e_machine != OUR_MACHINE) {
		name_foreign(p, eh.e_ident);
		return 1;
	}
	if ((eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(Elf64_Phdr) ||
	    !eh.e_phnum || eh.e_phnum > HEADERS_BYTES / sizeof(Elf64_Phdr)) {
		p->kind = ELF_KIND_NO_PROGRAM;
		return 1;
	}
	r = probe_segments(f, &eh, p);
	if (r == 0)
		p->kind = ELF_KIND_CUT;
	return r;
}

int elf_probe(int fd, struct elf_probe *ret)
{
	struct file f = {.fd = fd};
	char head[HEAD_BYTES];
	struct stat st;
	size_t len;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	f.bytes = (uint64_t)st.st_size;
	len = f.bytes < sizeof(head) ? (size_t)f.bytes : sizeof(head);
	r = read_at(&f, 0, head, len);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	if (!len || !r)
		ret->kind = ELF_KIND_EMPTY;
	else if (len >= 2 && !memcmp(head, "#!", 2))
		probe_script(ret, head, len);
	else if (!memcmp(head, ELFMAG, len < SELFMAG ? len : SELFMAG))
		r = probe_elf(&f, ret);
	else
		ret->kind = looks_like_text(head, len) ? ELF_KIND_TEXT : ELF_KIND_NO_PROGRAM;
	return r < 0 ? r : 0;
}
