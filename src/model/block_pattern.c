/* Patterns of blocks; see block_pattern.h. */
#include "model/block_pattern.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "model/reach.h"

#define PROOF 3	       /* blocks that must say the same */
#define POINTERS_MIN 3 /* in an array */
#define TEXT_MIN 4

struct finder {
	const struct reach *r;
	const struct block_sample *samples;
	size_t nr;
	uint64_t size;
	unsigned int word;
};

static uint64_t word_at(const struct finder *f, const struct block_sample *s, uint32_t offset)
{
	uint64_t word = 0;

	/* The target has our byte order. */
	memcpy(&word, s->bytes + offset, f->word);
	return word;
}

/* Does a word point to the beginning of a block? */
static bool is_block(const struct finder *f, uint64_t word)
{
	uint32_t id = word ? reach_find(f->r, word) : REACH_NONE;

	return id != REACH_NONE && reach_address(f->r, id) == word;
}

static bool is_alike(const struct finder *f, uint64_t word)
{
	return is_block(f, word) && reach_size(f->r, reach_find(f->r, word)) == f->size;
}

static size_t common_bytes(const struct finder *f)
{
	size_t len = SIZE_MAX;

	for (size_t i = 0; i < f->nr; i++) {
		if (f->samples[i].len < len)
			len = f->samples[i].len;
	}
	return f->nr ? len : 0;
}

/* Is the word there, in all of them, a pointer to another one of its kind, or 0? */
static bool is_link(const struct finder *f, uint32_t offset)
{
	size_t links = 0;

	for (size_t i = 0; i < f->nr; i++) {
		uint64_t word = word_at(f, &f->samples[i], offset);

		if (!word)
			continue;
		if (word == f->samples[i].addr || !is_alike(f, word))
			return false;
		links++;
	}
	return links >= PROOF;
}

static const struct block_sample *sample_of(const struct finder *f, uint64_t addr)
{
	for (size_t i = 0; i < f->nr; i++) {
		if (f->samples[i].addr == addr)
			return &f->samples[i];
	}
	return NULL;
}

/* Whoever is pointed to at one offset points back at the other. */
static bool points_back(const struct finder *f, uint32_t there, uint32_t back)
{
	size_t proofs = 0;

	for (size_t i = 0; i < f->nr; i++) {
		const struct block_sample *to = sample_of(f, word_at(f, &f->samples[i], there));

		if (!to)
			continue;
		if (word_at(f, to, back) != f->samples[i].addr)
			return false;
		proofs++;
	}
	return proofs >= PROOF;
}

/* Is nobody pointed to twice, by one word or the other? */
static bool are_branches(const struct finder *f, uint32_t left, uint32_t right)
{
	for (size_t i = 0; i < f->nr; i++) {
		for (size_t k = 0; k < f->nr; k++) {
			uint64_t a = word_at(f, &f->samples[i], left);
			uint64_t b = word_at(f, &f->samples[k], right);
			uint64_t c = word_at(f, &f->samples[k], left);
			uint64_t d = word_at(f, &f->samples[i], right);

			if ((a && a == b) || (i != k && ((a && a == c) || (b && b == d))))
				return false;
		}
	}
	return true;
}

static bool find_two(const struct finder *f, const uint32_t *links, struct block_pattern_found *ret)
{
	if (points_back(f, links[0], links[1]) && points_back(f, links[1], links[0]))
		ret->pattern = BLOCK_PATTERN_LIST_BOTH_WAYS;
	else if (are_branches(f, links[0], links[1]))
		ret->pattern = BLOCK_PATTERN_TREE;
	return ret->pattern != BLOCK_PATTERN_NONE;
}

/* Which of three is the parent: the one that answers the two others. */
static bool find_three(const struct finder *f, const uint32_t *links,
		       struct block_pattern_found *ret)
{
	for (int parent = 0; parent < 3; parent++) {
		uint32_t left = links[parent == 0], right = links[parent == 2 ? 1 : 2];

		if (!points_back(f, left, links[parent]) || !points_back(f, right, links[parent]) ||
		    !are_branches(f, left, right))
			continue;
		ret->pattern = BLOCK_PATTERN_TREE_WITH_PARENTS;
		ret->offsets[0] = left;
		ret->offsets[1] = right;
		ret->offsets[2] = links[parent];
		return true;
	}
	return false;
}

