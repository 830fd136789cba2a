/* Leaks for build servers: SARIF 2.1.0 and JUnit's XML, a result a kind of leak. */
#ifndef SEEP_FORMAT_LEAKS_CI_H
#define SEEP_FORMAT_LEAKS_CI_H

#include <stddef.h>
#include <stdint.h>

struct str;

/* One kind. Texts are never NULL, "" unknown. */
struct leaks_ci_row {
	const char *label, *state;
	const char *file; /* of the line put forward */
	uint32_t line;	  /* 0 unknown */
	uint64_t leaks, bytes, held_blocks, held_bytes;
	uint64_t fingerprint;
};

void leaks_write_sarif(const struct leaks_ci_row *rows, size_t nr, const char *version,
		       struct str *out);
/* target: what was looked at. No leaks at all is one test that passed. */
void leaks_write_junit(const struct leaks_ci_row *rows, size_t nr, const char *target,
		       struct str *out);

#endif
