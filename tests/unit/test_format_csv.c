/* --format csv against RFC 4180: every record as many fields as the header, quoting undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/meter_snapshots.h"
#include "../tools/render.h"

#define FIELDS_MAX 32

/* Reads one record as the RFC says; returns the number of fields, *p behind its CR LF. */
static size_t read_record(const char **p, struct str fields[FIELDS_MAX])
{
	size_t nr = 1;
	bool quoted = false;

	for (size_t i = 0; i < FIELDS_MAX; i++)
		str_clear(&fields[i]);
	for (;; (*p)++) {
		char c = **p;

		assert_true(c != 0 && nr <= FIELDS_MAX);
		if (quoted && c == '"' && (*p)[1] == '"')
			str_add_char(&fields[nr - 1], *(*p)++);
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c == ',')
			nr++;
		else if (!quoted && c == '\r')
			break;
		else
			str_add_char(&fields[nr - 1], c);
	}
	assert_int_equal((*p)[1], '\n');
	*p += 2;
	return nr;
}

static void release(struct str fields[FIELDS_MAX])
{
	for (size_t i = 0; i < FIELDS_MAX; i++)
		str_release(&fields[i]);
}

static void test_diff(void **state)
{
	struct str fields[FIELDS_MAX];
	struct render r = render_defaults();
	struct snapshot before, after;
	const char *p;
	char *text;

	(void)state;
	for (size_t i = 0; i < FIELDS_MAX; i++)
		str_init(&fields[i]);
	meter_before(&before);
	meter_after(&after);
	p = text = render(&r, &before, &after, format_csv, NULL);
	assert_int_equal(read_record(&p, fields), 21);
	assert_string_equal(fields[1].data, "delta_bytes");
	assert_string_equal(fields[19].data, "stack");
	assert_string_equal(fields[20].data, "live_samples");
	assert_int_equal(read_record(&p, fields), 21);
	assert_string_equal(fields[0].data, "1");
	assert_string_equal(fields[1].data, "4573680");
	assert_string_equal(fields[2].data, "1003");
	assert_string_equal(fields[3].data, "381140.0");
	assert_string_equal(fields[4].data, "4560000");
	assert_string_equal(fields[6].data, "9133680");
	assert_string_equal(fields[11].data, "2");
	assert_string_equal(fields[12].data, "cpu_info_new");
	assert_string_equal(fields[13].data, "/src/meter/cpu_info.c");
	assert_string_equal(fields[14].data, "31");
	assert_string_equal(fields[16].data, "0x1040");
	assert_string_equal(fields[18].data, "worker_turn");
	assert_string_equal(fields[19].data,
			    "malloc < cpu_info_new < worker_turn < worker < start_thread");
	for (int i = 0; i < 3; i++)
		assert_int_equal(read_record(&p, fields), 21);
	assert_string_equal(fields[1].data, "-24000");
	assert_int_equal(*p, 0);
	free(text);
	release(fields);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_quoting(void **state)
{
	struct str fields[FIELDS_MAX];
	struct render r = render_defaults();
	struct snapshot s;
	uint32_t module;
	const char *p;
	char *text;

	(void)state;
	for (size_t i = 0; i < FIELDS_MAX; i++)
		str_init(&fields[i]);
	make_begin(&s, 10);
	module = make_module(&s, "/opt/a,b", 0x400000, MODULE_MAIN, 0);
	make_stack(&s, 1, make_node(&s, 0, make_frame(&s, module, 1), FRAME_NONE), 1, 1);
	make_name(&s, "std::map<int, \"x\">", "/a\r\nb.c", 1, 1);
	p = text = render(&r, NULL, &s, format_csv, NULL);
	assert_int_equal(read_record(&p, fields), 16);
	assert_int_equal(read_record(&p, fields), 16);
	assert_string_equal(fields[7].data, "std::map<int, \"x\">");
	assert_string_equal(fields[8].data, "/a\r\nb.c");
	assert_string_equal(fields[10].data, "/opt/a,b");
	free(text);
	release(fields);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