static bool find_links(const struct finder *f, struct block_pattern_found *ret)
{
	uint32_t links[BLOCK_PATTERN_LINKS + 1];
	size_t len = common_bytes(f), nr = 0;

	for (uint32_t offset = 0; offset + f->word <= len; offset += f->word) {
		if (nr <= BLOCK_PATTERN_LINKS && is_link(f, offset))
			links[nr++] = offset;
	}
	if (nr < 1 || nr > BLOCK_PATTERN_LINKS)
		return false;
	memcpy(ret->offsets, links, nr * sizeof(*links));
	if (nr == 2)
		return find_two(f, links, ret);
	if (nr == 3)
		return find_three(f, links, ret);
	ret->pattern = BLOCK_PATTERN_LIST;
	return true;
}

static bool is_text(const struct block_sample *s)
{
	size_t len = 0;

	while (len < s->len && s->bytes[len] >= 0x20 && s->bytes[len] < 0x7f)
		len++;
	return len >= TEXT_MIN && len < s->len && s->bytes[len] == 0;
}

static bool find_text(const struct finder *f, struct block_pattern_found *ret)
{
	for (size_t i = 0; i < f->nr; i++) {
		if (!is_text(&f->samples[i]))
			return false;
	}
	ret->pattern = BLOCK_PATTERN_TEXT;
	return true;
}

/* Nothing but pointers and zeroes? *holes: a pointer comes behind a zero. */
static bool is_all_pointers(const struct finder *f, const struct block_sample *s, bool *holes)
{
	bool zero = false;
	size_t nr = 0;

	for (uint32_t offset = 0; offset + f->word <= s->len; offset += f->word) {
		uint64_t word = word_at(f, s, offset);

		if (word && !is_block(f, word))
			return false;
		nr += word != 0;
		*holes |= word && zero;
		zero |= word == 0;
	}
	return nr >= POINTERS_MIN;
}

static bool find_pointers(const struct finder *f, struct block_pattern_found *ret)
{
	bool holes = false;

	for (size_t i = 0; i < f->nr; i++) {
		if (!is_all_pointers(f, &f->samples[i], &holes))
			return false;
	}
	ret->pattern = holes ? BLOCK_PATTERN_TABLE : BLOCK_PATTERN_ARRAY;
	return true;
}

void block_pattern_find(const struct reach *r, const struct block_sample *samples, size_t nr,
			uint64_t size, unsigned int word_bytes, struct block_pattern_found *ret)
{
	const struct finder f = {r, samples, nr, size, word_bytes};
	struct block_pattern_found found = {.pattern = BLOCK_PATTERN_NONE};

	if (nr >= PROOF && !find_text(&f, &found) && !find_links(&f, &found))
		find_pointers(&f, &found);
	*ret = found;
}

void block_pattern_describe(const struct block_pattern_found *p, struct str *out)
{
	const uint32_t *at = p->offsets;

	switch (p->pattern) {
	case BLOCK_PATTERN_NONE:
		break;
	case BLOCK_PATTERN_TEXT:
		str_add(out, "text");
		break;
	case BLOCK_PATTERN_LIST:
		str_printf(out, "list node, next at +%u", at[0]);
		break;
	case BLOCK_PATTERN_LIST_BOTH_WAYS:
		str_printf(out, "list node, linked both ways at +%u and +%u", at[0], at[1]);
		break;
	case BLOCK_PATTERN_TREE:
		str_printf(out, "tree node, branches at +%u and +%u", at[0], at[1]);
		break;
	case BLOCK_PATTERN_TREE_WITH_PARENTS:
		str_printf(out, "tree node, branches at +%u and +%u, parent at +%u", at[0], at[1],
			   at[2]);
		break;
	case BLOCK_PATTERN_ARRAY:
		str_add(out, "array of pointers");
		break;
	case BLOCK_PATTERN_TABLE:
		str_add(out, "table of pointers");
		break;
	}
}
