/* What stopping and cloning have in common: a process held still, its threads, its memory. */
#ifndef SEEP_TARGET_HOLD_H
#define SEEP_TARGET_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/freeze.h"
#include "target/process.h"

struct error;
struct target;
struct tracer;

struct hold {
	struct target *target;
	struct tracer *tracer;
	struct freeze freeze;
	int dir;		      /* as freeze.dir, or of a thread when the first has ended */
	struct process_thread *names; /* of the threads, read before the stop */
	size_t nr_names;
	bool shared; /* a child that vfork() made goes on in its memory; how.why says so */
};

/* Everything that can be done before the stop. 0, or negative errno with *e. */
int hold_init(struct hold *h, struct target *t, struct error *e);
/*
 * The same for a process that the calling thread holds at the end of its exec: jobs run on that
 * thread then. It stands still from now on until freeze_go(), stopped anew or not.
 */
int hold_init_traced(struct hold *h, struct target *t, struct error *e);
void hold_release(struct hold *h);
/*
 * The rest is for jobs of the tracer. Stops all threads and adds them, with their registers, to the
 * target. 0 or negative errno, with nothing stopped.
 */
int hold_stop(struct hold *h);
/* Stops them and asks nothing of them, for whoever has but moments. Otherwise the same. */
int hold_stop_only(struct hold *h);
/* Lets go, and tells the target how long it stood still. */
void hold_go(struct hold *h);
/*
 * A descriptor of /proc/PID/task/TID of a thread that is there: its memory is that of all, and the
 * first thread may have ended. Negative errno: none.
 */
int hold_open_thread(const struct hold *h);
/* Says in *e why holding the process failed with err, and returns err. */
int hold_explain(const struct hold *h, int err, struct error *e);

#endif
