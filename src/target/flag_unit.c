/* See flag_unit.h. Unit files: systemd.unit(5), systemd.service(5), systemd.exec(5). */
#include "target/flag_unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/flag_install.h"
#include "target/flag_registry.h"
#include "target/system_file.h"

#define DROP_IN "50-seep-ust.conf"
#define SUFFIX ".service"
#define UNIT_NAME_MAX 255 /* systemd's UNIT_NAME_MAX is 256, the NUL included */
#define UNIT_FILE_MAX (1u << 20)

/* Behind /etc/systemd/system, in systemd's order. */
static const char *const folders[] = {"/run/systemd/system", "/usr/local/lib/systemd/system",
				      "/usr/lib/systemd/system", "/lib/systemd/system"};

/* ---- names ---- */

static int no_service(const char *operand, const char *why, struct error *e)
{
	error_set(e, -EINVAL, EXIT_USAGE, "'%s' is no name of a service: %s", operand, why);
	error_hint(e, "'seep flags --unit nginx.service +ust'");
	return -EINVAL;
}

int flag_unit_name(const char *operand, char **ret, struct error *e)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789:_.@-";
	const char *dot = strrchr(operand, '.');
	char *name;

	if (!*operand || strspn(operand, good) != strlen(operand) || *operand == '.')
		return no_service(operand, "letters, digits and :_.@- make one", e);
	name = dot && !strcmp(dot, SUFFIX) ? mem_strdup(operand) : mem_printf("%s" SUFFIX, operand);
	if (strlen(name) > UNIT_NAME_MAX) {
		free(name);
		return no_service(operand, "it is too long", e);
	}
	*ret = name;
	return 0;
}

/* "worker@3.service" -> "worker@.service"; NULL: no instance. */
static char *template_of(const char *unit)
{
	const char *at = strchr(unit, '@');

	return at && at[1] && strcmp(at + 1, SUFFIX) != 0
		       ? mem_printf("%.*s@" SUFFIX, (int)(at - unit), unit)
		       : NULL;
}

/* ---- what a unit says ---- */

struct unit {
	char *exec;    /* the last ExecStart= that is not empty; NULL none */
	bool preloads; /* it, or a file that it names, says LD_PRELOAD */
	bool found;    /* there is a file */
};

static char *skip_blanks(char *s)
{
	return s + strspn(s, " \t");
}

static void take_environment_file(struct unit *u, const char *path)
{
	struct str text = STR_INIT;

	if (*path == '-')
		path++;
	if (io_read_file(path, UNIT_FILE_MAX, &text) == 0 && text.len &&
	    memmem(text.data, text.len, "LD_PRELOAD", strlen("LD_PRELOAD")))
		u->preloads = true;
	str_release(&text);
}

