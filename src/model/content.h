/*
 * What lies in a block, in a few words for people: a text, zeros, or its first words, with pointers
 * named.
 *
 *   "BatteryInfo: charge low"       u"Battery Internal Info"       zeros
 *   libfoo.so+0x1a40, 3, block of 48, 0 · "charge low" at 32
 */
#ifndef SEEP_MODEL_CONTENT_H
#define SEEP_MODEL_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;

/* So much of a block is looked at. */
#define CONTENT_BYTES 256
/* So many words are shown where there is no text. */
#define CONTENT_WORDS 4

struct content_options {
	unsigned int word_bytes; /* 4 or 8 */
	size_t text_bytes;	 /* of a text; 0: 60 */
	/* Appends what this word points to, and says so; false: it is no pointer. NULL: nobody
	 * knows. */
	bool (*name)(void *context, uint64_t word, struct str *out);
	void *context;
};

/*
 * Appends one line, control characters escaped. bytes: the beginning of the block, at most
 * CONTENT_BYTES of it; whole: there is no more of it.
 */
void content_preview(const uint8_t *bytes, size_t len, bool whole, const struct content_options *o,
		     struct str *out);
/* Appends text in quotes, escaped, cut after cap bytes with "…". prefix: "", "u" or "U". */
void content_quote(const char *prefix, const char *text, size_t len, size_t cap, struct str *out);

#endif
