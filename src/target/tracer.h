/*
 * A thread of ours that traces: the kernel ties tracing to one thread, and when that thread ends it
 * lets go of everything that the thread still traced, however we came to end it. So a target is
 * held by a thread of its own, which runs what it is handed, and whose end is the last word.
 */
#ifndef SEEP_TARGET_TRACER_H
#define SEEP_TARGET_TRACER_H

struct tracer;

/* 0 or negative errno. */
int tracer_start(struct tracer **ret);
/*
 * What the thread that waits for a job does every 20 ms while the job lasts; it runs beside the
 * job. To be set before the first call.
 */
void tracer_meanwhile(struct tracer *t, void (*meanwhile)(void *context), void *context);
/*
 * Runs job(context) on the tracing thread and returns what it returns. t NULL: on the caller's,
 * which is the tracing thread itself.
 */
int tracer_call(struct tracer *t, int (*job)(void *context), void *context);
/* Ends the thread; NULL is fine. */
void tracer_end(struct tracer *t);

#endif
