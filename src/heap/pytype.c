/* From a Python object to the name of its type; see pytype.h. */
#include "heap/pytype.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "target/target.h"
#include "target/window.h"

#define NAME_MAX_BYTES 512
/* A type's type's type … is `type` after a few steps. */
#define CHAIN_MAX 8
#define REMEMBERED_MAX (1u << 20)
/* No object has so many references, not those either that live for ever; addresses are beyond. */
#define COUNT_MAX (1ull << 40)

struct pytypes {
	struct target *target;
	unsigned int word;
	struct map types;   /* address of a type, or of what looked like one -> id */
	struct map by_name; /* hash of the name -> id: a type may be there more than once */
	char **names;	    /* of id - 1 */
	size_t nr, cap;
};

struct pytypes *pytypes_new(struct target *t)
{
	struct pytypes *p = mem_alloc(sizeof(*p));

	p->target = t;
	p->word = target_word_bytes(t);
	return p;
}

void pytypes_free(struct pytypes *p)
{
	if (!p)
		return;
	map_release(&p->types);
	map_release(&p->by_name);
	for (size_t i = 0; i < p->nr; i++)
		free(p->names[i]);
	free(p->names);
	free(p);
}

/* Identifiers and dots; a class may be called in any alphabet. */
static bool is_name(const char *name)
{
	if (*name == 0 || (*name >= '0' && *name <= '9'))
		return false;
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < '!' || c == 0x7f || strchr("\"'`;=&|\\", c))
			return false;
	}
	return true;
}

static bool read_name(struct pytypes *p, uint64_t type, char name[NAME_MAX_BYTES])
{
	uint64_t at;

	return target_read_word(p->target, type + 3ull * p->word, &at) &&
	       target_read_text(p->target, at, name, NAME_MAX_BYTES) && is_name(name);
}

/* Does the chain of types end at `type`? */
static bool is_type(struct pytypes *p, uint64_t type)
{
	char name[NAME_MAX_BYTES];
	uint64_t above;

	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		if (type % p->word || !target_read_word(p->target, type + p->word, &above))
			return false;
		if (above == type)
			return read_name(p, type, name) && strcmp(name, "type") == 0;
		type = above;
	}
	return false;
}

static uint32_t name_id(struct pytypes *p, const char *name)
{
	uint64_t hash = hash_bytes(name, strlen(name)), id;

	if (map_get(&p->by_name, hash, &id) && strcmp(p->names[id - 1], name) == 0)
		return (uint32_t)id;
	ARRAY_PUSH(p->names, p->nr, p->cap, mem_strdup(name));
	map_set(&p->by_name, hash, p->nr);
	return (uint32_t)p->nr;
}

static uint32_t type_id(struct pytypes *p, uint64_t type)
{
	char name[NAME_MAX_BYTES];
	uint32_t id = PYTYPE_NONE;
	uint64_t known;

	if (type == 0 || type % p->word)
		return PYTYPE_NONE;
	if (map_get(&p->types, type, &known))
		return (uint32_t)known;
	if (is_type(p, type) && read_name(p, type, name))
		id = name_id(p, name);
	if (p->types.nr < REMEMBERED_MAX)
		map_set(&p->types, type, id);
	return id;
}

uint32_t pytypes_of_block(struct pytypes *p, struct window *w, uint64_t addr, uint64_t size)
{
	uint32_t id;

	/* What the garbage collector, and since 3.12 a managed dict, keep before an object. */
	for (unsigned int before = 0; before <= 4; before += 2) {
		uint64_t at = before * (uint64_t)p->word, count, type;

		if (at + 2ull * p->word > size || !window_word(w, addr + at, &count) ||
		    !window_word(w, addr + at + p->word, &type))
			return PYTYPE_NONE;
		if (count == 0 || count >= COUNT_MAX)
			continue;
		id = type_id(p, type);
		if (id != PYTYPE_NONE)
			return id;
	}
	return PYTYPE_NONE;
}

const char *pytypes_name(const struct pytypes *p, uint32_t id)
{
	return id == PYTYPE_NONE || id > p->nr ? "" : p->names[id - 1];
}
