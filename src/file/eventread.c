/*
 * Reading a file of events; see eventfile.h. Nothing is mapped: a file that is written or cut
 * meanwhile must not make us fault. The index says where chunks are; where there is none, or it
 * names a chunk that is not there, the file is searched from its beginning.
 */
#include "file/eventfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "file/buffer.h"
#include "file/chunk.h"
#include "file/compress.h"
#include "file/eventrows.h"
#include "file/foreign.h"

#define HEAD_BYTES 4096
#define SEARCH_BYTES (1u << 20)
#define NODES_MAX (1u << WIRE_NODE_BITS)
#define MODULES_MAX (1u << 16)
#define FALSE_CHUNKS_MAX 1024

struct eventfile_private {
	int fd;
	uint64_t bytes;
	struct unpacker *unpacker;
	struct buffer packed, room;
	uint8_t *window; /* the piece of the file that is being searched */
	uint64_t window_at;
	size_t window_len;
	struct event_entry *chunks; /* of events, in the order of the file */
	size_t nr, cap;
	bool has_info;
};

static int refuse(struct error *e, const char *path, int err, const char *why)
{
	return error_set(e, err, EXIT_FILE, "cannot read events '%s': %s", path, why);
}

/* len bytes at offset; false: there are not so many. */
static bool read_at(struct eventfile_private *p, uint64_t offset, void *to, size_t len)
{
	while (len) {
		ssize_t n = pread(p->fd, to, len, (off_t)offset);

		if (n <= 0)
			return false;
		to = (char *)to + n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

/* The whole chunk at offset, in p->packed. Same errors as chunk_parse(). */
static int read_chunk(struct eventfile_private *p, uint64_t offset, struct chunk *ret)
{
	uint8_t head[CHUNK_HEADER_BYTES];
	size_t bytes;

	if (offset > p->bytes || !read_at(p, offset, head, sizeof(head)) ||
	    get_le32(head) != CHUNK_MAGIC || get_le32(head + CHUNK_PACKED_AT) > CHUNK_MAX_RAW)
		return -EBADMSG;
	bytes = CHUNK_MIN_BYTES + (size_t)get_le32(head + CHUNK_PACKED_AT);
	if (bytes > p->bytes - offset)
		return -EBADMSG;
	p->packed.len = 0;
	buffer_reserve(&p->packed, bytes);
	if (!read_at(p, offset, p->packed.data, bytes))
		return -EBADMSG;
	return chunk_parse(p->packed.data, bytes, ret);
}

static int decode(struct eventfile_private *p, const struct chunk *c, const struct row_layout *l,
		  void *rows)
{
	const uint8_t *raw;
	int err = chunk_payload(c, p->unpacker, &p->room, &raw);

	return err ? err : columns_decode(l, raw, c->raw_len, rows, c->rows);
}

/* ---- what is not events ---- */

static int take_info(struct eventfile *f, const struct chunk *c)
{
	struct eventfile_info info = {0};
	int err = c->rows == 1 ? decode(f->private, c, &event_info_layout, &info) : -EBADMSG;

	if (err)
		return err;
	info.boot_id[sizeof(info.boot_id) - 1] = '\0';
	info.name[sizeof(info.name) - 1] = '\0';
	info.exe[sizeof(info.exe) - 1] = '\0';
	f->info = info;
	f->private->has_info = true;
	return 0;
}

/* Rows that come again replace what was there: an address may have got its module's number. */
static int take_nodes(struct eventfile *f, const struct chunk *c)
{
	uint64_t end = c->first_row + c->rows;
	struct wire_node *rows;
	int err;

	if (c->rows > CHUNK_MAX_ROWS || c->first_row > f->nr_nodes || end > NODES_MAX)
		return -EBADMSG;
	rows = mem_alloc_array(c->rows, sizeof(*rows));
	err = decode(f->private, c, &event_node_layout, rows);
	if (!err && end > f->nr_nodes) {
		f->nodes = mem_realloc(f->nodes, end * sizeof(*f->nodes));
		f->nr_nodes = end;
	}
	for (uint32_t i = 0; i < c->rows && !err; i++) {
		uint64_t id = c->first_row + i;

		if (id < WIRE_NODE_FIRST || rows[i].parent >= id)
			rows[i].parent = WIRE_NODE_ROOT;
		rows[i].child = rows[i].sibling = rows[i].count = 0;
		f->nodes[id] = rows[i];
	}
	free(rows);
	return err;
}

static int take_modules(struct eventfile *f, const struct chunk *c)
{
	uint64_t end = c->first_row + c->rows;
	struct wire_module *rows;
	int err;

	if (c->first_row > f->nr_modules || end > MODULES_MAX)
		return -EBADMSG;
	rows = mem_alloc_array(c->rows, sizeof(*rows));
	err = decode(f->private, c, &event_module_layout, rows);
	if (!err && end > f->nr_modules) {
		f->modules = mem_realloc(f->modules, end * sizeof(*f->modules));
		f->nr_modules = end;
	}
	if (!err)
		memcpy(f->modules + c->first_row, rows, c->rows * sizeof(*rows));
	free(rows);
	return err;
}

static int take_paths(struct eventfile *f, const struct chunk *c)
{
	struct event_path *rows;
	int err;

	if (c->rows > CHUNK_MAX_ROWS)
		return -EBADMSG;
	rows = mem_alloc_array(c->rows, sizeof(*rows));
	err = decode(f->private, c, &event_path_layout, rows);
	for (uint32_t i = 0; i < c->rows && !err; i++) {
		uint32_t at = rows[i].at;
		size_t room = at < WIRE_PATH_MAX - 1 ? WIRE_PATH_MAX - 1 - at : 0;

		if (rows[i].module >= f->nr_modules)
			continue;
		memcpy(f->modules[rows[i].module].path + (room ? at : 0), rows[i].text,
		       room < EVENT_PATH_PIECE ? room : EVENT_PATH_PIECE);
	}
	free(rows);
	return err;
}

static void take(struct eventfile *f, const struct chunk *c, const struct event_entry *entry)
{
	struct eventfile_private *p = f->private;
	int err = 0;

	if (c->type == CHUNK_EVENTS)
		ARRAY_PUSH(p->chunks, p->nr, p->cap, *entry);
	else if (c->type == CHUNK_EVENT_INFO)
		err = take_info(f, c);
	else if (c->type == CHUNK_EVENT_NODES)
		err = take_nodes(f, c);
	else if (c->type == CHUNK_EVENT_MODULES)
		err = take_modules(f, c);
	else if (c->type == CHUNK_EVENT_PATHS)
		err = take_paths(f, c);
	f->damaged += err != 0;
}

/* ---- finding chunks ---- */

/* Where the file has been given back to the disk, there is nothing to search. */
static uint64_t skip_hole(struct eventfile_private *p, uint64_t at)
{
	off_t data = lseek(p->fd, (off_t)at, SEEK_DATA);

	return data < 0 ? (errno == ENXIO ? p->bytes : at) : (uint64_t)data;
}

/* The window is where `at` is, which is less than the file's length by four at least. */
static bool move_window(struct eventfile_private *p, uint64_t at)
{
	uint64_t left = p->bytes - at;

	if (!p->window)
		p->window = mem_alloc(SEARCH_BYTES);
	p->window_at = at;
	p->window_len = left < SEARCH_BYTES ? (size_t)left : SEARCH_BYTES;
	return read_at(p, at, p->window, p->window_len);
}

/* The next place where a chunk could begin; p->bytes: there is none. */
static uint64_t next_magic(struct eventfile_private *p, uint64_t at)
{
	uint8_t magic[4], *found;

	put_le32(magic, CHUNK_MAGIC);
	while (at + sizeof(magic) <= p->bytes) {
		uint64_t skip = at - p->window_at;

		if (at < p->window_at || skip + sizeof(magic) > p->window_len) {
			at = skip_hole(p, at);
			if (at + sizeof(magic) > p->bytes || !move_window(p, at))
				break;
			skip = 0;
		}
		found = memmem(p->window + skip, p->window_len - skip, magic, sizeof(magic));
		if (found)
			return p->window_at + (uint64_t)(found - p->window);
		at = p->window_at + p->window_len - (sizeof(magic) - 1);
	}
	return p->bytes;
}

static void scan(struct eventfile *f)
{
	struct eventfile_private *p = f->private;
	uint64_t at = FILE_HEADER_BYTES;
	int false_chunks = 0;

	while (at < p->bytes && false_chunks < FALSE_CHUNKS_MAX) {
		struct chunk c;
		int err = read_chunk(p, at, &c);

		if (err) {
			false_chunks += err == -EILSEQ;
			f->damaged += err == -EILSEQ;
			at = next_magic(p, at + 1);
			continue;
		}
		take(f, &c,
		     &(struct event_entry){.type = c.type,
					   .rows = c.rows,
					   .first_row = c.first_row,
					   .offset = at,
					   .last_ms = UINT32_MAX});
		at += c.bytes;
	}
}

/* Offsets ascend: a chunk that counted again and again would keep us busy for hours. */
static bool entries_plausible(const struct event_entry *entries, size_t nr)
{
	uint64_t at_least = FILE_HEADER_BYTES;

	for (size_t i = 0; i < nr; i++) {
		if (entries[i].offset < at_least || entries[i].offset > INT64_MAX)
			return false;
		at_least = entries[i].offset + CHUNK_MIN_BYTES;
	}
	return true;
}

static bool read_index(struct eventfile *f, struct event_entry **ret, size_t *ret_nr)
{
	struct eventfile_private *p = f->private;
	uint8_t tail[TRAILER_BYTES];
	struct event_entry *entries;
	uint64_t offset;
	struct chunk c;

	if (p->bytes < FILE_HEADER_BYTES + CHUNK_MIN_BYTES + TRAILER_BYTES ||
	    !read_at(p, p->bytes - TRAILER_BYTES, tail, sizeof(tail)) ||
	    memcmp(tail, TRAILER_MAGIC, TRAILER_INDEX_AT) != 0 ||
	    get_le64(tail + TRAILER_CHECKSUM_AT) != hash_bytes(tail, TRAILER_CHECKSUM_AT))
		return false;
	offset = get_le64(tail + TRAILER_INDEX_AT);
	if (offset < FILE_HEADER_BYTES || read_chunk(p, offset, &c) ||
	    c.type != CHUNK_EVENT_INDEX || c.rows > INDEX_MAX_ROWS)
		return false;
	entries = mem_alloc_array(c.rows, sizeof(*entries));
	if (decode(p, &c, &event_index_layout, entries) || !entries_plausible(entries, c.rows)) {
		free(entries);
		return false;
	}
	*ret = entries;
	*ret_nr = c.rows;
	return true;
}

/* Chunks of events are looked at when they are read; the others now. */
static void follow(struct eventfile *f, const struct event_entry *entries, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct chunk c = {.type = CHUNK_EVENTS};

		if (entries[i].type != CHUNK_EVENTS &&
		    (read_chunk(f->private, entries[i].offset, &c) || c.type != entries[i].type))
			f->damaged++;
		else
			take(f, &c, &entries[i]);
	}
}

/* ---- the whole of it ---- */

static int check_header(struct eventfile_private *p, const char *path, struct error *e)
{
	uint8_t head[HEAD_BYTES];
	size_t len = p->bytes < HEAD_BYTES ? (size_t)p->bytes : HEAD_BYTES;

	if (!len || !read_at(p, 0, head, len))
		return refuse(e, path, -ENODATA, "the file is empty");
	if (len >= FILE_MAGIC_BYTES && !memcmp(head, FILE_MAGIC, FILE_MAGIC_BYTES)) {
		refuse(e, path, -EBADMSG, "it is a snapshot");
		error_hint(e, "seep report shows snapshots");
		return -EBADMSG;
	}
	if (len < FILE_HEADER_BYTES || memcmp(head, EVENTFILE_MAGIC, FILE_MAGIC_BYTES) != 0) {
		refuse(e, path, -EBADMSG, foreign_guess(head, len).what);
		error_hint(e, "seep run --events FILE writes one");
		return -EBADMSG;
	}
	if (get_le64(head + FILE_CHECKSUM_AT) != hash_bytes(head, FILE_CHECKSUM_AT))
		return refuse(e, path, -EBADMSG, "its header is damaged");
	if (get_le32(head + FILE_VERSION_AT) != EVENTFILE_VERSION) {
		refuse(e, path, -ENOTSUP, "it was written by another version of seep");
		error_hint(e, "use the seep that wrote it, or a newer one");
		return -ENOTSUP;
	}
	return 0;
}

static int load(struct eventfile *f, const char *path, struct error *e)
{
	struct eventfile_private *p = f->private;
	struct event_entry *entries = NULL;
	size_t nr;
	int err = check_header(p, path, e);

	if (err)
		return err;
	f->complete = read_index(f, &entries, &nr);
	if (f->complete)
		follow(f, entries, nr);
	else
		scan(f);
	free(entries);
	f->nr_chunks = p->nr;
	if (!p->has_info)
		return refuse(e, path, -EBADMSG, "cut short or damaged, nothing in it can be used");
	return 0;
}

int eventfile_open(const char *path, struct eventfile *ret, struct error *e)
{
	struct eventfile f = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), err;

	if (fd < 0)
		return error_set(e, -errno, EXIT_FILE, "cannot open events '%s': %s", path,
				 error_strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return refuse(e, path, -EINVAL, "it is not a regular file");
	}
	f.private = mem_alloc(sizeof(*f.private));
	f.private->fd = fd;
	f.private->bytes = (uint64_t)st.st_size;
	f.private->unpacker = unpacker_new();
	err = load(&f, path, e);
	if (err)
		eventfile_close(&f);
	else
		*ret = f;
	return err;
}

