/* ELF files through libelf; the only file that includes it. */
#include "sym/image.h"

#include <stdlib.h>
#include <string.h>

#include <gelf.h>

#include "base/mem.h"

enum {
	SECTIONS_MAX = 100000,
	SEGMENTS_MAX = 4096,
	RELOCATIONS_MAX = 4 << 20,
};

struct section {
	Elf_Scn *scn;
	const char *name;
	GElf_Shdr shdr;
};

struct code {
	uint64_t lo, hi;
};

struct image {
	Elf *elf;
	GElf_Ehdr ehdr;
	struct section *sections;
	size_t nr_sections, cap_sections;
	struct code *code; /* executable segments */
	size_t nr_code, cap_code;
	struct image_span span;
	uint8_t build_id[IMAGE_BUILD_ID_MAX];
	size_t build_id_len;
};

static bool take_build_id(struct image *img, Elf_Data *data)
{
	size_t pos = 0, next, name, desc;
	GElf_Nhdr note;

	while (data && pos < data->d_size &&
	       (next = gelf_getnote(data, pos, &note, &name, &desc)) > 0) {
		const uint8_t *bytes = data->d_buf;

		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp(bytes + name, "GNU", 4) && note.n_descsz > 0 &&
		    note.n_descsz <= IMAGE_BUILD_ID_MAX) {
			memcpy(img->build_id, bytes + desc, note.n_descsz);
			img->build_id_len = note.n_descsz;
			return true;
		}
		pos = next;
	}
	return false;
}

static uint64_t end_of(uint64_t start, uint64_t size)
{
	return start + size < start ? UINT64_MAX : start + size;
}

static void read_segment(struct image *img, const GElf_Phdr *p)
{
	struct image_span *span = &img->span;

	if (p->p_type == PT_LOAD) {
		struct code code = {.lo = p->p_vaddr, .hi = end_of(p->p_vaddr, p->p_memsz)};
		bool first = span->end == 0;

		if (first || p->p_vaddr < span->start)
			span->start = p->p_vaddr;
		if (code.hi > span->end)
			span->end = code.hi;
		if (end_of(p->p_vaddr, p->p_filesz) > span->end_of_file_bytes)
			span->end_of_file_bytes = end_of(p->p_vaddr, p->p_filesz);
		if (p->p_flags & PF_X)
			ARRAY_PUSH(img->code, img->nr_code, img->cap_code, code);
	} else if (p->p_type == PT_NOTE && img->build_id_len == 0) {
		take_build_id(img,
			      elf_getdata_rawchunk(img->elf, (int64_t)p->p_offset, p->p_filesz,
						   p->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR));
	}
}

static void read_segments(struct image *img)
{
	size_t i, nr;
	GElf_Phdr p;

	if (elf_getphdrnum(img->elf, &nr) || nr > SEGMENTS_MAX)
		return;
	for (i = 0; i < nr; i++) {
		if (gelf_getphdr(img->elf, (int)i, &p))
			read_segment(img, &p);
	}
}

static void read_sections(struct image *img)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(img->elf, &names))
		return;
	while ((scn = elf_nextscn(img->elf, scn)) && img->nr_sections < SECTIONS_MAX) {
		struct section s = {.scn = scn};

		if (!gelf_getshdr(scn, &s.shdr))
			continue;
		s.name = elf_strptr(img->elf, names, s.shdr.sh_name);
		if (s.name)
			ARRAY_PUSH(img->sections, img->nr_sections, img->cap_sections, s);
	}
}

/* Separate debug files keep the note as a section, but their program headers may not find it. */
static void build_id_from_sections(struct image *img)
{
	size_t i;

	for (i = 0; i < img->nr_sections; i++) {
		const struct section *s = &img->sections[i];

		if (s->shdr.sh_type == SHT_NOTE && take_build_id(img, elf_getdata(s->scn, NULL)))
			return;
	}
}

struct image *image_open(int fd)
{
	struct image *img;
	Elf *elf;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return NULL;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf)
		return NULL;
	img = mem_alloc(sizeof(*img));
	img->elf = elf;
	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &img->ehdr)) {
		image_close(img);
		return NULL;
	}
	read_sections(img);
	build_id_from_sections(img);
	read_segments(img);
	return img;
}

void image_close(struct image *img)
{
	if (!img)
		return;
	elf_end(img->elf);
	free(img->sections);
	free(img->code);
	free(img);
}

size_t image_build_id(const struct image *img, const uint8_t **ret)
{
	*ret = img->build_id;
	return img->build_id_len;
}

bool image_has_build_id(const struct image *img, const uint8_t *id, size_t len)
{
	return len > 0 && img->build_id_len == len && !memcmp(img->build_id, id, len);
}

const struct image_span *image_span(const struct image *img)
{
	return &img->span;
}

unsigned int image_machine(const struct image *img)
{
	return img->ehdr.e_machine;
}

static const struct section *find_section(const struct image *img, const char *name)
{
	size_t i;

	for (i = 0; i < img->nr_sections; i++) {
		if (!strcmp(img->sections[i].name, name))
			return &img->sections[i];
	}
	return NULL;
}

