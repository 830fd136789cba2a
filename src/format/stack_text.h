/* A stack for people, a line a function. */
#ifndef SEEP_FORMAT_STACK_TEXT_H
#define SEEP_FORMAT_STACK_TEXT_H

struct format_options;
struct lines;
struct str;

void stack_text(struct str *out, const struct lines *lines, const struct format_options *options);

#endif
