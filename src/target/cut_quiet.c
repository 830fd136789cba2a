/* Who may look at a recorder's table or change its mode, and when no call is under way; see
 * table.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "target/process.h"
#include "target/table.h"

#define QUIET_PATIENCE_NS 200000000ull
#define POLL_MIN_NS 20000
#define POLL_MAX_NS 2000000

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void sleep_ns(long ns)
{
	struct timespec ts = {.tv_nsec = ns};

	nanosleep(&ts, NULL);
}

static int read_error(struct error *e)
{
	return error_set(e, -EIO, EXIT_TARGET, "cannot read the recorder's table: %s",
			 error_strerror(errno));
}

int table_read(struct table *t, void *to, size_t bytes, uint64_t offset, struct error *e)
{
	while (bytes) {
		ssize_t n = pread(t->fd, to, bytes, (off_t)offset);

		if (n <= 0)
			return read_error(e);
		to = (char *)to + n;
		bytes -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/*
 * A thread that ended inside a hook (killed, or by a system call of its own) stands in nobody's
 * way. The recorder calls it by the number that it has in its own pid namespace.
 */
static bool is_gone(const struct table *t, int32_t tid)
{
	return !process_has_thread(t->pid ? t->pid : t->header->pid, tid);
}

/*
 * Waits until no hook is under way that began before the flag was seen. False: one is stuck. A hook
 * that takes long is one whose thread was preempted: waking up all the time would keep the
 * scheduler from going on with it.
 */
static bool wait_quiet(struct table *t)
{
	const struct wire_header *l = &t->layout;
	uint32_t nr = __atomic_load_n(&t->header->threads_nr, __ATOMIC_ACQUIRE);
	uint64_t deadline = now_ns() + QUIET_PATIENCE_NS;
	/* Of struct wire_thread only the first words matter here. */
	struct {
		int32_t tid;
		uint32_t busy;
		uint32_t passes;
	} first, w;

	for (uint32_t i = 0; i < nr && i < l->threads_cap; i++) {
		uint64_t at = l->threads_off + i * l->thread_stride;
		long pause_ns = POLL_MIN_NS;

		if (table_read(t, &first, sizeof(first), at, NULL) < 0)
			return false;
		for (w = first; w.busy && w.passes == first.passes;) {
			if (now_ns() > deadline && !is_gone(t, w.tid))
				return false;
			if (now_ns() > deadline)
				break;
			sleep_ns(pause_ns);
			if (pause_ns < POLL_MAX_NS)
				pause_ns *= 2;
			if (table_read(t, &w, sizeof(w), at, NULL) < 0)
				return false;
		}
	}
	return true;
}

static void barrier_everywhere(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		sleep_ns(2000000); /* store buffers drain within microseconds */
}

bool table_settle(struct table *t)
{
	barrier_everywhere();
	return wait_quiet(t);
}

int table_lock(struct table *t, struct error *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = TABLE_LOCK_LOOK, .l_len = 1};
	uint64_t deadline = now_ns() + 5000000000ull;

	while (fcntl(t->fd, F_OFD_SETLK, &lock) < 0) {
		if ((errno != EAGAIN && errno != EACCES) || now_ns() > deadline)
			return error_set(
				e, -EBUSY, EXIT_TARGET,
				"another snapshot of this process does not come to an end");
		sleep_ns(5000000);
	}
	return 0;
}

void table_unlock(struct table *t)
{
	struct flock lock = {.l_type = F_UNLCK, .l_start = TABLE_LOCK_LOOK, .l_len = 1};

	fcntl(t->fd, F_OFD_SETLK, &lock);
}
