/* What the writer and the reader of event files share; the numbers are in doc/file-format.md. */
#ifndef SEEP_FILE_EVENTROWS_H
#define SEEP_FILE_EVENTROWS_H

#include <stdint.h>

#include "file/columns.h"
#include "file/layout.h"

#define EVENTFILE_MAGIC "\x89SEEV\r\n\x1a"

#define CHUNK_EVENT_INFO FOURCC('E', 'V', 'I', 'N')
#define CHUNK_EVENTS FOURCC('E', 'V', 'N', 'T')
#define CHUNK_EVENT_NODES FOURCC('E', 'V', 'N', 'D')
#define CHUNK_EVENT_MODULES FOURCC('E', 'V', 'M', 'D')
#define CHUNK_EVENT_PATHS FOURCC('E', 'V', 'M', 'P')
#define CHUNK_EVENT_INDEX FOURCC('E', 'V', 'I', 'X')

/* A row has to be short (ROW_MAX_RAW), and a path is not: it comes in pieces. */
#define EVENT_PATH_PIECE 200
struct event_path {
	uint32_t module, at;
	uint8_t text[EVENT_PATH_PIECE];
};

struct event_entry {
	uint32_t type, rows;
	uint64_t first_row, offset;
	uint32_t first_ms, last_ms; /* of events */
};

extern const struct row_layout event_info_layout, event_layout, event_node_layout,
	event_module_layout, event_path_layout, event_index_layout;

#endif
