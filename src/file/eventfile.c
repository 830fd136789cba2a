/* Writing a file of events; see eventfile.h. */
#include "file/eventfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "file/buffer.h"
#include "file/chunk.h"
#include "file/compress.h"
#include "file/eventrows.h"

struct eventfile_writer {
	int fd;
	char *path;
	struct eventfile_info info;
	struct packer *packer;
	struct buffer raw, out;
	uint64_t offset;
	struct wire_event *events; /* not written yet, [EVENTFILE_CHUNK_ROWS] */
	size_t nr;
	struct event_entry *index;
	size_t nr_index, cap_index;
};

static int put(struct eventfile_writer *w, const void *data, size_t len, struct error *e)
{
	int err = io_write_all(w->fd, data, len);

	if (err < 0)
		return error_set(e, err, EXIT_FILE, "cannot write '%s': %s", w->path,
				 error_strerror(err));
	w->offset += len;
	return 0;
}

static int put_header(struct eventfile_writer *w, struct error *e)
{
	uint8_t head[FILE_HEADER_BYTES] = {0};

	memcpy(head, EVENTFILE_MAGIC, FILE_MAGIC_BYTES);
	put_le32(head + FILE_VERSION_AT, EVENTFILE_VERSION);
	put_le32(head + FILE_ORDER_AT, FILE_ORDER_MARK);
	put_le32(head + FILE_HEADER_LEN_AT, FILE_HEADER_BYTES);
	put_le64(head + FILE_CHECKSUM_AT, hash_bytes(head, FILE_CHECKSUM_AT));
	return put(w, head, sizeof(head), e);
}

/* One chunk; it goes into the index, unless it is the index. */
static int put_rows(struct eventfile_writer *w, struct event_entry entry,
		    const struct row_layout *layout, const void *rows, struct error *e)
{
	int err;

	w->raw.len = 0;
	columns_encode(layout, rows, entry.rows, &w->raw);
	err = chunk_build(w->packer, entry.type, entry.first_row, entry.rows, &w->raw, &w->out);
	if (err < 0)
		return error_set(e, err, EXIT_INTERNAL, "cannot write '%s': compression failed: %s",
				 w->path, error_strerror(err));
	entry.offset = w->offset;
	if (entry.type != CHUNK_EVENT_INDEX)
		ARRAY_PUSH(w->index, w->nr_index, w->cap_index, entry);
	return put(w, w->out.data, w->out.len, e);
}

/* An array in chunks of so many rows. */
static int put_table(struct eventfile_writer *w, uint32_t type, uint64_t first,
		     const struct row_layout *layout, const void *rows, size_t nr, struct error *e)
{
	int err = 0;

	for (size_t done = 0; done < nr && !err; done += CHUNK_MAX_ROWS) {
		size_t more = nr - done < CHUNK_MAX_ROWS ? nr - done : CHUNK_MAX_ROWS;
		struct event_entry entry = {
			.type = type, .rows = (uint32_t)more, .first_row = first + done};

		err = put_rows(w, entry, layout, (const char *)rows + done * layout->row_bytes, e);
	}
	return err;
}

static int put_info(struct eventfile_writer *w, struct error *e)
{
	return put_rows(w, (struct event_entry){.type = CHUNK_EVENT_INFO, .rows = 1},
			&event_info_layout, &w->info, e);
}

int eventfile_create(const char *path, const struct eventfile_info *info,
		     struct eventfile_writer **ret, struct error *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600), err;
	struct eventfile_writer *w;

	if (fd < 0)
		return error_set(e, -errno, EXIT_FILE, "cannot write '%s': %s", path,
				 error_strerror(errno));
	w = mem_alloc(sizeof(*w));
	w->fd = fd;
	w->path = mem_strdup(path);
	w->info = *info;
	w->packer = packer_new();
	w->events = mem_alloc_array(EVENTFILE_CHUNK_ROWS, sizeof(*w->events));
	err = put_header(w, e);
	if (!err)
		err = put_info(w, e);
	if (err)
		eventfile_free(w);
	else
		*ret = w;
	return err;
}

void eventfile_free(struct eventfile_writer *w)
{
	if (!w)
		return;
	close(w->fd);
	packer_free(w->packer);
	buffer_release(&w->raw);
	buffer_release(&w->out);
	free(w->index);
	free(w->events);
	free(w->path);
	free(w);
}

static int put_events(struct eventfile_writer *w, struct error *e)
{
	struct event_entry entry = {
		.type = CHUNK_EVENTS, .rows = (uint32_t)w->nr, .first_row = w->info.events};

	if (!w->nr)
		return 0;
	entry.first_ms = entry.last_ms = w->events[0].ms;
	for (size_t i = 1; i < w->nr; i++) {
		if (w->events[i].ms < entry.first_ms)
			entry.first_ms = w->events[i].ms;
		if (w->events[i].ms > entry.last_ms)
			entry.last_ms = w->events[i].ms;
	}
	w->info.events += w->nr;
	w->nr = 0;
	return put_rows(w, entry, &event_layout, w->events, e);
}

