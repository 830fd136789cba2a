/* The table of formats, and the text buffer they write into. */
#include "format/format.h"

#include <string.h>

/* Enough for few system calls, little enough to forget about. */
#define OUT_CHUNK ((size_t)64 << 10)

const struct format formats[] = {
	{.name = "text", .write = format_text},
	{.name = "json", .write = format_json, .shows_everything = true},
	{.name = "csv", .write = format_csv, .shows_everything = true},
	{.name = "umdh", .write = format_umdh, .shows_everything = true, .by_stack = true},
	{0},
};

void out_init(struct out *o, int (*sink)(void *, const void *, size_t), void *context)
{
	memset(o, 0, sizeof(*o));
	str_init(&o->text);
	o->sink = sink;
	o->context = context;
}

void out_release(struct out *o)
{
	if (o)
		str_release(&o->text);
}

static void hand_over(struct out *o)
{
	if (!o->err)
		o->err = o->sink(o->context, o->text.data, o->text.len);
	str_clear(&o->text);
}

void out_step(struct out *o)
{
	if (o->sink && o->text.len >= OUT_CHUNK)
		hand_over(o);
}

int out_finish(struct out *o)
{
	if (o->sink && o->text.len)
		hand_over(o);
	return o->err;
}
