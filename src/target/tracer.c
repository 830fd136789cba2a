/* The tracing thread: one job at a time, handed over under a mutex. See tracer.h. */
#include "target/tracer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"

struct tracer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int (*job)(void *context); /* NULL: none waits */
	void *context;
	int result;
	bool ending;
	void (*meanwhile)(void *context); /* NULL: nothing */
	void *meanwhile_context;
};

/* How often the waiting thread looks whether the other one needs help. */
#define MEANWHILE_NS 20000000

/*
 * While it waits for a processor, so does the process that it holds: on a busy machine many times
 * as long as what it does takes. Not permitted to everybody.
 */
static void go_first(void)
{
	setpriority(PRIO_PROCESS, 0 /* Linux: this thread only */, -20);
}

static void *run(void *context)
{
	struct tracer *t = context;
	int result;

	go_first();
	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (!t->job && !t->ending)
			pthread_cond_wait(&t->changed, &t->lock);
		if (!t->job)
			break;
		/* Not under the lock: the caller must be able to go on waiting. */
		pthread_mutex_unlock(&t->lock);
		result = t->job(t->context);
		pthread_mutex_lock(&t->lock);
		t->result = result;
		t->job = NULL;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int tracer_start(struct tracer **ret)
{
	struct tracer *t = mem_alloc(sizeof(*t));
	pthread_condattr_t steady;
	sigset_t all, before;
	int err;

	pthread_mutex_init(&t->lock, NULL);
	/* Somebody may set the system's clock while we wait. */
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &steady);
	pthread_condattr_destroy(&steady);
	/* Signals to seep are handled where they always were, not in the middle of a job. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(t);
		return -err;
	}
	*ret = t;
	return 0;
}

void tracer_meanwhile(struct tracer *t, void (*meanwhile)(void *context), void *context)
{
	t->meanwhile = meanwhile;
	t->meanwhile_context = context;
}

/* Until something has changed, or for a while. */
static void wait_a_while(struct tracer *t)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += MEANWHILE_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	if (pthread_cond_timedwait(&t->changed, &t->lock, &until) != ETIMEDOUT || !t->job ||
	    !t->meanwhile)
		return;
	pthread_mutex_unlock(&t->lock);
	t->meanwhile(t->meanwhile_context);
	pthread_mutex_lock(&t->lock);
}

int tracer_call(struct tracer *t, int (*job)(void *context), void *context)
{
	int result;

	if (!t)
		return job(context);
	pthread_mutex_lock(&t->lock);
	t->context = context;
	t->job = job;
	pthread_cond_broadcast(&t->changed);
	while (t->job)
		wait_a_while(t);
	result = t->result;
	pthread_mutex_unlock(&t->lock);
	return result;
}

void tracer_end(struct tracer *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
