/* ELF images in memory; see elf_image.h. Layouts: System V gABI chapter 5, GNU hash: binutils. */
#include "elf_image.h"

#include <sys/uio.h>

#include "bytes.h"
#include "sys.h"

#define HEADER_SEARCH_PAGES 65536 /* 256 MiB */

extern struct r_debug _r_debug __attribute__((weak));
extern void *__libc_stack_end __attribute__((weak));
extern char **__environ __attribute__((weak));

char **elf_given_environment;

char **elf_environment(void)
{
	void **p;

	if (&__libc_stack_end && __libc_stack_end) {
		p = __libc_stack_end;
		return (char **)(p + 1 + *(long *)p + 1); /* argc, argv, NULL */
	}
	return &__environ ? __environ : elf_given_environment;
}

/* The auxiliary vector lies behind the environment on the initial stack. */
static const Elf64_auxv_t *auxv(void)
{
	void **p = (void **)elf_environment();

	if (!p)
		return NULL;
	while (*p)
		p++;
	return (const Elf64_auxv_t *)(p + 1);
}

static uint64_t aux_value(uint64_t type)
{
	const Elf64_auxv_t *a = auxv();

	for (; a && a->a_type != AT_NULL; a++)
		if (a->a_type == type)
			return a->a_un.a_val;
	return 0;
}

uint64_t elf_stack_top(void)
{
	return aux_value(AT_EXECFN); /* the kernel puts the program's name at the very end */
}

static const Elf64_Dyn *dynamic_entry(const Elf64_Dyn *d, int64_t tag)
{
	for (; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d;
	return NULL;
}

/* Without _r_debug (musl): the program's own DT_DEBUG leads to the list. */
static struct r_debug *debug_by_program(void)
{
	const Elf64_Phdr *phdr = (const Elf64_Phdr *)aux_value(AT_PHDR);
	uint64_t nr = aux_value(AT_PHNUM), bias = 0;
	const Elf64_Dyn *debug;

	for (uint64_t i = 0; phdr && i < nr; i++)
		if (phdr[i].p_type == PT_PHDR)
			bias = (uint64_t)phdr - phdr[i].p_vaddr;
	for (uint64_t i = 0; phdr && i < nr; i++) {
		if (phdr[i].p_type != PT_DYNAMIC)
			continue;
		debug = dynamic_entry((const Elf64_Dyn *)(bias + phdr[i].p_vaddr), DT_DEBUG);
		return debug ? (struct r_debug *)debug->d_un.d_ptr : NULL;
	}
	return NULL;
}

struct link_map *elf_link_maps(void)
{
	struct r_debug *debug = &_r_debug && _r_debug.r_map ? &_r_debug : debug_by_program();

	return debug ? debug->r_map : NULL;
}

/* Copies from our own memory; false where it is not mapped. */
static bool read_safely(uint64_t addr, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)addr, n};

	return arch_syscall6(SYS_process_vm_readv, sys0(SYS_getpid), (long)&local, 1, (long)&remote,
			     1, 0) == (long)n;
}

/*
 * Where the ELF header of a loaded object is. Usually at l_addr; but that is what was added to the
 * file's addresses, and a file need not begin at address 0.
 */
static const Elf64_Ehdr *find_header(struct link_map *lm)
{
	uint64_t at = (uint64_t)lm->l_ld & ~4095ull;
	struct elf_found found_object;
	Elf64_Ehdr e;

	/* glibc knows where its mapping begins; no system call, for a sandbox may forbid it. */
	if (elf_glibc_find_object && elf_glibc_find_object(lm->l_ld, &found_object) == 0 &&
	    bytes_equal(found_object.map_start, ELFMAG, SELFMAG))
		return found_object.map_start;
	if (lm->l_addr && lm->l_addr <= at && read_safely(lm->l_addr, &e, sizeof(e)) &&
	    bytes_equal(e.e_ident, ELFMAG, SELFMAG))
		return (const Elf64_Ehdr *)lm->l_addr;
	for (int pages = 0; pages < HEADER_SEARCH_PAGES && at; pages++, at -= 4096) {
		const Elf64_Ehdr *found = (const Elf64_Ehdr *)at;
		const Elf64_Phdr *p;

		if (!read_safely(at, &e, sizeof(e)) || !bytes_equal(e.e_ident, ELFMAG, SELFMAG) ||
		    e.e_phoff > 4096 - sizeof(e) || e.e_phnum > 32)
			continue;
		p = (const Elf64_Phdr *)((const uint8_t *)found + e.e_phoff);
		for (size_t i = 0; i < e.e_phnum; i++)
			if (p[i].p_type == PT_DYNAMIC &&
			    p[i].p_vaddr + lm->l_addr == (uint64_t)lm->l_ld)
				return found;
	}
	return NULL;
}

bool elf_image_of(struct link_map *lm, struct elf_image *ret)
{
	struct elf_image m = {.link_map = lm, .bias = lm->l_addr, .start = ~0ull};

	if (!lm->l_name || !lm->l_name[0]) { /* the program itself */
		m.phdr = (const Elf64_Phdr *)aux_value(AT_PHDR);
		m.phdr_nr = aux_value(AT_PHNUM);
	} else {
		const Elf64_Ehdr *e = find_header(lm);

		if (!e)
			return false;
		m.phdr = (const Elf64_Phdr *)((const uint8_t *)e + e->e_phoff);
		m.phdr_nr = e->e_phnum;
	}
	for (size_t i = 0; m.phdr && i < m.phdr_nr; i++) {
		const Elf64_Phdr *p = &m.phdr[i];
		uint64_t at = m.bias + p->p_vaddr;

		if (p->p_type == PT_LOAD) {
			if ((at & ~4095ull) < m.start)
				m.start = at & ~4095ull;
			if (at + p->p_memsz > m.end)
				m.end = at + p->p_memsz;
		} else if (p->p_type == PT_GNU_EH_FRAME) {
			m.eh_frame_hdr = at;
		}
	}
	if (m.start >= m.end)
		return false;
	*ret = m;
	return true;
}

