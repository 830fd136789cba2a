/*
 * Texts in memory: runs of printable characters in UTF-8, UTF-16 and UTF-32 (what wchar_t is on
 * Linux), little-endian. Of the wide ones only characters of alphabets (Latin, Greek, Cyrillic …)
 * and plain punctuation count, so that numbers are not taken for texts.
 */
#ifndef SEEP_MODEL_TEXT_RUNS_H
#define SEEP_MODEL_TEXT_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;

/* A longer text is cut into pieces of this many bytes. */
#define TEXT_RUN_MAX 4096

struct text_run {
	const uint8_t *bytes; /* in the memory that was given */
	size_t offset, len;   /* bytes */
	unsigned int width;   /* bytes a unit: 1, 2 or 4 */
};

typedef void (*text_run_visit)(void *context, const struct text_run *run);

/*
 * Visits every run of at least min_chars characters (at least 2), narrow ones first. Offset 0 is
 * aligned to 4 bytes in the target. Without `last`, memory goes on behind len: what may go on there
 * is not visited. Returns where to begin the next piece: a multiple of 4, at most len; at least
 * len - TEXT_RUN_MAX - 4, so a piece must be longer than that.
 */
size_t text_runs_find(const uint8_t *memory, size_t len, bool last, size_t min_chars,
		      text_run_visit visit, void *context);
/* Appends the run as UTF-8. */
void text_run_decode(const struct text_run *run, struct str *out);
/* "utf8", "utf16", "utf32": by the width of a unit. */
const char *text_run_encoding(unsigned int width);

#endif
