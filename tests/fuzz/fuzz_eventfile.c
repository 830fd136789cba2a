/*
 * A file of events in which anything was changed, its checksums put right again: it is refused, or
 * what is read of it is sound. The input is a list of changes: where, and what to write there.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "driver.h"
#include "file/eventfile.h"
#include "file/layout.h"

#define FILE_MAX (1u << 16)

struct change {
	uint8_t at[2], value;
};

static uint8_t made[FILE_MAX];
static size_t made_bytes;
static int fd;
static char path[64];

/* Numbers that do not compress: their columns stand in the file as they are. */
static void write_one(void)
{
	struct eventfile_info info = {.pid = 7, .name = "made", .exe = "/opt/made"};
	struct wire_event events[40] = {0};
	struct wire_node nodes[20] = {0};
	struct wire_module modules[2] = {{.state = WIRE_MODULE_LOADED, .path = "/opt/lib.so"}};
	struct eventfile_writer *w;
	uint64_t random = 88172645463325252ull;

	for (uint32_t i = 0; i < 20; i++)
		nodes[i] = (struct wire_node){.pc = fuzz_random(&random) & WIRE_PC_MASK,
					      .parent = i ? (uint32_t)fuzz_random(&random) % i : 0};
	for (uint32_t i = 0; i < 40; i++)
		events[i] = (struct wire_event){.seq_kind = (uint64_t)i << 8 | (i % 6),
						.addr = fuzz_random(&random),
						.size = fuzz_random(&random),
						.node = i % 20,
						.ms = i};
	FUZZ_MUST(eventfile_create(path, &info, &w, NULL) == 0);
	FUZZ_MUST(eventfile_nodes(w, 0, nodes, 20, NULL) == 0);
	FUZZ_MUST(eventfile_modules(w, modules, 2, NULL) == 0);
	FUZZ_MUST(eventfile_add(w, events, 20, NULL) == 0);
	FUZZ_MUST(eventfile_flush(w, 0, NULL) == 0);
	FUZZ_MUST(eventfile_add(w, events + 20, 20, NULL) == 0);
	FUZZ_MUST(eventfile_finish(w, &info, NULL) == 0);
	eventfile_free(w);
	FUZZ_MUST(info.events == 40);
	made_bytes = (size_t)lseek(fd, 0, SEEK_END);
	FUZZ_MUST(made_bytes > 500 && made_bytes <= FILE_MAX);
	FUZZ_MUST(pread(fd, made, made_bytes, 0) == (ssize_t)made_bytes);
}

/* Of what still looks like a chunk. */
static void reseal(uint8_t *file, size_t len)
{
	put_le64(file + FILE_CHECKSUM_AT, hash_bytes(file, FILE_CHECKSUM_AT));
	for (size_t at = FILE_HEADER_BYTES; at + CHUNK_MIN_BYTES <= len; at++) {
		size_t hashed = CHUNK_HEADER_BYTES + (size_t)get_le32(file + at + CHUNK_PACKED_AT);

		if (get_le32(file + at) != CHUNK_MAGIC || hashed > len - at - CHUNK_CHECKSUM_BYTES)
			continue;
		put_le64(file + at + hashed, hash_bytes(file + at, hashed));
		at += hashed;
	}
}

static void read_all(void)
{
	static struct wire_event room[EVENTFILE_CHUNK_ROWS];
	struct error e = {0};
	struct eventfile f;

	if (eventfile_open(path, &f, &e) < 0) {
		FUZZ_MUST(*e.message);
		return;
	}
	FUZZ_MUST(memchr(f.info.name, 0, sizeof(f.info.name)));
	for (size_t i = 1; i < f.nr_nodes; i++)
		FUZZ_MUST(f.nodes[i].parent < i);
	for (size_t i = 0; i < f.nr_modules; i++)
		FUZZ_MUST(memchr(f.modules[i].path, 0, WIRE_PATH_MAX));
	for (size_t c = 0; c < f.nr_chunks; c++) {
		size_t nr = eventfile_read(&f, c, room);

		FUZZ_MUST(nr <= EVENTFILE_CHUNK_ROWS);
		for (size_t i = 0; i < nr; i++) {
			FUZZ_MUST(!room[i].node || room[i].node < f.nr_nodes);
			FUZZ_MUST((room[i].seq_kind & 0xff) < WIRE_EVENT_KINDS);
		}
	}
	eventfile_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_MAX];
	struct change c;
	size_t len;

	if (!made_bytes) {
		fd = memfd_create("events", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		write_one();
		read_all();
	}
	memcpy(file, made, made_bytes);
	len = size && data[0] % 4 == 0 ? made_bytes - data[0] : made_bytes; /* cut short */
	for (size_t i = 1; i + sizeof(c) <= size; i += sizeof(c)) {
		memcpy(&c, data + i, sizeof(c));
		file[(c.at[0] | c.at[1] << 8) % made_bytes] = c.value;
	}
	if (!size || data[0] % 8)
		reseal(file, len);
	FUZZ_MUST(ftruncate(fd, 0) == 0 && pwrite(fd, file, len, 0) == (ssize_t)len);
	read_all();
	return 0;
}
