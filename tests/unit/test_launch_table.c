/* target/launch_table: where things lie in a table, what others can do to it, and its clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/launch_table.h"

#define GIB (1ull << 30)

static const struct mode lite = {WIRE_MODE_LITE, 0};

/* Areas in the order of the file: each begins on a page and ends before the next one begins. */
static void check_layout(const struct wire_header *h)
{
	const uint64_t nodes = h->nodes_cap;
	const uint64_t areas[][2] = {
		{0, sizeof(*h)},
		{h->modules_off, h->modules_cap * sizeof(struct wire_module)},
		{h->nodes_off, nodes * sizeof(struct wire_node)},
		{h->counts_off, nodes * sizeof(struct wire_count)},
		{h->extra_off, nodes * sizeof(struct wire_extra)},
		{h->index_off, sizeof(uint64_t) << h->index_bits},
		{h->threads_off, h->threads_cap * h->thread_stride},
		{h->undo_off, h->undo_cap * sizeof(struct wire_undo)},
		{h->known_off, h->chunks_cap * WIRE_CHUNK_BYTES / 8 / 8},
		{h->marks_off, h->marks_cap * sizeof(struct wire_mark)},
		{h->tags_off, h->tags_cap * sizeof(struct wire_tag)},
		{h->pools_off, wire_pool_first(h->pool_levels) * sizeof(struct wire_pool_row)},
		{h->rings_off, h->rings_cap * h->ring_stride},
		{h->level1_off, WIRE_LEVEL1_NR * sizeof(struct wire_level1)},
		{h->dense1_off, WIRE_DENSE1_NR * sizeof(uint32_t)},
		{h->chunks_off, h->chunks_cap * WIRE_CHUNK_BYTES},
	};
	uint64_t end = 0;

	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		assert_int_equal(areas[i][0] % 4096, 0);
		assert_true(areas[i][0] >= end);
		assert_true(areas[i][1] > 0);
		end = areas[i][0] + areas[i][1];
	}
	assert_int_equal(end, h->file_bytes);
	assert_int_equal(h->chunks_off % WIRE_CHUNK_BYTES, 0);
	assert_int_equal(h->thread_stride % 4096, 0);
	assert_true(h->thread_stride >= sizeof(struct wire_thread));
	assert_true(h->nodes_cap <= 1u << WIRE_NODE_BITS);
	assert_true(h->threads_cap <= WIRE_THREADS_MAX);
	assert_true(h->chunks_cap <= WIRE_CHUNKS_MAX);
}

static struct wire_header *layout(uint64_t ram_bytes, uint64_t limit_bytes)
{
	struct wire_header *h = aligned_alloc(_Alignof(struct wire_header), sizeof(*h));

	assert_non_null(h);
	memset(h, 0, sizeof(*h));
	assert_int_equal(launch_table_layout(h, ram_bytes, limit_bytes), 0);
	check_layout(h);
	assert_true(h->file_bytes <= limit_bytes);
	return h;
}

static uint32_t chunks_for(uint64_t ram_bytes)
{
	struct wire_header *h = layout(ram_bytes, INT64_MAX);
	uint32_t chunks = h->chunks_cap;

	assert_int_equal(h->nodes_cap, 1u << 24);
	assert_int_equal(h->threads_cap, WIRE_THREADS_MAX);
	free(h);
	return chunks;
}

static void live_table_follows_the_memory(void **state)
{
	(void)state;
	assert_int_equal(chunks_for(0), 1024);
	assert_int_equal(chunks_for(GIB), 1024);
	assert_int_equal(chunks_for(64 * GIB), 4096);
	assert_int_equal(chunks_for(1 << 20 | 64 * GIB), 4096);
	assert_int_equal(chunks_for(UINT64_MAX), WIRE_CHUNKS_MAX);
}

static void little_room_makes_small_tables(void **state)
{
	struct wire_header *much = layout(16 * GIB, 8 * GIB), *some = layout(16 * GIB, 2 * GIB),
			   *little = layout(16 * GIB, GIB / 4);

	(void)state;
	assert_true(some->nodes_cap < much->nodes_cap);
	assert_true(little->nodes_cap < some->nodes_cap);
	assert_true(little->threads_cap >= 64);
	assert_true(little->chunks_cap >= 4);
	assert_int_equal(launch_table_layout(little, 16 * GIB, 1 << 20), -EFBIG);
	assert_int_equal(launch_table_layout(little, 16 * GIB, 0), -EFBIG);
	free(much);
	free(some);
	free(little);
}

static struct launch_table create(uint32_t image)
{
	struct launch_table t;
	struct error e = {0};

	if (launch_table_create(image, RLIM_INFINITY, lite, &t, &e) < 0)
		fail_msg("%s", e.message);
	return t;
}

static void header_says_who_and_when(void **state)
{
	struct launch_table t = create(3);
	const struct wire_header *h = t.header;

	(void)state;
	assert_int_equal(h->magic, WIRE_MAGIC);
	assert_int_equal(h->version, WIRE_VERSION);
	assert_int_equal(h->header_bytes, sizeof(*h));
	assert_int_equal(h->launcher_pid, getpid());
	assert_int_equal(h->image, 3);
	assert_int_equal(h->began_monotonic_ns, t.began_ns);
	assert_int_equal(h->state, WIRE_STATE_NONE);
	assert_int_equal(h->time_bits, 0);
	check_layout(h);
	launch_table_release(&t);
	launch_table_release(&t);
	launch_table_release(NULL);
}

