/* Sections of an image as far as a memory map shows them. */
#include <stdbool.h>
#include <stddef.h>

#include "model/regions.h"
#include "model/snapshot.h"

#define PROT_R 1u
#define PROT_W 2u
#define PROT_X 4u

const char *region_section_name(enum region_section section)
{
	static const char *const names[] = {
		[REGION_SECTION_NONE] = "",	    [REGION_SECTION_TEXT] = "text",
		[REGION_SECTION_RODATA] = "rodata", [REGION_SECTION_RELRO] = "relro",
		[REGION_SECTION_DATA] = "data",	    [REGION_SECTION_BSS] = "bss",
		[REGION_SECTION_GAP] = "gap",
	};

	return (size_t)section < sizeof(names) / sizeof(names[0]) ? names[section] : "";
}

static bool same_file(const struct region *a, const struct region *b)
{
	return a->path == b->path && a->end == b->start;
}

/*
 * Linkers put what the loader writes and then protects at the beginning of the writable segment:
 * read-only, right below the data, and separate from the constants before it. Pages that were
 * written prove it.
 */
static bool is_relro(const struct snapshot *s, size_t i)
{
	const struct region *r = &s->regions[i];

	if (r->anonymous || r->swap)
		return true;
	return i > 0 && i + 1 < s->nr_regions && same_file(r, r + 1) && (r[1].prot & PROT_W) &&
	       same_file(r - 1, r) && (r[-1].prot & 7u) == PROT_R;
}

enum region_section region_section(const struct snapshot *s, size_t region)
{
	const struct region *r = &s->regions[region];
	bool has_file = *strings_get(&s->strings, r->path) == '/';

	if (r->kind != REGION_IMAGE)
		return REGION_SECTION_NONE;
	if (r->prot & PROT_X)
		return REGION_SECTION_TEXT;
	if (r->prot & PROT_W)
		return has_file ? REGION_SECTION_DATA : REGION_SECTION_BSS;
	if (!(r->prot & PROT_R))
		return REGION_SECTION_GAP;
	return is_relro(s, region) ? REGION_SECTION_RELRO : REGION_SECTION_RODATA;
}
