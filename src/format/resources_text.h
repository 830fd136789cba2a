/* What is held besides memory, for people: a sentence, a table and stacks for each kind. */
#ifndef SEEP_FORMAT_RESOURCES_TEXT_H
#define SEEP_FORMAT_RESOURCES_TEXT_H

struct format_options;
struct out;
struct view;

void resources_text(struct out *o, const struct view *v, const struct format_options *options);

#endif
