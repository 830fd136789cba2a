/* format/vmmap_csv: a map made by hand, and the structure of a real export where one is at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../tools/map_snapshot.h"
#include "base/error.h"
#include "base/io.h"
#include "base/str.h"
#include "format/vmmap_csv.h"

#define LINE_END "\r\r\n"

static void write_sample(struct str *out)
{
	struct snapshot s;

	map_snapshot(&s);
	regions_classify(&s);
	vmmap_csv_write(&s, out);
	snapshot_release(&s);
}

static void has(const struct str *text, const char *line)
{
	char *whole = mem_printf("%s" LINE_END, line);

	if (!strstr(text->data, whole))
		fail_msg("no line %s in\n%s", line, text->data);
	free(whole);
}

static void tells_types_and_allocations(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	write_sample(&out);
	has(&out, "\"Process:\",\"prog\"");
	has(&out, "\"PID:\",\"100\"");
	has(&out, "\"Heap\",\"2,180\",\"1,288\",\"1,288\",\"132\",\"132\",\"\",\"\",\"\",\"4\",\"1,"
		  "024\"");
	has(&out, "\"Page Table\",\"32\",\"32\",\"32\",\"32\",\"32\",\"\",\"\",\"\",\"\",\"\"");
	has(&out, "\"Unusable\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"");
	/* An image with its sections. */
	has(&out, "\"0000000000400000\",\"Image (ASLR)\",\"24\",\"24\",\"8\",\"24\",\"4\",\"20\","
		  "\"\",\"\",\"6\",\"Execute/Read/Write\",\"/opt/prog\"");
	has(&out, "\"  0000000000401000\",\"Image (ASLR)\",\"4\",\"4\",\"\",\"4\",\"\",\"4\",\"\","
		  "\"\",\"\",\"Execute/Read\",\".text\"");
	has(&out, "\"  0000000000404000\",\"Image (ASLR)\",\"4\",\"4\",\"4\",\"4\",\"\",\"4\",\"\","
		  "\"\",\"\",\"Copy on write\",\".data\"");
	/* An arena and what is reserved for it. */
	has(&out, "\"00007F0000000000\",\"Heap (Private Data)\",\"1,024\",\"132\",\"132\",\"12\","
		  "\"12\",\"\",\"\",\"\",\"2\",\"Read/Write\",\"Heap ID: 2 [glibc arena 1]\"");
	has(&out, "\"  00007F0000021000\",\"Heap (Private Data)\",\"892\",\"\",\"\",\"\",\"\","
		  "\"\",\"\",\"\",\"\",\"Reserved\",\"Heap ID: 2 [glibc arena 1]\"");
	/* A stack and its guard. */
	has(&out, "\"00007F0000400000\",\"Thread Stack\",\"68\",\"64\",\"64\",\"8\",\"8\",\"\","
		  "\"\",\"\",\"2\",\"Read/Write/Guard\",\"Thread ID: 101\"");
	str_release(&out);
}

/* A field of a line, without quotes, or "" where there are fewer. */
static void field(const char *line, size_t nr, char *ret, size_t room)
{
	size_t len = 0;

	while (nr-- && *line) {
		line += strcspn(line + 1, "\"") + 2;
		if (*line == ',')
			line++;
	}
	ret[0] = 0;
	if (*line != '"')
		return;
	len = strcspn(line + 1, "\"");
	snprintf(ret, room, "%.*s", (int)len, line + 1);
}

static uint64_t kib(const char *text)
{
	uint64_t n = 0;

	for (; *text; text++) {
		if (*text != ',')
			n = n * 10 + (uint64_t)(*text - '0');
	}
	return n;
}

/*
 * What both must have in common: lines of the same kinds in the same order, the same headers, as
 * many fields, sums that add up. Appends a letter a line: what it is.
 */
struct structure {
	struct str shape, titles;
	uint64_t total, sum; /* of sizes: as told, and added up */
	bool in_details;
};

