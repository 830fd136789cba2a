/*
 * Writing a snapshot: first the plan of all chunks (META says how many there are, so that a reader
 * of a file cut short knows what it lacks), then the chunks, and the plan itself as the index.
 */
#include "file/seepfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/units.h"
#include "file/buffer.h"
#include "file/chunk.h"
#include "file/compress.h"
#include "file/layout.h"
#include "file/tables.h"
#include "file/texts.h"
#include "model/snapshot.h"

struct writer {
	const struct snapshot *s;
	struct error *e;
	struct replace file;
	struct packer *packer;
	struct chunk_entry *plan;
	size_t nr, cap;
	uint64_t offset;	/* bytes written */
	struct buffer raw, out; /* room for one chunk */
};

static void plan_chunk(struct writer *w, uint32_t type, uint64_t first_row, uint32_t rows)
{
	ARRAY_PUSH(w->plan, w->nr, w->cap,
		   ((struct chunk_entry){.type = type, .first_row = first_row, .rows = rows}));
}

static int plan_table(struct writer *w, enum table_id id)
{
	const struct table *t = &tables[id];
	uint64_t nr = table_nr(t, w->s);

	if (nr > t->max_rows)
		return error_set(
			w->e, -EFBIG, EXIT_FILE,
			"cannot write '%s': %s %s are more than a snapshot file can hold (%s)",
			w->file.path, format_count(nr).text, t->name,
			format_count(t->max_rows).text);
	for (uint64_t first = 0; first < nr;) {
		uint64_t rows = nr - first < CHUNK_MAX_ROWS ? nr - first : CHUNK_MAX_ROWS;

		if (id == TABLE_STRINGS)
			rows = texts_chunk_rows(&w->s->strings, first);
		plan_chunk(w, t->type, first, (uint32_t)rows);
		first += rows;
	}
	return 0;
}

/* META comes first, for files cut short, and again last, for files whose beginning is damaged. */
static int plan_all(struct writer *w)
{
	int err = 0;

	plan_chunk(w, CHUNK_META, 0, 1);
	for (int id = 0; id < TABLE_NR && !err; id++)
		err = plan_table(w, (enum table_id)id);
	plan_chunk(w, CHUNK_META, 0, 1);
	return err;
}

static int put(struct writer *w, const void *data, size_t len)
{
	w->offset += len;
	return replace_write(&w->file, data, len, w->e);
}

static int put_header(struct writer *w)
{
	uint8_t head[FILE_HEADER_BYTES] = {0};

	memcpy(head, FILE_MAGIC, FILE_MAGIC_BYTES);
	put_le32(head + FILE_VERSION_AT, SEEPFILE_VERSION);
	put_le32(head + FILE_ORDER_AT, FILE_ORDER_MARK);
	put_le32(head + FILE_HEADER_LEN_AT, FILE_HEADER_BYTES);
	put_le64(head + FILE_CHECKSUM_AT, hash_bytes(head, FILE_CHECKSUM_AT));
	return put(w, head, sizeof(head));
}

static void encode_rows(struct writer *w, const struct chunk_entry *c)
{
	enum table_id id = table_of_type(c->type);
	struct meta meta;

	if (id == TABLE_NR) {
		meta_from_snapshot(&meta, w->s);
		meta.chunks = w->nr;
		columns_encode(&meta_layout, &meta, 1, &w->raw);
	} else if (id == TABLE_STRINGS) {
		texts_encode(&w->s->strings, c->first_row, c->rows, &w->raw);
	} else {
		columns_encode(&tables[id].rows, table_row(&tables[id], w->s, c->first_row),
			       c->rows, &w->raw);
	}
}

/* The chunk whose payload is in w->raw. */
static int put_chunk(struct writer *w, uint32_t type, uint64_t first_row, size_t rows)
{
	int err = chunk_build(w->packer, type, first_row, (uint32_t)rows, &w->raw, &w->out);

	if (err)
		return error_set(w->e, err, EXIT_INTERNAL,
				 "cannot write '%s': compression failed: %s", w->file.path,
				 error_strerror(err));
	return put(w, w->out.data, w->out.len);
}

static int put_chunks(struct writer *w)
{
	int err = 0;

	for (size_t i = 0; i < w->nr && !err; i++) {
		struct chunk_entry *c = &w->plan[i];

		c->offset = w->offset;
		w->raw.len = 0;
		encode_rows(w, c);
		err = put_chunk(w, c->type, c->first_row, c->rows);
	}
	return err;
}

static int put_index(struct writer *w)
{
	uint8_t tail[TRAILER_BYTES];
	uint64_t offset = w->offset;
	int err;

	w->raw.len = 0;
	columns_encode(&index_layout, w->plan, w->nr, &w->raw);
	err = put_chunk(w, CHUNK_INDEX, 0, w->nr);
	if (err)
		return err;
	memcpy(tail, TRAILER_MAGIC, TRAILER_INDEX_AT);
	put_le64(tail + TRAILER_INDEX_AT, offset);
	put_le64(tail + TRAILER_CHECKSUM_AT, hash_bytes(tail, TRAILER_CHECKSUM_AT));
	return put(w, tail, sizeof(tail));
}

static int put_all(struct writer *w)
{
	int err = plan_all(w);

	if (!err)
		err = put_header(w);
	if (!err)
		err = put_chunks(w);
	if (!err)
		err = put_index(w);
	if (!err)
		err = replace_commit(&w->file, w->e);
	return err;
}

int seepfile_write(const struct snapshot *s, const char *path, struct error *e)
{
	struct writer w = {.s = s, .e = e};
	struct error why;
	int err = snapshot_check(s, &why);

	if (err)
		return error_set(e, err, EXIT_INTERNAL,
				 "cannot write '%s': the snapshot contradicts itself: %s", path,
				 why.message);
	err = replace_open(&w.file, path, e);
	if (err)
		return err;
	w.packer = packer_new();
	err = put_all(&w);
	packer_free(w.packer);
	replace_close(&w.file);
	buffer_release(&w.raw);
	buffer_release(&w.out);
	free(w.plan);
	return err;
}
