/*
 * A recorder's table in which anything was changed: it is refused, or a snapshot is made of it that
 * is sound. The input is a list of changes: which area, where in it, and what to write there.
 */
#include "../tools/forge_table.h"
#include "base/error.h"
#include "driver.h"
#include "target/held.h"

#define AREA_BYTES 4096

struct change {
	uint8_t area, bytes;
	uint16_t at;
	uint8_t value[8];
};

/* Where an area begins in the file, as it was made. */
static uint64_t area_start(const struct wire_header *h, uint8_t area)
{
	const uint64_t starts[] = {
		0,
		offsetof(struct wire_header, slow),
		h->nodes_off,
		offsetof(struct wire_header, chunk_base),
		h->counts_off,
		h->modules_off,
		h->extra_off,
		h->threads_off,
		h->undo_off,
		h->threads_off + offsetof(struct wire_thread, records),
		h->chunks_off,
		h->chunks_off + WIRE_CHUNK_BYTES,
		h->marks_off,
		h->tags_off,
		h->pools_off,
	};

	return starts[area % (sizeof(starts) / sizeof(starts[0]))];
}

static void apply(const struct forged *f, const struct wire_header *made, const uint8_t *data,
		  size_t size)
{
	struct change c;
	size_t bytes;

	for (; size >= sizeof(c); data += sizeof(c), size -= sizeof(c)) {
		memcpy(&c, data, sizeof(c));
		bytes = c.bytes % 9;
		memcpy(f->file + area_start(made, c.area) + c.at % AREA_BYTES, c.value, bytes);
	}
}

static void read_table(const struct forged *f)
{
	struct held_kind *kinds;
	struct error e = {0};
	struct snapshot s;
	struct table t;
	struct cut c;
	size_t nr;

	if (table_open_fd(f->fd, &t, &e) < 0) {
		FUZZ_MUST(*e.message);
		return;
	}
	if (table_cut(&t, true, &c, &e) < 0) {
		FUZZ_MUST(*e.message);
	} else {
		for (size_t i = 1; i < c.nr_nodes; i++)
			FUZZ_MUST(c.nodes[i].parent < i);
		for (size_t i = 0; i < c.nr_blocks; i++)
			FUZZ_MUST(c.blocks[i].node && c.blocks[i].node < c.nr_nodes);
		forged_load(&c, &s);
		FUZZ_MUST(forged_is_sound(&s));
		snapshot_release(&s);
		cut_release(&c);
	}
	t.pid = getpid();
	if (held_in_table(&t, &kinds, &nr) == 0) {
		for (size_t i = 0; i < nr; i++)
			FUZZ_MUST(memchr(kinds[i].name, 0, sizeof(kinds[i].name)));
		free(kinds);
	}
	table_close(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_header *made = aligned_alloc(_Alignof(struct wire_header), sizeof(*made));
	struct forged f;

	FUZZ_MUST(made && forged_init(&f));
	memcpy(made, f.file, sizeof(*made));
	apply(&f, made, data, size);
	read_table(&f);
	forged_release(&f);
	free(made);
	return 0;
}
