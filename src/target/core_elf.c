/*
 * Headers of ELF cores, by hand: a core may be cut anywhere and may lie, and the layouts (System V
 * gABI, "Program Header") are simple.
 */
#include "target/core_elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/maps.h"

#define HEADERS_AT_ONCE 1024

size_t core_elf_read(const struct core_elf *c, uint64_t offset, void *buffer, size_t len)
{
	char *to = buffer;
	size_t got = 0;

	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return 0;
	while (got < len) {
		ssize_t n = pread(c->fd, to + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

bool core_elf_magic(const void *head, size_t len)
{
	const unsigned char *p = head;

	if (len < EI_NIDENT + 2 || memcmp(p, ELFMAG, SELFMAG))
		return false;
	/* e_type follows the identification in both classes. */
	return (p[EI_DATA] == ELFDATA2MSB ? p[EI_NIDENT] << 8 | p[EI_NIDENT + 1]
					  : p[EI_NIDENT + 1] << 8 | p[EI_NIDENT]) == ET_CORE;
}

static const char *machine_name(unsigned int machine, bool wide, char text[static 32])
{
	static const struct {
		unsigned int machine;
		const char *narrow, *wide;
	} names[] = {
		{EM_386, "i386", NULL},		  {EM_X86_64, "x32", "x86-64"},
		{EM_ARM, "32-bit ARM", NULL},	  {EM_AARCH64, "ILP32 aarch64", "aarch64"},
		{EM_RISCV, "riscv32", "riscv64"}, {EM_PPC, "powerpc", NULL},
		{EM_PPC64, NULL, "powerpc64"},	  {EM_S390, "s390", "s390x"},
		{EM_MIPS, "mips", "mips64"},	  {EM_SPARC, "sparc", NULL},
		{EM_SPARCV9, NULL, "sparc64"},	  {EM_LOONGARCH, "loongarch32", "loongarch64"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = wide ? names[i].wide : names[i].narrow;

		if (names[i].machine == machine && name)
			return name;
	}
	snprintf(text, 32, "machine %u", machine);
	return text;
}

static int fail(const char *path, int err, struct error *e, const char *what)
{
	return error_set(e, err, EXIT_FILE, "cannot read core '%s': %s", path, what);
}

/* What a file that is no ELF core is, with what to do where that helps. */
static int refuse(const char *path, const unsigned char *head, size_t len, struct error *e)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *what, *tool;
	} packed[] = {
		{"\x1f\x8b", 2, "it is gzip-compressed", "gzip -d"},
		{"\x28\xb5\x2f\xfd", 4, "it is zstd-compressed", "zstd -d"},
		{"\x04\x22\x4d\x18", 4, "it is lz4-compressed", "lz4 -d"},
		{"\xfd"
		 "7zXZ",
		 5, "it is xz-compressed", "xz -d"},
		{"BZh", 3, "it is bzip2-compressed", "bzip2 -d"},
	};
	unsigned int type;

	if (!len) {
		fail(path, -ENOEXEC, e, "the file is empty");
		error_hint(e, "the limit on core sizes (ulimit -c) may have been 0, or the disk "
			      "full, when it was written");
		return -ENOEXEC;
	}
	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
		if (len < packed[i].len || memcmp(head, packed[i].magic, packed[i].len))
			continue;
		fail(path, -ENOEXEC, e, packed[i].what);
		error_hint(e, "unpack it first: %s", packed[i].tool);
		return -ENOEXEC;
	}
	if (len < SELFMAG || memcmp(head, ELFMAG, SELFMAG))
		return fail(path, -ENOEXEC, e, "it is not an ELF file");
	if (len < EI_NIDENT + 2)
		return fail(path, -ENOEXEC, e, "it ends within its first header");
	type = head[EI_DATA] == ELFDATA2MSB ? head[EI_NIDENT + 1] : head[EI_NIDENT];
	fail(path, -ENOEXEC, e,
	     type == ET_REL ? "it is an ELF object file" : "it is an ELF program or library");
	error_hint(e, "a target is a pid, a process's name, a core file or a snapshot");
	return -ENOEXEC;
}

static int refuse_machine(const char *path, const unsigned char *head, struct error *e)
{
	bool big = head[EI_DATA] == ELFDATA2MSB;
	unsigned int machine = big ? head[18] << 8 | head[19] : head[19] << 8 | head[18];
	char text[32];

	error_set(e, -ENOTSUP, EXIT_FILE, "cannot read core '%s': it is of another machine (%s%s)",
		  path, machine_name(machine, head[EI_CLASS] == ELFCLASS64, text),
		  big ? ", big-endian" : "");
	error_hint(e, "seep reads cores of x86-64, i386 and aarch64");
	return -ENOTSUP;
}

static bool known_machine(const unsigned char *head, uint16_t machine)
{
	if (head[EI_DATA] != ELFDATA2LSB)
		return false;
	if (head[EI_CLASS] == ELFCLASS64)
		return machine == EM_X86_64 || machine == EM_AARCH64;
	return head[EI_CLASS] == ELFCLASS32 && machine == EM_386;
}

/* Both classes as the wide one. False: the file ends within it. */
static bool read_ehdr(const struct core_elf *c, Elf64_Ehdr *ret)
{
	Elf32_Ehdr narrow;

	if (c->wide)
		return core_elf_read(c, 0, ret, sizeof(*ret)) == sizeof(*ret);
	if (core_elf_read(c, 0, &narrow, sizeof(narrow)) != sizeof(narrow))
		return false;
	*ret = (Elf64_Ehdr){
		.e_machine = narrow.e_machine,
		.e_phoff = narrow.e_phoff,
		.e_shoff = narrow.e_shoff,
		.e_phentsize = narrow.e_phentsize,
		.e_phnum = narrow.e_phnum,
		.e_shentsize = narrow.e_shentsize,
		.e_shnum = narrow.e_shnum,
	};
	return true;
}

/* More than 0xfffe program headers: their number is in the first section header. */
static bool count_headers(const struct core_elf *c, const Elf64_Ehdr *eh, uint64_t *ret)
{
	Elf64_Shdr wide;
	Elf32_Shdr narrow;

	*ret = eh->e_phnum;
	if (eh->e_phnum != PN_XNUM || !eh->e_shoff)
		return true;
	if (c->wide) {
		if (core_elf_read(c, eh->e_shoff, &wide, sizeof(wide)) != sizeof(wide))
			return false;
		*ret = wide.sh_info;
	} else {
		if (core_elf_read(c, eh->e_shoff, &narrow, sizeof(narrow)) != sizeof(narrow))
			return false;
		*ret = narrow.sh_info;
	}
	return true;
}

/* How many of len bytes at offset the file has. */
static uint64_t inside(const struct core_elf *c, uint64_t offset, uint64_t len)
{
	if (offset >= c->bytes)
		return 0;
	return len < c->bytes - offset ? len : c->bytes - offset;
}

/* Sums of what a hostile file says must not wrap. */
static void add_capped(uint64_t *sum, uint64_t more)
{
	*sum = more < UINT64_MAX - *sum ? *sum + more : UINT64_MAX;
}

static void take_header(struct core_elf *c, const Elf64_Phdr *ph)
{
	uint64_t there = inside(c, ph->p_offset, ph->p_filesz);
	struct core_segment s;

	if (ph->p_type == PT_NOTE) {
		add_capped(&c->cut_bytes, ph->p_filesz - there);
		if (there)
			ARRAY_PUSH(c->notes, c->nr_notes, c->cap_notes,
				   ((struct core_notes_at){ph->p_offset, there}));
		return;
	}
	if (ph->p_type != PT_LOAD || !ph->p_memsz)
		return;
	if (ph->p_memsz > UINT64_MAX - ph->p_vaddr || ph->p_filesz > ph->p_memsz) {
		c->bad_segments++;
		return;
	}
	s = (struct core_segment){
		.start = ph->p_vaddr,
		.end = ph->p_vaddr + ph->p_memsz,
		.offset = ph->p_offset,
		.file_bytes = there,
		.cut_bytes = ph->p_filesz - there,
		.prot = (uint8_t)((ph->p_flags & PF_R ? MAP_READ : 0) |
				  (ph->p_flags & PF_W ? MAP_WRITE : 0) |
				  (ph->p_flags & PF_X ? MAP_EXEC : 0)),
	};
	add_capped(&c->cut_bytes, s.cut_bytes);
	ARRAY_PUSH(c->segments, c->nr_segments, c->cap_segments, s);
}

static void widen(const Elf32_Phdr *from, Elf64_Phdr *to)
{
	*to = (Elf64_Phdr){
		.p_type = from->p_type,
		.p_flags = from->p_flags,
		.p_offset = from->p_offset,
		.p_vaddr = from->p_vaddr,
		.p_filesz = from->p_filesz,
		.p_memsz = from->p_memsz,
	};
}

static void read_headers(struct core_elf *c, uint64_t offset, uint64_t nr)
{
	size_t one = c->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	uint64_t there = inside(c, offset, UINT64_MAX) / one;
	char *piece = mem_alloc(HEADERS_AT_ONCE * one);

	there = there < nr ? there : nr;
	c->cut_headers = nr - there;
	while (there) {
		size_t want = there < HEADERS_AT_ONCE ? (size_t)there : HEADERS_AT_ONCE;
		size_t got = core_elf_read(c, offset, piece, want * one) / one;

		for (size_t i = 0; i < got; i++) {
			Elf64_Phdr ph;
			Elf32_Phdr narrow;

			if (c->wide) {
				memcpy(&ph, piece + i * one, sizeof(ph));
			} else {
				memcpy(&narrow, piece + i * one, sizeof(narrow));
				widen(&narrow, &ph);
			}
			take_header(c, &ph);
		}
		there -= got;
		offset += got * one;
		if (got < want)
			break;
	}
	c->cut_headers += there;
	free(piece);
}

static int by_start(const void *a, const void *b)
{
	const struct core_segment *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Ascending, each beginning where or after the one before it ends. */
static void settle_segments(struct core_elf *c)
{
	uint64_t end = 0;
	size_t kept = 0;

	if (c->nr_segments)
		qsort(c->segments, c->nr_segments, sizeof(c->segments[0]), by_start);
	for (size_t i = 0; i < c->nr_segments; i++) {
		if (c->segments[i].start < end) {
			c->bad_segments++;
			continue;
		}
		end = c->segments[i].end;
		c->segments[kept++] = c->segments[i];
	}
	c->nr_segments = kept;
}

static int read_core(const char *path, struct core_elf *c, struct error *e)
{
	unsigned char head[sizeof(Elf64_Ehdr)] = {0};
	size_t len = core_elf_read(c, 0, head, sizeof(head));
	uint64_t nr;
	Elf64_Ehdr eh;

	if (!core_elf_magic(head, len))
		return refuse(path, head, len, e);
	if (len < EI_NIDENT + 4)
		return fail(path, -ENOEXEC, e, "it ends within its first header");
	c->machine = (uint16_t)(head[19] << 8 | head[18]);
	c->wide = head[EI_CLASS] == ELFCLASS64;
	if (!known_machine(head, c->machine))
		return refuse_machine(path, head, e);
	if (!read_ehdr(c, &eh) || !count_headers(c, &eh, &nr))
		return fail(path, -ENOEXEC, e, "it ends within its headers");
	if (eh.e_phentsize != (c->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return fail(path, -ENOEXEC, e, "its program headers have an unknown size");
	read_headers(c, eh.e_phoff, nr);
	settle_segments(c);
	if (!c->nr_segments) {
		fail(path, -ENOEXEC, e, "no memory of the program is in it");
		if (c->cut_headers || c->cut_bytes)
			error_hint(e, "it was cut short: the disk may have been full, or the "
				      "limit on core sizes (ulimit -c) reached");
		return -ENOEXEC;
	}
	return 0;
}

int core_elf_open(const char *path, struct core_elf *ret, struct error *e)
{
	struct core_elf c = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
	struct stat st;
	int err;

	if (c.fd < 0)
		return fail(path, -errno, e, error_strerror(errno));
	if (fstat(c.fd, &st) < 0)
		err = fail(path, -errno, e, error_strerror(errno));
	else if (S_ISDIR(st.st_mode))
		err = fail(path, -EISDIR, e, error_strerror(EISDIR));
	else if (!S_ISREG(st.st_mode))
		err = fail(path, -EINVAL, e, "it is not a regular file");
	else {
		c.bytes = (uint64_t)st.st_size;
		c.mtime = st.st_mtim.tv_sec;
		err = read_core(path, &c, e);
	}
	if (err < 0) {
		core_elf_close(&c);
		return err;
	}
	*ret = c;
	return 0;
}

void core_elf_close(struct core_elf *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->segments);
	free(c->notes);
	*c = (struct core_elf){.fd = -1};
}
