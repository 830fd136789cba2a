/* Editing /etc/ld.so.preload; see preload_list.h. */
#include "target/preload_list.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/str.h"
#include "target/system_file.h"

#define FILE_MAX (1u << 20)

/* A part of the text, [p, end). */
struct part {
	const char *p, *end;
};

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ':' || c == '\0';
}

/* The next line with its end; false: there is none. */
static bool next_line(struct part *rest, struct part *ret)
{
	const char *newline;

	if (rest->p == rest->end)
		return false;
	newline = memchr(rest->p, '\n', (size_t)(rest->end - rest->p));
	ret->p = rest->p;
	ret->end = newline ? newline + 1 : rest->end;
	rest->p = ret->end;
	return true;
}

/* What the loader looks at: without comment and line end. */
static struct part paths_of(struct part line)
{
	struct part paths = {line.p, line.p};

	while (paths.end < line.end && *paths.end != '#' && *paths.end != '\n')
		paths.end++;
	return paths;
}

static bool next_path(struct part *rest, struct part *ret)
{
	while (rest->p < rest->end && is_separator(*rest->p))
		rest->p++;
	ret->p = rest->p;
	while (rest->p < rest->end && !is_separator(*rest->p))
		rest->p++;
	ret->end = rest->p;
	return ret->p < ret->end;
}

static bool is_called(struct part path, const char *name)
{
	const char *slash = memrchr(path.p, '/', (size_t)(path.end - path.p));
	const char *base = slash ? slash + 1 : path.p;
	size_t len = (size_t)(path.end - base);

	return len == strlen(name) && !memcmp(base, name, len);
}

static bool line_holds(struct part line, const char *name)
{
	struct part paths = paths_of(line), path;

	while (next_path(&paths, &path))
		if (is_called(path, name))
			return true;
	return false;
}

bool preload_list_holds(const char *text, size_t len, const char *name)
{
	struct part rest = {text, text + len}, line;

	while (next_line(&rest, &line))
		if (line_holds(line, name))
			return true;
	return false;
}

/* A line that others share with us, without us. Nothing of it may be left. */
static void add_without(struct part line, const char *name, struct str *out)
{
	struct part paths = paths_of(line), path;
	const char *kept = line.p; /* everything before it has been dealt with */
	bool others = paths.end < line.end && *paths.end == '#';
	size_t begin = out->len;

	while (next_path(&paths, &path)) {
		if (!is_called(path, name)) {
			others = true;
			continue;
		}
		str_add_len(out, kept, (size_t)(path.p - kept));
		kept = path.end;
		/* Of the separators on both sides one is enough. */
		if (kept < paths.end)
			kept++;
	}
	if (!others) {
		str_truncate(out, begin);
		return;
	}
	str_add_len(out, kept, (size_t)(line.end - kept));
}

static bool is_there_alone(const char *text, size_t len, const char *name, const char *path)
{
	struct part rest = {text, text + len}, line, found;
	size_t nr = 0, right = 0;

	while (next_line(&rest, &line)) {
		struct part paths = paths_of(line);

		while (next_path(&paths, &found)) {
			if (!is_called(found, name))
				continue;
			nr++;
			right += (size_t)(found.end - found.p) == strlen(path) &&
				 !memcmp(found.p, path, strlen(path));
		}
	}
	return nr == 1 && right == 1;
}

static bool ends_open(const struct str *out, size_t begin)
{
	return out->len > begin && out->data[out->len - 1] != '\n';
}

void preload_list_set(const char *text, size_t len, const char *name, const char *path,
		      struct str *out)
{
	struct part rest = {text, text + len}, line;
	size_t begin = out->len;
	bool open_end = len && text[len - 1] != '\n';

	if (path && is_there_alone(text, len, name, path)) {
		str_add_len(out, text, len);
		return;
	}
	while (next_line(&rest, &line)) {
		if (line_holds(line, name))
			add_without(line, name, out);
		else
			str_add_len(out, line.p, (size_t)(line.end - line.p));
	}
	/* A file without a last line end keeps that way, and gets it back. */
	if (open_end && !ends_open(out, begin) && out->len > begin)
		str_truncate(out, out->len - 1);
	if (!path)
		return;
	if (ends_open(out, begin)) {
		str_add_char(out, '\n');
		str_add(out, path);
		return;
	}
	str_add(out, path);
	str_add_char(out, '\n');
}

int preload_list_write(const char *file, const char *name, const char *path, struct error *e)
{
	struct str before = STR_INIT, after = STR_INIT;
	int r = io_read_file(file, FILE_MAX, &before);

	if (r < 0 && r != -ENOENT) {
		error_set(e, r, EXIT_FILE, "cannot read '%s': %s", file, error_strerror(r));
		goto out;
	}
	r = 0;
	preload_list_set(before.data, before.len, name, path, &after);
	if (after.len == before.len && !memcmp(after.data, before.data, after.len))
		goto out;
	r = after.len ? system_file_replace(file, after.data, after.len, e)
		      : system_file_remove(file, e);
out:
	str_release(&before);
	str_release(&after);
	return r;
}
