/* The .seep file: what is written comes back, or what is missing is told; nothing crashes a reader.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/io.h"
#include "base/str.h"
#include "file/seepfile.h"
#include "forge.h"
#include "sample_snapshot.h"

static char folder[] = "/tmp/seepfile-XXXXXX";

static char *in_folder(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static size_t count_files(void)
{
	DIR *d = opendir(folder);
	size_t nr = 0;

	while (readdir(d))
		nr++;
	closedir(d);
	return nr - 2;
}

static int remove_folder(void **state)
{
	DIR *d = opendir(folder);
	struct dirent *entry;

	(void)state;
	while ((entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	return rmdir(folder);
}

/* The file of a snapshot, as bytes. */
static void file_bytes(const struct snapshot *s, struct str *out)
{
	char *path = in_folder("bytes.seep");
	struct error e;

	assert_int_equal(seepfile_write(s, path, &e), 0);
	str_clear(out);
	assert_int_equal(io_read_file(path, SIZE_MAX, out), 0);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void round_trip(const struct snapshot *s)
{
	char *path = in_folder("round.seep");
	struct seepfile_damage damage;
	struct snapshot back;
	struct stat st;
	struct error e;

	assert_int_equal(seepfile_write(s, path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(seepfile_read(path, &back, &damage, &e), 0);
	assert_false(damage.damaged);
	assert_int_equal(damage.chunks_bad, 0);
	assert_string_equal(damage.what, "");
	assert_null(sample_difference(s, &back));
	snapshot_release(&back);
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	assert_null(sample_difference(s, &back));
	snapshot_release(&back);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void test_round_trip_rich(void **state)
{
	struct snapshot s;

	(void)state;
	sample_make(&s, 200, 100, 1000);
	round_trip(&s);
	s.has_recorder = s.symbols_resolved = s.losses.torn = false;
	round_trip(&s);
	s.at_exit = false;
	s.blocks[17].addr = UINT64_MAX;
	s.blocks[18].size = UINT64_MAX;
	s.stacks[3].total_bytes = UINT64_MAX;
	snapshot_sum(&s);
	round_trip(&s);
	snapshot_release(&s);
}

static void test_round_trip_empty(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	round_trip(&s);
	snapshot_release(&s);
}

/* Arrays that need several chunks, and just not. */
static void test_round_trip_many_rows(void **state)
{
	struct snapshot s;

	(void)state;
	sample_make(&s, 70000, 66000, CHUNK_MAX_ROWS * 2 + 1);
	round_trip(&s);
	snapshot_release(&s);
	sample_make(&s, 20, 10, CHUNK_MAX_ROWS);
	round_trip(&s);
	snapshot_release(&s);
}

static void test_round_trip_long_texts(void **state)
{
	char *text = mem_alloc(CHUNK_MAX_TEXT + 2);
	struct str bytes = STR_INIT;
	struct snapshot s, back;
	struct error e;
	uint32_t id;

	(void)state;
	sample_make(&s, 20, 10, 20);
	for (size_t len = CHUNK_MAX_TEXT; len > CHUNK_MAX_TEXT - 4; len--) {
		memset(text, (int)('a' + len % 26), len);
		text[len] = '\0';
		strings_add(&s.strings, text);
	}
	round_trip(&s);
	memset(text, 'z', CHUNK_MAX_TEXT + 1);
	id = strings_add(&s.strings, text);
	file_bytes(&s, &bytes);
	assert_int_equal(seepfile_read_bytes(bytes.data, bytes.len, "x", &back, NULL, &e), 0);
	assert_int_equal(strlen(strings_get(&back.strings, id)), CHUNK_MAX_TEXT);
	snapshot_release(&back);
	snapshot_release(&s);
	str_release(&bytes);
	free(text);
}

/* Every row that is there is either the original one or says "unknown". */
static void assert_part_of(const struct snapshot *part, const struct snapshot *whole)
{
	size_t at = 0;

	assert_int_equal(snapshot_check(part, NULL), 0);
	assert_true(part->strings.nr <= whole->strings.nr);
	for (uint32_t i = 0; i < part->strings.nr; i++)
		if (*strings_get(&part->strings, i))
			assert_string_equal(strings_get(&part->strings, i),
					    strings_get(&whole->strings, i));
	assert_true(part->nr_stacks <= whole->nr_stacks);
	for (size_t i = 0; i < part->nr_stacks; i++)
		if (part->stacks[i].id)
			assert_memory_equal(&part->stacks[i], &whole->stacks[i],
					    sizeof(part->stacks[i]));
	assert_true(part->nr_nodes <= whole->nr_nodes);
	for (size_t i = 0; i < part->nr_nodes; i++)
		if (part->nodes[i].special != FRAME_UNKNOWN_STACK)
			assert_int_equal(part->nodes[i].parent, whole->nodes[i].parent);
	for (size_t i = 0; i < part->nr_blocks; i++) {
		while (at < whole->nr_blocks && whole->blocks[at].addr != part->blocks[i].addr)
			at++;
		assert_true(at < whole->nr_blocks);
		assert_int_equal(part->blocks[i].size, whole->blocks[at].size);
		assert_int_equal(part->blocks[i].stack, whole->blocks[at].stack);
	}
}

/* Reads; success must be told apart from damage. True: there is a (partial) snapshot in *back. */
static bool read_part(const void *data, size_t len, const struct snapshot *whole,
		      struct snapshot *back, struct seepfile_damage *damage)
{
	struct error e = {0};
	int err = seepfile_read_bytes(data, len, "x", back, damage, &e);

	if (err) {
		assert_true(err < 0);
		assert_int_equal(e.status, EXIT_FILE);
		assert_non_null(strstr(e.message, "'x'"));
		return false;
	}
	if (damage->damaged) {
		assert_true(damage->what[0]);
		assert_part_of(back, whole);
	} else {
		assert_null(sample_difference(whole, back));
	}
	return true;
}

static void test_cut_at_every_byte(void **state)
{
	struct str bytes = STR_INIT;
	struct snapshot s, back;
	size_t blocks = 0, stacks = 0, readable = 0;

	(void)state;
	sample_make(&s, 20, 10, 40);
	file_bytes(&s, &bytes);
	for (size_t len = 0; len < bytes.len; len++) {
		struct seepfile_damage damage;
		/* a copy of just this length, so that a sanitizer sees reads beyond it */
		void *copy = memcpy(mem_alloc(len), bytes.data, len);

		if (read_part(copy, len, &s, &back, &damage)) {
			assert_true(damage.damaged);
			assert_true(damage.chunks_bad > 0 || len > bytes.len - TRAILER_BYTES - 200);
			assert_true(back.nr_blocks >= blocks && back.nr_stacks >= stacks);
			blocks = back.nr_blocks;
			stacks = back.nr_stacks;
			readable++;
			snapshot_release(&back);
		} else {
			assert_int_equal(readable, 0);
		}
		free(copy);
	}
	/* once the first chunk is whole, there is always something to read */
	assert_true(readable > bytes.len * 2 / 3);
	assert_int_equal(blocks, s.nr_blocks);
	assert_int_equal(stacks, s.nr_stacks);
	snapshot_release(&s);
	str_release(&bytes);
}

static void test_every_bit_flipped(void **state)
{
	struct str bytes = STR_INIT;
	struct snapshot s, back;
	size_t told = 0;

	(void)state;
	sample_make(&s, 4, 3, 6);
	file_bytes(&s, &bytes);
	for (size_t bit = 0; bit < bytes.len * 8; bit++) {
		struct seepfile_damage damage = {0};

		bytes.data[bit / 8] ^= (char)(1 << bit % 8);
		if (read_part(bytes.data, bytes.len, &s, &back, &damage))
			snapshot_release(&back);
		else
			damage.damaged = true;
		told += damage.damaged;
		bytes.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(told, bytes.len * 8);
	snapshot_release(&s);
	str_release(&bytes);
}

/* Spoils one byte in the middle of the nr-th chunk of the type. */
static void spoil(struct str *bytes, uint32_t type, int nr)
{
	size_t at = FILE_HEADER_BYTES;
	struct chunk c;

	for (;; at += c.bytes) {
		const uint8_t *data = (const uint8_t *)bytes->data + at;

		assert_int_equal(chunk_parse(data, bytes->len - at, &c), 0);
		if (c.type == type && !nr--)
			break;
	}
	bytes->data[at + CHUNK_HEADER_BYTES + c.packed_len / 2] ^= 0x10;
}

static void read_spoilt(const struct snapshot *s, uint32_t type, int nr, const char *says,
			struct snapshot *back)
{
	struct seepfile_damage damage;
	struct str bytes = STR_INIT;
	struct error e;

	file_bytes(s, &bytes);
	spoil(&bytes, type, nr);
	assert_true(read_part(bytes.data, bytes.len, s, back, &damage));
	assert_true(damage.damaged);
	assert_int_equal(damage.chunks_bad, 1);
	assert_string_equal(damage.what, says);
	snapshot_release(back);
	assert_int_equal(seepfile_read_bytes(bytes.data, bytes.len, "x", back, NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.message, says));
	assert_int_equal(seepfile_read_bytes(bytes.data, bytes.len, "x", back, &damage, &e), 0);
	str_release(&bytes);
}

static void test_one_chunk_lost(void **state)
{
	struct snapshot s, back;

	(void)state;
	sample_make(&s, 70000, 66000, CHUNK_MAX_ROWS * 2 + 100);
	read_spoilt(&s, FOURCC('B', 'L', 'K', 'S'), 1,
		    "damaged, 16 of 17 chunks are left: 65,536 of 131,172 blocks missing", &back);
	assert_int_equal(back.nr_blocks, CHUNK_MAX_ROWS + 100);
	assert_int_equal(back.blocks[CHUNK_MAX_ROWS].addr, s.blocks[CHUNK_MAX_ROWS * 2].addr);
	snapshot_release(&back);

	/* what others refer to keeps its number */
	read_spoilt(&s, FOURCC('N', 'O', 'D', 'E'), 0,
		    "damaged, 16 of 17 chunks are left: 65,536 of 70,004 stack nodes missing",
		    &back);
	assert_int_equal(back.nr_nodes, s.nr_nodes);
	assert_int_equal(back.nodes[0].special, FRAME_NONE);
	assert_int_equal(back.nodes[9].special, FRAME_UNKNOWN_STACK);
	assert_int_equal(back.nodes[65536].frame, s.nodes[65536].frame);
	assert_true(back.totals.live_bytes == s.totals.live_bytes);
	snapshot_release(&back);

	read_spoilt(&s, FOURCC('S', 'T', 'K', 'S'), 1,
		    "damaged, 16 of 17 chunks are left: 464 of 66,000 stacks missing", &back);
	assert_int_equal(back.nr_stacks, s.nr_stacks);
	assert_int_equal(back.nr_blocks, s.nr_blocks);
	assert_int_equal(back.stacks[65999].live_blocks, 0);
	snapshot_release(&back);

	read_spoilt(&s, CHUNK_META, 0, "damaged, 16 of 17 chunks are left: no data missing", &back);
	assert_null(sample_difference(&s, &back));
	snapshot_release(&back);
	snapshot_release(&s);
}

/* Takes the file of a small snapshot apart; *s is what it held. */
static void start_forgery(struct forge *f, struct snapshot *s)
{
	struct str bytes = STR_INIT;

	sample_make(s, 12, 8, 20);
	file_bytes(s, &bytes);
	assert_true(forge_take(f, (const uint8_t *)bytes.data, bytes.len));
	str_release(&bytes);
}

static void test_unknown_chunks_are_skipped(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	forge_add(&f, FOURCC('N', 'E', 'W', '!'), 0, 7, "what later seeps write", 22);
	forge_make(&f, &file);
	assert_true(read_part(file.data, file.len, &s, &back, &damage));
	assert_false(damage.damaged);
	snapshot_release(&back);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

static void test_unknown_columns_are_skipped(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	columns_add_bytes(&forge_find(&f, FOURCC('B', 'L', 'K', 'S'))->raw, 99, COLUMN_BYTES,
			  "0123456789", 10);
	columns_add_bytes(&forge_find(&f, CHUNK_META)->raw, 999, COLUMN_VARINT, "\x01", 1);
	forge_make(&f, &file);
	assert_true(read_part(file.data, file.len, &s, &back, &damage));
	assert_false(damage.damaged);
	snapshot_release(&back);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

/* Lies with right checksums; returns false when there are no more. */
static bool lie(struct forge *f, int nr)
{
	struct forge_chunk *blocks = forge_find(f, FOURCC('B', 'L', 'K', 'S'));
	struct forge_chunk *strings = forge_find(f, CHUNK_STRINGS);
	struct forge_chunk *meta = forge_find(f, CHUNK_META);
	struct buffer *raw = &blocks->raw;

	switch (nr) {
	case 0:
		blocks->rows = UINT32_MAX;
		return true;
	case 1:
		blocks->rows--;
		return true;
	case 2:
		blocks->first_row = UINT64_MAX;
		return true;
	case 3: /* an array that starts beyond its end */
		blocks->first_row = 1u << 30;
		return true;
	case 4: /* a column longer than the payload */
		put_le32(raw->data + 4, UINT32_MAX);
		return true;
	case 5: /* numbers that never end */
		memset(raw->data + COLUMN_HEADER_BYTES, 0xff, raw->len - COLUMN_HEADER_BYTES);
		return true;
	case 6: /* no columns at all */
		raw->len = 0;
		return true;
	case 7: /* a bomb: far more bytes than 20 rows can need */
		raw->len = 0;
		memset(buffer_reserve(raw, CHUNK_MAX_RAW), 0, CHUNK_MAX_RAW);
		raw->len = CHUNK_MAX_RAW;
		return true;
	case 8: /* a text with a NUL inside */
		strings->raw.data[strings->raw.len - 1] = '\0';
		return true;
	case 9: /* lengths do not add up */
		strings->raw.len--;
		return true;
	case 10:
		meta->rows = 0;
		return true;
	case 11: /* the same rows twice */
		forge_add(f, blocks->type, 0, blocks->rows, raw->data, raw->len);
		return true;
	case 12: /* 2^40 rows out of nowhere */
		strings->first_row = 1ull << 40;
		return true;
	default:
		return false;
	}
}

static void test_lies_are_seen(void **state)
{
	int nr = 0;

	(void)state;
	for (bool more = true; more; nr++) {
		struct seepfile_damage damage = {0};
		struct buffer file = {0};
		struct snapshot s, back;
		struct forge f;

		start_forgery(&f, &s);
		more = lie(&f, nr);
		forge_make(&f, &file);
		if (read_part(file.data, file.len, &s, &back, &damage)) {
			assert_int_equal(damage.damaged, more);
			snapshot_release(&back);
		}
		buffer_release(&file);
		forge_release(&f);
		snapshot_release(&s);
	}
	assert_int_equal(nr, 14);
}

static void test_contradictions_are_refused(void **state)
{
	struct seepfile_damage damage;
	struct buffer file = {0};
	struct snapshot s, back;
	struct error e;
	struct forge f;

	(void)state;
	start_forgery(&f, &s);
	s.blocks[3].stack = 8;
	forge_find(&f, FOURCC('B', 'L', 'K', 'S'))->raw.len = 0;
	columns_encode(&tables[TABLE_BLOCKS].rows, s.blocks, s.nr_blocks,
		       &forge_find(&f, FOURCC('B', 'L', 'K', 'S'))->raw);
	forge_make(&f, &file);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "x", &back, &damage, &e),
			 -EBADMSG);
	assert_string_equal(e.message, "cannot read snapshot 'x': it contradicts itself: "
				       "block 3 refers to stack 8, but there are 8");
	/* nor are they written */
	assert_int_equal(seepfile_write(&s, "/dev/null", &e), -EINVAL);
	assert_int_equal(e.status, EXIT_INTERNAL);
	buffer_release(&file);
	forge_release(&f);
	snapshot_release(&s);
}

static void test_newer_version(void **state)
{
	struct buffer file = {0};
	struct snapshot back;
	struct error e;

	(void)state;
	forge_header(&file, SEEPFILE_VERSION + 1);
	buffer_add(&file, "whatever comes then", 19);
	assert_int_equal(seepfile_read_bytes(file.data, file.len, "one.seep", &back, NULL, &e),
			 -ENOTSUP);
	assert_string_equal(e.message, "snapshot 'one.seep' was written by a newer seep (format 2, "
				       "this one reads up to 1)");
	assert_int_equal(e.status, EXIT_FILE);
	buffer_release(&file);
}

static void refuse_bytes(const char *bytes, size_t len, const char *says)
{
	struct snapshot back;
	struct error e;

	assert_true(seepfile_read_bytes(bytes, len, "x", &back, NULL, &e) < 0);
	assert_int_equal(e.status, EXIT_FILE);
	assert_non_null(strstr(e.message, says));
	assert_true(e.hint[0] || strstr(says, "cut short"));
}

#define REFUSE(bytes, says) refuse_bytes(bytes, sizeof(bytes) - 1, says)

static void test_foreign_files(void **state)
{
	static const char zeroes[100];
	char core[64] = "\x7f"
			"ELF\x02\x01";

	(void)state;
	REFUSE("", "the file is empty");
	REFUSE("\x89", "cut short after 1 bytes");
	REFUSE("\x89SEEP\r\n\x1a\x01", "cut short after 9 bytes");
	REFUSE("\x89SEEP\n\x1a.............................", "changed on its way");
	REFUSE("hello, I am a text file and nothing else", "text file");
	REFUSE("{ \"schema\": \"something else, but long enough\" }", "JSON");
	REFUSE("{}", "JSON");
	REFUSE("v 10400 3\nx /usr/bin/something\n and so on and on", "heaptrack");
	REFUSE("\x1f\x8b\x08....................................", "gzip");
	REFUSE("\x28\xb5\x2f\xfd....................................", "zstd");
	REFUSE("\x01\x02\x03\x04....................................", "not a seep file");
	refuse_bytes(zeroes, sizeof(zeroes), "zeroes");
	refuse_bytes(core, sizeof(core), "ELF program or library");
	core[16] = 4;
	refuse_bytes(core, sizeof(core), "core file");
	core[5] = 2;
	core[16] = 0;
	core[17] = 4;
	refuse_bytes(core, sizeof(core), "core file");
}

static void refuse_path(const char *path, int err, const char *says)
{
	struct snapshot back;
	struct error e;

	assert_int_equal(seepfile_read(path, &back, NULL, &e), err);
	assert_int_equal(e.status, EXIT_FILE);
	assert_non_null(strstr(e.message, says));
	assert_non_null(strstr(e.message, path));
}

static void test_files_that_cannot_be_opened(void **state)
{
	char *path = in_folder("private.seep");
	struct snapshot s;
	uid_t uid = geteuid();
	struct error e;

	(void)state;
	refuse_path(path, -ENOENT, "No such file or directory");
	refuse_path(folder, -EISDIR, "Is a directory");
	refuse_path("/dev/zero", -EINVAL, "device");
	snapshot_init(&s);
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	snapshot_release(&s);
	assert_int_equal(chmod(path, 0), 0);
	/* root may read all: become somebody else for a moment */
	if (!uid)
		assert_int_equal(seteuid(65534), 0);
	refuse_path(path, -EACCES, "Permission denied");
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(unlink(path), 0);
	free(path);
}

/* Runs part in a child process: it changes descriptors or limits. */
static void in_child(void (*part)(const char *path), const char *path)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		part(path);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what))                                                                       \
			_exit(__LINE__ & 0x7f);                                                    \
	} while (0)

static void through_standard_streams(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct snapshot s, back;
	struct error e;

	MUST(dup2(fd, STDOUT_FILENO) == STDOUT_FILENO && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	sample_make(&s, 20, 10, 20);
	MUST(!seepfile_write(&s, "-", &e));
	MUST(!lseek(STDIN_FILENO, 0, SEEK_SET));
	MUST(!seepfile_read("-", &back, NULL, &e));
	MUST(!sample_difference(&s, &back));
	snapshot_release(&s);
	snapshot_release(&back);
	close(fd);
}

static void test_standard_streams(void **state)
{
	char *path = in_folder("stream.seep");

	(void)state;
	in_child(through_standard_streams, path);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static void test_disk_full(void **state)
{
	struct snapshot s;
	struct error e;

	(void)state;
	sample_make(&s, 20, 10, 20);
	assert_int_equal(seepfile_write(&s, "/dev/full", &e), -ENOSPC);
	assert_int_equal(e.status, EXIT_FILE);
	assert_string_equal(e.message, "cannot write '/dev/full': No space left on device");
	assert_int_equal(seepfile_write(&s, "/no/such/folder/x.seep", &e), -ENOENT);
	assert_int_equal(e.status, EXIT_FILE);
	assert_non_null(strstr(e.message, "cannot write '/no/such/folder/x.seep'"));
	snapshot_release(&s);
}

static void with_small_limit(const char *path)
{
	const struct rlimit limit = {30000, 30000};
	struct snapshot s;
	struct error e;

	sample_make(&s, 20, 10, 100000);
	MUST(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	MUST(!setrlimit(RLIMIT_FSIZE, &limit));
	MUST(seepfile_write(&s, path, &e) == -EFBIG);
	MUST(e.status == EXIT_FILE && strstr(e.message, "cannot write '"));
	snapshot_release(&s);
}

/* A write that fails halfway leaves the old file as it was, and nothing beside it. */
static void test_old_file_survives(void **state)
{
	char *path = in_folder("old.seep");
	struct snapshot s, back;
	size_t files;
	struct error e;

	(void)state;
	sample_make(&s, 20, 10, 20);
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	files = count_files();
	in_child(with_small_limit, path);
	assert_int_equal(count_files(), files);
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	assert_null(sample_difference(&s, &back));
	snapshot_release(&back);
	snapshot_release(&s);
	assert_int_equal(unlink(path), 0);
	free(path);
}

static char *data_file(const char *name)
{
	const char *data = getenv("SEEP_TEST_DATA");

	if (!data) {
		print_message("# SEEP_TEST_DATA does not name tests/data: skipped\n");
		skip();
	}
	return mem_printf("%s/%s", data, name);
}

/* Files of every version stay readable; what is in them is said here, not computed. */
static void test_kept_version_1(void **state)
{
	char *path = data_file("v1.seep");
	struct seepfile_damage damage;
	struct snapshot s;
	struct error e;

	(void)state;
	assert_int_equal(seepfile_read(path, &s, &damage, &e), 0);
	assert_false(damage.damaged);
	assert_int_equal(s.identity.pid, 4242);
	assert_string_equal(strings_get(&s.strings, s.identity.exe), "/usr/bin/meter");
	assert_string_equal(strings_get(&s.strings, s.allocator), "glibc");
	assert_int_equal(s.nr_modules, 6);
	assert_int_equal(s.nr_frames, 12);
	assert_int_equal(s.nr_symbols, 12);
	assert_int_equal(s.nr_nodes, 16);
	assert_int_equal(s.nr_stacks, 8);
	assert_int_equal(s.nr_blocks, 20);
	assert_int_equal(s.nr_regions, 5);
	assert_int_equal(s.nr_threads, 3);
	assert_int_equal(s.threads[0].tid, -1);
	assert_int_equal(s.blocks[0].addr, 0x555500001010);
	assert_int_equal(s.blocks[0].age_ms, UINT32_MAX);
	assert_int_equal(s.blocks[1].age_ms, 16);
	assert_true(s.losses.torn && s.losses.missing_stacks == UINT64_MAX);
	assert_true(s.totals.total_bytes == s.totals.live_bytes * 100);
	snapshot_release(&s);
	free(path);
}

static void test_kept_version_1_cut(void **state)
{
	char *path = data_file("v1-cut.seep");
	struct seepfile_damage damage;
	struct snapshot s;
	struct error e;

	(void)state;
	assert_int_equal(seepfile_read(path, &s, &damage, &e), 0);
	assert_string_equal(damage.what, "cut short, 7 of 11 chunks are left: all 3 threads, "
					 "all 5 regions, all 20 blocks missing");
	assert_int_equal(damage.chunks_good, 7);
	assert_int_equal(damage.chunks_bad, 4);
	assert_int_equal(s.nr_stacks, 8);
	assert_int_equal(s.nr_blocks, 0);
	snapshot_release(&s);
	free(path);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Half a million blocks, or as many as SEEP_TEST_BLOCKS says; prints what they cost. */
static void test_large(void **state)
{
	const char *blocks = getenv("SEEP_TEST_BLOCKS");
	char *path = in_folder("large.seep");
	struct snapshot s, back;
	double start, written, read_back;
	struct stat st;
	struct error e;

	(void)state;
	sample_make(&s, 100000, 50000, blocks ? strtoul(blocks, NULL, 10) : 500000);
	start = seconds();
	assert_int_equal(seepfile_write(&s, path, &e), 0);
	written = seconds();
	assert_int_equal(seepfile_read(path, &back, NULL, &e), 0);
	read_back = seconds();
	assert_null(sample_difference(&s, &back));
	assert_int_equal(stat(path, &st), 0);
	print_message("# %zu blocks: written in %.2f s, read in %.2f s, %.1f MB\n", s.nr_blocks,
		      written - start, read_back - written, (double)st.st_size / 1e6);
	/* addresses, sizes and stacks here are random: real ones are smaller still */
	assert_true((size_t)st.st_size < s.nr_blocks * 12);
	snapshot_release(&s);
	snapshot_release(&back);
	assert_int_equal(unlink(path), 0);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_rich),
		cmocka_unit_test(test_round_trip_empty),
		cmocka_unit_test(test_round_trip_many_rows),
		cmocka_unit_test(test_round_trip_long_texts),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_bit_flipped),
		cmocka_unit_test(test_one_chunk_lost),
		cmocka_unit_test(test_unknown_chunks_are_skipped),
		cmocka_unit_test(test_unknown_columns_are_skipped),
		cmocka_unit_test(test_lies_are_seen),
		cmocka_unit_test(test_contradictions_are_refused),
		cmocka_unit_test(test_newer_version),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_files_that_cannot_be_opened),
		cmocka_unit_test(test_standard_streams),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_old_file_survives),
		cmocka_unit_test(test_kept_version_1),
		cmocka_unit_test(test_kept_version_1_cut),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
