/* seep flags: records every next start of an image, whoever starts it, until it is switched off. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "cmd/mode_option.h"
#include "inject/attach.h"
#include "target/flag_daemon.h"
#include "target/flag_image.h"
#include "target/flag_install.h"
#include "target/flag_registry.h"
#include "target/flag_unit.h"
#include "target/recorder_path.h"

#define NS_PER_S 1000000000ull
#define DAY_NS (24 * 3600 * NS_PER_S)
#define EXPIRE_MAX_S (366ull * 24 * 3600)

enum change { CHANGE_NONE, CHANGE_ON, CHANGE_OFF };

struct flags {
	const char *image; /* as typed; NULL: all */
	enum change change;
	uint64_t expire_ns;
	bool by_name, by_unit, clear, daemon;
	char *unit_image;      /* by_unit: what systemd starts for it */
	const char *mode_text; /* NULL: lite */
	struct mode mode;
	int format;
	const char *output, *recorder;
	struct flag_places places;
	struct flag_registry registry;
};

static const char *const usage[] = {"[OPTION...]", "[OPTION...] IMAGE +ust",
				    "IMAGE -ust",  "--unit [OPTION...] NAME +ust|-ust",
				    "--clear",	   "--daemon",
				    NULL};
static const char *const examples[] = {
	"seep flags /usr/sbin/nginx +ust",
	"record every nginx that is started within a day from now",
	"seep flags",
	"which images are flagged, since when, until when",
	"seep flags /usr/sbin/nginx -ust",
	"no more",
	"seep flags --name worker +ust --expire 2h",
	"every program called worker, wherever it is installed",
	"seep flags --unit nginx +ust",
	"the program of nginx.service, where systemd starts it for that unit",
	NULL,
};

/* "+ust" and "-ust" are words of gflags; for getopt the second would be a row of options. */
static int take_change(struct flags *f, int argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		enum change change = !strcmp(argv[i], "+ust")	? CHANGE_ON
				     : !strcmp(argv[i], "-ust") ? CHANGE_OFF
								: CHANGE_NONE;

		if (change == CHANGE_NONE)
			argv[kept++] = argv[i];
		else if (f->change != CHANGE_NONE && f->change != change)
			return -1;
		else
			f->change = change;
	}
	argv[kept] = NULL;
	return kept;
}

