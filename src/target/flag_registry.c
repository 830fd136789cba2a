/* The list of flagged images; see flag_registry.h. */
#include "target/flag_registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/system_file.h"

#define MAGIC "seep-flags 1"
#define FILE_MAX (1u << 20)

/* Takes one word of a line and the blank behind it; NULL: there is none. */
static char *next_word(char **line)
{
	char *word = *line, *blank = strchr(word, ' ');

	if (!blank)
		return NULL;
	*blank = '\0';
	*line = blank + 1;
	return word;
}

static bool parse_seconds(const char *text, uint64_t *ret)
{
	size_t len = text ? strlen(text) : 0;

	if (!len || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*ret = strtoull(text, NULL, 10);
	return true;
}

/* No control characters: they would steer terminals, and end lines. */
static bool is_clean(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static void free_flag(struct flag *f)
{
	free(f->image);
	free(f->unit);
}

static bool parse_ust(char *line, struct flag *ret)
{
	struct flag f = {0};
	bool times = parse_seconds(next_word(&line), &f.since_s) &&
		     parse_seconds(next_word(&line), &f.until_s);
	char *mode = times ? next_word(&line) : NULL;
	char *kind = mode ? next_word(&line) : NULL;

	/* Nobody would be there to write events. */
	if (!kind || mode_parse(mode, &f.mode, NULL) < 0 || f.mode.kind == WIRE_MODE_FULL ||
	    strlen(line) >= FLAG_IMAGE_MAX || !is_clean(line))
		return false;
	if (!strcmp(kind, "unit")) {
		char *unit = next_word(&line);

		if (!unit || !*unit || strchr(unit, '/') || *line != '/')
			return false;
		f.unit = mem_strdup(unit);
		f.image = mem_strdup(line);
		*ret = f;
		return true;
	}
	f.by_name = !strcmp(kind, "name");
	if (f.by_name ? !*line || strchr(line, '/') : strcmp(kind, "path") || *line != '/')
		return false;
	f.image = mem_strdup(line);
	*ret = f;
	return true;
}

static bool parse_line(struct flag_registry *r, char *line)
{
	char *word = next_word(&line);
	struct flag flag;

	if (!word)
		return false;
	if (!strcmp(word, "recorder")) {
		if (*line != '/' || r->recorder || !is_clean(line))
			return false;
		r->recorder = mem_strdup(line);
		return true;
	}
	if (strcmp(word, "ust") || !parse_ust(line, &flag))
		return false;
	if (flag.unit ? flag_registry_find_unit(r, flag.unit)
		      : flag_registry_find(r, flag.image, flag.by_name)) {
		free_flag(&flag);
		return false;
	}
	ARRAY_PUSH(r->flags, r->nr, r->cap, flag);
	return true;
}

static int not_a_registry(const char *path, struct error *e)
{
	error_set(e, -EINVAL, EXIT_FILE, "'%s' is not a list of this seep's flags", path);
	error_hint(e, "a later seep may have written it; if not, remove the file, and flag the "
		      "images again");
	return -EINVAL;
}

static int parse(char *text, size_t len, const char *path, struct flag_registry *ret,
		 struct error *e)
{
	struct flag_registry r = FLAG_REGISTRY_INIT;
	size_t number = 1;
	char *line = text, *end;

	if (len < strlen(MAGIC) + 1 || memcmp(text, MAGIC "\n", strlen(MAGIC) + 1))
		return not_a_registry(path, e);
	for (line = text + strlen(MAGIC) + 1; line < text + len; line = end + 1) {
		bool good;

		number++;
		end = memchr(line, '\n', (size_t)(text + len - line));
		good = end && !memchr(line, '\0', (size_t)(end - line));
		if (good) {
			*end = '\0';
			good = parse_line(&r, line);
		}
		if (!good && !r.damaged++)
			r.damaged_line = number;
		if (!end)
			break;
	}
	*ret = r;
	return 0;
}

int flag_registry_read(const char *path, struct flag_registry *ret, struct error *e)
{
	struct str text = STR_INIT;
	int r = io_read_file(path, FILE_MAX, &text);

	if (r == -ENOENT) {
		*ret = (struct flag_registry)FLAG_REGISTRY_INIT;
		r = 0;
	} else if (r < 0) {
		error_set(e, r, EXIT_FILE, "cannot read '%s': %s", path, error_strerror(r));
	} else {
		r = parse(text.data, text.len, path, ret, e);
	}
	str_release(&text);
	return r;
}

int flag_registry_write(const struct flag_registry *r, const char *path, struct error *e)
{
	struct str text = STR_INIT;
	int err;

	str_add(&text, MAGIC "\n");
	if (r->recorder)
		str_printf(&text, "recorder %s\n", r->recorder);
	for (size_t i = 0; i < r->nr; i++) {
		const struct flag *f = &r->flags[i];

		str_printf(&text, "ust %" PRIu64 " %" PRIu64 " %s %s %s%s%s\n", f->since_s,
			   f->until_s, mode_text(f->mode).text,
			   f->unit	? "unit"
			   : f->by_name ? "name"
					: "path",
			   f->unit ? f->unit : "", f->unit ? " " : "", f->image);
	}
	if (text.len > FLAG_REGISTRY_MAX) {
		err = error_set(e, -E2BIG, EXIT_USAGE, "too many images are flagged (%zu)", r->nr);
		error_hint(e, "every program that starts reads the list: switch some off with "
			      "'seep flags IMAGE -ust'");
	} else {
		err = system_file_replace(path, text.data, text.len, e);
	}
	str_release(&text);
	return err;
}

void flag_registry_release(struct flag_registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nr; i++)
		free_flag(&r->flags[i]);
	free(r->flags);
	free(r->recorder);
	*r = (struct flag_registry)FLAG_REGISTRY_INIT;
}

struct flag *flag_registry_find(const struct flag_registry *r, const char *image, bool by_name)
{
	for (size_t i = 0; i < r->nr; i++)
		if (!r->flags[i].unit && r->flags[i].by_name == by_name &&
		    !strcmp(r->flags[i].image, image))
			return &r->flags[i];
	return NULL;
}

struct flag *flag_registry_find_unit(const struct flag_registry *r, const char *unit)
{
	for (size_t i = 0; i < r->nr; i++)
		if (r->flags[i].unit && !strcmp(r->flags[i].unit, unit))
			return &r->flags[i];
	return NULL;
}

static void last_until(struct flag *f, uint64_t now_s, uint64_t until_s, struct mode mode)
{
	if (f->until_s <= now_s)
		f->since_s = now_s;
	f->until_s = until_s;
	f->mode = mode;
}

void flag_registry_set_unit(struct flag_registry *r, const char *unit, const char *image,
			    uint64_t now_s, uint64_t until_s, struct mode mode)
{
	struct flag *f = flag_registry_find_unit(r, unit);
	struct flag new = {.since_s = now_s, .until_s = until_s, .mode = mode};

	if (!f) {
		new.unit = mem_strdup(unit);
		new.image = mem_strdup(image);
		ARRAY_PUSH(r->flags, r->nr, r->cap, new);
		return;
	}
	free(f->image);
	f->image = mem_strdup(image);
	last_until(f, now_s, until_s, mode);
}

void flag_registry_set(struct flag_registry *r, const char *image, bool by_name, uint64_t now_s,
		       uint64_t until_s, struct mode mode)
{
	struct flag *f = flag_registry_find(r, image, by_name);

	if (!f) {
		struct flag new = {.image = mem_strdup(image),
				   .by_name = by_name,
				   .since_s = now_s,
				   .until_s = until_s,
				   .mode = mode};

		ARRAY_PUSH(r->flags, r->nr, r->cap, new);
		return;
	}
	last_until(f, now_s, until_s, mode);
}

void flag_registry_remove(struct flag_registry *r, struct flag *flag)
{
	size_t i = (size_t)(flag - r->flags);

	free_flag(flag);
	memmove(flag, flag + 1, (r->nr - i - 1) * sizeof(*flag));
	r->nr--;
}

size_t flag_registry_expire(struct flag_registry *r, uint64_t now_s)
{
	size_t before = r->nr;

	for (size_t i = r->nr; i-- > 0;)
		if (r->flags[i].until_s <= now_s)
			flag_registry_remove(r, &r->flags[i]);
	return before - r->nr;
}
