/* The columns of event files; ids are fixed for ever, see doc/file-format.md. */
#include "file/eventrows.h"

#include "file/eventfile.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))
#define FIELD(id_, encoding_, row, field)                                                          \
	{                                                                                          \
		.id = (id_), .encoding = COLUMN_##encoding_, .offset = offsetof(row, field),       \
		.width = sizeof(((row *)0)->field)                                                 \
	}

static const struct column info[] = {
	FIELD(1, VARINT, struct eventfile_info, pid),
	FIELD(2, VARINT, struct eventfile_info, image),
	FIELD(3, VARINT, struct eventfile_info, start_ticks),
	FIELD(4, VARINT, struct eventfile_info, began_monotonic_ns),
	FIELD(5, VARINT, struct eventfile_info, began_realtime_ns),
	FIELD(6, VARINT, struct eventfile_info, window_ms),
	FIELD(7, BYTES, struct eventfile_info, boot_id),
	FIELD(8, BYTES, struct eventfile_info, name),
	FIELD(9, BYTES, struct eventfile_info, exe),
	FIELD(16, VARINT, struct eventfile_info, events),
	FIELD(17, VARINT, struct eventfile_info, lost),
	FIELD(18, VARINT, struct eventfile_info, gone),
};

static const struct column events[] = {
	FIELD(1, DELTA, struct wire_event, seq_kind), FIELD(2, DELTA, struct wire_event, addr),
	FIELD(3, VARINT, struct wire_event, size),    FIELD(4, DELTA, struct wire_event, node),
	FIELD(5, DELTA, struct wire_event, ms),	      FIELD(6, DELTA, struct wire_event, tid),
};

static const struct column nodes[] = {
	FIELD(1, DELTA, struct wire_node, pc),
	FIELD(2, DELTA, struct wire_node, parent),
};

static const struct column modules[] = {
	FIELD(1, VARINT, struct wire_module, state),
	FIELD(2, VARINT, struct wire_module, build_id_len),
	FIELD(3, VARINT, struct wire_module, is_main),
	FIELD(4, VARINT, struct wire_module, is_recorder),
	FIELD(5, VARINT, struct wire_module, is_allocator),
	FIELD(6, DELTA, struct wire_module, start),
	FIELD(7, DELTA, struct wire_module, end),
	FIELD(8, DELTA, struct wire_module, bias),
	FIELD(9, BYTES, struct wire_module, build_id),
};

static const struct column paths[] = {
	FIELD(1, VARINT, struct event_path, module),
	FIELD(2, VARINT, struct event_path, at),
	FIELD(3, BYTES, struct event_path, text),
};

static const struct column entries[] = {
	FIELD(1, VARINT, struct event_entry, type),
	FIELD(2, VARINT, struct event_entry, rows),
	FIELD(3, DELTA, struct event_entry, first_row),
	FIELD(4, DELTA, struct event_entry, offset),
	FIELD(5, DELTA, struct event_entry, first_ms),
	FIELD(6, DELTA, struct event_entry, last_ms),
};

const struct row_layout event_info_layout = {sizeof(struct eventfile_info), info, NR(info)};
const struct row_layout event_layout = {sizeof(struct wire_event), events, NR(events)};
const struct row_layout event_node_layout = {sizeof(struct wire_node), nodes, NR(nodes)};
const struct row_layout event_module_layout = {sizeof(struct wire_module), modules, NR(modules)};
const struct row_layout event_path_layout = {sizeof(struct event_path), paths, NR(paths)};
const struct row_layout event_index_layout = {sizeof(struct event_entry), entries, NR(entries)};