static int read_options(struct flags *f, int argc, char **argv, int *ret_first)
{
	const struct opt table[] = {
		{OPT_GROUP, 0, "What is flagged", NULL, NULL, NULL},
		{OPT_FLAG, 0, "name", NULL,
		 "IMAGE is the last part of a path: every program of that name", &f->by_name},
		{OPT_FLAG, 0, "unit", NULL,
		 "IMAGE is a service of systemd: its program, when it is started for that unit",
		 &f->by_unit},
		{OPT_DURATION, 'e', "expire", "TIME",
		 "+ust ends by itself after this time (default: 24h)", &f->expire_ns},
		{OPT_TEXT, 'm', "mode", "MODE",
		 "lite: every live block; sample=BYTES: one for every so many bytes allocated; "
		 "off: nothing yet (default: lite)",
		 &f->mode_text},
		{OPT_FLAG, 0, "clear", NULL,
		 "-ust for all images: nothing of seep is left in the system's files", &f->clear},
		{OPT_GROUP, 0, "The daemon", NULL, NULL, NULL},
		{OPT_FLAG, 0, "daemon", NULL,
		 "stay, and record the starts of flagged images without a stub in all programs",
		 &f->daemon},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS, "of the list", &f->format},
		{OPT_TEXT, 'o', "output", "FILE", "write the list to FILE", &f->output},
		{OPT_GROUP, 0, "For seep's own tests", NULL, NULL, NULL},
		{OPT_TEXT, 0, "recorder", "PATH",
		 "the recorder's library (default: $" RECORDER_VARIABLE
		 ", then the one installed with seep); the stub is beside it",
		 &f->recorder},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "flags",
		.usage = usage,
		.purpose = "Switches recording on (+ust) or off (-ust) for every next start of a "
			   "program, whoever starts it; alone, lists what is switched on.",
		.options = table,
		.examples = examples,
		.operands_max = 1,
		.operands = "an image",
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

static int check_options(const struct flags *f)
{
	if (f->clear && (f->image || f->change != CHANGE_NONE))
		return cmd_usage_error("flags", "--clear goes alone");
	if (f->by_name && f->by_unit)
		return cmd_usage_error("flags", "--name and --unit exclude each other");
	if (f->daemon &&
	    (f->image || f->change != CHANGE_NONE || f->clear || f->by_name || f->by_unit))
		return cmd_usage_error("flags", "--daemon goes alone");
	if (f->change != CHANGE_NONE && !f->image)
		return cmd_usage_error("flags", "which image?");
	if (f->by_name && !f->image)
		return cmd_usage_error("flags", "--name needs a name");
	if (f->by_unit && !f->image)
		return cmd_usage_error("flags", "--unit needs the name of a unit");
	if (f->expire_ns < NS_PER_S)
		return cmd_usage_error("flags", "--expire: less than a second");
	if (f->expire_ns / NS_PER_S > EXPIRE_MAX_S)
		return cmd_usage_error("flags", "--expire: more than a year");
	return EXIT_DONE;
}

/* ---- reading ---- */

static int read_registry(struct flags *f, struct error *e)
{
	int r = flag_registry_read(f->places.registry, &f->registry, e);

	if (r == 0 && f->registry.damaged)
		cmd_warn("%zu damaged line%s in '%s' (line %zu) %s left out", f->registry.damaged,
			 f->registry.damaged == 1 ? "" : "s", f->places.registry,
			 f->registry.damaged_line, f->registry.damaged == 1 ? "is" : "are");
	return r;
}

static struct flag *find_flag(const struct flags *f, const char *name)
{
	return f->by_unit ? flag_registry_find_unit(&f->registry, name)
			  : flag_registry_find(&f->registry, name, f->by_name);
}

/* What an operand is called in the registry. */
static int name_of(const struct flags *f, char **ret, struct error *e)
{
	if (f->by_unit)
		return flag_unit_name(f->image, ret, e);
	return flag_image_name(f->image, f->by_name, f->change == CHANGE_ON, ret, e);
}

static void keep_one(struct flags *f, const char *name)
{
	struct flag_registry *r = &f->registry;

	for (size_t i = r->nr; i-- > 0;)
		if (&r->flags[i] != find_flag(f, name))
			flag_registry_remove(r, &r->flags[i]);
}

/*
 * Reading is everybody's; who may write tidies up what is over. So a flag that was forgotten is
 * gone the next time that somebody looks.
 */
static void tidy(struct flags *f)
{
	struct flag_registry *r = &f->registry;
	uint64_t now_s = flags_now_s();
	size_t expired = 0;

	for (size_t i = 0; i < r->nr; i++)
		expired += r->flags[i].until_s <= now_s;
	if (!expired || faccessat(AT_FDCWD, f->places.folder, W_OK, 0) < 0 ||
	    flag_lock(&f->places, NULL) < 0)
		return;
	flag_registry_release(r);
	if (flag_registry_read(f->places.registry, r, NULL) < 0)
		return;
	expired = flag_registry_expire(r, now_s);
	if (expired && flag_apply(&f->places, r, NULL, NULL) == 0)
		cmd_note("%zu image%s expired, and %s off now", expired, expired == 1 ? "" : "s",
			 expired == 1 ? "is" : "are");
}

static int list(struct flags *f)
{
	struct error e = {0};
	char *name;

	if (read_registry(f, &e) < 0)
		return cmd_fail(&e);
	tidy(f);
	if (f->image) {
		if (name_of(f, &name, &e) < 0)
			return cmd_fail(&e);
		keep_one(f, name);
		free(name);
	}
	return flags_show(&f->registry, &f->places, (enum show_format)f->format, f->output);
}

/* ---- switching ---- */

static void hint_reload(const struct flags *f, const char *unit)
{
	if (f->change == CHANGE_ON)
		cmd_hint("systemd knows of it after 'systemctl daemon-reload', the unit after "
			 "'systemctl restart %s'",
			 unit);
	else
		cmd_hint("systemd knows of it after 'systemctl daemon-reload'; what runs goes on "
			 "being recorded until 'systemctl restart %s'",
			 unit);
}

static void say_on(const struct flags *f, const char *name)
{
	const struct flag *flag = find_flag(f, name);
	struct flag_use use;
	time_t until = (time_t)flag->until_s;
	char at[32] = "";
	struct tm local;

	if (localtime_r(&until, &local))
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M", &local);
	cmd_note("+ust is on for every next start of '%s'%s%s%s, until %s (%s)", name,
		 f->by_unit ? " (" : "", f->by_unit ? flag->image : "", f->by_unit ? ")" : "", at,
		 format_duration(f->expire_ns).text);
	if (f->by_unit)
		hint_reload(f, name);
	flag_image_uses(flag, 1, &use);
	if (use.running > use.recorded && !f->by_unit)
		cmd_hint("%zu running process%s of it %s started before and will not be recorded: "
			 "restart",
			 use.running - use.recorded, use.running - use.recorded == 1 ? "" : "es",
			 use.running - use.recorded == 1 ? "was" : "were");
	if (getenv(FLAG_FOLDER_VARIABLE))
		cmd_warn("$" FLAG_FOLDER_VARIABLE " is set: no loader reads these files");
}

static void set_flag(struct flags *f, const char *name, uint64_t now_s)
{
	uint64_t until_s = now_s + f->expire_ns / NS_PER_S;

	if (f->by_unit)
		flag_registry_set_unit(&f->registry, name, f->unit_image, now_s, until_s, f->mode);
	else
		flag_registry_set(&f->registry, name, f->by_name, now_s, until_s, f->mode);
}

static int switch_on(struct flags *f, const char *name, struct error *e)
{
	uint64_t now_s = flags_now_s();
	char *recorder = NULL, *stub = NULL;
	int r = f->by_unit ? flag_unit_image(&f->places, name, &f->unit_image, e) : 0;

	if (r == 0 && !f->by_name)
		r = flag_image_check(f->by_unit ? f->unit_image : name,
				     !f->by_unit && flag_daemon_runs(&f->places), e);
	if (r == 0)
		r = recorder_path(f->recorder, false, &recorder, e);
	if (r == 0)
		r = flag_stub_find(recorder, &stub, e);
	if (r == 0)
		r = flag_lock(&f->places, e);
	if (r == 0)
		r = read_registry(f, e);
	if (r == 0) {
		flag_registry_expire(&f->registry, now_s);
		set_flag(f, name, now_s);
		free(f->registry.recorder);
		f->registry.recorder = mem_strdup(recorder);
		r = flag_apply(&f->places, &f->registry, stub, e);
	}
	if (r == 0)
		say_on(f, name);
	free(recorder);
	free(stub);
	return r;
}

static int switch_off(struct flags *f, const char *name, struct error *e)
{
	struct flag *flag;
	int r = read_registry(f, e);

	if (r < 0)
		return r;
	flag = find_flag(f, name);
	if (!flag && !(f->by_unit && flag_unit_is_installed(&f->places, name))) {
		cmd_note("+ust was not on for '%s'", name);
		if (!f->by_unit && flag_registry_find(&f->registry, name, !f->by_name))
			cmd_hint("it is flagged by its name: add --name");
		return 0;
	}
	r = flag_lock(&f->places, e);
	if (r < 0)
		return r;
	/* Read again under the lock. */
	flag_registry_release(&f->registry);
	r = flag_registry_read(f->places.registry, &f->registry, e);
	if (r < 0)
		return r;
	flag = find_flag(f, name);
	if (flag)
		flag_registry_remove(&f->registry, flag);
	flag_registry_expire(&f->registry, flags_now_s());
	r = flag_apply(&f->places, &f->registry, NULL, e);
	if (r == 0)
		cmd_note("+ust is off for '%s'", name);
	if (r == 0 && f->by_unit)
		hint_reload(f, name);
	return r;
}

static int change(struct flags *f)
{
	struct error e = {0};
	char *name;
	int r = name_of(f, &name, &e);

	if (r < 0)
		return cmd_fail(&e);
	r = f->change == CHANGE_ON ? switch_on(f, name, &e) : switch_off(f, name, &e);
	free(name);
	return r < 0 ? cmd_fail(&e) : EXIT_DONE;
}

/* Also what helps when the registry is beyond reading. */
static int clear(struct flags *f)
{
	struct error e = {0};

	if (access(f->places.registry, F_OK) < 0 && !flag_is_installed(&f->places) &&
	    !flag_units_any(&f->places)) {
		cmd_note("no image is flagged");
		return EXIT_DONE;
	}
	if (flag_lock(&f->places, &e) < 0 || flag_apply(&f->places, &f->registry, NULL, &e) < 0)
		return cmd_fail(&e);
	cmd_note("+ust is off for all images");
	return EXIT_DONE;
}

/* ---- the daemon ---- */

static void missed(int32_t pid, const char *exe, const char *why, void *context)
{
	(void)context;
	if (*exe)
		cmd_warn("process %d ('%s') is not recorded: %s", pid, exe, why);
	else
		cmd_warn("process %d is not recorded: %s", pid, why);
}

static int into_static(int32_t pid, struct mode mode, struct error *e, void *context)
{
	(void)context;
	return attach_at_start(pid, mode, NULL, e);
}

static void ready(void *context)
{
	(void)context;
	cmd_note("watching the starts of flagged images");
}

static int run_daemon(struct flags *f)
{
	const struct flag_daemon_events events = {
		.missed = missed, .ready = ready, .into_static = into_static};
	char *recorder = NULL, *stub = NULL;
	struct error e = {0};
	int r = recorder_path(f->recorder, false, &recorder, &e);

	if (r == 0)
		r = flag_stub_find(recorder, &stub, &e);
	if (r == 0)
		r = flag_daemon_run(&f->places, recorder, stub, &events, &e);
	free(recorder);
	free(stub);
	return r < 0 ? cmd_fail(&e) : EXIT_DONE;
}

int cmd_flags(int argc, char **argv)
{
	struct flags f = {.expire_ns = DAY_NS};
	int first, status;

	argc = take_change(&f, argc, argv);
	if (argc < 0)
		return cmd_usage_error("flags", "either +ust or -ust");
	status = read_options(&f, argc, argv, &first);
	if (status != CMD_GO_ON)
		return status;
	f.image = argv[first];
	status = check_options(&f);
	if (status == EXIT_DONE)
		status = mode_option("flags", f.mode_text, false, &f.mode);
	if (status != EXIT_DONE)
		return status;
	flag_places_init(&f.places);
	if (f.clear)
		status = clear(&f);
	else if (f.daemon)
		status = run_daemon(&f);
	else
		status = f.change == CHANGE_NONE ? list(&f) : change(&f);
	free(f.unit_image);
	flag_registry_release(&f.registry);
	flag_places_release(&f.places);
	return status;
}
