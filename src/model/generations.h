/*
 * What the marks of a recording tell in one snapshot: of the blocks that are live, which were born
 * between which marks. Generation 0 is older than the first mark.
 *
 *   generation     0      1        2        3
 *             ─────────┼──────┼────────┼─────────▶ snapshot
 *   mark               0      1        2
 */
#ifndef SEEP_MODEL_GENERATIONS_H
#define SEEP_MODEL_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct snapshot;

/*
 * The mark of this name, or "#2" for the second one. 0, or -ENOENT, -ENOTUNIQ with *e (which file
 * it is about is the caller's to say).
 */
int generations_find_mark(const struct snapshot *s, const char *text, size_t *ret_mark,
			  struct error *e);

#define GENERATIONS_BEGINNING SIZE_MAX
#define GENERATIONS_END (SIZE_MAX - 1)

/*
 * Makes of a snapshot what is still there of what was live at this mark (or at the beginning of the
 * recording: nothing; at its end: all). Two of these of one snapshot compare as two snapshots.
 */
void generations_only_until(struct snapshot *s, size_t mark);

/*
 * Is it known when handles of resources were acquired? Files of earlier versions do not say; what
 * is made of these has no resources.
 */
bool generations_of_resources(const struct snapshot *s);

/* Makes of it what is there of this generation alone. */
void generations_only(struct snapshot *s, size_t generation);

/* What was allocated and freed while a generation was the youngest. */
struct generation_traffic {
	bool known; /* false: it is, or one of the marks around it was not counted */
	uint64_t blocks, bytes, frees;
};
struct generation_traffic generations_traffic(const struct snapshot *s, size_t generation);
/* The same of a kind of resources: handles as blocks. */
struct generation_traffic generations_traffic_of(const struct snapshot *s, const char *kind,
						 size_t generation);

#endif
