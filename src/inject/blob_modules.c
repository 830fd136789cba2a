/* See blob_modules.h. */
#include "inject/blob_modules.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "inject/blob_image.h"
#include "target/target.h"

#define PHDRS_MAX 64

/* Mapped address of .eh_frame_hdr, 0: none. */
static uint64_t find_frames(struct target *t, const struct target_module *m)
{
	Elf64_Phdr phdrs[PHDRS_MAX];
	Elf64_Ehdr e;

	if (!target_read_all(t, m->start, &e, sizeof(e)) || memcmp(e.e_ident, ELFMAG, SELFMAG) ||
	    e.e_phentsize != sizeof(*phdrs) || e.e_phnum > PHDRS_MAX ||
	    !target_read_all(t, m->start + e.e_phoff, phdrs, e.e_phnum * sizeof(*phdrs)))
		return 0;
	for (size_t i = 0; i < e.e_phnum; i++)
		if (phdrs[i].p_type == PT_GNU_EH_FRAME)
			return m->bias + phdrs[i].p_vaddr;
	return 0;
}

static void add(struct wire_blob *blob, const struct wire_blob_module *m)
{
	if (blob->modules_nr < WIRE_BLOB_MODULES_MAX)
		blob->modules[blob->modules_nr++] = *m;
}

static void add_module(struct target *t, const struct target_module *from, bool stay,
		       struct wire_blob *blob)
{
	bool vdso = !strcmp(from->path, "[vdso]");
	struct wire_blob_module m = {
		.start = from->start,
		.end = from->end,
		.bias = from->bias,
		.eh_frame_hdr = find_frames(t, from),
		.build_id_len = from->build_id_len,
		.stays = stay || vdso,
	};

	memcpy(m.build_id, from->build_id, sizeof(m.build_id));
	/* As the loader calls them. */
	if (!(from->flags & TARGET_MODULE_MAIN))
		snprintf(m.path, sizeof(m.path), "%s", vdso ? "linux-vdso.so.1" : from->path);
	add(blob, &m);
}

void blob_modules_fill(struct target *t, const struct blob_image *image, uint64_t base, bool stay,
		       struct wire_blob *blob)
{
	struct wire_blob_module own = {
		.start = base,
		.end = base + image->all_bytes,
		.bias = base,
		.eh_frame_hdr = base + image->eh_frame_hdr,
		.build_id_len = image->build_id_len,
		.stays = true,
	};
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	memcpy(own.build_id, image->build_id, sizeof(own.build_id));
	snprintf(own.path, sizeof(own.path), "%s", image->path);
	blob->modules_nr = 0;
	add(blob, &own);
	for (size_t i = 0; i < nr; i++)
		add_module(t, &modules[i], stay, blob);
}

void blob_modules_set_frames(struct wire_blob *blob, uint64_t table)
{
	for (uint32_t i = 0; i < blob->modules_nr; i++)
		if (!*blob->modules[i].path)
			blob->modules[i].eh_frame_hdr = table;
}
