/* From an object's first word to the name of its class; see vtable.h. */
#include "heap/vtable.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "target/target.h"
#include "target/window.h"

/* Longer names exist (templates of templates); beyond this they are nobody's. */
#define NAME_MAX_BYTES 16384
/* Different first words that point into modules; what comes after them is looked up each time. */
#define REMEMBERED_MAX (1u << 20)
#define ARRAY_MAX (1ull << 32)
/* How far into an object further base classes are looked for. */
#define PARTS_MAX 65536

struct range {
	uint64_t start, end;
};

struct vtables {
	struct target *target;
	unsigned int word;
	struct range *ranges; /* of the modules, ascending */
	size_t nr_ranges;
	struct map classes; /* first word -> class id */
	struct map abi;	    /* vtable of a type_info -> 1: of a class type, 0: it is not */
	struct map by_name; /* hash of the name -> class id */
	char **names;	    /* of class id - 1 */
	size_t nr, cap;
};

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

struct vtables *vtables_new(struct target *t)
{
	struct vtables *v = mem_alloc(sizeof(*v));
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	v->target = t;
	v->word = target_word_bytes(t);
	v->ranges = mem_alloc_array(nr, sizeof(*v->ranges));
	v->nr_ranges = nr;
	for (size_t i = 0; i < nr; i++)
		v->ranges[i] = (struct range){modules[i].start, modules[i].end};
	qsort(v->ranges, nr, sizeof(*v->ranges), compare_ranges);
	return v;
}

void vtables_free(struct vtables *v)
{
	if (!v)
		return;
	map_release(&v->classes);
	map_release(&v->abi);
	map_release(&v->by_name);
	for (size_t i = 0; i < v->nr; i++)
		free(v->names[i]);
	free(v->names);
	free(v->ranges);
	free(v);
}

/* A word's place in some module: where vtables, type_infos and their names are. */
static bool in_module(const struct vtables *v, uint64_t addr)
{
	size_t low = 0, high = v->nr_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v->ranges[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && addr < v->ranges[low - 1].end;
}

static bool in_module_aligned(const struct vtables *v, uint64_t addr)
{
	return addr % v->word == 0 && in_module(v, addr);
}

static bool is_name(const char *name)
{
	static const char first[] = "0123456789NSZ*";

	if (*name == 0 || !strchr(first, *name))
		return false;
	for (const char *p = name + (*name == '*'); *p; p++) {
		bool fits = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= 'a' && *p <= 'z') || *p == '_' || *p == '.' || *p == '$';

		if (!fits)
			return false;
	}
	return true;
}

/* The name that a type_info points to; GCC marks names of local linkage with an asterisk. */
static bool read_name(struct vtables *v, uint64_t type_info, char *buffer, size_t cap)
{
	uint64_t name;

	if (!target_read_word(v->target, type_info + v->word, &name) || !in_module(v, name) ||
	    !target_read_text(v->target, name, buffer, cap) || !is_name(buffer))
		return false;
	if (*buffer == '*')
		memmove(buffer, buffer + 1, strlen(buffer));
	return true;
}

/* type_info of the object that has this vtable; 0: not that of a whole object, or none. */
static uint64_t type_info_of(struct vtables *v, uint64_t vtable)
{
	uint64_t offset, type_info;

	if (!in_module_aligned(v, vtable) || !in_module(v, vtable - 2ull * v->word) ||
	    !target_read_word(v->target, vtable - 2ull * v->word, &offset) || offset != 0 ||
	    !target_read_word(v->target, vtable - v->word, &type_info) ||
	    !in_module_aligned(v, type_info))
		return 0;
	return type_info;
}

/* Is this the vtable of the type_infos of class types? The ABI names those three classes. */
static bool is_of_class_types(struct vtables *v, uint64_t vtable)
{
	static const char *const wanted[] = {
		"N10__cxxabiv117__class_type_infoE",
		"N10__cxxabiv120__si_class_type_infoE",
		"N10__cxxabiv121__vmi_class_type_infoE",
	};
	uint64_t known, type_info;
	char name[64];
	bool found = false;

	if (map_get(&v->abi, vtable, &known))
		return known;
	type_info = type_info_of(v, vtable);
	if (type_info && read_name(v, type_info, name, sizeof(name))) {
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			found = found || strcmp(name, wanted[i]) == 0;
	}
	if (v->abi.nr < REMEMBERED_MAX)
		map_set(&v->abi, vtable, found);
	return found;
}

