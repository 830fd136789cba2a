/* The columns of every array in the file; ids are fixed for ever, see doc/file-format.md. */
#include "file/tables.h"

#include <string.h>

#include "base/mem.h"
#include "file/layout.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

#define FIELD(id_, encoding_, row, field)                                                          \
	{                                                                                          \
		.id = (id_), .encoding = COLUMN_##encoding_, .offset = offsetof(row, field),       \
		.width = sizeof(((row *)0)->field)                                                 \
	}

/* A column that earlier versions of seep did not write, and what it is in their files. */
#define LATER(id_, encoding_, row, field, missing_)                                                \
	{                                                                                          \
		.id = (id_), .encoding = COLUMN_##encoding_, .offset = offsetof(row, field),       \
		.width = sizeof(((row *)0)->field), .optional = true, .missing = (missing_)        \
	}

static const struct column module_columns[] = {
	FIELD(1, VARINT, struct module, path),	  FIELD(2, DELTA, struct module, start),
	FIELD(3, DELTA, struct module, end),	  FIELD(4, DELTA, struct module, bias),
	FIELD(5, BYTES, struct module, build_id), FIELD(6, VARINT, struct module, build_id_len),
	FIELD(7, VARINT, struct module, flags),
};

static const struct column frame_columns[] = {
	FIELD(1, DELTA, struct frame, pc),
	FIELD(2, VARINT, struct frame, module),
	FIELD(3, DELTA, struct frame, symbols_first),
	FIELD(4, VARINT, struct frame, symbols_nr),
};

static const struct column symbol_columns[] = {
	FIELD(1, DELTA, struct symbol, function),
	FIELD(2, DELTA, struct symbol, file),
	FIELD(3, VARINT, struct symbol, line),
	FIELD(4, VARINT, struct symbol, offset),
};

static const struct column node_columns[] = {
	FIELD(1, DELTA, struct stack_node, parent),
	FIELD(2, DELTA, struct stack_node, frame),
	FIELD(3, VARINT, struct stack_node, special),
	LATER(4, VARINT, struct stack_node, tag, 0),
};

static const struct column stack_columns[] = {
	FIELD(1, DELTA, struct stack, node),
	FIELD(2, DELTA, struct stack, id),
	FIELD(3, VARINT, struct stack, live_blocks),
	FIELD(4, VARINT, struct stack, live_bytes),
	FIELD(5, VARINT, struct stack, total_blocks),
	FIELD(6, VARINT, struct stack, total_bytes),
	FIELD(7, VARINT, struct stack, temporary_blocks),
	LATER(8, VARINT, struct stack, live_samples, 0),
	LATER(9, VARINT, struct stack, total_samples, 0),
};

static const struct column mark_columns[] = {
	FIELD(1, VARINT, struct mark, name),	    FIELD(2, DELTA, struct mark, monotonic_ns),
	FIELD(3, VARINT, struct mark, counted),	    FIELD(4, VARINT, struct mark, total_blocks),
	FIELD(5, VARINT, struct mark, total_bytes), FIELD(6, VARINT, struct mark, frees),
};

static const struct column mark_handles_columns[] = {
	FIELD(1, DELTA, struct mark_handles, mark),
	FIELD(2, VARINT, struct mark_handles, kind),
	FIELD(3, VARINT, struct mark_handles, acquired),
	FIELD(4, VARINT, struct mark_handles, released),
};

static const struct column generation_columns[] = {
	FIELD(1, DELTA, struct generation_row, stack),
	FIELD(2, VARINT, struct generation_row, generation),
	FIELD(3, VARINT, struct generation_row, live_blocks),
	FIELD(4, VARINT, struct generation_row, live_bytes),
	FIELD(5, VARINT, struct generation_row, live_samples),
};

static const struct column thread_columns[] = {
	FIELD(1, VARINT, struct thread_info, tid),
	FIELD(2, VARINT, struct thread_info, name),
	LATER(3, VARINT, struct thread_info, heap, NO_INDEX),
	LATER(4, VARINT, struct thread_info, sp, 0),
	LATER(5, VARINT, struct thread_info, tp, 0),
	LATER(6, VARINT, struct thread_info, stack_start, 0),
	LATER(7, VARINT, struct thread_info, stack_end, 0),
	LATER(8, VARINT, struct thread_info, tls_start, 0),
	LATER(9, VARINT, struct thread_info, tls_end, 0),
};

