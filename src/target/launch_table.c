/* Making a recorder's table; see launch_table.h. */
#include "target/launch_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

#define PAGE 4096ull
#define MODULES_CAP 4096u
#define CHUNKS_MIN 2u /* the recorder does not go below that */
#define CHUNKS_LEAST_WANTED 1024u
#define RAM_FACTOR 4	      /* address space shadowed, in machine memories: heaps have holes */
#define ADDRESS_SPACE_SHARE 3 /* the table takes a third of a limited address space */

/* Descriptors that a shell script or a program chooses for itself are lower. */
#define FD_BASE 200

_Static_assert(WIRE_CHUNK_BYTES % PAGE == 0, "chunks begin on pages");

static uint64_t place(uint64_t *end, uint64_t bytes, uint64_t align)
{
	uint64_t at = (*end + align - 1) & ~(align - 1);

	*end = at + bytes;
	return at;
}

/* What is not the live table. The file is sparse, so large is the normal case. */
struct caps {
	unsigned int node_bits, index_bits, threads, undo;
};
static const struct caps caps[] = {
	{WIRE_NODE_BITS, 21, WIRE_THREADS_MAX, 4u << 20},
	{22, 20, 2048, 1u << 20},
	{20, 18, 256, 256u << 10},
	{19, 17, 64, 128u << 10},
	{17, 15, 16, 32u << 10},
};

/* Everything in front of the live table. */
static void lay_out(struct wire_header *h, const struct caps *c)
{
	uint64_t end = sizeof(*h);

	h->modules_cap = MODULES_CAP;
	h->nodes_cap = 1u << c->node_bits;
	h->index_bits = c->index_bits;
	h->threads_cap = c->threads;
	h->undo_cap = c->undo;
	h->thread_stride = (sizeof(struct wire_thread) + PAGE - 1) & ~(PAGE - 1);

	h->modules_off = place(&end, h->modules_cap * sizeof(struct wire_module), PAGE);
	h->nodes_off = place(&end, h->nodes_cap * sizeof(struct wire_node), PAGE);
	h->temps_off = place(&end, h->nodes_cap * sizeof(uint32_t), PAGE);
	h->extra_off = place(&end, h->nodes_cap * sizeof(struct wire_extra), PAGE);
	h->index_off = place(&end, sizeof(uint64_t) << h->index_bits, PAGE);
	h->threads_off = place(&end, h->threads_cap * h->thread_stride, PAGE);
	h->undo_off = place(&end, h->undo_cap * sizeof(struct wire_undo), PAGE);
	h->level1_off = place(&end, WIRE_LEVEL1_NR * sizeof(struct wire_level1), PAGE);
	h->dense1_off = place(&end, WIRE_DENSE1_NR * sizeof(uint32_t), PAGE);
	h->chunks_off = place(&end, 0, WIRE_CHUNK_BYTES);
}

static uint64_t wanted_chunks(uint64_t ram_bytes)
{
	uint64_t nr = (ram_bytes >> WIRE_SPAN_SHIFT) * RAM_FACTOR;

	return nr < CHUNKS_LEAST_WANTED ? CHUNKS_LEAST_WANTED
	       : nr > WIRE_CHUNKS_MAX	? WIRE_CHUNKS_MAX
					: nr;
}

int launch_table_layout(struct wire_header *h, uint64_t ram_bytes, uint64_t limit_bytes)
{
	const size_t last = sizeof(caps) / sizeof(caps[0]) - 1;
	uint64_t chunks;

	for (size_t i = 0; i <= last; i++) {
		lay_out(h, &caps[i]);
		if (h->chunks_off <= limit_bytes / 2)
			break;
	}
	if (limit_bytes < h->chunks_off + CHUNKS_MIN * WIRE_CHUNK_BYTES)
		return -EFBIG;
	chunks = (limit_bytes - h->chunks_off) / WIRE_CHUNK_BYTES;
	if (chunks > wanted_chunks(ram_bytes))
		chunks = wanted_chunks(ram_bytes);
	h->chunks_cap = (uint32_t)chunks;
	h->file_bytes = h->chunks_off + chunks * WIRE_CHUNK_BYTES;
	return 0;
}

/* A free descriptor number that the name can carry before the file exists. */
static int free_number(void)
{
	int any = memfd_create("", MFD_CLOEXEC), number;

	if (any < 0)
		return -errno;
	number = fcntl(any, F_DUPFD_CLOEXEC, FD_BASE);
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

/* How large the file may be: RLIMIT_FSIZE counts, though nothing goes to a disk. */
static uint64_t room(const struct rlimit *file, uint64_t address_space_bytes)
{
	uint64_t limit = file->rlim_max == RLIM_INFINITY ? INT64_MAX : file->rlim_max;

	if (address_space_bytes != RLIM_INFINITY &&
	    address_space_bytes / ADDRESS_SPACE_SHARE < limit)
		limit = address_space_bytes / ADDRESS_SPACE_SHARE;
	return limit;
}

static int set_size(int fd, uint64_t address_space_bytes, struct wire_header *head)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct rlimit old, lifted;
	int r;

	if (getrlimit(RLIMIT_FSIZE, &old) < 0)
		return -errno;
	r = launch_table_layout(head, ram, room(&old, address_space_bytes));
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

/* The magic comes last: nobody takes a half-written header for a table. */
static void fill_header(struct wire_header *h, const struct wire_header *layout, uint32_t image,
			uint64_t began_ns)
{
	/* What is behind stays a hole of the sparse file. */
	memcpy(h, layout, offsetof(struct wire_header, chunk_base));
	h->version = WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->launcher_pid = getpid();
	h->image = image;
	h->began_monotonic_ns = began_ns;
	__atomic_store_n(&h->magic, WIRE_MAGIC, __ATOMIC_RELEASE);
}

static int create(uint32_t image, uint64_t address_space_bytes, struct wire_header *layout,
		  struct launch_table *t)
{
	int r;

	t->fd = open_named();
	if (t->fd < 0)
		return t->fd;
	r = set_size(t->fd, address_space_bytes, layout);
	if (r < 0)
		return r;
	t->header = mmap(NULL, sizeof(*t->header), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->header == MAP_FAILED) {
		t->header = NULL;
		return -errno;
	}
	t->began_ns = monotonic_ns();
	fill_header(t->header, layout, image, t->began_ns);
	return 0;
}

int launch_table_create(uint32_t image, uint64_t address_space_bytes, struct launch_table *ret,
			struct error *e)
{
	struct wire_header *layout = mmap(NULL, sizeof(*layout), PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct launch_table t = LAUNCH_TABLE_INIT;
	int r = -ENOMEM;

	if (layout != MAP_FAILED) {
		r = create(image, address_space_bytes, layout, &t);
		munmap(layout, sizeof(*layout));
	}
	if (r == 0) {
		*ret = t;
		return 0;
	}
	launch_table_release(&t);
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

	__atomic_store_n(&t->header->time_bits,
			 (uint64_t)wire_time_encode(ms) << WIRE_SLOT_TIME_SHIFT, __ATOMIC_RELAXED);
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
