/*
 * The real UMDH's reports, made again from its own logs: every line with figures, in its order, and
 * the legend must come out the same. The files are not ours to carry; without them this is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/make_snapshot.h"
#include "../tools/render.h"
#include "base/io.h"
#include "base/map.h"

/* Cuts the next CR LF line off *p; NULL at the end. A bare LF is a failure. */
static char *next_line(char **p)
{
	char *line = *p, *end;

	if (*line == 0)
		return NULL;
	end = strchr(line, '\n');
	assert_non_null(end);
	assert_true(end > line && end[-1] == '\r');
	end[-1] = 0;
	*p = end + 1;
	return line;
}

/* The real tool's files, which are not ours to carry: in a folder named by SEEP_TEST_DATA or
 * SEEP_LAB_DATA, or beside the project. */
static bool read_real(const char *name, struct str *out)
{
	static const struct {
		const char *variable, *below;
	} places[] = {
		{"SEEP_LAB_DATA", "umdh/lab"},
		{"SEEP_TEST_DATA", "umdh/lab"},
		{"SEEP_SOURCE", "../shared/data/umdh/lab"},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *folder = getenv(places[i].variable);
		char *path;
		int rc;

		if (!folder)
			continue;
		path = mem_printf("%s/%s/%s", folder, places[i].below, name);
		rc = io_read_file(path, 16 << 20, out);
		free(path);
		if (rc == 0)
			return true;
	}
	return false;
}

/* A UMDH log as a snapshot: one stack an id, its sums; what the real tool compares. */
static void load_log(char *text, struct snapshot *s)
{
	struct map stacks = MAP_INIT;
	char *line;

	make_begin(s, 1);
	while ((line = next_line(&text))) {
		unsigned long long bytes, overhead, addr, id;
		uint64_t *slot;
		bool added;

		if (sscanf(line, "%llX bytes + %llX at %llX by BackTrace%llX", &bytes, &overhead,
			   &addr, &id) != 4)
			continue;
		slot = map_at(&stacks, id, &added);
		if (added)
			*slot = make_stack(s, (uint32_t)id,
					   make_node(s, 0, make_frame(s, NO_INDEX, id), FRAME_NONE),
					   0, 0);
		s->stacks[*slot].live_blocks++;
		s->stacks[*slot].live_bytes += bytes;
		/* Allocations without a stack are no row of a report. */
		if (id == 0)
			s->stacks[*slot] = (struct stack){0};
	}
	map_release(&stacks);
}

/* Only the lines with figures, the total up to the overhead (which is that allocator's). */
static char *figures(char *text)
{
	struct str out = STR_INIT;
	char *line;

	while ((line = next_line(&text))) {
		char *cut = strstr(line, " requested");

		if (cut)
			*cut = 0;
		if (line[0] == '+' || line[0] == '-' || cut) {
			str_add(&out, line);
			str_add_char(&out, '\n');
		}
	}
	return str_detach(&out);
}

/* The legend: from the first to the last line that begins with "// ". */
static char *legend(const char *text)
{
	const char *start = strstr(text, "//      "), *end = strstr(text, "UMDH logs).");

	assert_non_null(start);
	assert_non_null(end);
	return mem_strndup(start, (size_t)(end - start) + 170);
}

static void expect_same(char *ours, char *real)
{
	assert_true(strlen(real) > 400);
	assert_string_equal(ours, real);
	free(ours);
	free(real);
}

static void make_again(const char *first_name, const char *second_name, const char *real_name)
{
	struct str first = STR_INIT, second = STR_INIT, real = STR_INIT;
	struct render r = render_defaults();
	struct snapshot before, after;
	char *ours;

	assert_true(read_real(first_name, &first) && read_real(second_name, &second) &&
		    read_real(real_name, &real));
	load_log(first.data, &before);
	load_log(second.data, &after);
	r.listing.group = GROUP_STACK;
	ours = render(&r, &before, &after, format_umdh, NULL);
	expect_same(legend(ours), legend(real.data));
	expect_same(figures(ours), figures(real.data));
	free(ours);
	snapshot_release(&before);
	snapshot_release(&after);
	str_release(&first);
	str_release(&second);
	str_release(&real);
}

static void test_debug(void **state)
{
	(void)state;
	make_again("DebugLogs-FirstDump.txt", "DebugLogs-SecondDump.txt", "DebugLogs-Result.txt");
}

static void test_release(void **state)
{
	(void)state;
	make_again("ReleaseLogs-FirstDump.txt", "ReleaseLogs-SecondDump.txt",
		   "ReleaseLogs-Result.txt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug),
		cmocka_unit_test(test_release),
	};
	struct str text = STR_INIT;
	bool present = read_real("DebugLogs-Result.txt", &text);

	str_release(&text);
	if (!present) {
		printf("1..0 # SKIP the real tool's logs are not here (SEEP_LAB_DATA)\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
