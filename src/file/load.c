/* From chunks to a snapshot; see load.h. */
#include "file/load.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "file/buffer.h"
#include "file/compress.h"
#include "file/find.h"
#include "file/layout.h"
#include "file/texts.h"

/*
 * No chunk of CHUNK_MAX_ROWS rows takes fewer bytes than this, so a file of a given length cannot
 * have lost more than so many rows; a larger hole is a lie that would cost us memory.
 */
enum { FULL_CHUNK_MIN_BYTES = 64 };

/* Adds "unknown" rows up to row number `until`. False: no file of this length can have so many. */
static bool fill_hole(struct load *l, enum table_id id, uint64_t until)
{
	const struct table *t = &tables[id];
	uint64_t hole = until - l->next_row[id];

	if (hole > l->holes_left)
		return false;
	if (t->blank)
		l->holes_left -= hole;
	for (; l->next_row[id] < until && t->blank; l->next_row[id]++) {
		if (id != TABLE_STRINGS)
			memcpy(table_append(t, l->s, 1), t->blank, t->rows.row_bytes);
		else if (l->next_row[id])
			strings_append(&l->s->strings, "", 0);
	}
	l->next_row[id] = until;
	return true;
}

static int load_rows(struct load *l, enum table_id id, const struct chunk *c, const uint8_t *raw)
{
	const struct table *t = &tables[id];
	uint64_t nr = l->meta.table_rows[id];
	int err;

	if (c->rows > CHUNK_MAX_ROWS || c->first_row < l->next_row[id] || c->first_row > nr ||
	    c->rows > nr - c->first_row)
		return -EBADMSG;
	if (!fill_hole(l, id, c->first_row))
		return -EBADMSG;
	if (id == TABLE_STRINGS) {
		err = texts_decode(&l->s->strings, c->first_row, c->rows, raw, c->raw_len);
	} else {
		void *rows = table_append(t, l->s, c->rows);

		err = columns_decode(&t->rows, raw, c->raw_len, rows, c->rows);
		if (err)
			table_drop(t, l->s, c->rows);
	}
	if (err)
		return err;
	l->next_row[id] += c->rows;
	l->good_rows[id] += c->rows;
	return 0;
}

static int load_meta(struct load *l, const struct chunk *c, const uint8_t *raw)
{
	struct meta meta;
	int err;

	memset(&meta, 0, sizeof(meta));
	err = c->rows == 1 ? columns_decode(&meta_layout, raw, c->raw_len, &meta, 1) : -EBADMSG;
	if (err || l->has_meta)
		return err;
	for (int id = 0; id < TABLE_NR; id++)
		if (meta.table_rows[id] > tables[id].max_rows)
			return -EBADMSG;
	l->meta = meta;
	l->has_meta = true;
	meta_to_snapshot(&meta, l->s);
	return 0;
}

static int load_chunk(struct load *l, const struct chunk_entry *entry, const uint8_t *data,
		      size_t len, struct unpacker *u, struct buffer *room)
{
	enum table_id id = table_of_type(entry->type);
	const uint8_t *raw;
	struct chunk c;
	int err = chunk_parse(data + entry->offset, len - entry->offset, &c);

	if (err)
		return err;
	if (c.type != entry->type || c.rows != entry->rows || c.first_row != entry->first_row)
		return -EBADMSG;
	if (id == TABLE_NR && c.type != CHUNK_META)
		return 0; /* of a later seep: not needed to understand the others */
	err = chunk_payload(&c, u, room, &raw);
	if (err)
		return err;
	return id == TABLE_NR ? load_meta(l, &c, raw) : load_rows(l, id, &c, raw);
}

/*
 * Rows lost at the end of an array have no next chunk that would fill the hole. They are made up
 * only where something refers to them, lest a report count them.
 */
