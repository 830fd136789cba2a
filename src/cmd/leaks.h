/* What the files of `seep leaks` share: options, one look at a target, and what is known already.
 */
#ifndef SEEP_CMD_LEAKS_H
#define SEEP_CMD_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/graph.h"
#include "model/leak_baseline.h"
#include "model/leakview.h"
#include "model/suppress.h"

struct error;
struct sheet;
struct str;

enum leaks_format { LEAKS_TEXT, LEAKS_JSON, LEAKS_CSV, LEAKS_SARIF, LEAKS_JUNIT };

struct leaks_options {
	struct look_options look;
	int group, format;
	uint64_t limit, min_bytes, min_age_ns, repeat, interval_ns;
	const char *output, *since, *suppressions, *baseline, *write_baseline;
	bool list, indirect, tree, possible, content, exit_code, no_other_roots;
};

/* Why leaks are not in the listing; each leak counts once. */
struct leaks_left_out {
	uint64_t small, young, old, suppressed, in_baseline, not_repeated;
	uint64_t suppressed_bytes, in_baseline_bytes;
};

/* What is known already: files of --suppressions, --baseline and --since. */
struct leaks_known {
	struct suppressions suppressions;
	struct leak_baseline baseline;
	struct snapshot since;
	bool has_suppressions, has_baseline, has_since;
	/* What an earlier look found lost, ascending; NULL totals: there was none. */
	const uint64_t *earlier;
	size_t nr_earlier;
	const struct leak_totals *earlier_totals;
};

/* One look, and the leaks that it found. */
struct leaks_look {
	const struct leaks_options *o;
	struct graph graph;
	struct leak_heads heads;   /* of what has leaked */
	struct leak_list leaks;	   /* what is to be shown */
	struct leak_totals totals; /* of all that was found */
	struct leaks_left_out left_out;
	const struct leak_totals *earlier; /* of an earlier look; NULL: there was none */
	uint64_t late_blocks, late_bytes;  /* lost since then; by heads, with what hangs on them */
	bool is_weakened;		   /* what seemed to have leaked has possibly leaked */
};

/* *l is valid, and to be released, only on success. */
int leaks_look(const char *target, const struct leaks_options *o, struct leaks_look *l,
	       struct error *e);
void leaks_look_release(struct leaks_look *l);
/* The part of it behind graph_find(): fills heads, leaks and totals of *l, whose o is set. */
void leaks_collect_look(struct leaks_look *l);

/* Addresses of all leaked blocks, ascending; caller frees. */
uint64_t *leaks_addresses(const struct leaks_look *l, size_t *ret_nr);
/* Keeps the leaks whose block was leaked in that earlier look too; the rest is left out. */
void leaks_keep_repeated(struct leaks_look *l, const uint64_t *addresses, size_t nr);
/*
 * For a look that is not of one instant: what seems to have leaked may be held by a pointer that
 * was on its way from one place to another. It has possibly leaked, then.
 */
void leaks_weaken(struct leaks_look *l);
/* Marks what the earlier look did not find lost, and sums it up. */
void leaks_mark_late(struct leaks_look *l, const struct leaks_known *k);
/* Leaves out what --min-bytes, --age, --since, --suppressions and --baseline are about. */
int leaks_leave_out(struct leaks_look *l, struct leaks_known *k, struct error *e);

/* Names, as struct leak_namer wants them; context: the struct leaks_look. */
struct leak_namer leaks_namer(struct leaks_look *l);
/* What a leak is grouped under, as --group-by has it. */
void leaks_label(void *context, const struct leak *leak, struct str *out);
/* A text that is the same for this kind of leak in every run: for baselines. */
void leaks_fingerprint_text(struct leaks_look *l, const struct leak *leak, struct str *out);

/* Adds what the blocks are to labels of groups whose site and class are not known. */
void leaks_hint(struct leaks_look *l, struct leak_groups *groups);
/* The same as rows of a snapshot, for those who have no memory to look at. */
void leaks_hint_keep(struct leaks_look *l, const struct leak_groups *groups, struct snapshot *to);

/* An exit status, after an explanation if it is not EXIT_DONE. *k is to be released in any case. */
int leaks_known_read(const struct leaks_options *o, struct leaks_known *k);
void leaks_known_release(struct leaks_known *k);
/* The whole of it: looks, and writes the answer. An exit status; EXIT_FOUND by o->exit_code. */
int leaks_answer(const char *target, const struct leaks_options *o, struct leaks_known *k);

/* Writes the answer; an exit status. */
int leaks_show(struct leaks_look *l);

#endif
