/*
 * Limits of control groups; see cgroup.h.
 *
 * /proc/PID/cgroup names the group within each hierarchy, /proc/self/mountinfo where a hierarchy is
 * mounted and which part of it: the mounted root's path is the beginning of the group's that is to
 * be left out. A group of another cgroup namespace than ours cannot be seen ("/../x"); then nothing
 * is known.
 */
#include "target/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/str.h"
#include "target/proc.h"

#define FILE_MAX (1u << 20)
/* Version 1 says "no limit" with a number near 2^63. */
#define NO_LIMIT (1ull << 62)

/* One controller's hierarchy. */
struct hierarchy {
	struct str mount; /* where */
	struct str group; /* the process's folder, begins with mount */
	bool is_v2;
};

static void hierarchy_release(struct hierarchy *h)
{
	str_release(&h->mount);
	str_release(&h->group);
}

static bool has_word(const char *list, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	for (const char *at = list, *end = list + len; at < end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t item = (size_t)((comma ? comma : end) - at);

		if (item == word_len && !memcmp(at, word, item))
			return true;
		at += item + 1;
	}
	return false;
}

/* "4:memory:/path" or "0::/path": the path of the controller's hierarchy, of that version. */
static bool find_group(const char *text, const char *controller, bool v2, struct str *ret)
{
	while (*text) {
		const char *end = strchrnul(text, '\n');
		const char *first = memchr(text, ':', (size_t)(end - text));
		const char *second =
			first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;

		if (second) {
			size_t len = (size_t)(second - first - 1);

			if (v2 ? len == 0 : has_word(first + 1, len, controller)) {
				str_add_len(ret, second + 1, (size_t)(end - second - 1));
				return true;
			}
		}
		text = *end ? end + 1 : end;
	}
	return false;
}

/*
 * "36 25 0:32 /root /where options… - cgroup name super,options": a mount of the hierarchy.
 * Returns the next line, and fills root and where when this one is it.
 */
static bool parse_mount(char *line, const char *controller, bool v2, char **ret_root,
			char **ret_where)
{
	char *fields[5], *rest, *type, *options, *save = NULL;

	rest = strstr(line, " - ");
	if (!rest)
		return false;
	*rest = 0;
	type = strtok_r(rest + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	if (!type || strcmp(type, v2 ? "cgroup2" : "cgroup"))
		return false;
	if (!v2 && (!options || !has_word(options, strlen(options), controller)))
		return false;
	for (size_t i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	*ret_root = fields[3];
	*ret_where = fields[4];
	return true;
}

static bool find_mount(struct hierarchy *h, const char *group, const char *controller)
{
	struct str text = STR_INIT;
	char *root, *where, *line, *save = NULL;
	bool found = false;
	size_t len;

	if (io_read_file("/proc/self/mountinfo", FILE_MAX, &text) < 0)
		return false;
	for (line = strtok_r(text.data, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!parse_mount(line, controller, h->is_v2, &root, &where))
			continue;
		len = strcmp(root, "/") ? strlen(root) : 0;
		if (strncmp(group, root, len) || strstr(group, "/.."))
			continue;
		str_printf(&h->mount, "%s", where);
		str_printf(&h->group, "%s%s", where, group + len);
		found = true;
	}
	str_release(&text);
	return found;
}

static bool hierarchy_find(struct hierarchy *h, int dir, const char *controller, bool v2)
{
	struct str text = STR_INIT, group = STR_INIT;
	bool found;

	*h = (struct hierarchy){.mount = STR_INIT, .group = STR_INIT, .is_v2 = v2};
	found = !proc_read_file(dir, "cgroup", &text) &&
		find_group(text.data, controller, v2, &group) &&
		find_mount(h, group.data, controller);
	str_release(&text);
	str_release(&group);
	return found;
}

static bool read_text(const char *group, const char *file, struct str *ret)
{
	struct str path = STR_INIT;
	int r;

	str_printf(&path, "%s/%s", group, file);
	r = io_read_file(path.data, FILE_MAX, ret);
	str_release(&path);
	return r == 0;
}

/* False: no such file, or "max". */
static bool read_number(const char *group, const char *file, uint64_t *ret)
{
	struct str text = STR_INIT;
	char *end;
	bool found;

	found = read_text(group, file, &text);
	if (found) {
		errno = 0;
		*ret = strtoull(text.data, &end, 10);
		found = !errno && end != text.data && *ret < NO_LIMIT;
	}
	str_release(&text);
	return found;
}

/* Bytes of files that are kept only because nobody else needed the memory. */
static uint64_t cached_bytes(const char *group, bool v2)
{
	const char *key = v2 ? "\ninactive_file " : "\ntotal_inactive_file ";
	struct str text = STR_INIT;
	const char *at;
	uint64_t bytes = 0;

	if (read_text(group, "memory.stat", &text)) {
		at = strstr(text.data, key);
		if (at)
			bytes = strtoull(at + strlen(key), NULL, 10);
	}
	str_release(&text);
	return bytes;
}

static uint64_t room_of(const char *group, bool v2, bool memory)
{
	const char *limit_file = !memory ? "pids.max" : v2 ? "memory.max" : "memory.limit_in_bytes";
	const char *usage_file = !memory ? "pids.current"
				 : v2	 ? "memory.current"
					 : "memory.usage_in_bytes";
	uint64_t limit, usage, cached;

	if (!read_number(group, limit_file, &limit) || !read_number(group, usage_file, &usage))
		return UINT64_MAX;
	cached = memory ? cached_bytes(group, v2) : 0;
	usage -= cached < usage ? cached : usage;
	return usage < limit ? limit - usage : 0;
}

static uint64_t least_room(struct hierarchy *h, bool memory)
{
	uint64_t least = UINT64_MAX, room;
	char *slash;

	for (;;) {
		room = room_of(h->group.data, h->is_v2, memory);
		least = room < least ? room : least;
		slash = strrchr(h->group.data, '/');
		if (!slash || (size_t)(slash - h->group.data) < h->mount.len)
			return least;
		str_truncate(&h->group, (size_t)(slash - h->group.data));
	}
}

static uint64_t room_in_both(int dir, const char *controller, bool memory)
{
	uint64_t least = UINT64_MAX, room;
	struct hierarchy h;

	for (int v2 = 0; v2 < 2; v2++) {
		if (hierarchy_find(&h, dir, controller, v2)) {
			room = least_room(&h, memory);
			least = room < least ? room : least;
		}
		hierarchy_release(&h);
	}
	return least;
}

uint64_t cgroup_memory_room(int dir)
{
	return room_in_both(dir, "memory", true);
}

uint64_t cgroup_pids_room(int dir)
{
	return room_in_both(dir, "pids", false);
}