static const struct column region_columns[] = {
	FIELD(1, DELTA, struct region, start),
	FIELD(2, DELTA, struct region, end),
	FIELD(3, VARINT, struct region, offset),
	FIELD(4, VARINT, struct region, path),
	FIELD(5, VARINT, struct region, prot),
	LATER(6, VARINT, struct region, kind, 0),
	LATER(7, VARINT, struct region, owner, NO_INDEX),
	LATER(8, VARINT, struct region, vm_flags, 0),
	LATER(16, VARINT, struct region, rss, 0),
	LATER(17, VARINT, struct region, pss, 0),
	LATER(18, VARINT, struct region, shared_clean, 0),
	LATER(19, VARINT, struct region, shared_dirty, 0),
	LATER(20, VARINT, struct region, private_clean, 0),
	LATER(21, VARINT, struct region, private_dirty, 0),
	LATER(22, VARINT, struct region, anonymous, 0),
	LATER(23, VARINT, struct region, lazy_free, 0),
	LATER(24, VARINT, struct region, swap, 0),
	LATER(25, VARINT, struct region, locked, 0),
	LATER(26, VARINT, struct region, huge, 0),
};

static const struct column ref_block_columns[] = {
	FIELD(1, DELTA, struct ref_block, addr),
	FIELD(2, VARINT, struct ref_block, size),
	FIELD(3, VARINT, struct ref_block, nr_edges),
	FIELD(4, VARINT, struct ref_block, class_name),
	FIELD(5, VARINT, struct ref_block, flags),
};

static const struct column ref_edge_columns[] = {
	FIELD(1, DELTA, struct ref_edge, block),
	FIELD(2, VARINT, struct ref_edge, slot),
	FIELD(3, VARINT, struct ref_edge, into),
};

static const struct column ref_owner_columns[] = {
	FIELD(1, DELTA, struct ref_owner, base),
	FIELD(2, VARINT, struct ref_owner, name),
	FIELD(3, VARINT, struct ref_owner, before),
	FIELD(4, VARINT, struct ref_owner, behind),
	FIELD(5, VARINT, struct ref_owner, kind),
	FIELD(6, VARINT, struct ref_owner, always_offset),
};

static const struct column ref_root_columns[] = {
	FIELD(1, DELTA, struct ref_root, where),   FIELD(2, DELTA, struct ref_root, block),
	FIELD(3, VARINT, struct ref_root, into),   FIELD(4, VARINT, struct ref_root, owner),
	FIELD(5, VARINT, struct ref_root, detail),
};

static const struct column ref_pattern_columns[] = {
	FIELD(1, VARINT, struct ref_pattern, label),
	FIELD(2, VARINT, struct ref_pattern, pattern),
	FIELD(3, VARINT, struct ref_pattern, state),
};

static const struct column block_columns[] = {
	FIELD(1, DELTA, struct block, addr),
	FIELD(2, VARINT, struct block, size),
	FIELD(3, VARINT, struct block, stack),
	FIELD(4, VARINT, struct block, age_ms),
	LATER(5, VARINT, struct block, heap, NO_INDEX),
	LATER(6, VARINT, struct block, state, 0),
	LATER(7, VARINT, struct block, sampled, 0),
};

static const struct column heap_columns[] = {
	FIELD(1, VARINT, struct heap_row, addr),
	FIELD(2, VARINT, struct heap_row, allocator),
	FIELD(3, VARINT, struct heap_row, name),
	FIELD(4, VARINT, struct heap_row, fault),
	FIELD(5, VARINT, struct heap_row, parent),
	FIELD(6, VARINT, struct heap_row, kind),
	FIELD(7, VARINT, struct heap_row, flags),
	FIELD(8, VARINT, struct heap_row, fault_addr),
	FIELD(16, VARINT, struct heap_row, figures.reserved_bytes),
	FIELD(17, VARINT, struct heap_row, figures.committed_bytes),
	FIELD(18, VARINT, struct heap_row, figures.resident_bytes),
	FIELD(19, VARINT, struct heap_row, figures.swapped_bytes),
	FIELD(20, VARINT, struct heap_row, figures.busy_blocks),
	FIELD(21, VARINT, struct heap_row, figures.busy_bytes),
	FIELD(22, VARINT, struct heap_row, figures.internal_blocks),
	FIELD(23, VARINT, struct heap_row, figures.internal_bytes),
	FIELD(24, VARINT, struct heap_row, figures.cached_blocks),
	FIELD(25, VARINT, struct heap_row, figures.cached_bytes),
	FIELD(26, VARINT, struct heap_row, figures.free_blocks),
	FIELD(27, VARINT, struct heap_row, figures.free_bytes),
	FIELD(28, VARINT, struct heap_row, figures.free_resident_bytes),
	FIELD(29, VARINT, struct heap_row, figures.largest_free_bytes),
	FIELD(30, VARINT, struct heap_row, figures.top_bytes),
	FIELD(31, VARINT, struct heap_row, figures.overhead_bytes),
	FIELD(32, VARINT, struct heap_row, figures.free_page_bytes),
	FIELD(33, VARINT, struct heap_row, figures.busy_absent_bytes),
	FIELD(34, VARINT, struct heap_row, figures.overhead_absent_bytes),
};

