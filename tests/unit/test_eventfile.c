/* file/eventfile: what was written is read; a file made to keep us busy is not followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "file/buffer.h"
#include "file/chunk.h"
#include "file/compress.h"
#include "file/eventfile.h"
#include "file/eventrows.h"

#define CHUNKS 5
#define EVENTS_EACH 100

struct lab {
	int fd;
	char path[64];
};

static void begin(struct lab *l)
{
	l->fd = memfd_create("events", MFD_CLOEXEC);
	assert_true(l->fd >= 0);
	snprintf(l->path, sizeof(l->path), "/proc/self/fd/%d", l->fd);
}

/* CHUNKS chunks of events, finished. */
static void write_file(struct lab *l)
{
	struct eventfile_info info = {.pid = 7, .name = "made", .exe = "/opt/made"};
	struct wire_node nodes[2] = {{.pc = 0}, {.pc = 0x1000}};
	struct wire_event events[EVENTS_EACH] = {0};
	struct eventfile_writer *w;
	struct error e = {0};

	assert_int_equal(eventfile_create(l->path, &info, &w, &e), 0);
	assert_int_equal(eventfile_nodes(w, 0, nodes, 2, &e), 0);
	for (uint32_t c = 0; c < CHUNKS; c++) {
		for (uint32_t i = 0; i < EVENTS_EACH; i++)
			events[i] = (struct wire_event){.seq_kind = (c * EVENTS_EACH + i) << 8,
							.addr = 0x1000 + 16 * i,
							.size = 1,
							.ms = c};
		assert_int_equal(eventfile_add(w, events, EVENTS_EACH, &e), 0);
		assert_int_equal(eventfile_flush(w, c, &e), 0);
	}
	assert_int_equal(eventfile_finish(w, &info, &e), 0);
	assert_int_equal(info.events, CHUNKS * EVENTS_EACH);
	eventfile_free(w);
}

/* How many events it has in all, and whether its index was believed. */
static uint64_t read_file(const struct lab *l, bool *ret_complete)
{
	struct wire_event *room = mem_alloc_array(EVENTFILE_CHUNK_ROWS, sizeof(*room));
	struct error e = {0};
	struct eventfile f;
	uint64_t nr = 0;

	assert_int_equal(eventfile_open(l->path, &f, &e), 0);
	for (size_t c = 0; c < f.nr_chunks; c++)
		nr += eventfile_read(&f, c, room);
	*ret_complete = f.complete;
	eventfile_close(&f);
	free(room);
	return nr;
}

static void test_round_trip(void **state)
{
	struct lab l;
	bool complete;

	(void)state;
	begin(&l);
	write_file(&l);
	assert_int_equal(read_file(&l, &complete), CHUNKS * EVENTS_EACH);
	assert_true(complete);
	assert_int_equal(ftruncate(l.fd, lseek(l.fd, 0, SEEK_END) - 1), 0);
	assert_int_equal(read_file(&l, &complete), CHUNKS * EVENTS_EACH);
	assert_false(complete);
	close(l.fd);
}

/* The file's first chunk of a type. */
static struct event_entry first_chunk(const struct lab *l, uint32_t type)
{
	static uint8_t bytes[1 << 16];
	ssize_t len = pread(l->fd, bytes, sizeof(bytes), 0);
	struct chunk c;

	assert_true(len > 0);
	for (size_t at = FILE_HEADER_BYTES; at < (size_t)len; at += c.bytes) {
		assert_int_equal(chunk_parse(bytes + at, (size_t)len - at, &c), 0);
		if (c.type == type)
			return (struct event_entry){.type = c.type, .rows = c.rows, .offset = at};
	}
	fail();
	return (struct event_entry){0};
}

