/* /proc/PID/maps: one pass over the text, no allocation per line. */
#include "target/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "target/proc.h"
#include "target/process.h"
#include "wire/wire.h"

/* A place in one line; every reader leaves it behind what it has read. */
struct cursor {
	const char *at, *end;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Hexadecimal digits, then `stop`. */
static bool read_hex(struct cursor *c, char stop, uint64_t *ret)
{
	const char *at = c->at;
	uint64_t value = 0;
	int digit;

	for (; at < c->end && (digit = hex_digit(*at)) >= 0; at++) {
		if (value >> 60)
			return false;
		value = value << 4 | (unsigned int)digit;
	}
	if (at == c->at || at == c->end || *at != stop)
		return false;
	*ret = value;
	c->at = at + 1;
	return true;
}

static bool read_decimal(struct cursor *c, uint64_t *ret)
{
	const char *first = c->at;
	uint64_t value = 0;

	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (unsigned int)(*c->at - '0'), &value))
			return false;
	}
	*ret = value;
	return c->at > first;
}

static bool read_prot(struct cursor *c, uint8_t *ret)
{
	const char *p = c->at;

	if (c->end - p < 5 || p[4] != ' ')
		return false;
	if ((p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') ||
	    (p[2] != 'x' && p[2] != '-') || (p[3] != 's' && p[3] != 'p'))
		return false;
	*ret = (uint8_t)((p[0] == 'r' ? MAP_READ : 0) | (p[1] == 'w' ? MAP_WRITE : 0) |
			 (p[2] == 'x' ? MAP_EXEC : 0) | (p[3] == 's' ? MAP_IS_SHARED : 0));
	c->at += 5;
	return true;
}

/* Copies the rest of the line to `to`, undoing \012, and returns its length. */
static size_t copy_path(const struct cursor *c, char *to)
{
	const char *from = c->at;
	size_t len = 0;

	while (from < c->end) {
		if (c->end - from >= 4 && !memcmp(from, "\\012", 4)) {
			to[len++] = '\n';
			from += 4;
		} else {
			to[len++] = *from++;
		}
	}
	to[len] = 0;
	return len;
}

/* Only names that are paths can be deleted: "[anon:x (deleted)]" is a name. */
static size_t strip_deleted(char *path, size_t len, bool *ret_deleted)
{
	static const char suffix[] = " (deleted)";
	const size_t suffix_len = sizeof(suffix) - 1;

	*ret_deleted = false;
	if (path[0] != '/' || len <= suffix_len ||
	    memcmp(path + len - suffix_len, suffix, suffix_len))
		return len;
	*ret_deleted = true;
	path[len - suffix_len] = 0;
	return len - suffix_len;
}

bool maps_parse_line(const char *line, size_t len, struct map *m, char *path, size_t *ret_path_len)
{
	struct cursor c = {line, line + len};
	uint64_t major, minor;

	if (!read_hex(&c, '-', &m->start) || !read_hex(&c, ' ', &m->end) ||
	    !read_prot(&c, &m->prot) || !read_hex(&c, ' ', &m->offset) ||
	    !read_hex(&c, ':', &major) || !read_hex(&c, ' ', &minor) ||
	    !read_decimal(&c, &m->inode))
		return false;
	if (m->start >= m->end || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	m->dev_major = (uint32_t)major;
	m->dev_minor = (uint32_t)minor;
	if (c.at < c.end && *c.at != ' ')
		return false;
	while (c.at < c.end && *c.at == ' ')
		c.at++;
	*ret_path_len = strip_deleted(path, copy_path(&c, path), &m->deleted);
	return true;
}

void maps_parse(const char *text, size_t len, struct maps *ret)
{
	const char *end = text + len;
	char *path;
	uint64_t last_end = 0;

	*ret = (struct maps)MAPS_INIT;
	/* No path is longer than its line, and a line has at least one byte for the NUL. */
	ret->paths = mem_alloc(len + 2);
	path = ret->paths;
	*path++ = 0;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		struct cursor c = {text, newline ? newline : end};
		struct map m = {0};
		size_t path_len;

		text = newline ? newline + 1 : end;
		if (c.at == c.end)
			continue;
		if (!maps_parse_line(c.at, (size_t)(c.end - c.at), &m, path, &path_len) ||
		    m.start < last_end) {
			ret->bad_lines++;
			continue;
		}
		last_end = m.end;
		m.path = path_len ? path : ret->paths;
		if (path_len)
			path += path_len + 1;
		ARRAY_PUSH(ret->items, ret->nr, ret->cap, m);
	}
}

int maps_read_at(int dir, struct maps *ret)
{
	struct str text = STR_INIT;
	int r;

	r = proc_read_file(dir, "maps", &text);
	if (!r)
		maps_parse(text.data, text.len, ret);
	str_release(&text);
	return r;
}

int maps_read(int32_t pid, struct maps *ret, struct error *e)
{
	int dir, r;

	dir = proc_open(pid);
	if (dir < 0)
		return process_explain(pid, dir, "memory map", e);
	r = maps_read_at(dir, ret);
	close(dir);
	if (r < 0)
		return process_explain(pid, r, "memory map", e);
	if (!ret->nr) {
		/* A kernel thread or a zombie reads as an empty file, not as an error. */
		maps_release(ret);
		return process_explain(pid, -ENXIO, "memory map", e);
	}
	return 0;
}

void maps_release(struct maps *m)
{
	if (!m)
		return;
	free(m->items);
	free(m->paths);
	*m = (struct maps)MAPS_INIT;
}

const struct map *maps_find(const struct maps *m, uint64_t addr)
{
	size_t low = 0, high = m->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr < m->items[middle].start)
			high = middle;
		else if (addr >= m->items[middle].end)
			low = middle + 1;
		else
			return &m->items[middle];
	}
	return NULL;
}

const struct map *maps_find_path(const struct maps *m, const char *path, size_t from)
{
	for (size_t i = from; i < m->nr; i++) {
		if (!strcmp(m->items[i].path, path))
			return &m->items[i];
	}
	return NULL;
}

bool map_is_recorder(const struct map *m)
{
	static const char path[] = "/memfd:" WIRE_NAME;

	/*
	 * A file on disk may be called so too, but only a memfd never has a name in any folder.
	 * strchr() finds the end of the text as well: the bare name counts.
	 */
	return m->deleted && (m->prot & MAP_IS_SHARED) && text_starts_with(m->path, path) &&
	       strchr(".", m->path[sizeof(path) - 1]);
}

const struct map *maps_find_recorder(const struct maps *m)
{
	for (size_t i = 0; i < m->nr; i++) {
		if (map_is_recorder(&m->items[i]))
			return &m->items[i];
	}
	return NULL;
}
