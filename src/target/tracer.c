/* The tracing thread: one job at a time, handed over under a mutex. See tracer.h. */
#include "target/tracer.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct tracer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int (*job)(void *context); /* NULL: none waits */
	void *context;
	int result;
	bool ending;
};

static void *run(void *context)
{
	struct tracer *t = context;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (!t->job && !t->ending)
			pthread_cond_wait(&t->changed, &t->lock);
		if (!t->job)
			break;
		t->result = t->job(t->context);
		t->job = NULL;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int tracer_start(struct tracer **ret)
{
	struct tracer *t = mem_alloc(sizeof(*t));
	sigset_t all, before;
	int err;

	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
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

int tracer_call(struct tracer *t, int (*job)(void *context), void *context)
{
	int result;

	pthread_mutex_lock(&t->lock);
	t->context = context;
	t->job = job;
	pthread_cond_broadcast(&t->changed);
	while (t->job)
		pthread_cond_wait(&t->changed, &t->lock);
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
