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

/* What became of the file since it was flagged. */
static const char *state_of(const struct flag *f, uint64_t now_s, bool installed, bool daemon,
			    char *room, size_t len)
{
	struct error e = {0};
	const char *why;

	if (f->until_s <= now_s)
		return "expired";
	if (!installed && (f->by_name || !daemon))
		return "off: /etc/ld.so.preload does not name the stub";
	if (f->by_name)
		return "on";
	if (access(f->image, F_OK) < 0)
		return "on; no such file now";
	if (flag_image_check(f->image, &e) == 0)
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
		sheet_text(s, f->by_name ? "name" : "path");
		sheet_text(s, mode_text(f->mode).text);
		add_time(s, f->since_s);
		add_time(s, f->until_s);
		sheet_number(s, uses[i].running);
		sheet_number(s, uses[i].recorded);
		sheet_text(s, state_of(f, now_s, installed, daemon, room, sizeof(room)));
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

/* The one that is on for longest, and how many there are. */
static const struct flag *oldest(const struct flag_registry *r, uint64_t now_s, size_t *ret_nr)
{
	const struct flag *found = NULL;

	*ret_nr = 0;
	for (size_t i = 0; i < r->nr; i++) {
		if (r->flags[i].until_s <= now_s)
			continue;
		(*ret_nr)++;
		if (!found || r->flags[i].since_s < found->since_s)
			found = &r->flags[i];
	}
	return found;
}

char *flags_reminder(void)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	struct flag_places places;
	struct str text = STR_INIT;
	const struct flag *flag = NULL;
	uint64_t now_s = flags_now_s();
	size_t nr = 0;

	flag_places_init(&places);
	if (flag_registry_read(places.registry, &r, NULL) == 0)
		flag = oldest(&r, now_s, &nr);
	if (flag && (flag_is_installed(&places) || flag_daemon_runs(&places))) {
		uint64_t age_s = now_s > flag->since_s ? now_s - flag->since_s : 0;
		const char *base = strrchr(flag->image, '/');

		base = base ? base + 1 : flag->image;
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
