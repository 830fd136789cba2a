/* --format json: well-formed whatever the names are, and its figures those of the rows. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/meter_snapshots.h"
#include "../tools/render.h"
#include "format/json_writer.h"

/* A checker after RFC 8259, independent of the writer: *p behind one value, or the test fails. */
static void skip_space(const char **p)
{
	while (**p == ' ' || **p == '\n' || **p == '\t' || **p == '\r')
		(*p)++;
}

static void check_text(const char **p)
{
	assert_int_equal(*(*p)++, '"');
	for (; **p != '"'; (*p)++) {
		assert_true((unsigned char)**p >= 0x20);
		if (**p == '\\') {
			(*p)++;
			assert_non_null(strchr("\"\\/bfnrtu", **p));
		}
	}
	(*p)++;
}

static void check_value(const char **p)
{
	skip_space(p);
	if (**p == '"') {
		check_text(p);
	} else if (**p == '{' || **p == '[') {
		char close = **p == '{' ? '}' : ']';

		(*p)++;
		skip_space(p);
		while (**p != close) {
			if (close == '}') {
				skip_space(p);
				check_text(p);
				assert_int_equal(*(*p)++, ':');
			}
			check_value(p);
			skip_space(p);
			assert_true(**p == ',' || **p == close);
			if (**p == ',')
				(*p)++;
		}
		(*p)++;
	} else {
		size_t len = strspn(*p, "-+.0123456789eE");

		if (len == 0) {
			len = strspn(*p, "abcdefghijklmnopqrstuvwxyz");
			assert_true(strncmp(*p, "true", len) == 0 ||
				    strncmp(*p, "false", len) == 0 ||
				    strncmp(*p, "null", len) == 0);
		}
		assert_true(len > 0);
		*p += len;
	}
}

static void check_document(const char *text)
{
	check_value(&text);
	skip_space(&text);
	assert_int_equal(*text, 0);
}

static void expect_inside(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is missing in:\n%s", part, text);
}

static void test_writer(void **state)
{
	struct str out = STR_INIT;
	struct json j;

	(void)state;
	json_init(&j, &out);
	json_open(&j, NULL, '{');
	json_text(&j, "a\"b", "tab\t quote\" back\\ del\x7f esc\033");
	json_text(&j, "utf8", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
	/* a stray byte, an overlong form, a surrogate, above U+10FFFF, a cut character */
	json_text(&j, "bad", "\xff \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82");
	json_open(&j, "list", '[');
	json_count(&j, NULL, UINT64_MAX);
	json_number(&j, NULL, INT64_MIN);
	json_real(&j, NULL, -0.25);
	json_real(&j, NULL, 1.0 / 0.0);
	json_bool(&j, NULL, true);
	json_open(&j, NULL, '[');
	json_close(&j, ']');
	json_close(&j, ']');
	json_address(&j, "at", 0xc0ffee);
	json_null(&j, "none");
	json_close(&j, '}');
	assert_string_equal(
		out.data, "{\"a\\\"b\":\"tab\\u0009 quote\\\" back\\\\ del\\u007f esc\\u001b\","
			  "\"utf8\":\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\","
			  "\"bad\":\"\\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
			  "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\","
			  "\"list\":[18446744073709551615,-9223372036854775808,-0.2,null,true,[]],"
			  "\"at\":\"0xc0ffee\",\"none\":null}");
	check_document(out.data);
	str_release(&out);
}

static void test_diff(void **state)
{
	struct render r = render_defaults();
	struct snapshot before, after;
	char *text;

	(void)state;
	meter_before(&before);
	meter_after(&after);
	text = render(&r, &before, &after, format_json, NULL);
	check_document(text);
	expect_inside(text, "{\"schema\":\"seep-diff-1\",\"seep\":\"1.2\",\"group_by\":\"site\"");
	expect_inside(text, "\"live_blocks_before\":2016,\"live_bytes_before\":7672600,"
			    "\"delta_blocks\":1996,\"delta_bytes\":7621180,\"grown_blocks\":2003,"
			    "\"grown_bytes\":7645680,\"grown_rows\":2,\"shrunk_blocks\":7,"
			    "\"shrunk_bytes\":24500,\"shrunk_rows\":2,\"elapsed_ns\":12000000000,"
			    "\"bytes_per_s\":635098.3,\"rows\":4,\"rows_shown\":4,");
	expect_inside(text, "{\"rank\":1,\"name\":\"cpu_info.c:31 in cpu_info_new (inlined in "
			    "worker_turn, batterymeter.c:150)\",\"live_blocks\":2003,");
	expect_inside(
		text,
		"{\"kind\":\"own\",\"function\":\"cpu_info_new\","
		"\"file\":\"/src/meter/cpu_info.c\",\"line\":31,"
		"\"module\":\"/opt/meter/bin/meter\",\"offset\":\"0x1040\","
		"\"address\":\"0x401040\","
		"\"build_id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"inlined\":true}");
	expect_inside(text, "\"inlined_in\":{\"kind\":\"own\",\"function\":\"worker_turn\"");
	free(text);

	text = render(&r, &after, &before, format_json, NULL);
	check_document(text);
	expect_inside(text, "\"elapsed_ns\":null,\"bytes_per_s\":null");
	free(text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_report_and_bad_names(void **state)
{
	struct render r = render_defaults();
	struct snapshot s;
	uint32_t module;
	char *text;

	(void)state;
	make_begin(&s, 10);
	s.identity.name = make_text(&s, "\"}]\n\033");
	module = make_module(&s, "/opt/\xff", 0x400000, MODULE_MAIN, 0);
	make_stack(&s, 1, make_node(&s, 0, make_frame(&s, module, 1), FRAME_NONE), 2, 10);
	make_name(&s, "f<\"\\\">", "/a\n.c", 1, 1);
	make_stack(&s, 2, make_node(&s, 0, NO_INDEX, FRAME_UNKNOWN_STACK), 1, 1);
	s.losses.cut_stacks = 17;
	snapshot_sum(&s);
	r.view.after_damage = "cut short";
	text = render(&r, NULL, &s, format_json, NULL);
	check_document(text);
	expect_inside(text, "\"schema\":\"seep-report-1\"");
	expect_inside(text, "\"name\":\"\\\"}]\\u000a\\u001b\"");
	expect_inside(text, "\"cut_stacks\":17");
	expect_inside(text, "\"damaged\":true");
	expect_inside(text, "{\"kind\":\"mark\",\"mark\":\"[no stack recorded]\"}");
	free(text);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_report_and_bad_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