void eventfile_close(struct eventfile *f)
{
	struct eventfile_private *p = f->private;

	if (!p)
		return;
	close(p->fd);
	unpacker_free(p->unpacker);
	buffer_release(&p->packed);
	buffer_release(&p->room);
	free(p->window);
	free(p->chunks);
	free(p);
	free(f->nodes);
	free(f->modules);
	*f = (struct eventfile){0};
}

void eventfile_times(const struct eventfile *f, size_t chunk, uint32_t *ret_first_ms,
		     uint32_t *ret_last_ms)
{
	const struct event_entry *entry = &f->private->chunks[chunk];

	*ret_first_ms = entry->first_ms;
	*ret_last_ms = entry->last_ms;
}

size_t eventfile_read(struct eventfile *f, size_t chunk, struct wire_event *room)
{
	const struct event_entry *entry = &f->private->chunks[chunk];
	struct chunk c;

	if (read_chunk(f->private, entry->offset, &c) || c.type != CHUNK_EVENTS ||
	    c.rows != entry->rows || c.rows > EVENTFILE_CHUNK_ROWS)
		goto damaged;
	memset(room, 0, c.rows * sizeof(*room));
	if (decode(f->private, &c, &event_layout, room))
		goto damaged;
	for (uint32_t i = 0; i < c.rows; i++) {
		if (room[i].node >= f->nr_nodes)
			room[i].node = f->nr_nodes > WIRE_NODE_UNKNOWN ? WIRE_NODE_UNKNOWN : 0;
		if ((room[i].seq_kind & 0xff) >= WIRE_EVENT_KINDS)
			room[i].seq_kind &= ~0xffull;
	}
	return c.rows;
damaged:
	f->damaged++;
	return 0;
}
