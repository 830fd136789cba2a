/* See told.h. */
#include "inject/told.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SEEP_DISABLE /* we tell nobody anything */
#include "seep/seep.h"

#include "base/mem.h"
#include "inject/inside.h"
#include "target/foreign_fd.h"
#include "target/target.h"
#include "wire/blob.h"

#define PHDRS_MAX 64
#define NOTES_BYTES_MAX 65536u

struct image {
	uint64_t bias;
	Elf64_Phdr phdrs[PHDRS_MAX];
	size_t nr;
};

static bool read_image(struct target *t, const struct target_module *m, struct image *ret)
{
	Elf64_Ehdr e;

	if (!target_read_all(t, m->start, &e, sizeof(e)) || memcmp(e.e_ident, ELFMAG, SELFMAG) ||
	    e.e_phentsize != sizeof(*ret->phdrs) || e.e_phnum > PHDRS_MAX ||
	    !target_read_all(t, m->start + e.e_phoff, ret->phdrs, e.e_phnum * sizeof(*ret->phdrs)))
		return false;
	ret->bias = m->bias;
	ret->nr = e.e_phnum;
	return true;
}

static bool is_written(const struct image *i, uint64_t addr)
{
	for (size_t k = 0; k < i->nr; k++) {
		const Elf64_Phdr *p = &i->phdrs[k];
		uint64_t start = i->bias + p->p_vaddr;

		if (p->p_type == PT_LOAD && (p->p_flags & PF_W) &&
		    p->p_memsz >= sizeof(struct seep_hooks) && addr >= start &&
		    addr - start <= p->p_memsz - sizeof(struct seep_hooks))
			return true;
	}
	return false;
}

static bool is_free(const struct seep_hooks *h)
{
	return h->magic[0] == SEEP_HOOKS_MAGIC0 && h->magic[1] == SEEP_HOOKS_MAGIC1 && h->version &&
	       !h->functions;
}

static void add(struct target *t, const struct image *i, uint64_t addr, struct wire_blob *b)
{
	uint64_t word = addr + offsetof(struct seep_hooks, functions);
	struct seep_hooks h;

	if (addr % 8 || !is_written(i, addr) || !target_read_all(t, addr, &h, sizeof(h)) ||
	    !is_free(&h) || b->told_nr == WIRE_TOLD_MAX)
		return;
	for (uint32_t k = 0; k < b->told_nr; k++)
		if (b->told[k] == word)
			return;
	b->told[b->told_nr++] = word;
}

/* gABI 2-4: sizes of owner and description, type; each padded to 4 bytes. */
static void read_notes(struct target *t, const struct image *i, uint64_t addr, const uint8_t *notes,
		       size_t len, struct wire_blob *b)
{
	size_t at = 0;
	Elf64_Nhdr n;

	while (len - at >= sizeof(n)) {
		uint64_t owner, description, to;

		memcpy(&n, notes + at, sizeof(n));
		at += sizeof(n);
		owner = ((uint64_t)n.n_namesz + 3) & ~UINT64_C(3);
		description = ((uint64_t)n.n_descsz + 3) & ~UINT64_C(3);
		if (owner + description > len - at)
			return;
		if (n.n_type == SEEP_NOTE_TYPE && n.n_namesz == sizeof(SEEP_NOTE_OWNER) &&
		    n.n_descsz == sizeof(to) &&
		    !memcmp(notes + at, SEEP_NOTE_OWNER, sizeof(SEEP_NOTE_OWNER))) {
			memcpy(&to, notes + at + owner, sizeof(to));
			add(t, i, addr + at + owner + to, b);
		}
		at += owner + description;
	}
}

static void find_in(struct target *t, const struct target_module *m, struct wire_blob *b)
{
	struct image i;
	uint8_t *notes;

	if (!read_image(t, m, &i))
		return;
	for (size_t k = 0; k < i.nr; k++) {
		const Elf64_Phdr *p = &i.phdrs[k];

		if (p->p_type != PT_NOTE || p->p_align > 4 || p->p_memsz > NOTES_BYTES_MAX)
			continue;
		notes = mem_alloc(p->p_memsz);
		if (target_read_all(t, i.bias + p->p_vaddr, notes, p->p_memsz))
			read_notes(t, &i, i.bias + p->p_vaddr, notes, p->p_memsz, b);
		free(notes);
	}
}

void told_find(struct target *t, struct wire_blob *b)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	b->told_nr = 0;
	for (size_t i = 0; i < nr; i++)
		find_in(t, &modules[i], b);
}

/* Those that are gone by now, or are no longer what they were, are passed over. */
int told_tell(int mem, const struct wire_blob *b)
{
	int r = 0;

	for (uint32_t i = 0; i < b->told_nr && !r; i++) {
		uint64_t addr = b->told[i] - offsetof(struct seep_hooks, functions);
		struct seep_hooks h;

		if (foreign_read(mem, addr, &h, sizeof(h)) >= 0 && is_free(&h))
			r = inside_poke(mem, b->told[i], &b->functions, sizeof(b->functions));
	}
	return r;
}

int told_take_back(int mem, const struct wire_blob *b)
{
	static const uint64_t none;
	int r = 0;

	for (uint32_t i = 0; i < b->told_nr && !r; i++) {
		uint64_t value;

		if (foreign_read(mem, b->told[i], &value, sizeof(value)) >= 0 &&
		    value == b->functions)
			r = inside_poke(mem, b->told[i], &none, sizeof(none));
	}
	return r;
}

unsigned int told_addresses(int mem, const struct wire_blob *b, uint64_t ret[TOLD_ADDRESSES_MAX])
{
	struct seep_functions f;
	const uint64_t first = offsetof(struct seep_functions, mark);
	unsigned int nr = (sizeof(f) - first) / sizeof(uint64_t);

	_Static_assert((sizeof(f) - offsetof(struct seep_functions, mark)) / sizeof(uint64_t) <
			       TOLD_ADDRESSES_MAX,
		       "and the table");
	if (!b->told_nr || foreign_read(mem, b->functions, &f, sizeof(f)) < 0)
		return 0;
	memcpy(ret, (const char *)&f + first, nr * sizeof(uint64_t));
	ret[nr++] = b->functions;
	return nr;
}
