/*
 * See slots.h. The words that the loader fills are those of its relocations: System V ABI, AMD64
 * supplement, 4.4.1; a lazily bound one leads to a stub `push index; jmp` of its module's PLT until
 * it is called for the first time (5.2).
 */
#include "inject/slots.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "inject/bindings.h"
#include "inject/entries.h"
#include "inject/slot_uses.h"
#include "target/target.h"

#define DYNAMIC_MAX 512
#define RELOCATIONS_MAX (UINT64_C(16) << 20) /* of a process */
#define CODE_BYTES_MAX (UINT64_C(4) << 30)   /* the same */
#define PIECE_RELOCATIONS 1024
#define PAGE UINT64_C(4096)
#define PACKED_WORDS 63 /* that one word of DT_RELR may tell of */

/* The page of the process that was read last: what is asked for lies close together. */
struct page {
	uint64_t start;
	size_t nr;
	uint8_t bytes[PAGE];
};

/* A module's tables. */
struct tables {
	uint64_t data, data_bytes;     /* relocations of data */
	uint64_t plt, plt_bytes;       /* of functions */
	uint64_t packed, packed_bytes; /* of data, by the module's own address only */
	uint64_t symbols, strings;
};

struct finder {
	struct target *t;
	const struct entries *all;
	const uint8_t *taken;
	struct slots *ret;
	struct bindings bindings;
	const struct target_module *m; /* the one that is looked at */
	size_t module;		       /* its index */
	struct tables tables;
	size_t first;	    /* of its slots */
	size_t bindings_nr; /* that were looked for */
	uint64_t relocations_left, code_left;
	/* Whose uses are looked at before they count: words that data relocations fill. */
	struct slot *doubtful;
	size_t nr_doubtful, cap_doubtful;
	struct page slots, symbols, names;
	/* Entries that are looked for, those with the same address as one of them, too. */
	struct named {
		const char *name;
		size_t bytes; /* with its NUL */
		size_t entry; /* index of the one whose slots they are */
	} * named;
	size_t nr_named;
};

static bool peek(struct finder *f, struct page *p, uint64_t addr, void *to, size_t len)
{
	uint64_t start = addr & ~(PAGE - 1);

	if (addr - start + len > PAGE)
		return target_read_all(f->t, addr, to, len);
	if (p->start != start || !p->nr) {
		p->start = start;
		p->nr = target_read(f->t, start, p->bytes, PAGE);
	}
	if (addr - start + len > p->nr)
		return false;
	memcpy(to, p->bytes + (addr - start), len);
	return true;
}

