/*
 * A stub is understood from its instructions, so linkers may order them as they like: .plt (lazy),
 * .plt.sec (with IBT) and .plt.got all end in a jump through the GOT entry that a relocation fills.
 * The one kind that has no such jump, .plt's half of an IBT pair, pushes its index into .rela.plt.
 */
#include "sym/plt.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sym/image.h"

struct target {
	bool by_index;
	uint64_t value; /* GOT entry's address, or index into .rela.plt */
};

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | p[2] << 16 | p[1] << 8 | p[0];
}

static bool decode_x86_64(const uint8_t *code, size_t len, uint64_t addr, struct target *ret)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = 0;

	if (len >= 4 && !memcmp(code, endbr64, sizeof(endbr64)))
		at = 4;
	if (at < len && code[at] == 0xf2) /* bnd */
		at++;
	if (len - at >= 6 && code[at] == 0xff && code[at + 1] == 0x25) { /* jmp *disp(%rip) */
		ret->by_index = false;
		ret->value = addr + at + 6 + (uint64_t)(int64_t)(int32_t)load32(code + at + 2);
		return true;
	}
	if (len - at >= 5 && code[at] == 0x68) { /* push index */
		ret->by_index = true;
		ret->value = load32(code + at + 1);
		return true;
	}
	return false;
}

/* adrp x16, page; ldr x17, [x16, #offset]; maybe after a bti. */
static bool decode_aarch64(const uint8_t *code, size_t len, uint64_t addr, struct target *ret)
{
	size_t at;

	for (at = 0; at + 8 <= len && at <= 4; at += 4) {
		uint32_t adrp = load32(code + at), ldr = load32(code + at + 4);
		int64_t pages;

		if ((adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400211)
			continue;
		pages = (int64_t)((adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3));
		pages = (pages ^ 0x100000) - 0x100000; /* 21 bits, signed */
		ret->by_index = false;
		ret->value = ((addr + at) & ~0xfffull) + ((uint64_t)pages << 12) +
			     (uint64_t)(ldr >> 10 & 0xfff) * 8;
		return true;
	}
	return false;
}

static const struct machine {
	unsigned int number;
	bool (*decode)(const uint8_t *code, size_t len, uint64_t addr, struct target *ret);
} machines[] = {
	{EM_X86_64, decode_x86_64},
	{EM_AARCH64, decode_aarch64},
};

static const struct machine *find_machine(unsigned int number)
{
	size_t i;

	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].number == number)
			return &machines[i];
	}
	return NULL;
}

static void add_slot(void *arg, size_t index, uint64_t slot, const char *name)
{
	struct plt *p = arg;

	(void)index;
	ARRAY_PUSH(p->names, p->nr, p->cap, mem_printf("%s@plt", name));
	map_set(&p->by_slot, slot, p->nr);
}

static void add_indexed(void *arg, size_t index, uint64_t slot, const char *name)
{
	struct plt *p = arg;

	add_slot(arg, index, slot, name);
	map_set(&p->by_index, index, p->nr);
}

static const char *name_of(struct plt *p, const struct target *t)
{
	uint64_t index;

	if (!p->read) {
		image_each_relocation(p->image, ".rela.plt", add_indexed, p);
		image_each_relocation(p->image, ".rela.dyn", add_slot, p);
		p->read = true;
	}
	if (!map_get(t->by_index ? &p->by_index : &p->by_slot, t->value, &index))
		return NULL;
	return p->names[index - 1];
}

void plt_init(struct plt *p, const struct image *image)
{
	*p = (struct plt){.image = image};
}

void plt_release(struct plt *p)
{
	size_t i;

	if (!p)
		return;
	for (i = 0; i < p->nr; i++)
		free(p->names[i]);
	free(p->names);
	map_release(&p->by_slot);
	map_release(&p->by_index);
	plt_init(p, NULL);
}

const char *plt_find(struct plt *p, uint64_t addr, uint64_t *ret_start)
{
	static const char *const sections[] = {".plt", ".plt.sec", ".plt.got"};
	const struct machine *machine = p->image ? find_machine(image_machine(p->image)) : NULL;
	struct image_section s;
	size_t i;

	for (i = 0; machine && i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct target target;
		uint64_t entry, at;

		if (!image_section(p->image, sections[i], &s) || addr < s.addr ||
		    addr - s.addr >= s.size)
			continue;
		entry = s.entry_size >= 8 && s.entry_size <= 32 ? s.entry_size : 16;
		at = (addr - s.addr) / entry * entry;
		if (entry > s.size - at)
			entry = s.size - at;
		if (!machine->decode(s.data + at, entry, s.addr + at, &target))
			return NULL;
		*ret_start = s.addr + at;
		return name_of(p, &target);
	}
	return NULL;
}
