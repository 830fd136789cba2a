/* Do references keep the promises of references.h? For hostile files. */
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "model/reach.h"
#include "model/snapshot.h"

/* "root 12 refers to owner 99, but there are 40" unless index < nr. */
static int check_index(const char *who, size_t i, const char *what, uint64_t index, uint64_t nr,
		       struct error *e)
{
	if (index < nr)
		return 0;
	return error_set(e, -EINVAL, EXIT_FILE,
			 "%s %zu refers to %s %" PRIu64 ", but there are %" PRIu64, who, i, what,
			 index, nr);
}

static int check_text(const struct snapshot *s, const char *who, size_t i, uint32_t id,
		      struct error *e)
{
	return check_index(who, i, "text", id, s->strings.nr, e);
}

/* In ascending order, and with as many edges together as there are. */
static int check_blocks(const struct snapshot *s, struct error *e)
{
	uint64_t left = s->nr_ref_edges;

	for (size_t i = 0; i < s->nr_ref_blocks; i++) {
		const struct ref_block *b = &s->ref_blocks[i];
		int err = check_text(s, "block of references", i, b->class_name, e);

		if (err)
			return err;
		if (i && b->addr <= b[-1].addr)
			return error_set(e, -EINVAL, EXIT_FILE,
					 "block of references %zu is not behind the one before it",
					 i);
		if (b->size > UINT64_MAX - b->addr)
			return error_set(e, -EINVAL, EXIT_FILE,
					 "block of references %zu ends beyond all addresses", i);
		if (b->nr_edges > left)
			return error_set(e, -EINVAL, EXIT_FILE,
					 "block of references %zu has more pointers than there are",
					 i);
		left -= b->nr_edges;
	}
	if (left)
		return error_set(e, -EINVAL, EXIT_FILE, "%" PRIu64 " pointers are in no block",
				 left);
	return 0;
}

static int check_roots(const struct snapshot *s, struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < s->nr_ref_edges && !err; i++)
		err = check_index("pointer", i, "block", s->ref_edges[i].block, s->nr_ref_blocks,
				  e);
	for (size_t i = 0; i < s->nr_ref_owners && !err; i++) {
		const struct ref_owner *o = &s->ref_owners[i];

		err = check_text(s, "owner", i, o->name, e);
		if (!err)
			err = check_text(s, "owner", i, o->before, e);
		if (!err)
			err = check_text(s, "owner", i, o->behind, e);
	}
	for (size_t i = 0; i < s->nr_ref_roots && !err; i++) {
		const struct ref_root *r = &s->ref_roots[i];

		err = check_index("root", i, "block", r->block, s->nr_ref_blocks, e);
		if (!err)
			err = check_index("root", i, "owner", r->owner, s->nr_ref_owners, e);
		if (!err)
			err = check_text(s, "root", i, r->detail, e);
	}
	return err;
}

static int check_patterns(const struct snapshot *s, struct error *e)
{
	int err = 0;

	for (size_t i = 0; i < s->nr_ref_patterns && !err; i++) {
		const struct ref_pattern *p = &s->ref_patterns[i];

		err = check_text(s, "pattern", i, p->label, e);
		if (!err)
			err = check_text(s, "pattern", i, p->pattern, e);
	}
	return err;
}

int references_check(const struct snapshot *s, struct error *e)
{
	uint8_t word = s->ref_account.word_bytes;
	int err;

	if (!s->has_references) {
		if (s->nr_ref_blocks || s->nr_ref_edges || s->nr_ref_roots || s->nr_ref_owners ||
		    s->nr_ref_patterns)
			return error_set(e, -EINVAL, EXIT_FILE,
					 "there are references in a snapshot without references");
		return 0;
	}
	if (word != 4 && word != 8)
		return error_set(e, -EINVAL, EXIT_FILE, "a word of %u bytes", word);
	if (s->nr_ref_blocks >= REACH_MAX_BLOCKS - 1 || s->nr_ref_roots > UINT32_MAX ||
	    s->nr_ref_owners >= REACH_MAX_BLOCKS)
		return error_set(e, -EINVAL, EXIT_FILE, "%zu blocks of references",
				 s->nr_ref_blocks);
	err = check_blocks(s, e);
	if (!err)
		err = check_roots(s, e);
	if (!err)
		err = check_patterns(s, e);
	return err;
}