static const struct column span_columns[] = {
	FIELD(1, DELTA, struct heap_span, start),
	FIELD(2, DELTA, struct heap_span, committed_end),
	FIELD(3, DELTA, struct heap_span, end),
	FIELD(4, VARINT, struct heap_span, heap),
};

static const struct column check_columns[] = {
	FIELD(1, VARINT, struct heap_check, what),
	FIELD(2, VARINT, struct heap_check, heap),
	FIELD(3, VARINT, struct heap_check, expected),
	FIELD(4, VARINT, struct heap_check, found),
};

static const struct column mode_columns[] = {
	FIELD(1, VARINT, struct mode_change, since_ns),
	FIELD(2, VARINT, struct mode_change, mode),
	FIELD(3, VARINT, struct mode_change, mean_bytes),
};

static const struct module blank_module;
static const struct frame blank_frame = {.module = NO_INDEX};
static const struct symbol blank_symbol;
static const struct stack_node blank_node = {.frame = NO_INDEX, .special = FRAME_UNKNOWN_STACK};
static const struct stack blank_stack;
static const struct mark blank_mark;
static const struct heap_row blank_heap = {.parent = NO_INDEX, .kind = HEAP_UNKNOWN};
static const struct thread_info blank_thread = {.heap = NO_INDEX};

