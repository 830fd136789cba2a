/*
 * Leaks that are known and accepted: how many of each kind. A kind is named by a fingerprint that
 * does not depend on addresses, so that the file stays good for the next run and the next build.
 *
 * The file is text, one kind a line, "#" begins a comment:
 *
 *   FINGERPRINT BLOCKS BYTES LABEL
 */
#ifndef SEEP_MODEL_LEAK_BASELINE_H
#define SEEP_MODEL_LEAK_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct str;

struct known_leak {
	uint64_t fingerprint;
	uint64_t leaks, bytes; /* accepted; leaks: heads */
	char *label;
	uint64_t met; /* how many of them have been met */
};

struct leak_baseline {
	struct known_leak *items; /* ascending by fingerprint */
	size_t nr, cap;
};

/* Of a text that says what kind of leak it is. */
uint64_t leak_fingerprint(const char *text);
/* name: of the file, for messages. 0, or -EINVAL (EXIT_FILE). *ret is to be released. */
int leak_baseline_parse(const char *text, const char *name, struct leak_baseline *ret,
			struct error *e);
void leak_baseline_release(struct leak_baseline *b);
/* One more leak of this kind: true while no more are met than are accepted. */
bool leak_baseline_meet(struct leak_baseline *b, uint64_t fingerprint);
/* For making one: adds a leak to its kind. */
void leak_baseline_add(struct leak_baseline *b, uint64_t fingerprint, uint64_t bytes,
		       const char *label);
void leak_baseline_write(const struct leak_baseline *b, struct str *out);

#endif
