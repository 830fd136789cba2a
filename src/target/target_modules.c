/*
 * Which ELF files are mapped where, from the maps and the ELF headers in the target's memory.
 *
 * A module is a mapping of a file's first page that holds an ELF header whose segments are really
 * mapped where the header says; so a file that is merely read through mmap is none.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "target/target_private.h"

#define HEADERS_MAX 256 /* program headers looked at */
#define NOTES_MAX 65536 /* bytes of notes looked at */
#define NT_GO_BUILD_ID 4
#define PAGE_BYTES 4096ull /* segments are rounded to at least this */

/* Of either word size. */
struct segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, filesz, memsz;
};

struct image {
	uint16_t machine;
	uint8_t class;
	uint16_t type;
	struct segment segments[HEADERS_MAX];
	size_t nr;
};

static bool read_header(struct target *t, uint64_t addr, struct image *image, uint64_t *ret_table,
			size_t *ret_entry)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} h;

	if (!target_read_all(t, addr, &h, sizeof(h)) || memcmp(h.ident, ELFMAG, SELFMAG) != 0 ||
	    h.ident[EI_DATA] != ELFDATA2LSB)
		return false;
	image->class = h.ident[EI_CLASS];
	if (image->class == ELFCLASS64) {
		image->machine = h.wide.e_machine;
		image->type = h.wide.e_type;
		image->nr = h.wide.e_phnum;
		*ret_table = h.wide.e_phoff;
		*ret_entry = h.wide.e_phentsize;
		return *ret_entry == sizeof(Elf64_Phdr);
	}
	image->machine = h.narrow.e_machine;
	image->type = h.narrow.e_type;
	image->nr = h.narrow.e_phnum;
	*ret_table = h.narrow.e_phoff;
	*ret_entry = h.narrow.e_phentsize;
	return image->class == ELFCLASS32 && *ret_entry == sizeof(Elf32_Phdr);
}

static bool read_image(struct target *t, const struct map *m, struct image *image)
{
	union {
		Elf64_Phdr wide[HEADERS_MAX];
		Elf32_Phdr narrow[HEADERS_MAX];
	} table;
	uint64_t at;
	size_t entry;

	if (!read_header(t, m->start, image, &at, &entry))
		return false;
	if (image->nr == 0 || image->nr > HEADERS_MAX || at > m->end - m->start ||
	    !target_read_all(t, m->start + at, &table, image->nr * entry))
		return false;
	for (size_t i = 0; i < image->nr; i++) {
		if (image->class == ELFCLASS64) {
			const Elf64_Phdr *p = &table.wide[i];

			image->segments[i] = (struct segment){p->p_type,  p->p_flags,  p->p_offset,
							      p->p_vaddr, p->p_filesz, p->p_memsz};
		} else {
			const Elf32_Phdr *p = &table.narrow[i];

			image->segments[i] = (struct segment){p->p_type,  p->p_flags,  p->p_offset,
							      p->p_vaddr, p->p_filesz, p->p_memsz};
		}
	}
	return true;
}

/* bias and extent from the loadable segments; false: this is no loaded module. */
static bool place(const struct target *t, const struct map *first, const struct image *image,
		  struct target_module *m)
{
	uint64_t low = UINT64_MAX, high = 0, mask = ~(PAGE_BYTES - 1);

	for (size_t i = 0; i < image->nr; i++) {
		const struct segment *s = &image->segments[i];

		if (s->type != PT_LOAD || s->memsz == 0)
			continue;
		if (s->vaddr + s->memsz < s->vaddr)
			return false;
		if (s->vaddr < low) {
			low = s->vaddr;
			m->bias = first->start - ((s->vaddr - s->offset) & mask);
		}
		if (s->vaddr + s->memsz > high)
			high = s->vaddr + s->memsz;
	}
	if (low == UINT64_MAX)
		return false;
	m->start = first->start;
	m->end = (m->bias + high + PAGE_BYTES - 1) & mask;
	if (m->end <= m->start)
		return false;
	for (size_t i = 0; i < image->nr; i++) {
		const struct segment *s = &image->segments[i];
		const struct map *at;

		if (s->type != PT_LOAD || s->filesz == 0)
			continue;
		at = maps_find(&t->maps, m->bias + s->vaddr);
		/* A relocated segment may have become anonymous (text relocations, old cores). */
		if (!at || (*at->path && strcmp(at->path, first->path) != 0))
			return false;
		/* Read through mmap, a file has its text in one mapping with its header. */
		if ((s->flags & PF_X) && !(at->prot & MAP_EXEC) && (at == first || !*at->path))
			return false;
	}
	return true;
}

