/* Looking up one exported symbol through a module's hash tables, as the loader does. */
#include "heap/dynsym.h"

#include <elf.h>
#include <string.h>

#include "heap/scatter.h"
#include "target/target.h"

#define ENTRIES_MAX 512	  /* of a dynamic section */
#define CHAIN_MAX 100000  /* symbols in one bucket */
#define NAME_MAX_BYTES 64 /* longest name asked for */

/* The loader may or may not have added the bias to the addresses in the section. */
static uint64_t rebase(const struct dynsym *d, const struct target_module *module, uint64_t value)
{
	return value >= module->start && value < module->end ? value : value + d->bias;
}

bool dynsym_open(struct dynsym *d, struct scatter *memory, unsigned int word,
		 const struct target_module *module)
{
	*d = (struct dynsym){.memory = memory, .word = word, .bias = module->bias};
	for (unsigned int i = 0; module->dynamic && i < ENTRIES_MAX; i++) {
		uint64_t at = module->dynamic + 2ull * i * word, tag, value;

		if (!scatter_word(memory, at, &tag) || !scatter_word(memory, at + word, &value) ||
		    tag == DT_NULL)
			break;
		value = rebase(d, module, value);
		if (tag == DT_SYMTAB)
			d->symbols = value;
		else if (tag == DT_STRTAB)
			d->strings = value;
		else if (tag == DT_GNU_HASH)
			d->gnu_hash = value;
		else if (tag == DT_HASH)
			d->plain_hash = value;
	}
	return d->symbols && d->strings && (d->gnu_hash || d->plain_hash);
}

/* Is symbol i this one, and defined? */
static bool matches(struct dynsym *d, uint32_t i, const char *name, uint64_t *ret,
		    uint64_t *ret_size)
{
	char text[NAME_MAX_BYTES];
	size_t len = strlen(name) + 1;
	union {
		Elf64_Sym wide;
		Elf32_Sym narrow;
	} s;
	uint64_t value, size, at;

	if (len > sizeof(text))
		return false;
	at = d->symbols + (uint64_t)i * (d->word == 8 ? sizeof(s.wide) : sizeof(s.narrow));
	if (!scatter_read(d->memory, at, &s, d->word == 8 ? sizeof(s.wide) : sizeof(s.narrow)))
		return false;
	value = d->word == 8 ? s.wide.st_value : s.narrow.st_value;
	size = d->word == 8 ? s.wide.st_size : s.narrow.st_size;
	if ((d->word == 8 ? s.wide.st_shndx : s.narrow.st_shndx) == SHN_UNDEF)
		return false;
	if (!scatter_read(d->memory,
			  d->strings + (d->word == 8 ? s.wide.st_name : s.narrow.st_name), text,
			  len) ||
	    memcmp(text, name, len) != 0)
		return false;
	*ret = value + d->bias;
	if (ret_size)
		*ret_size = size;
	return true;
}

static bool find_gnu(struct dynsym *d, const char *name, uint64_t *ret, uint64_t *ret_size)
{
	uint32_t head[4], hash = 5381, symbol, entry;
	uint64_t buckets, chains;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!scatter_read(d->memory, d->gnu_hash, head, sizeof(head)) || head[0] == 0)
		return false;
	buckets = d->gnu_hash + sizeof(head) + (uint64_t)head[2] * d->word;
	chains = buckets + 4ull * head[0];
	if (!scatter_int(d->memory, buckets + 4ull * (hash % head[0]), &symbol) || symbol < head[1])
		return false;
	for (unsigned int i = 0; i < CHAIN_MAX; i++, symbol++) {
		if (!scatter_int(d->memory, chains + 4ull * (symbol - head[1]), &entry))
			return false;
		if ((entry | 1) == (hash | 1) && matches(d, symbol, name, ret, ret_size))
			return true;
		if (entry & 1)
			return false;
	}
	return false;
}

static bool find_plain(struct dynsym *d, const char *name, uint64_t *ret, uint64_t *ret_size)
{
	uint32_t head[2], hash = 0, symbol;

	for (const char *c = name; *c; c++) {
		uint32_t high;

		hash = (hash << 4) + (uint8_t)*c;
		high = hash & 0xf0000000;
		hash = (hash ^ (high >> 24)) & ~high;
	}
	if (!scatter_read(d->memory, d->plain_hash, head, sizeof(head)) || head[0] == 0 ||
	    !scatter_int(d->memory, d->plain_hash + 8 + 4ull * (hash % head[0]), &symbol))
		return false;
	for (unsigned int i = 0; symbol && i < CHAIN_MAX; i++) {
		if (matches(d, symbol, name, ret, ret_size))
			return true;
		if (!scatter_int(d->memory, d->plain_hash + 8 + 4ull * head[0] + 4ull * symbol,
				 &symbol))
			return false;
	}
	return false;
}

bool dynsym_find(struct dynsym *d, const char *name, uint64_t *ret, uint64_t *ret_size)
{
	if (d->gnu_hash)
		return find_gnu(d, name, ret, ret_size);
	return d->plain_hash && find_plain(d, name, ret, ret_size);
}
