/*
 * A module's exported symbols; see exports.h. Tables: System V ABI, chapter 5, and GNU's hash
 * section as glibc 2.36 elf/dl-lookup.c reads it. 64-bit only.
 */
#include "inject/exports.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/target.h"

#define ENTRIES_MAX 512	       /* of a dynamic section */
#define WORDS_MAX (1u << 18)   /* of a Bloom filter: 2 MiB */
#define BUCKETS_MAX (1u << 20) /* 4 MiB */
#define CHAIN_MAX 100000       /* symbols in one bucket */
#define CHAIN_PIECE 16

uint64_t exports_rebase(const struct target_module *m, uint64_t value)
{
	return value >= m->start && value < m->end ? value : value + m->bias;
}

static void open_gnu(struct exports *x, uint64_t table)
{
	uint32_t head[4];
	uint64_t at = table + sizeof(head);

	if (!target_read_all(x->target, table, head, sizeof(head)) || head[0] == 0 ||
	    head[0] > BUCKETS_MAX || head[2] == 0 || head[2] > WORDS_MAX || head[3] > 31)
		return;
	x->words = mem_alloc_array(head[2], sizeof(*x->words));
	x->buckets = mem_alloc_array(head[0], sizeof(*x->buckets));
	if (!target_read_all(x->target, at, x->words, head[2] * sizeof(*x->words)))
		return;
	at += head[2] * sizeof(*x->words);
	if (!target_read_all(x->target, at, x->buckets, head[0] * sizeof(*x->buckets)))
		return;
	x->nr_buckets = head[0];
	x->first_symbol = head[1];
	x->nr_words = head[2];
	x->shift = head[3];
	x->chains = at + head[0] * sizeof(*x->buckets);
}

static void open_plain(struct exports *x, uint64_t table)
{
	uint32_t head[2];

	if (!target_read_all(x->target, table, head, sizeof(head)) || head[0] == 0)
		return;
	x->plain_nr_buckets = head[0];
	x->plain_nr_symbols = head[1];
	x->plain = table + sizeof(head);
}

bool exports_open(struct exports *x, struct target *t, const struct target_module *m)
{
	Elf64_Dyn section[ENTRIES_MAX];
	uint64_t gnu = 0, plain = 0;
	size_t nr;

	*x = (struct exports){.target = t, .module = m};
	if (!m->dynamic)
		return false;
	nr = target_read(t, m->dynamic, section, sizeof(section)) / sizeof(section[0]);
	for (size_t i = 0; i < nr && section[i].d_tag != DT_NULL; i++) {
		uint64_t value = section[i].d_un.d_val;

		if (section[i].d_tag == DT_SYMTAB)
			x->symbols = exports_rebase(m, value);
		else if (section[i].d_tag == DT_STRTAB)
			x->strings = exports_rebase(m, value);
		else if (section[i].d_tag == DT_GNU_HASH)
			gnu = exports_rebase(m, value);
		else if (section[i].d_tag == DT_HASH)
			plain = exports_rebase(m, value);
		else if (section[i].d_tag == DT_DEBUG)
			x->debug = value;
		else if (section[i].d_tag == DT_NEEDED)
			x->needs_others = true;
		else if (section[i].d_tag == DT_VERDEF)
			x->has_versions = true;
		else if (section[i].d_tag == DT_SYMBOLIC ||
			 (section[i].d_tag == DT_FLAGS && value & DF_SYMBOLIC))
			x->looks_at_itself = true;
	}
	if (!x->symbols || !x->strings)
		return false;
	if (gnu)
		open_gnu(x, gnu);
	if (plain && !x->nr_buckets)
		open_plain(x, plain);
	return x->nr_buckets || x->plain_nr_buckets;
}

void exports_release(struct exports *x)
{
	free(x->words);
	free(x->buckets);
	*x = (struct exports){.target = NULL};
}

/* Is symbol i this one, and defined? */
static bool matches(struct exports *x, uint32_t i, const char *name, struct export *ret)
{
	char text[EXPORTS_NAME_BYTES];
	size_t len = strlen(name) + 1;
	unsigned int type;
	Elf64_Sym s;

	if (len > sizeof(text) ||
	    !target_read_all(x->target, x->symbols + (uint64_t)i * sizeof(s), &s, sizeof(s)) ||
	    s.st_shndx == SHN_UNDEF || !s.st_value ||
	    !target_read_all(x->target, x->strings + s.st_name, text, len) ||
	    memcmp(text, name, len) != 0)
		return false;
	type = ELF64_ST_TYPE(s.st_info);
	*ret = (struct export){
		.addr = s.st_value + x->module->bias,
		.size = s.st_size,
		.is_function = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE,
		.is_chosen = type == STT_GNU_IFUNC,
	};
	return true;
}

static size_t find_gnu(struct exports *x, const char *name, struct export *ret, size_t cap)
{
	uint32_t hash = 5381, symbol, piece[CHAIN_PIECE];
	uint64_t word, mask;
	size_t nr = 0;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	word = x->words[hash / 64 % x->nr_words];
	mask = UINT64_C(1) << (hash % 64) | UINT64_C(1) << ((hash >> x->shift) % 64);
	if ((word & mask) != mask)
		return 0;
	symbol = x->buckets[hash % x->nr_buckets];
	if (symbol < x->first_symbol)
		return 0;
	for (uint32_t i = 0; i < CHAIN_MAX && nr < cap; i++, symbol++) {
		uint32_t entry;

		if (i % CHAIN_PIECE == 0) {
			uint64_t at = x->chains + 4ull * (symbol - x->first_symbol);

			memset(piece, 0xff, sizeof(piece));
			if (target_read(x->target, at, piece, sizeof(piece)) < sizeof(entry))
				break;
		}
		entry = piece[i % CHAIN_PIECE];
		if ((entry | 1) == (hash | 1) && matches(x, symbol, name, &ret[nr]))
			nr++;
		if (entry & 1)
			break;
	}
	return nr;
}

static size_t find_plain(struct exports *x, const char *name, struct export *ret, size_t cap)
{
	uint32_t hash = 0, symbol = 0;
	size_t nr = 0;
	uint64_t at;

	for (const char *c = name; *c; c++) {
		uint32_t high;

		hash = (hash << 4) + (uint8_t)*c;
		high = hash & 0xf0000000;
		hash = (hash ^ (high >> 24)) & ~high;
	}
	at = x->plain + 4ull * (hash % x->plain_nr_buckets);
	for (unsigned int i = 0; i < CHAIN_MAX && nr < cap; i++) {
		if (!target_read_all(x->target, at, &symbol, sizeof(symbol)) || !symbol ||
		    symbol >= x->plain_nr_symbols)
			break;
		if (matches(x, symbol, name, &ret[nr]))
			nr++;
		at = x->plain + 4ull * x->plain_nr_buckets + 4ull * symbol;
	}
	return nr;
}

size_t exports_find(struct exports *x, const char *name, struct export *ret, size_t cap)
{
	if (x->nr_buckets)
		return find_gnu(x, name, ret, cap);
	return x->plain_nr_buckets ? find_plain(x, name, ret, cap) : 0;
}

uint64_t exports_address(struct exports *x, const char *name)
{
	struct export e;

	return exports_find(x, name, &e, 1) ? e.addr : 0;
}

bool exports_has(struct exports *x, const char *name)
{
	return exports_address(x, name) != 0;
}