/* Index of the entry that is at addr and to be had by slots; or of the first with that address. */
static bool find_entry(const struct finder *f, uint64_t addr, size_t *ret)
{
	for (size_t i = 0; i < f->all->nr; i++) {
		if (f->all->items[i].addr == addr && f->taken[i] == ENTRY_BY_SLOTS) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static void read_tables(struct finder *f)
{
	Elf64_Dyn section[DYNAMIC_MAX];
	struct tables *a = &f->tables;
	size_t nr = 0;

	*a = (struct tables){0};
	if (f->m->dynamic)
		nr = target_read(f->t, f->m->dynamic, section, sizeof(section)) /
		     sizeof(section[0]);
	for (size_t i = 0; i < nr && section[i].d_tag != DT_NULL; i++) {
		uint64_t value = section[i].d_un.d_val, at = exports_rebase(f->m, value);

		switch (section[i].d_tag) {
		case DT_RELA:
			a->data = at;
			break;
		case DT_RELASZ:
			a->data_bytes = value;
			break;
		case DT_JMPREL:
			a->plt = at;
			break;
		case DT_PLTRELSZ:
			a->plt_bytes = value;
			break;
		case DT_RELR:
			a->packed = at;
			break;
		case DT_RELRSZ:
			a->packed_bytes = value;
			break;
		case DT_SYMTAB:
			a->symbols = at;
			break;
		case DT_STRTAB:
			a->strings = at;
			break;
		default:
			break;
		}
	}
}

static bool read_own_word(struct finder *f, uint64_t addr, uint64_t *ret)
{
	return addr >= f->m->start && addr < f->m->end &&
	       peek(f, &f->slots, addr, ret, sizeof(*ret));
}

static bool read_slot(struct finder *f, const Elf64_Rela *r, uint64_t *ret_addr,
		      uint64_t *ret_value)
{
	uint64_t addr = r->r_offset + f->m->bias;

	if (addr % sizeof(*ret_value) || !read_own_word(f, addr, ret_value))
		return false;
	*ret_addr = addr;
	return true;
}

/* Of s[first], … s[nr - 1]. */
static bool has_addr(const struct slot *s, size_t first, size_t nr, uint64_t addr)
{
	for (size_t i = first; i < nr; i++)
		if (s[i].addr == addr)
			return true;
	return false;
}

static void add_slot(struct finder *f, struct slot s)
{
	struct slots *ret = f->ret;

	if (ret->nr > SLOTS_MAX || has_addr(ret->items, f->first, ret->nr, s.addr))
		return;
	ARRAY_PUSH(ret->items, ret->nr, ret->cap, s);
	ret->of[s.entry].nr++;
}

/* ---- functions ---- */

/* Does it lead to this module's stub of relocation `index`? */
static bool is_stub(struct finder *f, uint64_t value, uint32_t index)
{
	static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
	uint8_t code[9];
	const uint8_t *at = code;

	if (value < f->m->start || value >= f->m->end ||
	    !target_read_all(f->t, value, code, sizeof(code)))
		return false;
	if (!memcmp(at, endbr, sizeof(endbr)))
		at += sizeof(endbr);
	return *at == 0x68 && !memcmp(at + 1, &index, sizeof(index));
}

/* The entry among those that are looked for which a name may mean; false: none. */
static bool names_entry(struct finder *f, const Elf64_Rela *r, char *name, size_t *ret)
{
	Elf64_Sym s;

	if (!peek(f, &f->symbols, f->tables.symbols + ELF64_R_SYM(r->r_info) * sizeof(s), &s,
		  sizeof(s)))
		return false;
	for (size_t i = 0; i < f->nr_named; i++) {
		const struct named *n = &f->named[i];

		*ret = n->entry;
		if (peek(f, &f->names, f->tables.strings + s.st_name, name, n->bytes) &&
		    !memcmp(name, n->name, n->bytes))
			return true;
	}
	return false;
}

static void look_at_unbound(struct finder *f, const Elf64_Rela *r, uint32_t index, struct slot s)
{
	char name[EXPORTS_NAME_BYTES];
	uint64_t addr;

	if (s.value < f->m->start || s.value >= f->m->end || !names_entry(f, r, name, &s.entry) ||
	    !is_stub(f, s.value, index))
		return;
	/* A linker makes one slot of a name. */
	addr = f->bindings_nr++ < f->nr_named ? bindings_find(&f->bindings, f->module, name) : 0;
	if (!addr)
		f->ret->of[s.entry].unbound_nr++;
	else if (find_entry(f, addr, &s.entry))
		add_slot(f, s);
}

static void look_at_function(struct finder *f, const Elf64_Rela *r, uint32_t index)
{
	struct slot s = {.is_stub = false};

	if (ELF64_R_TYPE(r->r_info) != R_X86_64_JUMP_SLOT || !read_slot(f, r, &s.addr, &s.value))
		return;
	if (find_entry(f, s.value, &s.entry))
		add_slot(f, s);
	else
		look_at_unbound(f, r, index, s);
}

/* ---- data ---- */

static void add_doubtful(struct finder *f, struct slot s)
{
	if (f->nr_doubtful == SLOTS_MAX)
		f->ret->of[s.entry].pointers_nr++;
	else if (!has_addr(f->doubtful, 0, f->nr_doubtful, s.addr))
		ARRAY_PUSH(f->doubtful, f->nr_doubtful, f->cap_doubtful, s);
}

/* A word of a table that still leads to an entry; it need not be aligned. */
static void look_at_pointer(struct finder *f, uint64_t addr)
{
	uint64_t value;
	size_t entry;

	if (read_own_word(f, addr, &value) && find_entry(f, value, &entry))
		f->ret->of[entry].pointers_nr++;
}

static void look_at_data(struct finder *f, const Elf64_Rela *r, uint32_t index)
{
	struct slot s = {.is_stub = false};

	(void)index;
	switch (ELF64_R_TYPE(r->r_info)) {
	case R_X86_64_GLOB_DAT:
		if (read_slot(f, r, &s.addr, &s.value) && find_entry(f, s.value, &s.entry))
			add_doubtful(f, s);
		break;
	case R_X86_64_64:
		look_at_pointer(f, r->r_offset + f->m->bias);
		break;
	case R_X86_64_RELATIVE:
		if (find_entry(f, (uint64_t)r->r_addend + f->m->bias, &s.entry))
			look_at_pointer(f, r->r_offset + f->m->bias);
		break;
	case R_X86_64_JUMP_SLOT:
		look_at_function(f, r, UINT32_MAX);
		break;
	default:
		break;
	}
}

static int compare_slots(const void *p, const void *q)
{
	const struct slot *a = p, *b = q;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* One word may be both: called through, and read by whoever wants the function's address. */
static void settle(struct finder *f, const struct slot *s, const struct slot_use *u)
{
	struct slot stub = {.addr = u->stub, .entry = s->entry, .is_stub = true};

	if (u->calls && !u->others) {
		add_slot(f, *s);
		return;
	}
	f->ret->of[s->entry].pointers_nr++;
	if (u->stub && target_read_all(f->t, u->stub, &stub.value, sizeof(stub.value)))
		add_slot(f, stub);
}

static void settle_doubtful(struct finder *f)
{
	struct slot_use *uses = mem_alloc_array(f->nr_doubtful, sizeof(*uses));

	if (f->nr_doubtful)
		qsort(f->doubtful, f->nr_doubtful, sizeof(*f->doubtful), compare_slots);
	for (size_t i = 0; i < f->nr_doubtful; i++)
		uses[i].addr = f->doubtful[i].addr;
	slot_uses_count(f->t, f->m, uses, f->nr_doubtful, &f->code_left);
	for (size_t i = 0; i < f->nr_doubtful; i++)
		settle(f, &f->doubtful[i], &uses[i]);
	free(uses);
	f->nr_doubtful = 0;
}

/* ---- modules ---- */

static void each_relocation(struct finder *f, uint64_t at, uint64_t bytes,
			    void (*look)(struct finder *, const Elf64_Rela *, uint32_t))
{
	Elf64_Rela piece[PIECE_RELOCATIONS];
	uint64_t nr = bytes / sizeof(*piece), done = 0;

	if (!at || nr > f->relocations_left)
		return;
	f->relocations_left -= nr;
	while (done < nr) {
		uint64_t want = nr - done < PIECE_RELOCATIONS ? nr - done : PIECE_RELOCATIONS;
		size_t got = target_read(f->t, at + done * sizeof(*piece), piece,
					 want * sizeof(*piece)) /
			     sizeof(*piece);

		for (size_t i = 0; i < got; i++)
			look(f, &piece[i], (uint32_t)(done + i));
		if (got < want)
			return;
		done += got;
	}
}

/* Counts this module for each entry that it has slots of. */
static void count_module(struct finder *f)
{
	for (size_t e = 0; e < f->all->nr; e++) {
		bool has = false;

		for (size_t i = f->first; i < f->ret->nr && !has; i++)
			has = f->ret->items[i].entry == e;
		f->ret->of[e].modules_nr += has;
	}
}

/* The words that one word of DT_RELR tells of; *next: where those of the next one begin. */
static void look_at_packed(struct finder *f, uint64_t word, uint64_t *next)
{
	uint64_t at = *next;

	if (word % 2 == 0) {
		look_at_pointer(f, word + f->m->bias);
		*next = word + f->m->bias + sizeof(word);
		return;
	}
	for (word >>= 1; word; word >>= 1, at += sizeof(word))
		if (word & 1)
			look_at_pointer(f, at);
	*next += PACKED_WORDS * sizeof(word);
}

/*
 * DT_RELR (System V gABI, 4.13): an even word is the address of a word that is relocated; an odd
 * one has a bit for each of the 63 words behind the last one that was told of.
 */
static void each_packed(struct finder *f)
{
	uint64_t piece[PIECE_RELOCATIONS], next = 0, done = 0;
	uint64_t nr = f->tables.packed ? f->tables.packed_bytes / sizeof(*piece) : 0;

	if (nr > f->relocations_left / PACKED_WORDS)
		return;
	f->relocations_left -= nr * PACKED_WORDS;
	while (done < nr) {
		size_t want =
			nr - done < PIECE_RELOCATIONS ? (size_t)(nr - done) : PIECE_RELOCATIONS;
		size_t got = target_read(f->t, f->tables.packed + done * sizeof(*piece), piece,
					 want * sizeof(*piece)) /
			     sizeof(*piece);

		for (size_t i = 0; i < got; i++)
			look_at_packed(f, piece[i], &next);
		if (got < want)
			return;
		done += got;
	}
}

static void look_at_module(struct finder *f)
{
	f->first = f->ret->nr;
	f->bindings_nr = 0;
	f->slots.nr = f->symbols.nr = f->names.nr = 0;
	read_tables(f);
	each_relocation(f, f->tables.plt, f->tables.plt_bytes, look_at_function);
	each_relocation(f, f->tables.data, f->tables.data_bytes, look_at_data);
	each_packed(f);
	settle_doubtful(f);
	count_module(f);
}

static void collect_names(struct finder *f)
{
	f->named = mem_alloc_array(f->all->nr, sizeof(*f->named));
	for (size_t i = 0; i < f->all->nr; i++) {
		struct named n = {.name = f->all->items[i].name};

		n.bytes = strlen(n.name) + 1;
		if (n.bytes <= EXPORTS_NAME_BYTES && find_entry(f, f->all->items[i].addr, &n.entry))
			f->named[f->nr_named++] = n;
	}
}

void slots_find(struct target *t, const struct entries *all, const uint8_t *taken,
		struct slots *ret)
{
	struct finder *f = mem_alloc(sizeof(*f));
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	*ret = (struct slots){.of = mem_alloc_array(all->nr, sizeof(*ret->of))};
	f->t = t;
	f->all = all;
	f->taken = taken;
	f->ret = ret;
	f->relocations_left = RELOCATIONS_MAX;
	f->code_left = CODE_BYTES_MAX;
	collect_names(f);
	bindings_open(&f->bindings, t, all->r_debug);
	for (f->module = 0; f->module < nr; f->module++) {
		f->m = &modules[f->module];
		look_at_module(f);
	}
	bindings_release(&f->bindings);
	free(f->doubtful);
	free(f->named);
	free(f);
}

void slots_release(struct slots *s)
{
	free(s->items);
	free(s->of);
	*s = (struct slots)SLOTS_INIT;
}
