/* See unwalked.h. */
#include "cmd/unwalked.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "cmd/cmd.h"

static int refuse_clone(const struct blocks_source *s, struct error *e)
{
	error_set(
		e, -ENOTSUP, EXIT_TARGET,
		"the blocks of %s are known from the recorder only, which a clone does not freeze",
		s->look.label);
	error_hint(e, "--method stop holds it still meanwhile");
	return -ENOTSUP;
}

/* Once. With an allocator that can be walked there are no extra blocks. */
static int open_once(struct blocks_source *s, const char *operand, const struct look_options *o,
		     const struct blocks_wants *wants, struct extra_blocks *extra, struct error *e)
{
	int err = blocks_open(s, operand, o, wants, e);

	if (err < 0)
		return err;
	extra_blocks_find(s->look.target, s->look.heaps, &s->look.snapshot, extra);
	if (!extra->nr)
		err = blocks_refuse_blind(s, e);
	if (err < 0)
		blocks_close(s);
	return err;
}

int unwalked_open(struct blocks_source *s, const char *operand, const struct look_options *o,
		  const struct blocks_wants *wants, struct extra_blocks *ret_extra, struct error *e)
{
	struct look_options still = *o;
	struct extra_blocks extra;
	int err = open_once(s, operand, o, wants, &extra, e);

	if (err < 0)
		return err;
	if (extra.nr && target_how(s->look.target)->kind == TARGET_CLONE) {
		extra_blocks_release(&extra);
		if (o->method != TARGET_WISH_AUTO) {
			err = refuse_clone(s, e);
			blocks_close(s);
			return err;
		}
		blocks_close(s);
		still.method = TARGET_WISH_STOP;
		err = open_once(s, operand, &still, wants, &extra, e);
	}
	if (err == 0)
		*ret_extra = extra;
	return err;
}