/* An index in place of the file's own, its checksums right. */
static void put_index(struct lab *l, const struct event_entry *entries, uint32_t nr)
{
	struct packer *packer = packer_new();
	struct buffer raw = {0}, out = {0};
	off_t end = lseek(l->fd, 0, SEEK_END);
	uint8_t tail[TRAILER_BYTES];

	columns_encode(&event_index_layout, entries, nr, &raw);
	assert_int_equal(chunk_build(packer, CHUNK_EVENT_INDEX, 0, nr, &raw, &out), 0);
	memcpy(tail, TRAILER_MAGIC, TRAILER_INDEX_AT);
	put_le64(tail + TRAILER_INDEX_AT, (uint64_t)end);
	put_le64(tail + TRAILER_CHECKSUM_AT, hash_bytes(tail, TRAILER_CHECKSUM_AT));
	assert_int_equal(pwrite(l->fd, out.data, out.len, end), out.len);
	assert_int_equal(pwrite(l->fd, tail, sizeof(tail), end + (off_t)out.len), sizeof(tail));
	buffer_release(&raw);
	buffer_release(&out);
	packer_free(packer);
}

/* A short file could have half a million chunks else, which are all the same one. */
static void test_same_chunk_again(void **state)
{
	struct event_entry entries[3];
	struct lab l;
	bool complete;

	(void)state;
	begin(&l);
	write_file(&l);
	entries[0] = first_chunk(&l, CHUNK_EVENT_INFO);
	entries[1] = entries[2] = first_chunk(&l, CHUNK_EVENTS);
	put_index(&l, entries, 3);
	assert_int_equal(read_file(&l, &complete), CHUNKS * EVENTS_EACH);
	assert_false(complete);
	close(l.fd);
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Cut short, and then so many bytes of places where a chunk could begin. */
static void put_false_chunks(struct lab *l, size_t bytes, uint32_t packed_len)
{
	off_t end = lseek(l->fd, 0, SEEK_END) - 1;
	uint8_t *made = mem_alloc(bytes);

	for (size_t at = 0; at + CHUNK_HEADER_BYTES <= bytes; at += CHUNK_HEADER_BYTES) {
		put_le32(made + at, CHUNK_MAGIC);
		put_le32(made + at + CHUNK_PACKED_AT, packed_len);
	}
	assert_int_equal(pwrite(l->fd, made, bytes, end), bytes);
	free(made);
}

/* Each such place costs little: 130,000 of them took half a minute and more. */
static void test_many_false_chunks(void **state)
{
	static const uint32_t lengths[] = {UINT32_MAX, CHUNK_MAX_RAW};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		double began = cpu_seconds();
		struct lab l;
		bool complete;

		begin(&l);
		write_file(&l);
		put_false_chunks(&l, 4 << 20, lengths[i]);
		assert_int_equal(read_file(&l, &complete), CHUNKS * EVENTS_EACH);
		assert_false(complete);
		assert_true(cpu_seconds() - began < 10);
		close(l.fd);
	}
}

/* A recording of days is finished all the same; its times make the index's rows long. */
static void test_too_many_chunks(void **state)
{
	const uint32_t chunks = 500000;
	struct eventfile_info info = {.pid = 7};
	struct eventfile_writer *w;
	struct error e = {0};
	struct lab l;
	bool complete;

	(void)state;
	begin(&l);
	assert_int_equal(eventfile_create(l.path, &info, &w, &e), 0);
	for (uint32_t c = 0; c < chunks; c++) {
		struct wire_event event = {.seq_kind = c << 8, .ms = c % 2 ? UINT32_MAX : 0};

		assert_int_equal(eventfile_add(w, &event, 1, &e), 0);
		assert_int_equal(eventfile_flush(w, 0, &e), 0);
	}
	assert_int_equal(eventfile_finish(w, &info, &e), 0);
	eventfile_free(w);
	assert_int_equal(read_file(&l, &complete), chunks);
	close(l.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_same_chunk_again),
		cmocka_unit_test(test_many_false_chunks),
		cmocka_unit_test(test_too_many_chunks),
	};

	return cmocka_run_group_tests_name("eventfile", tests, NULL, NULL);
}
