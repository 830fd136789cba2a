/* The end of a text listing: what was left out, and what keeps it from being the whole truth. */
#ifndef SEEP_FORMAT_NOTES_H
#define SEEP_FORMAT_NOTES_H

struct palette;
struct str;
struct view;

void notes_write(struct str *out, const struct view *v, const struct palette *palette);

#endif