bool elf_image_at(uint64_t addr, struct elf_image *ret)
{
	for (struct link_map *lm = elf_link_maps(); lm; lm = lm->l_next)
		if (elf_image_of(lm, ret) && addr >= ret->start && addr < ret->end)
			return true;
	return false;
}

uint8_t elf_image_build_id(const struct elf_image *image, uint8_t *out, size_t cap)
{
	for (size_t i = 0; i < image->phdr_nr; i++) {
		const Elf64_Phdr *p = &image->phdr[i];
		const uint8_t *n = (const uint8_t *)(image->bias + p->p_vaddr), *end;

		if (p->p_type != PT_NOTE)
			continue;
		for (end = n + p->p_memsz; end - n >= (long)sizeof(Elf64_Nhdr);) {
			const Elf64_Nhdr *note = (const Elf64_Nhdr *)n;
			const uint8_t *name = n + sizeof(*note);
			const uint8_t *desc = name + ((note->n_namesz + 3) & ~3u);

			if (desc + note->n_descsz > end)
				break;
			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
			    bytes_equal(name, "GNU", 4) && note->n_descsz <= cap) {
				bytes_copy(out, desc, note->n_descsz);
				return (uint8_t)note->n_descsz;
			}
			n = desc + ((note->n_descsz + 3) & ~3u);
		}
	}
	return 0;
}

struct symbols {
	const Elf64_Sym *table;
	const char *names;
	const uint16_t *versions; /* NULL: unversioned */
	const uint32_t *gnu_hash, *sysv_hash;
	uint64_t bias;
};

/* glibc relocates d_ptr of loaded objects, musl and the vDSO do not. */
static uint64_t dynamic_ptr(const Elf64_Dyn *d, uint64_t bias)
{
	if (!d)
		return 0;
	return bias && d->d_un.d_ptr < bias ? d->d_un.d_ptr + bias : d->d_un.d_ptr;
}

static bool symbols_open(struct link_map *lm, struct symbols *s)
{
	const Elf64_Dyn *d = lm->l_ld;

	s->bias = lm->l_addr;
	s->table = (const Elf64_Sym *)dynamic_ptr(dynamic_entry(d, DT_SYMTAB), s->bias);
	s->names = (const char *)dynamic_ptr(dynamic_entry(d, DT_STRTAB), s->bias);
	s->versions = (const uint16_t *)dynamic_ptr(dynamic_entry(d, DT_VERSYM), s->bias);
	s->gnu_hash = (const uint32_t *)dynamic_ptr(dynamic_entry(d, DT_GNU_HASH), s->bias);
	s->sysv_hash = (const uint32_t *)dynamic_ptr(dynamic_entry(d, DT_HASH), s->bias);
	return s->table && s->names && (s->gnu_hash || s->sysv_hash);
}

static uint64_t symbol_value(const struct symbols *s, uint32_t i, const char *name)
{
	const Elf64_Sym *sym = &s->table[i];
	unsigned type = ELF64_ST_TYPE(sym->st_info);
	uint64_t at;

	if (sym->st_shndx == SHN_UNDEF || !sym->st_value ||
	    !text_equal(s->names + sym->st_name, name))
		return 0;
	if (s->versions && (s->versions[i] & 0x8000)) /* not the default version */
		return 0;
	at = s->bias + sym->st_value;
	if (type == STT_GNU_IFUNC)
		at = ((uint64_t(*)(void))at)();
	return at;
}

static uint64_t find_gnu(const struct symbols *s, const char *name)
{
	const uint32_t *table = s->gnu_hash;
	uint32_t buckets_nr = table[0], first = table[1], bloom_nr = table[2], hash = 5381, i;
	const uint32_t *buckets = table + 4 + bloom_nr * 2, *chain = buckets + buckets_nr;
	uint64_t at;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!buckets_nr || (i = buckets[hash % buckets_nr]) < first)
		return 0;
	for (;; i++) {
		uint32_t h = chain[i - first];

		if ((h | 1) == (hash | 1) && (at = symbol_value(s, i, name)))
			return at;
		if (h & 1)
			return 0;
	}
}

static uint64_t find_sysv(const struct symbols *s, const char *name)
{
	const uint32_t *table = s->sysv_hash;
	uint32_t buckets_nr = table[0], hash = 0, high;
	const uint32_t *buckets = table + 2, *chain = buckets + buckets_nr;
	uint64_t at;

	for (const char *c = name; *c; c++) {
		hash = (hash << 4) + (uint8_t)*c;
		high = hash & 0xf0000000;
		hash ^= high >> 24;
		hash &= ~high;
	}
	for (uint32_t i = buckets_nr ? buckets[hash % buckets_nr] : 0; i; i = chain[i])
		if ((at = symbol_value(s, i, name)))
			return at;
	return 0;
}

uint64_t elf_symbol(struct link_map *lm, const char *name)
{
	struct symbols s;

	if (!lm->l_ld || !symbols_open(lm, &s))
		return 0;
	return s.gnu_hash ? find_gnu(&s, name) : find_sysv(&s, name);
}
