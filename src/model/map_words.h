/* What is said of a region in words: rights, flags, whose it is. Of foreign names as they are. */
#ifndef SEEP_MODEL_MAP_WORDS_H
#define SEEP_MODEL_MAP_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct region_claim;
struct snapshot;
struct str;

#define PROT_TEXT 5
/* "rw-p", as in /proc/PID/maps. */
void region_prot_text(uint8_t prot, char ret[PROT_TEXT]);
/* Appends "locked huge no-dump", or nothing. */
void region_flags_text(uint32_t vm_flags, struct str *out);
/*
 * Appends whose region i is: the path of an image or file, "glibc arena 3", "thread 4243 worker",
 * the name that a program gave to anonymous memory; nothing where nothing is known.
 */
void region_owner_text(const struct snapshot *s, size_t i, struct str *out);
/*
 * Appends the same with what else is worth a word: the section of an image, how many big blocks,
 * how much of the region is a heap's. claims: all of regions_claims(). A text of more than max
 * bytes is cut: a path at its beginning ("…/libc.so.6 text"), others at their end; 0: none is.
 */
void region_detail_text(const struct snapshot *s, const struct region_claim *claims, size_t i,
			size_t max, struct str *out);

#endif