static bool image_has_section(const struct image *img, const char *name)
{
	const struct section *s = find_section(img, name);

	return s && s->shdr.sh_type != SHT_NOBITS;
}

bool image_has_symtab(const struct image *img)
{
	size_t i;

	for (i = 0; i < img->nr_sections; i++) {
		if (img->sections[i].shdr.sh_type == SHT_SYMTAB)
			return true;
	}
	return false;
}

bool image_has_dwarf(const struct image *img)
{
	return image_has_section(img, ".debug_info") || image_has_section(img, ".zdebug_info");
}

bool image_section(const struct image *img, const char *name, struct image_section *ret)
{
	const struct section *s = find_section(img, name);
	Elf_Data *data;

	if (!s)
		return false;
	*ret = (struct image_section){
		.addr = s->shdr.sh_addr,
		.addr_size = s->shdr.sh_size,
		.entry_size = s->shdr.sh_entsize,
		.executable = s->shdr.sh_flags & SHF_EXECINSTR,
	};
	data = s->shdr.sh_type == SHT_NOBITS ? NULL : elf_rawdata(s->scn, NULL);
	if (data && data->d_buf) {
		ret->data = data->d_buf;
		ret->size = data->d_size;
	}
	return true;
}

/* "name\0", then to a multiple of 4, then a CRC in the file's byte order. */
void image_debuglink(const struct image *img, struct image_link *ret)
{
	struct image_section s;
	const uint8_t *end, *crc;
	size_t at;

	*ret = (struct image_link){0};
	if (!image_section(img, ".gnu_debuglink", &s) || !s.data)
		return;
	end = memchr(s.data, '\0', s.size);
	if (!end || end == s.data)
		return;
	at = ((size_t)(end - s.data) + 4) & ~(size_t)3;
	if (at > s.size || s.size - at < 4)
		return;
	crc = s.data + at;
	ret->crc = img->ehdr.e_ident[EI_DATA] == ELFDATA2MSB
			   ? (uint32_t)crc[0] << 24 | crc[1] << 16 | crc[2] << 8 | crc[3]
			   : (uint32_t)crc[3] << 24 | crc[2] << 16 | crc[1] << 8 | crc[0];
	ret->name = mem_strdup((const char *)s.data);
}

/* "name\0build-id" */
void image_debugaltlink(const struct image *img, struct image_link *ret)
{
	struct image_section s;
	const uint8_t *end;
	size_t len;

	*ret = (struct image_link){0};
	if (!image_section(img, ".gnu_debugaltlink", &s) || !s.data)
		return;
	end = memchr(s.data, '\0', s.size);
	if (!end)
		return;
	len = s.size - (size_t)(end + 1 - s.data);
	if (len == 0 || len > IMAGE_BUILD_ID_MAX)
		return;
	memcpy(ret->build_id, end + 1, len);
	ret->build_id_len = len;
	ret->name = mem_strdup((const char *)s.data);
}

bool image_is_code(const struct image *img, uint64_t addr)
{
	size_t i;

	for (i = 0; i < img->nr_code; i++) {
		if (addr >= img->code[i].lo && addr < img->code[i].hi)
			return true;
	}
	return false;
}

bool image_code_section(const struct image *img, uint64_t addr, uint64_t *ret_lo, uint64_t *ret_hi)
{
	size_t i;

	for (i = 0; i < img->nr_sections; i++) {
		const GElf_Shdr *s = &img->sections[i].shdr;

		if ((s->sh_flags & SHF_EXECINSTR) && addr >= s->sh_addr &&
		    addr - s->sh_addr < s->sh_size) {
			*ret_lo = s->sh_addr;
			*ret_hi = end_of(s->sh_addr, s->sh_size);
			return true;
		}
	}
	return false;
}

static const char *symbol_name(const struct image *img, const struct section *table, size_t index)
{
	Elf_Scn *symbols = elf_getscn(img->elf, table->shdr.sh_link);
	GElf_Shdr shdr;
	GElf_Sym sym;

	if (!symbols || !gelf_getshdr(symbols, &shdr) || shdr.sh_type != SHT_DYNSYM)
		return NULL;
	if (index > INT32_MAX || !gelf_getsym(elf_getdata(symbols, NULL), (int)index, &sym))
		return NULL;
	return elf_strptr(img->elf, shdr.sh_link, sym.st_name);
}

void image_each_relocation(const struct image *img, const char *section,
			   void (*fn)(void *arg, size_t index, uint64_t slot, const char *name),
			   void *arg)
{
	const struct section *s = find_section(img, section);
	Elf_Data *data = s && s->shdr.sh_type == SHT_RELA ? elf_getdata(s->scn, NULL) : NULL;
	GElf_Rela rela;
	int i;

	for (i = 0; data && i < RELOCATIONS_MAX && gelf_getrela(data, i, &rela); i++) {
		size_t index = GELF_R_SYM(rela.r_info);
		const char *name = index > 0 ? symbol_name(img, s, index) : NULL;

		if (name && *name)
			fn(arg, (size_t)i, rela.r_offset, name);
	}
}
