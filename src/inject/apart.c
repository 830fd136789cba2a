/* See apart.h. */
#include "inject/apart.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "inject/entries.h"
#include "inject/exports.h"
#include "inject/insn.h"
#include "target/maps.h"
#include "target/target.h"

#define CODE_BYTES_MAX ((uint64_t)4 << 20)
#define PUSH_IMMEDIATE 0x68 /* how a stub of a word that is not bound yet begins */

struct walk {
	struct target *t;
	const struct entry **entries; /* all there are, by address */
	size_t nr_entries;
	const struct target_module *module;
	uint64_t start; /* of the mapping with the function's code */
	uint8_t *code;
	size_t bytes;
	uint8_t *seen; /* a byte for each of code: an instruction that was looked at begins there */
	uint64_t *todo; /* addresses that are come to */
	size_t nr, cap;
	uint64_t *ends; /* of functions of other modules that do not return */
	size_t nr_ends, cap_ends;
	const struct entry *from;
	bool is_apart; /* as far as is known */
};

static bool is_own(const struct walk *w, uint64_t addr)
{
	return addr >= w->module->start && addr < w->module->end;
}

static int compare_entries(const void *p, const void *q)
{
	const struct entry *a = *(const struct entry *const *)p;
	const struct entry *b = *(const struct entry *const *)q;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* A process may have any number of them, and each instruction is looked for among them. */
static void sort_entries(struct walk *w, const struct entries *all)
{
	w->entries = mem_alloc_array(all->nr, sizeof(*w->entries));
	w->nr_entries = all->nr;
	for (size_t i = 0; i < all->nr; i++)
		w->entries[i] = &all->items[i];
	qsort(w->entries, w->nr_entries, sizeof(*w->entries), compare_entries);
}

static const struct entry *entry_at(const struct walk *w, uint64_t addr)
{
	const struct entry wanted = {.addr = addr}, *key = &wanted;
	const struct entry **found =
		bsearch(&key, w->entries, w->nr_entries, sizeof(*w->entries), compare_entries);

	return found ? *found : NULL;
}

static bool frees(const struct entry *e)
{
	return inject_function_shape(e->function) == INJECT_FREES_1;
}

static bool allocates(const struct entry *e)
{
	switch (inject_function_shape(e->function)) {
	case INJECT_ALLOCATES_1:
	case INJECT_ALLOCATES_2:
	case INJECT_ALLOCATES_12:
	case INJECT_ALLOCATES_23:
	case INJECT_ALLOCATES_STRING:
	case INJECT_FILLS_1_3:
		return true;
	default:
		return false;
	}
}

static bool does_both(const struct entry *e)
{
	switch (inject_function_shape(e->function)) {
	case INJECT_REALLOCS_1_2:
	case INJECT_REALLOCS_1_23:
	case INJECT_REALLOCS_2_3:
	case INJECT_REALLOCS_2_34:
	case INJECT_REALLOCS_OR_FREES_1_2:
	case INJECT_REALLOCS_OR_FREES_2_3:
	case INJECT_REPLACES_1_23:
	case INJECT_RESIZES_1_2:
		return true;
	default:
		return false;
	}
}

static bool is_memory(const struct entry *e)
{
	return does_both(e) || frees(e) || allocates(e);
}

/* Might it be the same block that the two are about? */
static bool is_same_work(const struct walk *w, const struct entry *e)
{
	return does_both(e) || (frees(w->from) ? frees(e) : allocates(e));
}

static bool is_code(const struct walk *w, uint64_t addr)
{
	return addr - w->start < w->bytes;
}

/* Code of the same module that lies elsewhere, which is not looked at. */
static bool is_beyond(const struct walk *w, uint64_t addr)
{
	const struct map *m = is_own(w, addr) ? maps_find(target_maps(w->t), addr) : NULL;

	return m && m->prot & MAP_EXEC && !is_code(w, addr);
}

static void come_to(struct walk *w, uint64_t addr)
{
	const struct entry *e = entry_at(w, addr);

	if ((e && is_same_work(w, e)) || is_beyond(w, addr))
		w->is_apart = false;
	else if ((!e || !is_memory(e)) && is_code(w, addr) && !w->seen[addr - w->start])
		ARRAY_PUSH(w->todo, w->nr, w->cap, addr);
}

static bool is_unbound(const struct walk *w, uint64_t addr)
{
	size_t at = addr - w->start;
	struct insn i;

	if (!is_code(w, addr) || !insn_decode(w->code + at, w->bytes - at, addr, &i))
		return false;
	if (i.z.mnemonic == ZYDIS_MNEMONIC_ENDBR64)
		at += i.len;
	return at < w->bytes && w->code[at] == PUSH_IMMEDIATE;
}

static void branch_by_word(struct walk *w, uint64_t word)
{
	uint64_t addr;

	if (!target_read_all(w->t, word, &addr, sizeof(addr)) || is_unbound(w, addr))
		w->is_apart = false;
	else
		come_to(w, addr);
}

static bool is_branch(const struct insn *i)
{
	return i->z.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
	       i->z.meta.category == ZYDIS_CATEGORY_CALL;
}

/*
 * Through a register, or a word somewhere: a function whose address was taken. But what is picked
 * from a table by a number is one of the cases of a switch.
 */
static void branch_anywhere(struct walk *w, const struct insn *i, const struct insn *before)
{
	bool is_register = i->z.raw.modrm.mod == 3;

	if (insn_refers_to_rip(i))
		branch_by_word(w, insn_operand(i));
	else if (is_register && before->z.mnemonic == ZYDIS_MNEMONIC_ADD)
		w->is_apart = false;
	else if (!is_register && i->z.raw.modrm.rm == 4 && i->z.raw.sib.index != 4)
		w->is_apart = false;
}

/* Of a call: what is called, by a stub or a word, too; 0: that is not known. */
static uint64_t callee(const struct walk *w, const struct insn *call)
{
	struct insn i = *call;
	uint64_t addr = 0;

	if (insn_is_relative_branch(&i)) {
		size_t at = insn_branch_target(&i) - w->start;

		do {
			if (at >= w->bytes ||
			    !insn_decode(w->code + at, w->bytes - at, w->start + at, &i))
				return 0;
			at += i.len;
		} while (i.z.mnemonic == ZYDIS_MNEMONIC_ENDBR64);
	}
	if (!insn_refers_to_rip(&i) || !is_branch(&i) ||
	    !target_read_all(w->t, insn_operand(&i), &addr, sizeof(addr)))
		return 0;
	return addr;
}

static bool returns(const struct walk *w, uint64_t addr)
{
	for (size_t i = 0; i < w->nr_ends; i++)
		if (w->ends[i] == addr)
			return false;
	return true;
}

/* Does the next instruction follow? */
static bool goes_on(const struct walk *w, const struct insn *i)
{
	switch (i->z.meta.category) {
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
		return false;
	case ZYDIS_CATEGORY_CALL:
		return returns(w, callee(w, i));
	default:
		return i->z.mnemonic != ZYDIS_MNEMONIC_UD2 && i->z.mnemonic != ZYDIS_MNEMONIC_HLT;
	}
}

static bool is_load(const struct insn *i)
{
	return i->z.mnemonic == ZYDIS_MNEMONIC_MOV && i->z.opcode == 0x8b && i->z.raw.rex.W;
}

/* It may be a function's address that the loader has put there. */
static void load(struct walk *w, uint64_t word)
{
	uint64_t addr;

	if (target_read_all(w->t, word, &addr, sizeof(addr)))
		come_to(w, addr);
}

static void look_at(struct walk *w, const struct insn *i, const struct insn *before)
{
	if (insn_is_relative_branch(i))
		come_to(w, insn_branch_target(i));
	else if (is_branch(i))
		branch_anywhere(w, i, before);
	else if (i->z.mnemonic == ZYDIS_MNEMONIC_LEA && insn_refers_to_rip(i))
		come_to(w, insn_operand(i));
	else if (is_load(i) && insn_refers_to_rip(i))
		load(w, insn_operand(i));
}

static void follow(struct walk *w, uint64_t addr)
{
	struct insn i, before = {.len = 0};
	size_t at = addr - w->start;

	while (w->is_apart && at < w->bytes && !w->seen[at]) {
		w->seen[at] = true;
		if (!insn_decode(w->code + at, w->bytes - at, w->start + at, &i)) {
			w->is_apart = false;
			break;
		}
		look_at(w, &i, &before);
		if (!goes_on(w, &i))
			break;
		before = i;
		at += i.len;
		/* The next function already: that was a call that does not return. */
		if (entry_at(w, w->start + at))
			break;
		if (at == w->bytes)
			come_to(w, w->start + at);
	}
}

/* ---- a module's ---- */

static void find_ends(struct walk *w)
{
	static const char *const names[] = {"__stack_chk_fail", "abort", "__assert_fail"};
	const struct target_module *modules;
	size_t nr;

	modules = target_modules(w->t, &nr);
	for (size_t i = 0; i < nr; i++) {
		struct exports x;

		exports_open(&x, w->t, &modules[i]);
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			uint64_t addr = exports_address(&x, names[k]);

			if (addr)
				ARRAY_PUSH(w->ends, w->nr_ends, w->cap_ends, addr);
		}
		exports_release(&x);
	}
}