static void fill_ends(struct load *l)
{
	const struct snapshot *s = l->s;
	const bool needed[TABLE_NR] = {
		[TABLE_STRINGS] = s->nr_marks || l->good_rows[TABLE_NODES] || s->nr_modules ||
				  s->nr_symbols || s->nr_threads || s->nr_regions || s->nr_heaps ||
				  s->nr_checks || s->nr_ref_blocks || s->nr_mark_handles,
		[TABLE_MODULES] = s->nr_frames || s->nr_regions,
		[TABLE_SYMBOLS] = s->nr_frames,
		[TABLE_FRAMES] = l->good_rows[TABLE_NODES],
		[TABLE_NODES] = l->good_rows[TABLE_STACKS] || s->nr_resources,
		[TABLE_STACKS] = s->nr_blocks || s->nr_generations,
		[TABLE_RESOURCES] = s->nr_resource_generations,
		[TABLE_MARKS] =
			s->nr_generations || s->nr_resource_generations || s->nr_mark_handles,
		[TABLE_HEAPS] = s->nr_blocks || s->nr_threads || s->nr_regions || s->nr_spans ||
				s->nr_checks,
		[TABLE_THREADS] = s->nr_regions,
	};

	for (int id = 0; id < TABLE_NR; id++)
		if (needed[id] && l->next_row[id] < l->meta.table_rows[id])
			fill_hole(l, (enum table_id)id, l->meta.table_rows[id]);
}

/* Node 0 may have been lost, or have been filled in as any other. */
static void restore_root(struct snapshot *s)
{
	if (!s->nr_nodes)
		ARRAY_PUSH(s->nodes, s->nr_nodes, s->cap_nodes, ((struct stack_node){0}));
	s->nodes[0] = (struct stack_node){.frame = NO_INDEX, .special = FRAME_NONE};
}

/* META may name strings that are lost while nothing else does. */
static void forget_lost_names(struct snapshot *s)
{
	uint32_t *const names[] = {&s->identity.name, &s->identity.exe, &s->identity.command,
				   &s->identity.host, &s->allocator,	&s->method};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (*names[i] >= s->strings.nr)
			*names[i] = 0;
}

/* A graph with holes would have blocks that nothing holds: all of it, or none. */
static void drop_references(struct load *l)
{
	for (int id = TABLE_REF_BLOCKS; id <= TABLE_REF_PATTERNS; id++) {
		if (l->good_rows[id] != l->meta.table_rows[id]) {
			references_drop(l->s);
			l->references_lost = true;
			return;
		}
	}
}

static void repair(struct load *l)
{
	drop_references(l);
	fill_ends(l);
	restore_root(l->s);
	forget_lost_names(l->s);
}

/* META before all others, wherever it is found: it says how many rows there may be. */
static void load_all(struct load *l, const struct chunk_list *list, const uint8_t *data, size_t len,
		     bool meta, struct unpacker *u, struct buffer *room)
{
	for (size_t i = 0; i < list->nr; i++) {
		const struct chunk_entry *entry = &list->items[i];

		if ((entry->type == CHUNK_META) != meta)
			continue;
		if (load_chunk(l, entry, data, len, u, room))
			l->chunks_bad++;
		else
			l->chunks_good++;
	}
}

void load_chunks(struct load *l, const struct chunk_list *list, const uint8_t *data, size_t len,
		 struct snapshot *s)
{
	struct unpacker *u = unpacker_new();
	struct buffer room = {0};

	*l = (struct load){.s = s};
	l->holes_left = (uint64_t)(len / FULL_CHUNK_MIN_BYTES) * CHUNK_MAX_ROWS;
	s->nr_nodes = 0; /* the root comes from the file */
	load_all(l, list, data, len, true, u, &room);
	if (l->has_meta)
		load_all(l, list, data, len, false, u, &room);
	l->complete = l->has_meta;
	for (int id = 0; id < TABLE_NR; id++)
		l->complete &= l->good_rows[id] == l->meta.table_rows[id];
	if (!l->complete)
		repair(l);
	buffer_release(&room);
	unpacker_free(u);
}