static void name_carries_pid_and_descriptor(void **state)
{
	struct launch_table a = create(1), b = create(1);
	char link[64], target[128], wanted[128];
	ssize_t len;

	(void)state;
	assert_int_not_equal(a.fd, b.fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", b.fd);
	snprintf(wanted, sizeof(wanted), "/memfd:seep-rec.%d.%d (deleted)", (int)getpid(), b.fd);
	len = readlink(link, target, sizeof(target) - 1);
	assert_true(len > 0);
	target[len] = '\0';
	assert_string_equal(target, wanted);
	assert_int_equal(fcntl(b.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	launch_table_release(&a);
	launch_table_release(&b);
}

static void nobody_changes_its_size(void **state)
{
	struct launch_table t = create(1);
	struct stat st;
	int seals = fcntl(t.fd, F_GET_SEALS);

	(void)state;
	assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(seals & F_SEAL_WRITE, 0);
	assert_int_equal(ftruncate(t.fd, 0), -1);
	assert_int_equal(fstat(t.fd, &st), 0);
	assert_int_equal(st.st_size, t.header->file_bytes);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true((uint64_t)st.st_blocks * 512 < 1 << 20);
	launch_table_release(&t);
}

static void clock_follows_the_code_of_the_wire(void **state)
{
	const uint64_t second = 1000000000;
	struct launch_table t = create(1);

	(void)state;
	assert_true(launch_table_tick(&t, t.began_ns + 10 * second));
	assert_int_equal(t.header->time_bits, (uint64_t)wire_time_encode(10000)
						      << WIRE_SLOT_TIME_SHIFT);
	assert_int_equal(
		wire_time_decode_ms((uint32_t)(t.header->time_bits >> WIRE_SLOT_TIME_SHIFT)),
		10000);
	assert_true(launch_table_tick(&t, t.began_ns + 34 * 60 * second));
	assert_false(launch_table_tick(&t, t.began_ns + 36 * 60 * second));
	launch_table_release(&t);
}

static void status_of_a_hostile_recorder_is_text(void **state)
{
	struct launch_table t = create(1);
	struct launch_table_status status;

	(void)state;
	t.header->state = 12345;
	launch_table_status(&t, &status);
	assert_int_equal(status.state, WIRE_STATE_NONE);
	t.header->state = WIRE_STATE_FAILED;
	memset(t.header->status_error, 'x', sizeof(t.header->status_error));
	launch_table_status(&t, &status);
	assert_int_equal(status.state, WIRE_STATE_FAILED);
	assert_int_equal(strlen(status.error), sizeof(t.header->status_error) - 1);
	launch_table_release(&t);
}

/* In a child, because a hard limit cannot be taken back. */
static int with_file_limit(rlim_t soft, rlim_t hard, struct error *e)
{
	struct rlimit limit = {soft, hard}, after;
	struct launch_table t;
	int r;

	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return -1;
	r = launch_table_create(1, RLIM_INFINITY, lite, &t, e);
	if (getrlimit(RLIMIT_FSIZE, &after) < 0 || after.rlim_cur != soft)
		return -2;
	if (r < 0)
		return r;
	return t.header->file_bytes <= hard ? 0 : -3;
}

static int in_a_child(rlim_t soft, rlim_t hard)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct error e = {0};
		int r = with_file_limit(soft, hard, &e);

		_exit(r < 0 ? (e.hint[0] ? -r : 200 - r) : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void file_size_limits_count(void **state)
{
	(void)state;
	assert_int_equal(in_a_child(4096, RLIM_INFINITY), 0);
	assert_int_equal(in_a_child(4096, 3 * GIB), 0);
	assert_int_equal(in_a_child(4096, 4096), EFBIG);
}

static void limited_address_space_is_respected(void **state)
{
	struct launch_table t;
	struct error e = {0};

	(void)state;
	assert_int_equal(launch_table_create(1, 3 * GIB, lite, &t, &e), 0);
	assert_true(t.header->file_bytes <= GIB);
	launch_table_release(&t);
	assert_int_equal(launch_table_create(1, 1 << 20, lite, &t, &e), -EFBIG);
	assert_int_equal(e.status, EXIT_TARGET);
	assert_non_null(strstr(e.hint, "ulimit -v"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_table_follows_the_memory),
		cmocka_unit_test(little_room_makes_small_tables),
		cmocka_unit_test(header_says_who_and_when),
		cmocka_unit_test(name_carries_pid_and_descriptor),
		cmocka_unit_test(nobody_changes_its_size),
		cmocka_unit_test(clock_follows_the_code_of_the_wire),
		cmocka_unit_test(status_of_a_hostile_recorder_is_text),
		cmocka_unit_test(file_size_limits_count),
		cmocka_unit_test(limited_address_space_is_respected),
	};

	return cmocka_run_group_tests_name("launch_table", tests, NULL, NULL);
}
