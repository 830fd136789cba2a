/*
 * `seep flags --daemon`: the flagged images recorded without a stub in every program.
 *
 * The kernel asks us (fanotify) before it executes one of them, and nobody else's start costs
 * anything. The starting thread is traced until its exec is done, the recorder is put into the
 * environment on its new stack (exec_stack.h), and then it is let go. From there on we are its
 * launcher: we hold the table, drive its clock, and lose nothing when it dies. A static program has
 * no loader that would heed its environment: into_static() puts the recorder in, and it is its own
 * launcher.
 *
 * Who is flagged by name, not by path, needs the stub still.
 */
#ifndef SEEP_TARGET_FLAG_DAEMON_H
#define SEEP_TARGET_FLAG_DAEMON_H

#include <stdint.h>

#include "target/mode.h"

struct error;
struct flag_places;

struct flag_daemon_events {
	/* A start was not recorded, and why; exe: "" not known. */
	void (*missed)(int32_t pid, const char *exe, const char *why, void *context);
	/* Puts the recorder into a static program that our thread holds at the end of its exec. */
	int (*into_static)(int32_t pid, struct mode mode, struct error *e, void *context);
	void (*ready)(void *context);
	void *context;
};

/*
 * Until SIGTERM or SIGINT. Takes the stub out of the system's files, and on leaving puts it back
 * for the images that are flagged then. 0, or negative errno with *e (EXIT_TARGET, EXIT_FILE).
 */
int flag_daemon_run(struct flag_places *places, const char *recorder, const char *stub,
		    const struct flag_daemon_events *events, struct error *e);

#endif
