/*
 * How the program's calls of include/seep/seep.h reach us: each module that uses it has a struct
 * into which we put where our functions are. Modules of the start are searched for it; one that is
 * loaded later comes by itself (seep_rec_join), or is searched when it is first seen in a stack.
 */
#include "told.h"

#include "bytes.h"
#include "elf_image.h"
#include "record.h"

static struct seep_functions functions;

bool told_begin(struct hook *k, uint64_t sp)
{
	return (rec_gate.header || rec_wake()) && hook_begin(k, sp);
}

void told_end(struct hook *k)
{
	hook_end(k);
}

static void fill(struct seep_hooks *hooks)
{
	if (functions.bytes && hooks->magic[0] == SEEP_HOOKS_MAGIC0 &&
	    hooks->magic[1] == SEEP_HOOKS_MAGIC1 && hooks->version)
		__atomic_store_n(&hooks->functions, &functions, __ATOMIC_RELEASE);
}

static bool is_written(const struct elf_image *image, uint64_t addr, uint64_t bytes)
{
	for (size_t i = 0; i < image->phdr_nr; i++) {
		const Elf64_Phdr *p = &image->phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_W) &&
		    addr >= image->bias + p->p_vaddr && bytes <= p->p_memsz &&
		    addr - (image->bias + p->p_vaddr) <= p->p_memsz - bytes)
			return true;
	}
	return false;
}

/* gABI 2-4: sizes of owner and description, type; each padded to 4 bytes. */
static void read_notes(const struct elf_image *image, const uint8_t *at, uint64_t bytes)
{
	Elf64_Nhdr n;

	while (bytes >= sizeof(n)) {
		uint64_t owner, description;

		bytes_copy(&n, at, sizeof(n));
		owner = ((uint64_t)n.n_namesz + 3) & ~3ull;
		description = ((uint64_t)n.n_descsz + 3) & ~3ull;
		if (owner + description > bytes - sizeof(n))
			return;
		if (n.n_type == SEEP_NOTE_TYPE && n.n_namesz == sizeof(SEEP_NOTE_OWNER) &&
		    n.n_descsz == 8 &&
		    bytes_equal(at + sizeof(n), SEEP_NOTE_OWNER, sizeof(SEEP_NOTE_OWNER))) {
			const uint8_t *from = at + sizeof(n) + owner;
			uint64_t to;

			bytes_copy(&to, from, sizeof(to));
			to += (uint64_t)from;
			if (to % 8 == 0 && is_written(image, to, sizeof(struct seep_hooks)))
				fill((struct seep_hooks *)to);
		}
		at += sizeof(n) + owner + description;
		bytes -= sizeof(n) + owner + description;
	}
}

void told_by_module(struct link_map *lm)
{
	struct elf_image image;

	if (!functions.bytes || !elf_image_of(lm, &image))
		return;
	for (size_t i = 0; i < image.phdr_nr; i++) {
		const Elf64_Phdr *p = &image.phdr[i];

		if (p->p_type == PT_NOTE && p->p_align <= 4)
			read_notes(&image, (const uint8_t *)(image.bias + p->p_vaddr), p->p_memsz);
	}
}

void told_start(void)
{
	if (functions.bytes)
		return; /* a fork child: they are in place */
	functions = (struct seep_functions)TOLD_FUNCTIONS;
	for (struct link_map *lm = elf_link_maps(); lm; lm = lm->l_next)
		told_by_module(lm);
}

void rec_join(struct seep_hooks *hooks)
{
	fill(hooks);
}
TOLD_EXPORT(join);
