/* How lines, sites and stacks are put into words; shared by the formats that people read. */
#ifndef SEEP_FORMAT_WORDS_H
#define SEEP_FORMAT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "model/listing.h"

struct site;
struct str;

/* Why there is no code here: "[stack cut off at the depth limit]". */
const char *mark_text(uint8_t special);
/* Function, or "libx.so+0x1f40", or the address, or a mark. Fit for a terminal. */
void words_name(struct str *out, const struct line *line);
/* "meter.c:31", else module, else build-id; "" for marks. whole: paths in full. */
void words_place(struct str *out, const struct line *line, bool whole);
void words_module(struct str *out, const struct line *line, bool whole);
/* "meter.c:31 in meter_new (inlined in turn, meter.c:50)", "… through fopen" when that is a
 * library's. */
void words_site(struct str *out, const struct lines *lines, const struct site *site, bool whole);
/* What stands for a row grouped so: its site, module or function. */
void words_face(struct str *out, enum listing_group group, const struct lines *lines, bool whole);
/* "[sqlite3_open]", as a snapshot has it, without its brackets. */
void words_kind(struct str *out, const char *kind);
/* Lower-case hex. */
void words_build_id(struct str *out, const struct line *line);

#endif
