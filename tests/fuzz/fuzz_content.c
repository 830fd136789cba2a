/* Contents of somebody's memory: texts, previews and searches over any bytes. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "driver.h"
#include "model/content.h"
#include "model/pattern.h"
#include "model/text_runs.h"

#define PIECE ((size_t)TEXT_RUN_MAX * 2)

struct sums {
	size_t runs, bytes;
	size_t end; /* of the memory that was given */
};

static void add(void *context, const struct text_run *run)
{
	struct sums *s = context;

	FUZZ_MUST(run->len && run->offset + run->len <= s->end && run->len % run->width == 0);
	FUZZ_MUST(run->len <= TEXT_RUN_MAX + 4);
	s->runs++;
	s->bytes += run->len;
}

/* Memory in pieces has the texts that it has as a whole. */
static void try_runs(const uint8_t *data, size_t size, size_t min)
{
	struct sums whole = {.end = size}, cut = {0};
	size_t at = 0;

	FUZZ_MUST(text_runs_find(data, size, true, min, add, &whole) == size);
	while (at < size) {
		size_t part = size - at < PIECE ? size - at : PIECE, next;

		cut.end = part;
		next = text_runs_find(data + at, part, at + part == size, min, add, &cut);
		FUZZ_MUST(next > 0 && next <= part);
		at += next;
	}
	FUZZ_MUST(whole.runs == cut.runs && whole.bytes == cut.bytes);
}

static void try_preview(const uint8_t *data, size_t size, unsigned int word_bytes)
{
	const struct content_options o = {.word_bytes = word_bytes};
	struct str out = STR_INIT;

	content_preview(data, size < CONTENT_BYTES ? size : CONTENT_BYTES, size < CONTENT_BYTES, &o,
			&out);
	for (size_t i = 0; i < out.len; i++)
		FUZZ_MUST((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
	str_release(&out);
}

/* The first line is the pattern, the rest where it is searched. */
static void try_pattern(const uint8_t *data, size_t size)
{
	const uint8_t *line_end = memchr(data, '\n', size);
	size_t len = line_end ? (size_t)(line_end - data) : size, rest = size - len, pos = 0;
	char *text = mem_strndup((const char *)data, len);
	struct pattern p;
	struct error e = {0};

	if (pattern_parse(text, &p, &e) < 0) {
		FUZZ_MUST(e.status == EXIT_USAGE && e.message[0]);
	} else {
		pattern_set_words(&p, size % 2 ? 4 : 8, 0, size);
		while (pattern_find(&p, data + len, rest, &pos)) {
			FUZZ_MUST(pos + pattern_width(&p) <= rest);
			pos++;
		}
		pattern_release(&p);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a byte too far is seen. */
	uint8_t *copy = mem_alloc(size ? size : 1);

	memcpy(copy, data, size);
	try_runs(copy, size, 2 + size % 7);
	try_preview(copy, size, 4);
	try_preview(copy, size, 8);
	try_pattern(copy, size);
	free(copy);
	return 0;
}
