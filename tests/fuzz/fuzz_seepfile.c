/*
 * The .seep reader on hostile bytes: it never crashes, and what it accepts keeps every promise of
 * snapshot.h. Most mutations go into the payloads and are given right checksums again, so that they
 * get past the first gate.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/forge.h"
#include "base/error.h"
#include "base/str.h"
#include "driver.h"
#include "file/seepfile.h"
#include "model/dominators.h"
#include "model/heapdiff.h"
#include "model/heapview.h"
#include "model/histogram.h"
#include "model/leak_heads.h"
#include "model/reach_path.h"
#include "model/regions.h"
#include "model/sheet.h"
#include "model/snapshot.h"

/* Whatever can be read can be shown. */
static void show_heaps(const struct snapshot *s)
{
	struct histogram sizes = {0};
	struct heapdiff d;
	struct sheet sheet;

	heapview_make(s, &sheet);
	sheet_release(&sheet);
	heapview_checks(s, &sheet);
	sheet_release(&sheet);
	heapdiff_sizes(s, &sizes);
	heapdiff_make(s, &sizes, s, &sizes, &d);
	heapdiff_show(&d, 10, &sheet);
	sheet_release(&sheet);
	heapdiff_release(&d);
	histogram_release(&sizes);
}

/* The graph that it says there is can be walked, whatever it is. */
static void walk_references(const struct snapshot *s)
{
	uint32_t *owners = calloc(s->nr_ref_roots + 1, sizeof(*owners));
	struct leak_heads heads;
	struct dominators d;
	struct root_hits hits;
	struct reach_path path;
	struct str text = STR_INIT;
	struct reach *r = references_reach(s, 0, &hits);

	leak_heads_find(r, REACH_LEAKED, &heads);
	leak_heads_release(&heads);
	for (size_t i = 0; i < s->nr_ref_roots; i++) {
		owners[i] = s->ref_roots[i].owner;
		references_describe_root(s, &s->ref_roots[i], &text);
	}
	for (size_t i = 0; i < s->nr_ref_blocks && i < 16; i++) {
		FUZZ_MUST(reach_find(r, s->ref_blocks[i].addr) == i);
		reach_path_find(r, &hits, (uint32_t)i, &path);
		reach_path_release(&path);
	}
	/* Last, for it takes the edges. */
	FUZZ_MUST(!dominators_find(r, &hits, owners, (uint32_t)s->nr_ref_owners, &d));
	dominators_release(&d);
	reach_free(r);
	root_hits_release(&hits);
	str_release(&text);
	free(owners);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seepfile_damage damage;
	struct snapshot s;
	struct error e = {0};
	int err = seepfile_read_bytes(data, size, "fuzz", &s, &damage, &e);

	if (err) {
		FUZZ_MUST(err < 0 && e.status == EXIT_FILE && e.message[0]);
		return 0;
	}
	FUZZ_MUST(!snapshot_check(&s, &e));
	FUZZ_MUST(damage.damaged == (damage.what[0] != '\0'));
	/* whatever can be read can be written */
	FUZZ_MUST(!seepfile_write(&s, "/dev/null", &e));
	show_heaps(&s);
	if (s.has_references)
		walk_references(&s);
	regions_classify(&s);
	FUZZ_MUST(!snapshot_check(&s, &e));
	snapshot_release(&s);
	return 0;
}

static void mutate_payload(struct forge_chunk *c, uint64_t *state)
{
	enum { ROOM = 4096 };

	if (c->raw.len > ROOM / 2)
		return;
	buffer_reserve(&c->raw, ROOM - c->raw.len);
	for (uint64_t n = 1 + fuzz_random(state) % 3; n; n--)
		c->raw.len = fuzz_mutate_bytes(c->raw.data, c->raw.len, ROOM, state);
}

/* Lies about rows that are near the truth or at the limits. */
static uint64_t mutate_number(uint64_t n, uint64_t *state)
{
	static const uint64_t edges[] = {0, 1, CHUNK_MAX_ROWS, UINT32_MAX, UINT64_MAX, 1u << 20};
	uint64_t r = fuzz_random(state);

	return r & 1 ? n + (r >> 8) % 5 - 2 : edges[(r >> 8) % (sizeof(edges) / sizeof(edges[0]))];
}

static void mutate_chunks(struct forge *f, uint64_t *state)
{
	uint64_t r = fuzz_random(state);
	struct forge_chunk *c = &f->chunks[(r >> 16) % f->nr];
	struct forge_chunk *other = &f->chunks[(r >> 32) % f->nr];
	struct forge_chunk swap;

	switch (r % 8) {
	case 0:
		c->rows = (uint32_t)mutate_number(c->rows, state);
		break;
	case 1:
		c->first_row = mutate_number(c->first_row, state);
		break;
	case 2:
		swap = *c;
		*c = *other;
		*other = swap;
		break;
	case 3:
		c->type = other->type;
		break;
	default:
		mutate_payload(c, state);
		break;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct buffer file = {0};
	uint64_t state = seed;
	struct forge f = {0};

	if (fuzz_random(&state) % 8 && forge_take(&f, data, size)) {
		for (uint64_t n = 1 + fuzz_random(&state) % 3; n; n--)
			mutate_chunks(&f, &state);
		forge_make(&f, &file);
		size = file.len < max ? file.len : max;
		memcpy(data, file.data, size);
	}
	if (!(fuzz_random(&state) % 4))
		size = fuzz_mutate_bytes(data, size, max, &state);
	forge_release(&f);
	buffer_release(&file);
	return size;
}
