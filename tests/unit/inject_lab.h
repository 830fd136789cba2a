/*
 * A bench for tests of src/inject: programs built with the compilers of this machine, started, and
 * what they say about themselves.
 */
#ifndef SEEP_TESTS_INJECT_LAB_H
#define SEEP_TESTS_INJECT_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inject_lab {
	char *dir;
};

/* A program of the bench that runs; it has said all that it says at the beginning. */
struct inject_run {
	pid_t pid;
	int in;	    /* closing it ends the program */
	char *said; /* its lines up to "ready" */
};

void inject_lab_open(struct inject_lab *l);
void inject_lab_close(struct inject_lab *l);
/* Writes a file of the bench. */
void inject_lab_write(struct inject_lab *l, const char *name, const char *text);
/* Runs a shell command in the folder. False: it failed; its output has been shown. */
bool inject_lab_sh(struct inject_lab *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Starts a shell command in the folder (by exec), with a pipe as its input, and reads what it says
 * until "ready". False: it ended before.
 */
bool inject_run_start(struct inject_lab *l, const char *command, struct inject_run *ret);
/* The address that the program said it has under this name, or 0. */
uint64_t inject_run_address(const struct inject_run *r, const char *name);
void inject_run_stop(struct inject_run *r);

/*
 * Source of a program that says "NAME ADDRESS" for each argument, as dlsym(RTLD_DEFAULT) finds it,
 * then "ready", and waits for the end of its input.
 */
extern const char inject_lab_sayer[];
/* The same without dlsym(), for static programs: of malloc, calloc, realloc and free. */
extern const char inject_lab_static_sayer[];

#endif