int eventfile_add(struct eventfile_writer *w, const struct wire_event *events, size_t nr,
		  struct error *e)
{
	int err = 0;

	while (nr && !err) {
		size_t room = EVENTFILE_CHUNK_ROWS - w->nr, more = nr < room ? nr : room;

		memcpy(w->events + w->nr, events, more * sizeof(*events));
		w->nr += more;
		events += more;
		nr -= more;
		if (w->nr == EVENTFILE_CHUNK_ROWS)
			err = put_events(w, e);
	}
	return err;
}

/* Gives the disk back what a chunk took. Where the file system cannot, the file just grows. */
static void punch(struct eventfile_writer *w, const struct event_entry *entry, uint64_t end)
{
	w->info.gone += entry->rows;
	fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)entry->offset,
		  (off_t)(end - entry->offset));
}

static void forget_old(struct eventfile_writer *w, uint64_t now_ms)
{
	size_t kept = 0;

	if (!w->info.window_ms || now_ms < w->info.window_ms)
		return;
	for (size_t i = 0; i < w->nr_index; i++) {
		const struct event_entry *entry = &w->index[i];
		uint64_t end = i + 1 < w->nr_index ? w->index[i + 1].offset : w->offset;

		if (entry->type == CHUNK_EVENTS && entry->last_ms < now_ms - w->info.window_ms)
			punch(w, entry, end);
		else
			w->index[kept++] = *entry;
	}
	w->nr_index = kept;
}

int eventfile_flush(struct eventfile_writer *w, uint64_t now_ms, struct error *e)
{
	int err = put_events(w, e);

	if (!err)
		forget_old(w, now_ms);
	return err;
}

int eventfile_nodes(struct eventfile_writer *w, uint32_t first, const struct wire_node *nodes,
		    size_t nr, struct error *e)
{
	return put_table(w, CHUNK_EVENT_NODES, first, &event_node_layout, nodes, nr, e);
}

int eventfile_modules(struct eventfile_writer *w, const struct wire_module *modules, size_t nr,
		      struct error *e)
{
	struct event_path *pieces = NULL;
	size_t nr_pieces = 0, cap = 0;
	int err;

	for (size_t i = 0; i < nr; i++) {
		size_t len = strnlen(modules[i].path, WIRE_PATH_MAX - 1);

		for (size_t at = 0; at < len; at += EVENT_PATH_PIECE) {
			struct event_path piece = {.module = (uint32_t)i, .at = (uint32_t)at};
			size_t part = len - at < EVENT_PATH_PIECE ? len - at : EVENT_PATH_PIECE;

			memcpy(piece.text, modules[i].path + at, part);
			ARRAY_PUSH(pieces, nr_pieces, cap, piece);
		}
	}
	err = put_table(w, CHUNK_EVENT_MODULES, 0, &event_module_layout, modules, nr, e);
	if (!err)
		err = put_table(w, CHUNK_EVENT_PATHS, 0, &event_path_layout, pieces, nr_pieces, e);
	free(pieces);
	return err;
}

/* Without one, as where it is too large, a file is read from its beginning. */
static int put_index(struct eventfile_writer *w, struct error *e)
{
	struct event_entry entry = {.type = CHUNK_EVENT_INDEX, .rows = (uint32_t)w->nr_index};
	uint64_t offset = w->offset;
	uint8_t tail[TRAILER_BYTES];
	int err;

	w->raw.len = 0;
	columns_encode(&event_index_layout, w->index, entry.rows, &w->raw);
	if (w->nr_index > INDEX_MAX_ROWS || w->raw.len > CHUNK_MAX_RAW)
		return 0;
	err = put_rows(w, entry, &event_index_layout, w->index, e);
	if (err)
		return err;
	memcpy(tail, TRAILER_MAGIC, TRAILER_INDEX_AT);
	put_le64(tail + TRAILER_INDEX_AT, offset);
	put_le64(tail + TRAILER_CHECKSUM_AT, hash_bytes(tail, TRAILER_CHECKSUM_AT));
	return put(w, tail, sizeof(tail), e);
}

int eventfile_finish(struct eventfile_writer *w, struct eventfile_info *info, struct error *e)
{
	int err = put_events(w, e);

	w->info.lost = info->lost;
	if (!err)
		err = put_info(w, e);
	if (!err)
		err = put_index(w, e);
	*info = w->info;
	return err;
}
