/* Reading of perf-PID.map. */
#include "sym/perfmap.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "sym/root.h"
#include "sym/sym.h"

enum {
	FILE_MAX = 256 << 20,
	PIECE = 64 << 10,
};

struct jit {
	uint64_t start;
	size_t name; /* offset into text */
};

/* Anybody may write in /tmp, and the name is easy to guess. */
static bool is_trusted(int fd, uid_t target)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !(st.st_mode & S_IWOTH) &&
	       (st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == target);
}

static bool read_text(struct perfmap *p, int root_fd, int pid, uid_t target)
{
	char *path = mem_printf("/tmp/perf-%d.map", pid);
	char *piece = mem_alloc(PIECE);
	int fd = root_open_file(root_fd, path, O_NOFOLLOW);
	bool ok = fd >= 0 && is_trusted(fd, target);
	long got;

	while (ok && p->text.len < FILE_MAX && (got = io_read_all(fd, piece, PIECE)) > 0)
		str_add_len(&p->text, piece, (size_t)got);
	if (fd >= 0)
		close(fd);
	free(piece);
	free(path);
	return ok;
}

static bool parse_hex(char **at, uint64_t *ret)
{
	char *end;

	if (**at == '0' && (*at)[1] == 'x')
		*at += 2;
	if (!strchr("0123456789abcdefABCDEF", **at) || !**at)
		return false;
	*ret = strtoull(*at, &end, 16);
	*at = end;
	return true;
}

static void parse_line(struct perfmap *p, char *line)
{
	uint64_t start, size;
	char *at = line;

	if (!parse_hex(&at, &start) || *at++ != ' ' || !parse_hex(&at, &size) || *at++ != ' ' ||
	    !*at)
		return;
	ranges_add(&p->ranges, start, size > UINT64_MAX - start ? UINT64_MAX : start + size, p->nr,
		   (uint32_t)p->nr);
	ARRAY_PUSH(p->entries, p->nr, p->cap,
		   ((struct jit){.start = start, .name = (size_t)(at - p->text.data)}));
}

static void parse(struct perfmap *p)
{
	char *line = p->text.data, *end = line + p->text.len;

	while (line < end) {
		char *stop = memchr(line, '\n', (size_t)(end - line));

		if (!stop)
			break; /* still being written, or cut: the size may lack digits */
		*stop = '\0';
		parse_line(p, line);
		line = stop + 1;
	}
	ranges_flatten(&p->ranges);
}

void perfmap_init(struct perfmap *p, const struct sym_options *o, int root_fd)
{
	int inner = o->namespace_pid > 0 ? o->namespace_pid : o->pid;

	*p = (struct perfmap){0};
	str_init(&p->text);
	if (o->pid <= 0)
		return;
	if ((root_fd >= 0 && read_text(p, root_fd, inner, o->uid)) ||
	    read_text(p, -1, o->pid, o->uid))
		parse(p);
}

void perfmap_release(struct perfmap *p)
{
	str_release(&p->text);
	free(p->entries);
	ranges_release(&p->ranges);
	*p = (struct perfmap){0};
	str_init(&p->text);
}

const char *perfmap_find(const struct perfmap *p, uint64_t addr, uint64_t *ret_start)
{
	const struct range *r = ranges_find(&p->ranges, addr);

	if (!r)
		return NULL;
	*ret_start = p->entries[r->id].start;
	return p->text.data + p->entries[r->id].name;
}