static void read_line(struct structure *st, const char *line)
{
	char first[64], second[64];
	size_t quotes = 0;

	for (const char *p = line; *p; p++)
		quotes += *p == '"';
	field(line, 0, first, sizeof(first));
	field(line, 1, second, sizeof(second));
	if (!*line) {
		str_add_char(&st->shape, '.');
	} else if (strcmp(first, "Type") == 0 || strcmp(first, "Address") == 0) {
		st->in_details = *first == 'A';
		str_add_char(&st->shape, 'H');
		str_printf(&st->titles, "%s\n", line);
	} else if (st->in_details) {
		assert_int_equal(quotes, 2 * 13);
		if (st->shape.data[st->shape.len - 1] != 'D')
			str_add_char(&st->shape, 'D');
	} else if (quotes == 4) {
		str_add_char(&st->shape, 'P');
	} else {
		assert_int_equal(quotes, 2 * 11);
		if (strcmp(first, "Total") == 0)
			st->total = kib(second);
		else if (strcmp(first, "Free") != 0)
			st->sum += kib(second);
		if (strcmp(first, "Managed Heap") != 0)
			str_add_char(&st->shape, 'T');
	}
}

static void read_all(struct structure *st, char *text)
{
	char *line = text, *end;

	*st = (struct structure){.shape = STR_INIT, .titles = STR_INIT};
	while (*line) {
		end = strstr(line, LINE_END);
		assert_non_null(end);
		*end = 0;
		assert_null(strpbrk(line, "\r\n"));
		read_line(st, line);
		line = end + strlen(LINE_END);
	}
	assert_int_equal(st->sum, st->total);
}

static void release(struct structure *st)
{
	str_release(&st->shape);
	str_release(&st->titles);
}

static void has_its_own_sums(void **state)
{
	struct str out = STR_INIT;
	struct structure st;

	(void)state;
	write_sample(&out);
	read_all(&st, out.data);
	assert_string_equal(st.shape.data, "PP.HTTTTTTTTTT.HD.");
	release(&st);
	str_release(&out);
}

/* The real tool's file, which is not ours to carry; where it is looked for is as for UMDH's. */
static bool read_real(struct str *out)
{
	static const struct {
		const char *variable, *below;
	} places[] = {
		{"SEEP_LAB_DATA", "vmmap"},
		{"SEEP_TEST_DATA", "vmmap"},
		{"SEEP_SOURCE", "../shared/data/vmmap"},
	};
	bool done = false;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !done; i++) {
		const char *folder = getenv(places[i].variable);
		char *pattern;
		glob_t found;

		if (!folder)
			continue;
		pattern = mem_printf("%s/%s/*.csv", folder, places[i].below);
		if (glob(pattern, 0, NULL, &found) == 0) {
			done = io_read_file(found.gl_pathv[0], 64u << 20, out) == 0;
			globfree(&found);
		}
		free(pattern);
	}
	return done;
}

static void has_the_structure_of_a_real_export(void **state)
{
	struct str real = STR_INIT, out = STR_INIT;
	struct structure a, b;

	(void)state;
	if (!read_real(&real)) {
		print_message("no real export is at hand\n");
		skip();
	}
	write_sample(&out);
	read_all(&a, real.data);
	read_all(&b, out.data);
	assert_string_equal(a.shape.data, b.shape.data);
	assert_string_equal(a.titles.data, b.titles.data);
	release(&a);
	release(&b);
	str_release(&real);
	str_release(&out);
}

static void names_keep_to_their_field(void **state)
{
	struct str out = STR_INIT;
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	s.identity.name = strings_add(&s.strings, "a\r\nb");
	map_region(&s, 0x10000, 0x20000, PR, "/tmp/x\ny\033", 0);
	map_region(&s, 0x20000, 0x30000, PR, "/tmp/quo\"te", 0);
	regions_classify(&s);
	vmmap_csv_write(&s, &out);
	assert_non_null(strstr(out.data, "\"/tmp/quo\"\"te\""));
	assert_null(strchr(out.data, '\033'));
	assert_non_null(strstr(out.data, "\"00010000\"")); /* a process of 32 bits */
	str_release(&out);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_types_and_allocations),
		cmocka_unit_test(has_its_own_sums),
		cmocka_unit_test(has_the_structure_of_a_real_export),
		cmocka_unit_test(names_keep_to_their_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
