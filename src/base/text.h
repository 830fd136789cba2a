/* Small services on text: near misses, quoting for a shell, wrapping, making foreign text
 * printable. */
#ifndef SEEP_BASE_TEXT_H
#define SEEP_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct str;

/*
 * Insertions, deletions, replacements and swaps of neighbours that turn a into b. Texts longer than
 * 63 bytes are compared by their first 63.
 */
unsigned int text_distance(const char *a, const char *b);
/*
 * The candidate that the user probably meant, or NULL. candidates ends with NULL. A beginning
 * ("rep" for "report") counts, and otherwise a distance of at most a third of the word, rounded up.
 */
const char *text_nearest(const char *word, const char *const *candidates);
/* Appends word as a POSIX shell reads it back: as it is where that is safe, else in single quotes.
 */
void text_quote(struct str *out, const char *word);
/*
 * Appends text with words wrapped at `width` columns, every line but the first indented. `column`
 * is where the first line stands already. "\n" in text breaks. Counts bytes as columns (for our own
 * help).
 */
void text_wrap(struct str *out, const char *text, unsigned int column, unsigned int indent,
	       unsigned int width);
/*
 * Appends foreign text fit for a terminal: control bytes, DEL and broken UTF-8 become \xNN, so that
 * no name of a file, function or process can send escape sequences.
 */
void text_printable(struct str *out, const char *text, size_t len);
/* How many characters of UTF-8 a text has: places on a terminal, for nearly all scripts. */
size_t text_characters(const char *text);
bool text_starts_with(const char *text, const char *prefix);
/* What follows the last '/' of a path: "libc.so.6"; all of it, where there is none. */
const char *text_base_name(const char *path);

#endif
