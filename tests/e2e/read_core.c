/*
 * What seep reads of a core: one line of JSON. Ranges are given as ADDRESS:LENGTH, both decimal;
 * of each it says how many bytes could be read, and their hash (FNV-1a, 64 bits).
 *
 * read_core [--files FOLDERS] CORE [RANGE...]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/target.h"

#define PIECE_BYTES 70001 /* no power of two: reads begin and end anywhere */

static void print_range(struct target *t, const char *range)
{
	uint64_t addr = strtoull(range, NULL, 10), h = 0xcbf29ce484222325u, done = 0, len;
	const char *colon = strchr(range, ':');
	uint8_t *piece = mem_alloc(PIECE_BYTES);

	len = colon ? strtoull(colon + 1, NULL, 10) : 0;
	while (done < len) {
		size_t want = len - done < PIECE_BYTES ? (size_t)(len - done) : PIECE_BYTES;
		size_t got = target_read(t, addr + done, piece, want);

		for (size_t i = 0; i < got; i++)
			h = (h ^ piece[i]) * 0x100000001b3u;
		done += got;
		if (got < want)
			break;
	}
	printf("{\"addr\":%" PRIu64 ",\"read\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}", addr,
	       done, h);
	free(piece);
}

static void print_threads(const struct target *t)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	printf(",\"threads\":[");
	for (size_t i = 0; i < nr; i++)
		printf("%s{\"tid\":%d,\"pc\":%" PRIu64 ",\"sp\":%" PRIu64 ",\"tp\":%" PRIu64
		       ",\"vector_bytes\":%zu}",
		       i ? "," : "", threads[i].tid, threads[i].pc, threads[i].sp, threads[i].tp,
		       threads[i].xstate_bytes);
	printf("]");
}

static void print_gaps(const struct target *t)
{
	struct str text = STR_INIT;
	struct target_gaps g;

	target_gaps(t, &g);
	target_gaps_describe(&g, &text);
	printf(",\"missing_bytes\":%" PRIu64 ",\"cut_bytes\":%" PRIu64
	       ",\"files_missing\":%zu,\"files_other\":%zu,\"gaps\":\"%s\"",
	       g.missing_bytes, g.cut_bytes, g.files_missing, g.files_other, text.data);
	str_release(&text);
}

int main(int argc, char **argv)
{
	struct target_options o = {.files = NULL};
	struct error e = {0};
	struct target *t;
	size_t nr;
	int at = 1;

	if (argc > 3 && strcmp(argv[1], "--files") == 0) {
		o.files = argv[2];
		at = 3;
	}
	if (at >= argc || target_open_core(argv[at], &o, &t, &e) < 0) {
		fprintf(stderr, "%s\n", e.message);
		return e.status;
	}
	target_modules(t, &nr);
	printf("{\"pid\":%d,\"comm\":\"%s\",\"modules\":%zu", target_process(t)->pid,
	       target_process(t)->comm, nr);
	print_threads(t);
	print_gaps(t);
	printf(",\"ranges\":[");
	for (int i = at + 1; i < argc; i++) {
		printf("%s", i > at + 1 ? "," : "");
		print_range(t, argv[i]);
	}
	printf("]}\n");
	target_close(t);
	return 0;
}
