/* Killing a clone when its original has ended; see deathwatch.h. */
#include "target/deathwatch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* on every architecture */
#endif

struct deathwatch {
	pthread_t thread;
	int process, stop; /* descriptors: a pidfd, an eventfd */
	int32_t victim;
	atomic_bool has_struck;
};

static void *watch(void *context)
{
	struct deathwatch *w = context;
	struct pollfd waits[] = {{.fd = w->process, .events = POLLIN},
				 {.fd = w->stop, .events = POLLIN}};

	while (poll(waits, 2, -1) < 0 && errno == EINTR)
		;
	if ((waits[0].revents & POLLIN) && !(waits[1].revents & POLLIN)) {
		atomic_store(&w->has_struck, true);
		kill(w->victim, SIGKILL);
	}
	return NULL;
}

static void release(struct deathwatch *w)
{
	if (w->process >= 0)
		close(w->process);
	if (w->stop >= 0)
		close(w->stop);
	free(w);
}

int deathwatch_start(int32_t watched, int32_t victim, struct deathwatch **ret)
{
	struct deathwatch *w = mem_alloc(sizeof(*w));
	sigset_t all, before;
	int err = 0;

	w->victim = victim;
	w->process = (int)syscall(SYS_pidfd_open, watched, 0);
	w->stop = eventfd(0, EFD_CLOEXEC);
	if (w->process < 0 || w->stop < 0)
		err = errno;
	if (!err) {
		/* Signals to seep are handled where they always were. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		err = pthread_create(&w->thread, NULL, watch, w);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (err) {
		release(w);
		return -err;
	}
	*ret = w;
	return 0;
}

bool deathwatch_has_struck(const struct deathwatch *w)
{
	return w && atomic_load(&w->has_struck);
}

void deathwatch_end(struct deathwatch *w)
{
	if (!w)
		return;
	eventfd_write(w->stop, 1);
	pthread_join(w->thread, NULL);
	release(w);
}
