/*
 * What --search looks for in memory, as people type it:
 *
 *   bytes:de ad be ef   these bytes, anywhere (blanks between them are free)
 *   word:0x1234         a word of the target's size that is this, at an aligned address
 *   ptr:0x5581…         a word that points to the block at this address, or into it
 *   text:foo            this text in UTF-8
 *   utf16:foo utf32:foo the same in UTF-16 and in UTF-32 (wchar_t), little-endian
 */
#ifndef SEEP_MODEL_PATTERN_H
#define SEEP_MODEL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum pattern_kind { PATTERN_BYTES, PATTERN_WORD, PATTERN_POINTER };

struct pattern {
	enum pattern_kind kind;
	uint8_t *bytes; /* PATTERN_BYTES; owned */
	size_t len;
	size_t rarest; /* index of the byte that is looked for first */
	/* Words of `word_bytes` that are within [low, high]; set by pattern_set_words(). */
	uint64_t low, high;
	unsigned int word_bytes;
};

/* 0, or -EINVAL with a sentence (EXIT_USAGE). *ret is to be released. */
int pattern_parse(const char *text, struct pattern *ret, struct error *e);
void pattern_release(struct pattern *p);
/*
 * The target's word size, and for PATTERN_POINTER the range that is pointed into (PATTERN_WORD
 * keeps its word). No effect on bytes.
 */
void pattern_set_words(struct pattern *p, unsigned int word_bytes, uint64_t low, uint64_t high);
/* How many bytes of memory one hit covers. */
size_t pattern_width(const struct pattern *p);
/*
 * The next hit at *pos or later in len bytes; *pos becomes its offset. The memory begins at an
 * aligned address of the target. To go on, search again from *pos + 1.
 */
bool pattern_find(const struct pattern *p, const uint8_t *memory, size_t len, size_t *pos);

#endif
