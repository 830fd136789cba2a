/* Making a recorder's table; see launch_table.h. */
#include "target/launch_table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "target/launch.h"
#include "wire/layout.h"
#include "wire/marks.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

int launch_table_layout(struct wire_header *h, uint64_t ram_bytes, uint64_t limit_bytes)
{
	return wire_layout(h, ram_bytes, limit_bytes) ? 0 : -EFBIG;
}

/* A free descriptor number that the name can carry before the file exists. */
static int free_number(void)
{
	int any = memfd_create("", MFD_CLOEXEC), number;

	if (any < 0)
		return -errno;
	number = fcntl(any, F_DUPFD_CLOEXEC, WIRE_FD_BASE);
	if (number < 0)
		number = fcntl(any, F_DUPFD_CLOEXEC, 3); /* RLIMIT_NOFILE is low */
	if (number < 0)
		number = -errno;
	close(any);
	return number;
}

/* The memfd under the number that its name says. */
static int open_named(void)
{
	int number = free_number(), fd, r = number;
	char name[64];

	if (number < 0)
		return number;
	snprintf(name, sizeof(name), WIRE_NAME ".%d.%d", (int)getpid(), number);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || dup3(fd, number, O_CLOEXEC) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		close(number);
	return r;
}

static int set_size(int fd, uint64_t address_space_bytes, struct wire_header *head)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct rlimit old, lifted;
	int r;

	/* RLIMIT_FSIZE counts, though nothing goes to a disk. */
	if (getrlimit(RLIMIT_FSIZE, &old) < 0)
		return -errno;
	r = launch_table_layout(head, ram, wire_room(old.rlim_max, address_space_bytes));
	if (r < 0)
		return r;
	lifted = (struct rlimit){.rlim_cur = old.rlim_max, .rlim_max = old.rlim_max};
	if (setrlimit(RLIMIT_FSIZE, &lifted) < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)head->file_bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	setrlimit(RLIMIT_FSIZE, &old);
	return r;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* What a new table is for. */
struct purpose {
	uint32_t image;
	int32_t owner;
	uint64_t address_space_bytes;
	struct mode mode;
};

/* The magic comes last: nobody takes a half-written header for a table. */
static void fill_header(struct wire_header *h, const struct wire_header *layout,
			const struct purpose *p, uint64_t began_ns)
{
	/* What is behind stays a hole of the sparse file. */
	memcpy(h, layout, offsetof(struct wire_header, chunk_base));
	h->version = WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->launcher_pid = p->owner;
	h->image = p->image;
	h->began_monotonic_ns = began_ns;
	mode_begin(h, p->mode, began_ns);
	__atomic_store_n(&h->magic, WIRE_MAGIC, __ATOMIC_RELEASE);
}

/* Of the memfd t->fd. */
static int set_up(const struct purpose *p, struct wire_header *layout, struct launch_table *t)
{
	int r = set_size(t->fd, p->address_space_bytes, layout);

	if (r < 0)
		return r;
	t->header = mmap(NULL, sizeof(*t->header), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->header == MAP_FAILED) {
		t->header = NULL;
		return -errno;
	}
	t->began_ns = monotonic_ns();
	fill_header(t->header, layout, p, t->began_ns);
	return 0;
}

/* In t->fd, or where there is none in a file of our own. */
static int create(const struct purpose *p, struct launch_table *t)
{
	struct wire_header *layout = mmap(NULL, sizeof(*layout), PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = 0;

	if (layout == MAP_FAILED)
		return -ENOMEM;
	if (t->fd < 0)
		t->fd = r = open_named();
	if (r >= 0)
		r = set_up(p, layout, t);
	munmap(layout, sizeof(*layout));
	return r;
}

static int create_or_explain(const struct purpose *p, struct launch_table *t,
			     struct launch_table *ret, struct error *e)
{
	int r = create(p, t);

	if (r == 0) {
		*ret = *t;
		return 0;
	}
	launch_table_release(t);
	error_set(e, r, EXIT_TARGET, "cannot create the recorder's table: %s", error_strerror(r));
	if (r == -EFBIG)
		error_hint(
			e,
			"the limits on address space and on file sizes leave no room for it: raise "
			"them (ulimit -v, ulimit -f)");
	if (r == -EMFILE)
		error_hint(e, "raise the limit on open files: ulimit -n");
	return r;
}

int launch_table_create(uint32_t image, uint64_t address_space_bytes, struct mode mode,
			struct launch_table *ret, struct error *e)
{
	const struct purpose p = {image, getpid(), address_space_bytes, mode};
	struct launch_table t = LAUNCH_TABLE_INIT;

	return create_or_explain(&p, &t, ret, e);
}

int launch_table_adopt(int fd, int32_t owner, uint64_t address_space_bytes, struct mode mode,
		       struct launch_table *ret, struct error *e)
{
	const struct purpose p = {1, owner, address_space_bytes, mode};
	struct launch_table t = {.fd = fd};

	return create_or_explain(&p, &t, ret, e);
}

void launch_table_release(struct launch_table *t)
{
	if (!t)
		return;
	if (t->header)
		munmap(t->header, sizeof(*t->header));
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct launch_table)LAUNCH_TABLE_INIT;
}

bool launch_table_tick(struct launch_table *t, uint64_t now_ns)
{
	uint64_t ms = (now_ns - t->began_ns) / 1000000;

	wire_clock_set(t->header, ms);
	return ms < WIRE_MS_FINE;
}

void launch_table_fail(struct launch_table *t, const char *why)
{
	snprintf(t->header->status_error, sizeof(t->header->status_error), "%s", why);
	__atomic_store_n(&t->header->state, WIRE_STATE_FAILED, __ATOMIC_RELEASE);
}

void launch_table_status(const struct launch_table *t, struct launch_table_status *ret)
{
	uint32_t state = __atomic_load_n(&t->header->state, __ATOMIC_ACQUIRE);

	ret->state = state <= WIRE_STATE_FAILED ? (enum wire_state)state : WIRE_STATE_NONE;
	memcpy(ret->error, t->header->status_error, sizeof(ret->error));
	ret->error[sizeof(ret->error) - 1] = '\0';
}

static uint32_t *exit_state(const struct launch_table *t, unsigned int where)
{
	return where == LAUNCH_EXIT_BEFORE ? &t->header->exit_before : &t->header->exit_state;
}

void launch_table_ask_exits(struct launch_table *t, unsigned int where)
{
	static const enum launch_exit exits[] = {LAUNCH_EXIT_BEFORE, LAUNCH_EXIT_AFTER};

	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		if (where & exits[i])
			__atomic_store_n(exit_state(t, exits[i]), WIRE_EXIT_ASKED,
					 __ATOMIC_RELEASE);
	}
}

bool launch_table_at_exit(const struct launch_table *t, unsigned int where)
{
	return __atomic_load_n(exit_state(t, where), __ATOMIC_ACQUIRE) == WIRE_EXIT_WAITS;
}

void launch_table_see_exit(struct launch_table *t, unsigned int where, bool may_call)
{
	uint32_t waits = WIRE_EXIT_WAITS;

	__atomic_compare_exchange_n(exit_state(t, where), &waits,
				    may_call ? WIRE_EXIT_SLEEP : WIRE_EXIT_SPIN, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void launch_table_end_exit(struct launch_table *t, unsigned int where)
{
	uint32_t *state = exit_state(t, where);

	__atomic_store_n(state, WIRE_EXIT_GO, __ATOMIC_RELEASE);
	syscall(SYS_futex, state, FUTEX_WAKE, 1, NULL, NULL, 0);
}
