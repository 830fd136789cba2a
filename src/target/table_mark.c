/* See table_mark.h. */
#include "target/table_mark.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "base/error.h"
#include "target/table.h"
#include "wire/marks.h"

/* The table up to what is behind threads and marks; only what is not a hole is touched. */
static void *map_front(const struct table *t, size_t *ret_bytes)
{
	const struct wire_header *l = &t->layout;
	uint64_t end = l->marks_off + l->marks_cap * sizeof(struct wire_mark);
	uint64_t threads = l->threads_off + l->threads_cap * l->thread_stride;
	uint64_t counts = l->counts_off + l->nodes_cap * sizeof(struct wire_count);

	if (threads > end)
		end = threads;
	if (counts > end)
		end = counts;
	*ret_bytes = end;
	return mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, t->fd, 0);
}

int table_mark(struct table *t, const char *name, struct table_mark *ret, struct error *e)
{
	const struct wire_header *l = &t->layout;
	struct wire_summing sums = {
		.header = t->header,
		.thread_stride = l->thread_stride,
		.counts_cap = l->nodes_cap,
		.threads_cap = l->threads_cap,
	};
	struct timespec ts;
	uint64_t now_ns;
	size_t bytes;
	uint8_t *base;
	bool made;

	if (__atomic_load_n(&t->header->state, __ATOMIC_ACQUIRE) != WIRE_STATE_RECORDING)
		return error_set(e, -ENODATA, EXIT_TARGET,
				 "nothing of this process is being recorded");
	base = map_front(t, &bytes);
	if (base == MAP_FAILED)
		return error_set(e, -errno, EXIT_TARGET, "cannot map the recorder's table: %s",
				 error_strerror(errno));
	sums.counts = (const struct wire_count *)(base + l->counts_off);
	sums.threads = base + l->threads_off;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	made = wire_mark_make(t->header, (struct wire_mark *)(base + l->marks_off), l->marks_cap,
			      &sums, name, now_ns);
	munmap(base, bytes);
	if (!made)
		return error_set(e, -ENOSPC, EXIT_TARGET,
				 "the recording has all %u marks that there can be", l->marks_cap);
	ret->number = wire_marks_nr(t->header);
	ret->since_began_ns = now_ns > l->began_monotonic_ns ? now_ns - l->began_monotonic_ns : 0;
	return 0;
}
