/* See blob_image.h. The layout is the linker script's, rec/blob.lds. */
#include "inject/blob_image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/recorder_path.h"

#define PAGE 4096ull
#define FILE_MAX (16u << 20)

static uint64_t pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) & ~(PAGE - 1);
}

static bool fits(const struct str *file, uint64_t offset, uint64_t len)
{
	return offset <= file->len && len <= file->len - offset;
}

static const Elf64_Phdr *find_phdr(const struct str *file, uint32_t type, uint32_t flags)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)file->data;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(file->data + e->e_phoff);

	for (size_t i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == type && (p[i].p_flags & flags) == flags)
			return &p[i];
	return NULL;
}

static bool read_segments(const struct str *file, struct blob_image *i)
{
	const Elf64_Phdr *text = find_phdr(file, PT_LOAD, PF_X);
	const Elf64_Phdr *data = find_phdr(file, PT_LOAD, PF_W);
	const Elf64_Phdr *frames = find_phdr(file, PT_GNU_EH_FRAME, 0);

	if (!text || !data || !frames || text->p_vaddr || text->p_offset || data->p_vaddr % PAGE ||
	    data->p_vaddr < text->p_filesz || data->p_memsz >> 30 ||
	    data->p_filesz < sizeof(struct wire_blob) || data->p_filesz > data->p_memsz ||
	    !fits(file, 0, text->p_filesz) || !fits(file, data->p_offset, data->p_filesz) ||
	    frames->p_vaddr >= text->p_filesz)
		return false;
	i->text_bytes = data->p_vaddr;
	i->all_bytes = pages(data->p_vaddr + data->p_memsz);
	i->bytes_nr = (size_t)(data->p_vaddr + data->p_filesz);
	i->bytes = mem_alloc(i->bytes_nr);
	memcpy(i->bytes, file->data, text->p_filesz);
	memcpy(i->bytes + data->p_vaddr, file->data + data->p_offset, data->p_filesz);
	i->eh_frame_hdr = frames->p_vaddr;
	return true;
}

static uint64_t dynamic_value(const struct blob_image *i, const Elf64_Phdr *dynamic, int64_t tag)
{
	const Elf64_Dyn *d = (const Elf64_Dyn *)(i->bytes + dynamic->p_vaddr);

	for (size_t k = 0; k < dynamic->p_filesz / sizeof(*d) && d[k].d_tag != DT_NULL; k++)
		if (d[k].d_tag == tag)
			return d[k].d_un.d_val;
	return 0;
}

/* Nothing but addresses of its own: whoever links it otherwise learns it here. */
static bool read_relocations(const struct str *file, struct blob_image *i)
{
	const Elf64_Phdr *dynamic = find_phdr(file, PT_DYNAMIC, 0);
	uint64_t at, bytes;

	if (!dynamic || dynamic->p_vaddr > i->bytes_nr ||
	    dynamic->p_filesz > i->bytes_nr - dynamic->p_vaddr || find_phdr(file, PT_TLS, 0))
		return false;
	at = dynamic_value(i, dynamic, DT_RELA);
	bytes = dynamic_value(i, dynamic, DT_RELASZ);
	if (at > i->bytes_nr || bytes > i->bytes_nr - at)
		return false;
	i->nr_relocations = bytes / sizeof(Elf64_Rela);
	i->relocations = mem_alloc_array(i->nr_relocations + 1, sizeof(*i->relocations));
	for (size_t k = 0; k < i->nr_relocations; k++) {
		const Elf64_Rela *r = (const Elf64_Rela *)(i->bytes + at) + k;
		uint64_t value = (uint64_t)r->r_addend;

		if (ELF64_R_TYPE(r->r_info) != R_X86_64_RELATIVE ||
		    r->r_offset > i->bytes_nr - sizeof(uint64_t))
			return false;
		memcpy(i->bytes + r->r_offset, &value, sizeof(value));
		i->relocations[k] = r->r_offset;
	}
	return true;
}

static void read_build_id(const struct str *file, struct blob_image *i)
{
	static const char name[] = "GNU";
	const Elf64_Nhdr *n;
	const char *at = memmem(file->data, file->len < PAGE ? file->len : PAGE, name, 4);

	/* The first section of all; see the linker script. */
	if (!at || at - file->data < (long)sizeof(*n))
		return;
	n = (const Elf64_Nhdr *)(at - sizeof(*n));
	if (n->n_type != NT_GNU_BUILD_ID || n->n_descsz > sizeof(i->build_id))
		return;
	i->build_id_len = (uint8_t)n->n_descsz;
	memcpy(i->build_id, at + 4, n->n_descsz);
}

static bool parse(const struct str *file, struct blob_image *i)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)file->data;
	const struct wire_blob *b;

	if (file->len < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
	    e->e_machine != EM_X86_64 || e->e_phentsize != sizeof(Elf64_Phdr) ||
	    !fits(file, e->e_phoff, e->e_phnum * sizeof(Elf64_Phdr)) || !read_segments(file, i) ||
	    !read_relocations(file, i) || e->e_entry != i->text_bytes)
		return false;
	read_build_id(file, i);
	b = blob_image_blob(i);
	return b->magic == WIRE_BLOB_MAGIC && b->version == WIRE_BLOB_VERSION &&
	       b->bytes == sizeof(*b);
}

int blob_image_open(struct blob_image *ret, struct error *e)
{
	struct blob_image i = BLOB_IMAGE_INIT;
	struct str file = STR_INIT;
	int r = recorder_blob_path(&i.path, e);

	if (r < 0)
		return r;
	r = io_read_file(i.path, FILE_MAX, &file);
	if (r < 0) {
		error_set(e, r, EXIT_TARGET, "cannot read the recorder '%s': %s", i.path,
			  error_strerror(r));
	} else if (!parse(&file, &i)) {
		r = error_set(e, -EINVAL, EXIT_TARGET,
			      "cannot use the recorder '%s': it is not of this version of seep",
			      i.path);
		error_hint(e, "install seep again");
	}
	str_release(&file);
	if (r < 0) {
		blob_image_release(&i);
		return r;
	}
	*ret = i;
	return 0;
}

void blob_image_release(struct blob_image *i)
{
	if (!i)
		return;
	free(i->path);
	free(i->bytes);
	free(i->relocations);
	*i = (struct blob_image)BLOB_IMAGE_INIT;
}

void blob_image_relocate(struct blob_image *i, uint64_t base)
{
	for (size_t k = 0; k < i->nr_relocations; k++) {
		uint64_t value;

		memcpy(&value, i->bytes + i->relocations[k], sizeof(value));
		value += base;
		memcpy(i->bytes + i->relocations[k], &value, sizeof(value));
	}
}

struct wire_blob *blob_image_blob(struct blob_image *i)
{
	return (struct wire_blob *)(i->bytes + i->text_bytes);
}
