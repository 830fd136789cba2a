/* The list of flagged images, and the reminder that there is one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "model/sheet.h"
#include "target/flag_image.h"
#include "target/flag_install.h"
#include "target/flag_registry.h"
#include "target/flag_unit.h"

#define NS_PER_S 1000000000ull

static const struct sheet_column columns[] = {
	{"image", "IMAGE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"by", "BY", CELL_TEXT, COLUMN_ALWAYS, 3},
	{"mode", "MODE", CELL_TEXT, COLUMN_MACHINE, 0},
	{"since", "SINCE", CELL_TEXT, COLUMN_ALWAYS, 2},
	{"since_unix_s", "", CELL_COUNT, COLUMN_MACHINE, 0},
	{"expires", "EXPIRES", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"expires_unix_s", "", CELL_COUNT, COLUMN_MACHINE, 0},
	{"running_processes", "RUNNING", CELL_COUNT, COLUMN_ALWAYS, 1},
	{"recorded_processes", "RECORDED", CELL_COUNT, COLUMN_ALWAYS, 1},
	{"state", "STATE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"unit", "UNIT", CELL_TEXT, COLUMN_IF_ANY, 0},
};

/* As the stub sees it; time() is some milliseconds behind. */
uint64_t flags_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

static void add_time(struct sheet *s, uint64_t at_s)
{
	time_t at = (time_t)at_s;
	struct tm local;
	char text[32] = "";

	if (localtime_r(&at, &local))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &local);
	sheet_text(s, text);
	sheet_number(s, at_s);
}

/* Is what makes its starts known to us in place? */
static bool is_on(const struct flag *f, const struct flag_places *places, bool installed,
		  bool daemon)
{
	if (f->unit)
		return flag_unit_is_installed(places, f->unit);
	return installed || (daemon && !f->by_name);
}

/* What became of the file since it was flagged. */
static const char *state_of(const struct flag *f, uint64_t now_s, bool is_on, bool daemon,
			    char *room, size_t len)
{
	struct error e = {0};
	const char *why;

	if (f->until_s <= now_s)
		return "expired";
	if (!is_on)
		return f->unit ? "off: its drop-in is gone"
			       : "off: /etc/ld.so.preload does not name the stub";
	if (f->by_name)
		return "on";
	if (access(f->image, F_OK) < 0)
		return "on; no such file now";
	if (flag_image_check(f->image, daemon && !f->unit, &e) == 0)
		return "on";
	why = strstr(e.message, "': ");
	snprintf(room, len, "not recorded: %s", why ? why + strlen("': ") : e.message);
	return room;
}

static void fill(struct sheet *s, const struct flag_registry *r, const struct flag_places *places)
{
	struct flag_use *uses = mem_alloc_array(r->nr, sizeof(*uses));
	bool installed = flag_is_installed(places), daemon = flag_daemon_runs(places);
	uint64_t now_s = flags_now_s();
	size_t stale = 0;
	char room[600];

	flag_image_uses(r->flags, r->nr, uses);
	for (size_t i = 0; i < r->nr; i++) {
		const struct flag *f = &r->flags[i];

		sheet_text(s, f->image);
		sheet_text(s, f->unit ? "unit" : f->by_name ? "name" : "path");
		sheet_text(s, mode_text(f->mode).text);
		add_time(s, f->since_s);
		add_time(s, f->until_s);
		sheet_number(s, uses[i].running);
		sheet_number(s, uses[i].recorded);
		sheet_text(s, state_of(f, now_s, is_on(f, places, installed, daemon), daemon, room,
				       sizeof(room)));
		sheet_text(s, f->unit ? f->unit : "");
		stale += uses[i].running - uses[i].recorded;
	}
	sheet_total(s, "images", CELL_COUNT, r->nr);
	if (stale)
		sheet_note(s,
			   "%s running process%s not recorded: restart what was started before "
			   "its image was flagged.",
			   format_count(stale).text, stale == 1 ? " is" : "es are");
	free(uses);
}

int flags_show(const struct flag_registry *r, const struct flag_places *places,
	       enum show_format format, const char *output)
{
	struct sheet sheet;
	int status;

	sheet_init(&sheet, "seep-flags-1", columns, sizeof(columns) / sizeof(columns[0]));
	fill(&sheet, r, places);
	if (!r->nr && format == SHOW_TEXT)
		status =
			show_text("no image is flagged\n", strlen("no image is flagged\n"), output);
	else
		status = show_sheet(&sheet, format, output);
	sheet_release(&sheet);
	return status;
}

/* Of those that are on: this image's, else the one that is on for longest; and how many there are.
 */
static const struct flag *choose(const struct flag_registry *r, const struct flag_places *places,
				 const char *image, size_t *ret_nr)
{
	bool installed = flag_is_installed(places), daemon = flag_daemon_runs(places);
	uint64_t now_s = flags_now_s();
	const struct flag *found = NULL;
	bool is_wanted = false;

	*ret_nr = 0;
	for (size_t i = 0; i < r->nr; i++) {
		const struct flag *f = &r->flags[i];
		bool wanted = image && flag_image_is(f, image);

		if (f->until_s <= now_s || !is_on(f, places, installed, daemon))
			continue;
		(*ret_nr)++;
		if (found && (is_wanted || (!wanted && f->since_s >= found->since_s)))
			continue;
		found = f;
		is_wanted = wanted;
	}
	return found;
}

char *flags_reminder(const char *image)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	struct flag_places places;
	struct str text = STR_INIT;
	const struct flag *flag = NULL;
	uint64_t now_s = flags_now_s();
	size_t nr = 0;

	flag_places_init(&places);
	if (flag_registry_read(places.registry, &r, NULL) == 0)
		flag = choose(&r, &places, image, &nr);
	if (flag) {
		uint64_t age_s = now_s > flag->since_s ? now_s - flag->since_s : 0;
		const char *what = flag->unit ? flag->unit : flag->image;
		const char *base = strrchr(what, '/');

		base = base ? base + 1 : what;
		str_add(&text, "+ust is on for every start of ");
		text_printable(&text, base, strlen(base));
		if (nr > 1)
			str_printf(&text, " and %zu more image%s", nr - 1, nr == 2 ? "" : "s");
		str_printf(&text, ", since %s (seep flags)",
			   format_duration(age_s * NS_PER_S).text);
	}
	flag_registry_release(&r);
	flag_places_release(&places);
	return text.len ? str_detach(&text) : NULL;
}
