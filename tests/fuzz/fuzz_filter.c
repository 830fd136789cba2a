/* Filter expressions and suppression files from anywhere: refused with a sentence, or usable. */
#include <string.h>

#include "../tools/meter_snapshots.h"
#include "base/error.h"
#include "driver.h"
#include "model/filter.h"
#include "model/lines.h"
#include "model/suppress.h"

static void try_filter(const char *text, const struct lines *lines)
{
	const struct filter_item item = {.lines = lines, .bytes = 10, .blocks = 2, .block_size = 5};
	struct filter *filter;
	struct error e = {0};

	if (filter_parse(text, &filter, &e) < 0) {
		FUZZ_MUST(e.status == EXIT_USAGE && e.message[0]);
		return;
	}
	(void)filter_match(filter, &item);
	filter_free(filter);
	/* Whatever is a filter of stacks is one of blocks. */
	FUZZ_MUST(filter_parse_blocks(text, &filter, &e) == 0);
	filter_free(filter);
}

static void try_blocks(const char *text)
{
	const struct filter_block block = {.addr = 64,
					   .heap = "main",
					   .allocator = "glibc",
					   .state = "busy",
					   .class_name = ""};
	const struct filter_item item = {.block_size = 5, .block = &block};
	struct filter *filter;
	struct error e = {0};

	if (filter_parse_blocks(text, &filter, &e) < 0) {
		FUZZ_MUST(e.status == EXIT_USAGE && e.message[0]);
		return;
	}
	(void)filter_match(filter, &item);
	filter_free(filter);
}

static void try_suppressions(const char *text, const struct lines *lines)
{
	struct suppressions rules;
	struct error e = {0};

	if (suppressions_parse(text, "fuzz", &rules, &e) < 0) {
		FUZZ_MUST(e.status == EXIT_FILE && e.message[0]);
		return;
	}
	(void)suppressions_find(&rules, lines);
	suppressions_release(&rules);
}

/* Counted repetitions of regular expressions may take all memory there is: not what is tested. */
static bool sane(const char *text)
{
	return strlen(text) < 4096 && !strpbrk(text, "{*+");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot s;
	struct lines lines;
	char *text = mem_strndup((const char *)data, size);

	meter_after(&s);
	lines_init(&lines);
	lines_of_stack(&lines, &s, s.stacks[0].node, NULL);
	if (sane(text))
		try_filter(text, &lines);
	if (sane(text))
		try_blocks(text);
	try_suppressions(text, &lines);
	lines_release(&lines);
	snapshot_release(&s);
	free(text);
	return 0;
}
