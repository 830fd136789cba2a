/*
 * One failure, told once: what failed, why, and what the user can do about it.
 *
 * A function that can fail returns 0 or a negative errno; where a sentence is worth more than a
 * number its last parameter is a `struct error *`, filled only on failure. Callers that do not care
 * pass NULL. Only src/cmd/ prints errors.
 */
#ifndef SEEP_BASE_ERROR_H
#define SEEP_BASE_ERROR_H

/* Exit statuses, the same in every command and every man page. */
enum exit_status {
	EXIT_DONE = 0,	    /* did what was asked */
	EXIT_FOUND = 1,	    /* the condition asked about was found (growth over budget, leaks) */
	EXIT_USAGE = 2,	    /* the command line is wrong */
	EXIT_TARGET = 3,    /* the target cannot be started or read */
	EXIT_FILE = 4,	    /* a file is bad or cannot be written */
	EXIT_INTERNAL = 70, /* our bug */
};

struct error {
	int err; /* negative errno, 0 where none fits */
	enum exit_status status;
	char message[512]; /* "cannot read snapshot 'x.seep': not a seep file"; no full stop */
	char hint[512];	   /* what to do, or "" */
};

/*
 * Fills *e (NULL: nothing) and returns err, so that `return error_set(e, -ENOENT, EXIT_TARGET, …)`
 * reads well. The errno text is not appended; say it with error_strerror() where it helps.
 */
int error_set(struct error *e, int err, enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Sets the hint line of an error already filled. */
void error_hint(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text of a negative or positive errno; static storage. */
const char *error_strerror(int err);

#endif