/* Several vtables may be of one class: in two libraries, in one while it is constructed. */
static uint32_t name_id(struct vtables *v, const char *name)
{
	uint64_t hash = hash_bytes(name, strlen(name)), id;

	if (map_get(&v->by_name, hash, &id) && strcmp(v->names[id - 1], name) == 0)
		return (uint32_t)id;
	ARRAY_PUSH(v->names, v->nr, v->cap, mem_strdup(name));
	map_set(&v->by_name, hash, v->nr);
	return (uint32_t)v->nr;
}

static uint32_t find_class(struct vtables *v, uint64_t vtable)
{
	uint64_t type_info = type_info_of(v, vtable), of_type_info;
	uint32_t id = CLASS_NONE;
	char *name;

	if (!type_info || !target_read_word(v->target, type_info, &of_type_info) ||
	    !is_of_class_types(v, of_type_info))
		return CLASS_NONE;
	name = mem_alloc(NAME_MAX_BYTES);
	if (read_name(v, type_info, name, NAME_MAX_BYTES))
		id = name_id(v, name);
	free(name);
	return id;
}

uint32_t vtables_class(struct vtables *v, uint64_t first_word)
{
	uint64_t known;
	uint32_t id;

	if (!in_module_aligned(v, first_word))
		return CLASS_NONE;
	if (map_get(&v->classes, first_word, &known))
		return (uint32_t)known;
	id = find_class(v, first_word);
	if (v->classes.nr < REMEMBERED_MAX)
		map_set(&v->classes, first_word, id);
	return id;
}

/*
 * A count, then so many objects: the second has the vtable of the first. The block may be some
 * words longer than asked for, so that the distance between two objects is known but for those.
 */
static bool is_array(struct vtables *v, struct window *w, uint64_t addr, uint64_t size,
		     uint64_t count, uint64_t vtable)
{
	uint64_t room = size - v->word, stride, second;

	if (count < 2 || count > ARRAY_MAX || count > room / v->word)
		return false;
	stride = room / count & ~(uint64_t)(v->word - 1);
	for (unsigned int slack = 0; slack < 4 && stride >= v->word; slack++, stride -= v->word) {
		if (window_word(w, addr + v->word + stride, &second) && second == vtable)
			return true;
	}
	return false;
}

uint32_t vtables_class_of_block(struct vtables *v, struct window *w, uint64_t addr, uint64_t size,
				uint8_t *ret_array)
{
	uint64_t first, second;
	uint32_t id;

	*ret_array = 0;
	if (size < v->word || !window_word(w, addr, &first))
		return CLASS_NONE;
	id = vtables_class(v, first);
	if (id != CLASS_NONE)
		return id;
	if (first < 2 || first > ARRAY_MAX || size < 3ull * v->word ||
	    !window_word(w, addr + v->word, &second))
		return CLASS_NONE;
	id = vtables_class(v, second);
	if (id == CLASS_NONE || !is_array(v, w, addr, size, first, second))
		return CLASS_NONE;
	*ret_array = 1;
	return id;
}

/* Two words before a vtable is the way from its part to the object: minus `offset`. */
static bool is_part(struct vtables *v, uint64_t vtable, uint64_t offset)
{
	uint64_t mask = v->word == 8 ? UINT64_MAX : UINT32_MAX, way, type_info, of_type_info;

	return in_module_aligned(v, vtable) && in_module(v, vtable - 2ull * v->word) &&
	       target_read_word(v->target, vtable - 2ull * v->word, &way) &&
	       way == ((0 - offset) & mask) &&
	       target_read_word(v->target, vtable - v->word, &type_info) &&
	       in_module_aligned(v, type_info) &&
	       target_read_word(v->target, type_info, &of_type_info) &&
	       is_of_class_types(v, of_type_info);
}

bool vtables_has_parts(struct vtables *v, struct window *w, uint64_t addr, uint64_t size)
{
	uint64_t end = size < PARTS_MAX ? size : PARTS_MAX, word;

	if (size < 2ull * v->word || !window_word(w, addr, &word) ||
	    vtables_class(v, word) == CLASS_NONE)
		return false;
	for (uint64_t offset = v->word; offset + v->word <= end; offset += v->word) {
		if (window_word(w, addr + offset, &word) && is_part(v, word, offset))
			return true;
	}
	return false;
}

const char *vtables_name(const struct vtables *v, uint32_t class_id)
{
	return class_id == CLASS_NONE || class_id > v->nr ? "" : v->names[class_id - 1];
}

uint32_t vtables_nr(const struct vtables *v)
{
	return (uint32_t)v->nr;
}
