/* What the files of `seep leaks` share: options, one look at a target, and what is known already.
 */
#ifndef SEEP_CMD_LEAKS_H
#define SEEP_CMD_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/blocks_source.h"
#include "heap/extra_blocks.h"
#include "heap/reachable.h"
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
	bool list, indirect, tree, possible, content, exit_code;
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
};

/* One look, and the leaks that it found. */
struct leaks_look {
	const struct leaks_options *o;
	struct blocks_source source;
	struct extra_blocks extra; /* that only the recorder knows */
	struct reachable_account account;
	bool has_registers, has_kernel;
	struct reach *reach;
	struct leak_heads heads;   /* of what has leaked */
	struct leak_list leaks;	   /* what is to be shown */
	struct leak_totals totals; /* of all that was found */
	struct leaks_left_out left_out;
};

/* *l is valid, and to be released, only on success. */
int leaks_look(const char *target, const struct leaks_options *o, struct leaks_look *l,
	       struct error *e);
void leaks_look_release(struct leaks_look *l);

/* Addresses of all leaked blocks, ascending; caller frees. */
uint64_t *leaks_addresses(const struct leaks_look *l, size_t *ret_nr);
/* Keeps the leaks whose block was leaked in that earlier look too; the rest is left out. */
void leaks_keep_repeated(struct leaks_look *l, const uint64_t *addresses, size_t nr);
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

/* An exit status, after an explanation if it is not EXIT_DONE. *k is to be released in any case. */
int leaks_known_read(const struct leaks_options *o, struct leaks_known *k);
void leaks_known_release(struct leaks_known *k);
/* The whole of it: looks, and writes the answer. An exit status; EXIT_FOUND by o->exit_code. */
int leaks_answer(const char *target, const struct leaks_options *o, struct leaks_known *k);

/* Writes the answer; an exit status. */
int leaks_show(struct leaks_look *l);

#endif
