/*
 * The loader's own view. glibc's _dl_find_object (2.35) answers without locks and is what the C++
 * runtime itself relies on; where it is missing we walk the loader's list.
 */
#include "loaded.h"

#include "elf_image.h"
#include "rec.h"

bool loaded_find(uint64_t addr, struct loaded *ret)
{
	struct elf_image image;
	struct elf_found f;

	if (elf_glibc_find_object) {
		if (elf_glibc_find_object((void *)addr, &f))
			return false;
		*ret = (struct loaded){
			.start = (uint64_t)f.map_start,
			.end = (uint64_t)f.map_end,
			.bias = f.link_map->l_addr,
			.eh_frame_hdr = f.eh_frame_hdr,
			.entry = f.link_map,
		};
		return true;
	}
	if (!elf_image_at(addr, &image))
		return false;
	*ret = (struct loaded){
		.start = image.start,
		.end = image.end,
		.bias = image.bias,
		.eh_frame_hdr = (const uint8_t *)image.eh_frame_hdr,
		.entry = image.link_map,
	};
	return true;
}

uint8_t loaded_build_id(const struct loaded *l, uint8_t *out, size_t cap)
{
	struct elf_image image;

	if (!elf_image_of((struct link_map *)l->entry, &image))
		return 0;
	return elf_image_build_id(&image, out, cap);
}

const char *loaded_path(const struct loaded *l)
{
	const char *name = ((const struct link_map *)l->entry)->l_name;

	return name ? name : "";
}

void loaded_seen(const struct loaded *l)
{
	told_by_module((struct link_map *)l->entry);
}

/*
 * The end of the loader's list when we looked last; NULL: nobody needs to know. dlopen appends to
 * it. An unload may free the entry; every one that we are told of makes us look again.
 */
static struct link_map *list_end;

static void find_list_end(void)
{
	struct link_map *lm = elf_link_maps();

	while (lm && lm->l_next)
		lm = lm->l_next;
	__atomic_store_n(&list_end, lm, __ATOMIC_RELEASE);
}

bool loaded_more(uint64_t pc)
{
	struct link_map *end = __atomic_load_n(&list_end, __ATOMIC_ACQUIRE);

	(void)pc;
	if (end && !__atomic_load_n(&end->l_next, __ATOMIC_ACQUIRE))
		return false;
	find_list_end();
	return true;
}

void loaded_less(void)
{
	if (list_end)
		find_list_end();
}
