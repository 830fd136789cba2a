/*
 * A bench for tests of the symbolizer: a temporary folder, victims built in it with real compilers,
 * and what a victim says about itself (its notes) and its source says about it (its marks).
 */
#ifndef SEEP_TESTS_SYM_LAB_H
#define SEEP_TESTS_SYM_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sym/sym.h"

struct lab {
	char *dir;
};

struct lab_module {
	char *path;
	uint8_t build_id[64];
	struct sym_module is;
};

void lab_open(struct lab *l);
void lab_close(struct lab *l);
char *lab_path(const struct lab *l, const char *name); /* caller frees */
/* Path of a file in tests/victims; caller frees. */
char *lab_victim(const char *name);
/* Runs a shell command in the folder; $VICTIMS is where the victims' sources are. Exit status. */
int lab_sh(const struct lab *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same; its output, which the caller frees. NULL: it failed. */
char *lab_output(const struct lab *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Is this command installed? If not, says which one is missing, for a test that then skips. */
bool lab_has(const char *command);

/* Line of the source that carries the mark; fails the test when there is none. */
uint32_t lab_mark(const char *source, const char *mark);
/* Runs the program and returns the address that it notes under the label. */
uint64_t lab_note(const struct lab *l, const char *program, const char *label);

/* The module as a target would have it, loaded at `bias`. */
void lab_module_init(struct lab_module *m, const struct lab *l, const char *program, uint64_t bias);
void lab_module_release(struct lab_module *m);

struct lab_frame {
	const char *function, *mark; /* mark NULL: no line is known */
};

/*
 * Asserts that the frames at the return address `pc` are exactly these, ended by {NULL, NULL}.
 * source: file of tests/victims with the marks.
 */
void lab_expect(struct sym *s, int module, uint64_t pc, const char *source,
		const struct lab_frame *expected);
/* Builds with the command, then looks up one note of it with one fresh symbolizer. */
void lab_expect_build(const struct lab *l, const char *build, const char *label, const char *source,
		      const struct lab_frame *expected);

#endif