static void take_line(struct unit *u, char *line)
{
	char *equals = strchr(line, '='), *end, *value;

	line = skip_blanks(line);
	if (!equals || *line == '#' || *line == ';')
		return;
	if (strstr(line, "LD_PRELOAD"))
		u->preloads = true;
	for (end = equals; end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	*end = '\0';
	value = skip_blanks(equals + 1);
	if (!strcmp(line, "EnvironmentFile"))
		take_environment_file(u, value);
	if (strcmp(line, "ExecStart") != 0)
		return;
	/* An empty one takes those before it back; of several the first is what runs first. */
	if (!*value || !u->exec) {
		free(u->exec);
		u->exec = *value ? mem_strdup(value) : NULL;
	}
}

/* Lines that end in a backslash go on in the next one. */
static void join_lines(char *text)
{
	for (char *p = text; (p = strstr(p, "\\\n"));)
		p[0] = p[1] = ' ';
}

static bool read_unit_file(struct unit *u, const char *path)
{
	struct str text = STR_INIT;
	bool found = io_read_file(path, UNIT_FILE_MAX, &text) == 0;
	char *rest, *line;

	if (found && text.len && !memchr(text.data, '\0', text.len)) {
		join_lines(text.data);
		for (rest = text.data; (line = strsep(&rest, "\n"));)
			take_line(u, line);
	}
	str_release(&text);
	return found;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_drop_in(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && !strcmp(dot, ".conf") && strcmp(d->d_name, DROP_IN) != 0;
}

static void read_drop_ins(struct unit *u, const char *folder, const char *unit)
{
	char *path = mem_printf("%s/%s.d", folder, unit);
	struct dirent **list;
	int nr = scandir(path, &list, is_drop_in, by_name);

	for (int i = 0; i < nr; i++) {
		char *file = mem_printf("%s/%s", path, list[i]->d_name);

		read_unit_file(u, file);
		free(file);
		free(list[i]);
	}
	if (nr >= 0)
		free(list);
	free(path);
}

static bool read_in(struct unit *u, const char *folder, const char *unit)
{
	char *path = mem_printf("%s/%s", folder, unit);
	bool found = read_unit_file(u, path);

	free(path);
	return found;
}

/* The first file of that name, then the drop-ins of all folders. */
static void read_unit(const struct flag_places *p, const char *unit, struct unit *u)
{
	size_t nr = p->is_test ? 0 : sizeof(folders) / sizeof(folders[0]);

	u->found = read_in(u, p->units, unit);
	for (size_t i = 0; i < nr && !u->found; i++)
		u->found = read_in(u, folders[i], unit);
	for (size_t i = nr; i-- > 0;)
		read_drop_ins(u, folders[i], unit);
	read_drop_ins(u, p->units, unit);
}

/* ---- its program ---- */

static int cannot(const char *unit, const char *why, const char *hint, struct error *e)
{
	error_set(e, -EINVAL, EXIT_TARGET, "cannot flag the unit '%s': %s", unit, why);
	error_hint(e, "%s", hint);
	return -EINVAL;
}

static const char by_image[] = "flag its program: 'seep flags IMAGE +ust'";

/* The first word of a command line, without the marks that systemd.service(5) lets it begin with.
 */
static char *first_word(const char *exec)
{
	const char *end;

	exec += strspn(exec, "@-:+!|");
	if (*exec == '"' || *exec == '\'') {
		end = strchr(exec + 1, *exec);
		return end ? mem_printf("%.*s", (int)(end - exec - 1), exec + 1) : NULL;
	}
	return mem_printf("%.*s", (int)strcspn(exec, " \t"), exec);
}

/* systemd looks there for a name without a slash. */
static char *in_path(const char *name)
{
	static const char *const bins[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					   "/usr/bin",	      "/sbin",		"/bin"};

	for (size_t i = 0; i < sizeof(bins) / sizeof(bins[0]); i++) {
		char *path = mem_printf("%s/%s", bins[i], name);

		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return mem_strdup(name);
}

static int image_of(const char *unit, const char *exec, char **ret, struct error *e)
{
	char *word = first_word(exec), *path, *image;

	if (!word || !*word || strpbrk(word, "%$\\")) {
		free(word);
		return cannot(unit, "its ExecStart= does not say plainly which program it starts",
			      by_image, e);
	}
	path = strchr(word, '/') ? mem_strdup(word) : in_path(word);
	image = realpath(path, NULL);
	if (!image) {
		error_set(e, -errno, EXIT_TARGET, "cannot flag the unit '%s': its program '%s': %s",
			  unit, path, error_strerror(errno));
		free(word);
		free(path);
		return -ENOENT;
	}
	free(word);
	free(path);
	*ret = image;
	return 0;
}

int flag_unit_image(const struct flag_places *p, const char *unit, char **ret, struct error *e)
{
	char *template = template_of(unit);
	struct unit u = {0};
	int r;

	read_unit(p, unit, &u);
	if (template) {
		struct unit t = {0};

		read_unit(p, template, &t);
		u.found |= t.found;
		u.preloads |= t.preloads;
		if (!u.exec) {
			u.exec = t.exec;
			t.exec = NULL;
		}
		free(t.exec);
	}
	if (!u.found)
		r = cannot(unit, "there is no file of that name where systemd looks",
			   "'systemctl list-unit-files --type=service' shows what there is", e);
	else if (u.preloads)
		r = cannot(unit, "it preloads a library itself, which would be lost", by_image, e);
	else if (!u.exec)
		r = cannot(unit, "it has no ExecStart=", by_image, e);
	else
		r = image_of(unit, u.exec, ret, e);
	free(template);
	free(u.exec);
	return r;
}

/* ---- drop-ins ---- */

static char *drop_in_of(const struct flag_places *p, const char *unit)
{
	return mem_printf("%s/%s.d/" DROP_IN, p->units, unit);
}

bool flag_unit_is_installed(const struct flag_places *p, const char *unit)
{
	char *path = drop_in_of(p, unit);
	bool yes = access(path, F_OK) == 0;

	free(path);
	return yes;
}

/* A folder on the way that is not there; what others have made stays theirs. */
static void make_folders(const char *file)
{
	char *path = mem_strdup(file);

	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	free(path);
}

/* The stub's path within quotes of systemd.syntax(7), where "%" and "\" mean something. */
static void add_quoted(struct str *text, const char *s)
{
	for (; *s; s++) {
		if (strchr("\"\\", *s))
			str_add_char(text, '\\');
		str_add_char(text, *s);
		if (*s == '%')
			str_add_char(text, '%');
	}
}

static int install(const struct flag_places *p, const char *unit, const char *stub, struct error *e)
{
	char *path = drop_in_of(p, unit);
	struct str text = STR_INIT;
	int r;

	if (strpbrk(stub, " :\t\n")) {
		free(path);
		return error_set(e, -EINVAL, EXIT_TARGET,
				 "cannot preload '%s': the loader takes blanks and colons for ends "
				 "of names",
				 stub);
	}
	str_add(&text, "# Made by 'seep flags --unit'; goes away with -ust.\n[Service]\n"
		       "Environment=\"LD_PRELOAD=");
	add_quoted(&text, stub);
	str_printf(&text, "\"\nEnvironment=\"SEEP_UNIT=%s\"\n", unit);
	make_folders(path);
	r = system_file_replace(path, text.data, text.len, e);
	str_release(&text);
	free(path);
	return r;
}

static int uninstall(const struct flag_places *p, const char *unit, struct error *e)
{
	char *path = drop_in_of(p, unit);
	int r = system_file_remove(path, e);

	if (r == 0) {
		*strrchr(path, '/') = '\0';
		rmdir(path); /* unless others have drop-ins there */
	}
	free(path);
	return r;
}

/* The unit of a folder of drop-ins that has ours; NULL: it has not. Caller frees. */
static char *unit_of_folder(const struct flag_places *p, const char *folder)
{
	size_t len = strlen(folder);
	char *unit;

	if (len < sizeof(SUFFIX ".d") ||
	    strcmp(folder + len - strlen(SUFFIX ".d"), SUFFIX ".d") != 0)
		return NULL;
	unit = mem_printf("%.*s", (int)(len - 2), folder);
	if (flag_unit_is_installed(p, unit))
		return unit;
	free(unit);
	return NULL;
}

/* Those that are flagged no more; keep NULL: only whether there is one (1) or not (0). */
static int remove_stale(const struct flag_places *p, const struct flag_registry *keep,
			struct error *e)
{
	DIR *d = opendir(p->units);
	struct dirent *entry;
	int r = 0;

	while (d && r == 0 && (entry = readdir(d))) {
		char *unit = unit_of_folder(p, entry->d_name);

		if (unit && !keep)
			r = 1;
		else if (unit && !flag_registry_find_unit(keep, unit))
			r = uninstall(p, unit, e);
		free(unit);
	}
	if (d)
		closedir(d);
	return r;
}

int flag_units_apply(const struct flag_places *p, const struct flag_registry *r, const char *stub,
		     struct error *e)
{
	int err = remove_stale(p, r, e);

	for (size_t i = 0; i < r->nr && err == 0 && stub; i++)
		if (r->flags[i].unit)
			err = install(p, r->flags[i].unit, stub, e);
	return err;
}

bool flag_units_any(const struct flag_places *p)
{
	return remove_stale(p, NULL, NULL) == 1;
}
