/*
 * What blocks of one size are, by how they point to each other and what is in them: for blocks
 * whose class and origin are not known. Said only where several blocks prove it and none denies it.
 *
 *   list node       one word of each points to the beginning of the next, or is 0
 *   … both ways     and another one back
 *   tree node       two words point to blocks that nothing else of them points to; a third may
 *                   point back
 *   array, table    nothing but pointers to blocks: first all of them, or with holes
 *   text            printable, up to its NUL
 */
#ifndef SEEP_MODEL_BLOCK_PATTERN_H
#define SEEP_MODEL_BLOCK_PATTERN_H

#include <stddef.h>
#include <stdint.h>

struct reach;
struct str;

enum block_pattern {
	BLOCK_PATTERN_NONE,
	BLOCK_PATTERN_TEXT,
	BLOCK_PATTERN_LIST,
	BLOCK_PATTERN_LIST_BOTH_WAYS,
	BLOCK_PATTERN_TREE,
	BLOCK_PATTERN_TREE_WITH_PARENTS,
	BLOCK_PATTERN_ARRAY,
	BLOCK_PATTERN_TABLE,
};

#define BLOCK_PATTERN_LINKS 3

struct block_pattern_found {
	enum block_pattern pattern;
	/* Where the links are: next; next and back; left and right, then parent. */
	uint32_t offsets[BLOCK_PATTERN_LINKS];
};

/* One of the blocks and what is in it; len may be less than its size, but at least word_bytes. */
struct block_sample {
	uint64_t addr;
	const uint8_t *bytes;
	size_t len;
};

/* size: of all of them, as reach_size() has it. */
void block_pattern_find(const struct reach *r, const struct block_sample *samples, size_t nr,
			uint64_t size, unsigned int word_bytes, struct block_pattern_found *ret);
/* Appends "list node, next at +8"; nothing where there is none. */
void block_pattern_describe(const struct block_pattern_found *p, struct str *out);

#endif