static bool read_code(struct walk *w, uint64_t addr)
{
	const struct map *m = maps_find(target_maps(w->t), addr);

	w->module = target_find_module(w->t, addr);
	if (!w->module || !m || m->end - m->start > CODE_BYTES_MAX)
		return false;
	w->start = m->start;
	w->bytes = (size_t)(m->end - m->start);
	w->code = mem_alloc(w->bytes);
	w->seen = mem_alloc(w->bytes);
	return target_read_all(w->t, w->start, w->code, w->bytes);
}

static bool is_apart(struct walk *w, const struct entry *from)
{
	memset(w->seen, 0, w->bytes);
	w->nr = 0;
	w->from = from;
	w->is_apart = is_code(w, from->addr);
	if (w->is_apart)
		follow(w, from->addr);
	while (w->is_apart && w->nr)
		follow(w, w->todo[--w->nr]);
	return w->is_apart;
}

/*
 * Of an allocator that is not known, malloc may hand on the block of another one's, which it calls
 * by ways of other modules. That of a program may be compiled together with all that calls it.
 */
static bool is_candidate(const struct entries *all)
{
	return !strcmp(all->allocator, "mimalloc") && all->allocator_addr && *all->allocator_module;
}

void apart_find(struct target *t, struct entries *all)
{
	struct walk w = {.t = t};

	if (is_candidate(all) && read_code(&w, all->allocator_addr)) {
		sort_entries(&w, all);
		find_ends(&w);
		for (size_t i = 0; i < all->nr; i++) {
			struct entry *e = &all->items[i];

			if ((e->function == INJECT_malloc || e->function == INJECT_free) &&
			    !strcmp(e->module, all->allocator_module))
				e->is_apart = is_apart(&w, e);
		}
	}
	free(w.code);
	free(w.seen);
	free(w.todo);
	free(w.ends);
	free(w.entries);
}
