/* SARIF and JUnit; see leaks_ci.h. SARIF: OASIS, version 2.1.0, sections 3.13 to 3.30. */
#include "format/leaks_ci.h"

#include <inttypes.h>

#include "base/str.h"
#include "base/units.h"
#include "format/json_writer.h"

static void say_row(struct str *out, const struct leaks_ci_row *row)
{
	str_printf(out, "%s: %s leak%s, %s", row->state, format_count(row->leaks).text,
		   row->leaks == 1 ? "" : "s", format_bytes(row->bytes).text);
	if (row->held_blocks)
		str_printf(out, ", and %s in %s blocks that hang on them",
			   format_bytes(row->held_bytes).text, format_count(row->held_blocks).text);
	str_printf(out, ": %s", row->label);
}

static void add_location(struct json *j, const struct leaks_ci_row *row)
{
	json_open(j, "locations", '[');
	if (*row->file) {
		json_open(j, NULL, '{');
		json_open(j, "physicalLocation", '{');
		json_open(j, "artifactLocation", '{');
		json_text(j, "uri", row->file);
		json_close(j, '}');
		if (row->line) {
			json_open(j, "region", '{');
			json_count(j, "startLine", row->line);
			json_close(j, '}');
		}
		json_close(j, '}');
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void add_result(struct json *j, const struct leaks_ci_row *row)
{
	struct str text = STR_INIT;

	json_open(j, NULL, '{');
	json_text(j, "ruleId", "leak");
	json_text(j, "level", row->state[0] == 'p' ? "note" : "warning");
	json_open(j, "message", '{');
	say_row(&text, row);
	json_text(j, "text", text.data);
	json_close(j, '}');
	add_location(j, row);
	json_open(j, "partialFingerprints", '{');
	str_clear(&text);
	str_printf(&text, "%016" PRIx64, row->fingerprint);
	json_text(j, "seepLeak/v1", text.data);
	json_close(j, '}');
	json_close(j, '}');
	str_release(&text);
}

void leaks_write_sarif(const struct leaks_ci_row *rows, size_t nr, const char *version,
		       struct str *out)
{
	struct json j;

	json_init(&j, out);
	json_open(&j, NULL, '{');
	json_text(&j, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
	json_text(&j, "version", "2.1.0");
	json_open(&j, "runs", '[');
	json_open(&j, NULL, '{');
	json_open(&j, "tool", '{');
	json_open(&j, "driver", '{');
	json_text(&j, "name", "seep");
	json_text(&j, "version", version);
	json_open(&j, "rules", '[');
	json_open(&j, NULL, '{');
	json_text(&j, "id", "leak");
	json_open(&j, "shortDescription", '{');
	json_text(&j, "text", "memory that nothing points to any more");
	json_close(&j, '}');
	json_close(&j, '}');
	json_close(&j, ']');
	json_close(&j, '}');
	json_close(&j, '}');
	json_open(&j, "results", '[');
	for (size_t i = 0; i < nr; i++)
		add_result(&j, &rows[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	json_close(&j, ']');
	json_close(&j, '}');
	str_add_char(out, '\n');
}

/* XML 1.0 has no way at all to write most control characters. */
static void add_escaped(struct str *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			str_add(out, "&amp;");
			break;
		case '<':
			str_add(out, "&lt;");
			break;
		case '>':
			str_add(out, "&gt;");
			break;
		case '"':
			str_add(out, "&quot;");
			break;
		default:
			str_add_char(out, (unsigned char)*text < ' ' ? ' ' : *text);
		}
	}
}

void leaks_write_junit(const struct leaks_ci_row *rows, size_t nr, const char *target,
		       struct str *out)
{
	struct str text = STR_INIT;

	str_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"seep leaks\"");
	str_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\">\n", nr ? nr : 1, nr);
	if (nr == 0) {
		str_add(out, "  <testcase classname=\"seep.leaks\" name=\"");
		add_escaped(out, target);
		str_add(out, "\"/>\n");
	}
	for (size_t i = 0; i < nr; i++) {
		str_add(out, "  <testcase classname=\"seep.leaks\" name=\"");
		add_escaped(out, rows[i].label);
		str_add(out, "\">\n    <failure message=\"");
		str_clear(&text);
		say_row(&text, &rows[i]);
		add_escaped(out, text.data);
		str_add(out, "\"/>\n  </testcase>\n");
	}
	str_add(out, "</testsuite>\n");
	str_release(&text);
}