#define TABLE(type_, name_, max, array, columns_, blank_)                                          \
	{                                                                                          \
		.type = type_, .name = name_, .max_rows = (max),                                   \
		.rows = {sizeof(*((struct snapshot *)0)->array), columns_, NR(columns_)},          \
		.items = offsetof(struct snapshot, array),                                         \
		.nr = offsetof(struct snapshot, nr_##array),                                       \
		.cap = offsetof(struct snapshot, cap_##array), .blank = blank_,                    \
	}

const struct table tables[TABLE_NR] = {
	[TABLE_STRINGS] = {.type = CHUNK_STRINGS,
			   .name = "strings",
			   .max_rows = 1u << 26,
			   .nr = offsetof(struct snapshot, strings.nr),
			   .blank = ""},
	[TABLE_MODULES] = TABLE(FOURCC('M', 'O', 'D', 'S'), "modules", 1u << 20, modules,
				module_columns, &blank_module),
	[TABLE_SYMBOLS] = TABLE(FOURCC('S', 'Y', 'M', 'S'), "symbols", 1u << 27, symbols,
				symbol_columns, &blank_symbol),
	[TABLE_FRAMES] = TABLE(FOURCC('F', 'R', 'M', 'S'), "frames", 1u << 27, frames,
			       frame_columns, &blank_frame),
	[TABLE_NODES] = TABLE(FOURCC('N', 'O', 'D', 'E'), "stack nodes", 1u << 27, nodes,
			      node_columns, &blank_node),
	[TABLE_STACKS] = TABLE(FOURCC('S', 'T', 'K', 'S'), "stacks", 1u << 27, stacks,
			       stack_columns, &blank_stack),
	[TABLE_RESOURCES] = TABLE(FOURCC('R', 'S', 'R', 'C'), "resources", 1u << 27, resources,
				  stack_columns, &blank_stack),
	[TABLE_MARKS] = TABLE(FOURCC('M', 'A', 'R', 'K'), "marks", 1u << 20, marks, mark_columns,
			      &blank_mark),
	[TABLE_MARK_HANDLES] = TABLE(FOURCC('M', 'K', 'H', 'D'), "handles at marks", 1u << 24,
				     mark_handles, mark_handles_columns, NULL),
	[TABLE_GENERATIONS] = TABLE(FOURCC('G', 'E', 'N', 'S'), "generations", 1u << 27,
				    generations, generation_columns, NULL),
	[TABLE_RESOURCE_GENERATIONS] =
		TABLE(FOURCC('R', 'G', 'E', 'N'), "generations of resources", 1u << 27,
		      resource_generations, generation_columns, NULL),
	[TABLE_HEAPS] = TABLE(FOURCC('H', 'E', 'A', 'P'), "heaps", 1u << 24, heaps, heap_columns,
			      &blank_heap),
	[TABLE_THREADS] = TABLE(FOURCC('T', 'H', 'R', 'D'), "threads", 1u << 22, threads,
				thread_columns, &blank_thread),
	[TABLE_REGIONS] = TABLE(FOURCC('R', 'E', 'G', 'N'), "regions", 1u << 24, regions,
				region_columns, NULL),
	[TABLE_SPANS] = TABLE(FOURCC('S', 'P', 'A', 'N'), "heap spans", 1u << 26, spans,
			      span_columns, NULL),
	[TABLE_CHECKS] =
		TABLE(FOURCC('C', 'H', 'C', 'K'), "checks", 1u << 24, checks, check_columns, NULL),
	[TABLE_MODES] =
		TABLE(FOURCC('M', 'O', 'D', 'E'), "modes", 1u << 20, modes, mode_columns, NULL),
	[TABLE_BLOCKS] =
		TABLE(FOURCC('B', 'L', 'K', 'S'), "blocks", 1u << 31, blocks, block_columns, NULL),
	[TABLE_REF_BLOCKS] = TABLE(FOURCC('R', 'F', 'B', 'L'), "blocks of references",
				   (1u << 31) - 2, ref_blocks, ref_block_columns, NULL),
	[TABLE_REF_EDGES] = TABLE(FOURCC('R', 'F', 'E', 'D'), "references", 1ull << 33, ref_edges,
				  ref_edge_columns, NULL),
	[TABLE_REF_OWNERS] = TABLE(FOURCC('R', 'F', 'O', 'W'), "owners of roots", 1u << 26,
				   ref_owners, ref_owner_columns, NULL),
	[TABLE_REF_ROOTS] = TABLE(FOURCC('R', 'F', 'R', 'T'), "roots", 1u << 31, ref_roots,
				  ref_root_columns, NULL),
	[TABLE_REF_PATTERNS] = TABLE(FOURCC('R', 'F', 'P', 'T'), "patterns", 1u << 16, ref_patterns,
				     ref_pattern_columns, NULL),
};

static const struct column meta_columns[] = {
	FIELD(1, VARINT, struct meta, identity.pid),
	FIELD(2, VARINT, struct meta, identity.start_ticks),
	FIELD(3, VARINT, struct meta, identity.image),
	FIELD(4, BYTES, struct meta, identity.boot_id),
	FIELD(5, VARINT, struct meta, identity.name),
	FIELD(6, VARINT, struct meta, identity.exe),
	FIELD(7, VARINT, struct meta, identity.command),
	FIELD(8, VARINT, struct meta, identity.host),
	FIELD(16, VARINT, struct meta, taken_realtime_ns),
	FIELD(17, VARINT, struct meta, taken_monotonic_ns),
	FIELD(18, VARINT, struct meta, recording_since_ns),
	FIELD(19, VARINT, struct meta, pause_ns),
	FIELD(20, VARINT, struct meta, allocator),
	FIELD(21, VARINT, struct meta, flags),
	LATER(22, VARINT, struct meta, method, 0),
	LATER(23, VARINT, struct meta, mode_changes, 0),
	LATER(24, VARINT, struct meta, sampled_ns, 0),
	LATER(25, VARINT, struct meta, unrecorded.ns, 0),
	LATER(26, VARINT, struct meta, unrecorded.blocks, 0),
	LATER(27, VARINT, struct meta, unrecorded.bytes, 0),
	LATER(28, VARINT, struct meta, unrecorded.frees, 0),
	LATER(29, VARINT, struct meta, pooled_bytes, 0),
	FIELD(32, VARINT, struct meta, losses.dropped_blocks),
	FIELD(33, VARINT, struct meta, losses.dropped_bytes),
	FIELD(34, VARINT, struct meta, losses.unknown_frees),
	FIELD(35, VARINT, struct meta, losses.lost_frees),
	FIELD(36, VARINT, struct meta, losses.cut_stacks),
	FIELD(37, VARINT, struct meta, losses.stopped_stacks),
	FIELD(38, VARINT, struct meta, losses.missing_stacks),
	LATER(39, VARINT, struct meta, losses.lost_marks, 0),
	LATER(40, VARINT, struct meta, losses.lost_tags, 0),
	LATER(41, VARINT, struct meta, losses.partial_functions, 0),
	LATER(42, VARINT, struct meta, descriptors.open, 0),
	LATER(43, VARINT, struct meta, descriptors.unseen, 0),
	LATER(44, VARINT, struct meta, descriptors.gone, 0),
	LATER(48, VARINT, struct meta, figures.rss, 0),
	LATER(49, VARINT, struct meta, figures.peak_rss, 0),
	LATER(50, VARINT, struct meta, figures.anonymous, 0),
	LATER(51, VARINT, struct meta, figures.file, 0),
	LATER(52, VARINT, struct meta, figures.shared_memory, 0),
	LATER(53, VARINT, struct meta, figures.swap, 0),
	LATER(54, VARINT, struct meta, figures.page_tables, 0),
	LATER(55, VARINT, struct meta, ref_account.word_bytes, 0),
	LATER(56, VARINT, struct meta, ref_account.root_bytes, 0),
	LATER(57, VARINT, struct meta, ref_account.root_words, 0),
	LATER(58, VARINT, struct meta, ref_account.unread_bytes, 0),
	LATER(59, VARINT, struct meta, ref_account.unwalked_heaps, 0),
	LATER(60, VARINT, struct meta, ref_account.unwalked_bytes, 0),
	LATER(61, VARINT, struct meta, ref_account.extra_blocks, 0),
	LATER(62, VARINT, struct meta, ref_account.rejected_blocks, 0),
	FIELD(64, VARINT, struct meta, chunks),
	FIELD(65, VARINT, struct meta, table_rows[TABLE_STRINGS]),
	FIELD(66, VARINT, struct meta, table_rows[TABLE_MODULES]),
	FIELD(67, VARINT, struct meta, table_rows[TABLE_SYMBOLS]),
	FIELD(68, VARINT, struct meta, table_rows[TABLE_FRAMES]),
	FIELD(69, VARINT, struct meta, table_rows[TABLE_NODES]),
	FIELD(70, VARINT, struct meta, table_rows[TABLE_STACKS]),
	FIELD(71, VARINT, struct meta, table_rows[TABLE_THREADS]),
	FIELD(72, VARINT, struct meta, table_rows[TABLE_REGIONS]),
	FIELD(73, VARINT, struct meta, table_rows[TABLE_BLOCKS]),
	LATER(74, VARINT, struct meta, table_rows[TABLE_HEAPS], 0),
	LATER(75, VARINT, struct meta, table_rows[TABLE_SPANS], 0),
	LATER(76, VARINT, struct meta, table_rows[TABLE_CHECKS], 0),
	LATER(77, VARINT, struct meta, table_rows[TABLE_REF_BLOCKS], 0),
	LATER(78, VARINT, struct meta, table_rows[TABLE_REF_EDGES], 0),
	LATER(79, VARINT, struct meta, table_rows[TABLE_REF_OWNERS], 0),
	LATER(80, VARINT, struct meta, table_rows[TABLE_REF_ROOTS], 0),
	LATER(81, VARINT, struct meta, table_rows[TABLE_REF_PATTERNS], 0),
	LATER(82, VARINT, struct meta, table_rows[TABLE_MODES], 0),
	LATER(83, VARINT, struct meta, table_rows[TABLE_MARKS], 0),
	LATER(84, VARINT, struct meta, table_rows[TABLE_GENERATIONS], 0),
	LATER(85, VARINT, struct meta, table_rows[TABLE_RESOURCES], 0),
	LATER(86, VARINT, struct meta, table_rows[TABLE_RESOURCE_GENERATIONS], 0),
	LATER(87, VARINT, struct meta, table_rows[TABLE_MARK_HANDLES], 0),
};

const struct row_layout meta_layout = {sizeof(struct meta), meta_columns, NR(meta_columns)};

static const struct column index_columns[] = {
	FIELD(1, VARINT, struct chunk_entry, type),
	FIELD(2, VARINT, struct chunk_entry, first_row),
	FIELD(3, VARINT, struct chunk_entry, rows),
	FIELD(4, DELTA, struct chunk_entry, offset),
};

const struct row_layout index_layout = {sizeof(struct chunk_entry), index_columns,
					NR(index_columns)};

enum table_id table_of_type(uint32_t type)
{
	int id = 0;

	while (id < TABLE_NR && tables[id].type != type)
		id++;
	return (enum table_id)id;
}

/* Fields of struct snapshot by their place. */
static size_t *size_at(struct snapshot *s, size_t offset)
{
	return (size_t *)((char *)s + offset);
}

static void **items_at(struct snapshot *s, size_t offset)
{
	return (void **)((char *)s + offset);
}

size_t table_nr(const struct table *t, const struct snapshot *s)
{
	return *size_at((struct snapshot *)s, t->nr);
}

const void *table_row(const struct table *t, const struct snapshot *s, size_t i)
{
	return (const char *)*items_at((struct snapshot *)s, t->items) + i * t->rows.row_bytes;
}

void *table_append(const struct table *t, struct snapshot *s, size_t nr)
{
	void **items = items_at(s, t->items);
	size_t *have = size_at(s, t->nr), *cap = size_at(s, t->cap);
	char *first;

	if (!*items || *cap - *have < nr) {
		size_t more = *have + nr > *cap * 2 ? *have + nr : *cap * 2;

		*items = mem_realloc(*items, more * t->rows.row_bytes);
		*cap = more;
	}
	first = (char *)*items + *have * t->rows.row_bytes;
	memset(first, 0, nr * t->rows.row_bytes);
	*have += nr;
	return first;
}

void table_drop(const struct table *t, struct snapshot *s, size_t nr)
{
	*size_at(s, t->nr) -= nr;
}

void meta_from_snapshot(struct meta *m, const struct snapshot *s)
{
	*m = (struct meta){
		.identity = s->identity,
		.taken_realtime_ns = s->taken_realtime_ns,
		.taken_monotonic_ns = s->taken_monotonic_ns,
		.recording_since_ns = s->recording_since_ns,
		.pause_ns = s->pause_ns,
		.pooled_bytes = s->pooled_bytes,
		.allocator = s->allocator,
		.method = s->method,
		.figures = s->figures,
		.descriptors = s->descriptors,
		.mode_changes = s->mode_changes,
		.sampled_ns = s->sampled_ns,
		.unrecorded = s->unrecorded,
		.losses = s->losses,
		.flags = (s->has_recorder ? META_HAS_RECORDER : 0u) |
			 (s->has_blocks ? META_HAS_BLOCKS : 0u) | (s->at_exit ? META_AT_EXIT : 0u) |
			 (s->symbols_resolved ? META_SYMBOLS_RESOLVED : 0u) |
			 (s->has_heaps ? META_HAS_HEAPS : 0u) |
			 (s->has_region_use ? META_HAS_REGION_USE : 0u) |
			 (s->has_references ? META_HAS_REFERENCES : 0u) |
			 (s->ref_account.has_registers ? META_REF_REGISTERS : 0u) |
			 (s->ref_account.has_kernel ? META_REF_KERNEL : 0u) |
			 (s->losses.torn ? META_TORN : 0u),
		.ref_account = s->ref_account,
	};
	for (int i = 0; i < TABLE_NR; i++)
		m->table_rows[i] = table_nr(&tables[i], s);
}

void meta_to_snapshot(const struct meta *m, struct snapshot *s)
{
	s->identity = m->identity;
	s->taken_realtime_ns = m->taken_realtime_ns;
	s->taken_monotonic_ns = m->taken_monotonic_ns;
	s->recording_since_ns = m->recording_since_ns;
	s->pause_ns = m->pause_ns;
	s->pooled_bytes = m->pooled_bytes;
	s->allocator = m->allocator;
	s->method = m->method;
	s->figures = m->figures;
	s->descriptors = m->descriptors;
	s->mode_changes = m->mode_changes;
	s->sampled_ns = m->sampled_ns;
	s->unrecorded = m->unrecorded;
	s->losses = m->losses;
	s->has_recorder = m->flags & META_HAS_RECORDER;
	s->has_blocks = m->flags & META_HAS_BLOCKS;
	s->at_exit = m->flags & META_AT_EXIT;
	s->symbols_resolved = m->flags & META_SYMBOLS_RESOLVED;
	s->losses.torn = m->flags & META_TORN;
	s->has_heaps = m->flags & META_HAS_HEAPS;
	s->has_region_use = m->flags & META_HAS_REGION_USE;
	s->has_references = m->flags & META_HAS_REFERENCES;
	s->ref_account = m->ref_account;
	s->ref_account.has_registers = m->flags & META_REF_REGISTERS;
	s->ref_account.has_kernel = m->flags & META_REF_KERNEL;
}