/* Its build-id, and Go's (cmd/internal/buildid/note.go of Go: "Go", type 4). */
static void read_notes(struct target *t, const struct segment *s, struct target_module *m)
{
	size_t len = s->filesz < NOTES_MAX ? (size_t)s->filesz : NOTES_MAX;
	uint8_t *notes = mem_alloc(len);

	len = target_read(t, m->bias + s->vaddr, notes, len);
	for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= len;) {
		Elf64_Nhdr h;
		size_t name, desc;

		memcpy(&h, notes + at, sizeof(h));
		name = at + sizeof(h);
		if (h.n_namesz > len || h.n_descsz > len)
			break;
		desc = name + ((h.n_namesz + 3u) & ~3u);
		if (desc + h.n_descsz > len)
			break;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && m->build_id_len == 0 &&
		    memcmp(notes + name, "GNU", 4) == 0 && h.n_descsz <= TARGET_BUILD_ID_MAX) {
			memcpy(m->build_id, notes + desc, h.n_descsz);
			m->build_id_len = (uint8_t)h.n_descsz;
		}
		if (h.n_type == NT_GO_BUILD_ID && h.n_namesz == 4 &&
		    memcmp(notes + name, "Go\0", 4) == 0)
			m->flags |= TARGET_MODULE_GO;
		at = desc + ((h.n_descsz + 3u) & ~3u);
	}
	free(notes);
}

static bool is_loader(const char *path)
{
	const char *name = text_base_name(path);

	return strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld.so", 5) == 0;
}

static void add_module(struct target *t, const struct map *first, const struct image *image)
{
	struct target_module m = {.path = first->path};

	if (!place(t, first, image, &m))
		return;
	if (t->nr_modules && t->modules[t->nr_modules - 1].end > m.start)
		return;
	for (size_t i = 0; i < image->nr; i++) {
		const struct segment *s = &image->segments[i];

		if (s->type == PT_DYNAMIC)
			m.dynamic = m.bias + s->vaddr;
		else if (s->type == PT_TLS)
			m.tls_bytes = s->memsz;
		else if (s->type == PT_NOTE)
			read_notes(t, s, &m);
	}
	if (first->deleted)
		m.flags |= TARGET_MODULE_DELETED;
	if (is_loader(first->path))
		m.flags |= TARGET_MODULE_LOADER;
	ARRAY_PUSH(t->modules, t->nr_modules, t->cap_modules, m);
}

static bool wants_loader(const struct image *image)
{
	for (size_t i = 0; i < image->nr; i++) {
		if (image->segments[i].type == PT_INTERP)
			return true;
	}
	return false;
}

/* The program itself: by its name; else the first that asks for a loader; else the first. */
static void mark_main(struct target *t, size_t first_with_loader)
{
	const char *exe = t->process.exe ? t->process.exe : "";
	size_t main = SIZE_MAX;

	for (size_t i = 0; i < t->nr_modules && main == SIZE_MAX; i++) {
		if (*exe && strcmp(t->modules[i].path, exe) == 0)
			main = i;
	}
	if (main == SIZE_MAX)
		main = first_with_loader;
	if (main == SIZE_MAX && t->nr_modules)
		main = 0;
	if (main != SIZE_MAX)
		t->modules[main].flags |= TARGET_MODULE_MAIN;
}

void target_find_modules(struct target *t)
{
	size_t with_loader = SIZE_MAX;
	uint8_t class = ELFCLASSNONE;
	struct image image;

	for (size_t i = 0; i < t->maps.nr; i++) {
		const struct map *m = &t->maps.items[i];
		bool vdso = strcmp(m->path, "[vdso]") == 0;
		size_t before = t->nr_modules;

		if (m->offset != 0 || !(m->prot & MAP_READ) || !(*m->path == '/' || vdso))
			continue;
		if (!read_image(t, m, &image))
			continue;
		add_module(t, m, &image);
		if (t->nr_modules == before || vdso)
			continue;
		if (with_loader == SIZE_MAX && wants_loader(&image))
			with_loader = before;
		if (class == ELFCLASSNONE || with_loader == before) {
			class = image.class;
			if (!t->machine || with_loader == before)
				t->machine = image.machine;
		}
	}
	mark_main(t, with_loader);
	if (t->word_bytes == 0)
		t->word_bytes = class == ELFCLASS32 ? 4 : 8;
}
