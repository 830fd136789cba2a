/* /proc/PID/smaps, read in pieces: a header line as in maps, then "Key:  123 kB" lines. */
#include "target/smaps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* The kernel gives a few KiB at a time; what is not a whole line yet stays for the next piece. */
#define PIECE_BYTES (256u << 10)
/* A line that long is none of the kernel's: a path has at most 4 KiB, four times when escaped. */
#define LINE_MAX_BYTES (64u << 10)

/* "Rss:                   4 kB\n": a key with its colon, and a number of up to eight digits. */
#define KEY_WIDTH 16
#define VALUE_WIDTH 8
#define PADDED_LINE (KEY_WIDTH + VALUE_WIDTH + 4)

/* The figures of a mapping, from its first key on as far as lines are padded, and what they say. */
struct seen_block {
	size_t len; /* 0: none */
	char text[24 * PADDED_LINE];
	struct smaps_region row; /* without map and flags, which come from other lines */
	size_t next_key;
};

/*
 * All arrays grow, so while reading a mapping knows its path as an offset (path_at, row by row);
 * pointers are set at the end. Neighbours mostly have the same path, which is then kept once.
 */
struct parser {
	struct smaps out; /* out.nr is set at the end: out.maps.nr of them */
	size_t paths_len, paths_cap;
	size_t *path_at;
	size_t path_at_cap;
	uint64_t last_end;
	size_t next_key; /* of keys: what the next line will likely be */
	bool in_region;	 /* key lines belong to the last row; false: to one that was left out */
	bool fresh;	 /* the last line was its header: there are no figures yet */
	char (*padded)[KEY_WIDTH]; /* of keys: how their lines begin */
	const char *block;	   /* where padded lines began behind a header; NULL: not so */
	struct seen_block *seen;   /* SEEN_BLOCKS */
	size_t next_seen;
};

#define IGNORED UINT16_MAX

#define SEEN_BLOCKS 4

static const struct key {
	const char *name;
	uint8_t len;
	uint16_t offset; /* of the field in struct smaps_region; several keys may add up to one */
} keys[] = {
#define KEY(name, field)                                                                           \
	{                                                                                          \
		name, sizeof(name) - 1, offsetof(struct smaps_region, field)                       \
	}
#define OTHER(name)                                                                                \
	{                                                                                          \
		name, sizeof(name) - 1, IGNORED                                                    \
	}
	/* In the kernel's order, with all that it tells: the next line is the next key. */
	OTHER("Size"),
	OTHER("KernelPageSize"),
	OTHER("MMUPageSize"),
	KEY("Rss", rss),
	KEY("Pss", pss),
	OTHER("Pss_Dirty"),
	KEY("Shared_Clean", shared_clean),
	KEY("Shared_Dirty", shared_dirty),
	KEY("Private_Clean", private_clean),
	KEY("Private_Dirty", private_dirty),
	OTHER("Referenced"),
	KEY("Anonymous", anonymous),
	OTHER("KSM"),
	KEY("LazyFree", lazy_free),
	KEY("AnonHugePages", huge),
	KEY("ShmemPmdMapped", huge),
	KEY("FilePmdMapped", huge),
	KEY("Shared_Hugetlb", huge),
	KEY("Private_Hugetlb", huge),
	KEY("Swap", swap),
	OTHER("SwapPss"),
	KEY("Locked", locked),
	OTHER("THPeligible"),
	OTHER("ProtectionKey"),
#undef KEY
#undef OTHER
};
#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Does the line begin with this key and its colon? */
static bool is_key(const struct key *key, const char *line, const char *end)
{
	return line[0] == key->name[0] && end - line > key->len && line[key->len] == ':' &&
	       !memcmp(line, key->name, key->len);
}

/* *next: where the search begins, as keys come in the same order in every mapping. */
static const struct key *find_key(size_t *next, const char *line, const char *end)
{
	for (size_t i = *next; i < NR_KEYS; i++) {
		if (is_key(&keys[i], line, end)) {
			*next = i + 1;
			return &keys[i];
		}
	}
	for (size_t i = 0; i < *next; i++) {
		if (is_key(&keys[i], line, end)) {
			*next = i + 1;
			return &keys[i];
		}
	}
	return NULL;
}

/* "   123 kB"; no more than that, and no more than fits. */
static bool read_kib(const char *at, const char *end, uint64_t *ret)
{
	uint64_t value = 0;
	bool any = false;

	if (end - at < 4 || memcmp(end - 3, " kB", 3))
		return false;
	end -= 3;
	while (*at == ' ')
		at++;
	for (; at < end && *at >= '0' && *at <= '9'; at++, any = true) {
		if (value > UINT64_MAX >> 14)
			return false;
		value = value * 10 + (uint64_t)(*at - '0');
	}
	if (!any || at != end)
		return false;
	*ret = value << 10;
	return true;
}

#define TWO(a, b) ((unsigned int)(a) << 8 | (unsigned int)(b))

static uint32_t flag_of(const char *word)
{
	switch (TWO(word[0], word[1])) {
	case TWO('l', 'o'):
		return SMAPS_VM_LOCKED;
	case TWO('h', 'g'):
		return SMAPS_VM_HUGE;
	case TWO('n', 'h'):
		return SMAPS_VM_NO_HUGE;
	case TWO('d', 'd'):
		return SMAPS_VM_NO_DUMP;
	case TWO('d', 'c'):
		return SMAPS_VM_NO_FORK;
	case TWO('w', 'f'):
		return SMAPS_VM_WIPE_FORK;
	case TWO('i', 'o'):
	case TWO('p', 'f'):
		return SMAPS_VM_IO;
	case TWO('n', 'r'):
		return SMAPS_VM_NO_RESERVE;
	case TWO('g', 'd'):
		return SMAPS_VM_GROWS_DOWN;
	case TWO('h', 't'):
		return SMAPS_VM_HUGETLB;
	case TWO('s', 'l'):
		return SMAPS_VM_SEALED;
	case TWO('u', 'm'):
	case TWO('u', 'w'):
	case TWO('u', 'i'):
		return SMAPS_VM_USERFAULT;
	default:
		return 0;
	}
}

/* Words of two letters, with blanks between. */
static uint32_t read_flags(const char *at, const char *end)
{
	uint32_t flags = 0;

	while (at < end) {
		const char *word = at;

		while (at < end && *at != ' ')
			at++;
		if (at - word == 2)
			flags |= flag_of(word);
		at++;
	}
	return flags;
}

static bool add_to(struct smaps_region *row, const struct key *key, uint64_t bytes)
{
	char *field = (char *)row + key->offset;
	uint64_t sum;

	memcpy(&sum, field, sizeof(sum));
	if (__builtin_add_overflow(sum, bytes, &sum))
		return false;
	memcpy(field, &sum, sizeof(sum));
	return true;
}

/* Keys that are not known are the business of another kernel, not a damage. */
static bool take_key(struct parser *p, struct smaps_region *row, const char *line, const char *end)
{
	static const char flags_key[] = "VmFlags:";
	const size_t flags_len = sizeof(flags_key) - 1;
	const struct key *key = find_key(&p->next_key, line, end);
	uint64_t bytes;

	if (key && key->offset == IGNORED)
		return true;
	if (key)
		return read_kib(line + key->len + 1, end, &bytes) && add_to(row, key, bytes);
	if ((size_t)(end - line) >= flags_len && !memcmp(line, flags_key, flags_len)) {
		row->vm_flags |= read_flags(line + flags_len, end);
		return true;
	}
	return memchr(line, ':', (size_t)(end - line)) != NULL;
}

/* Room for a path of a line of that length. */
static char *path_room(struct parser *p, size_t len)
{
	if (p->paths_cap - p->paths_len < len + 1) {
		p->paths_cap = p->paths_cap * 2 + len + 1;
		p->out.maps.paths = mem_realloc(p->out.maps.paths, p->paths_cap);
	}
	return p->out.maps.paths + p->paths_len;
}

/* The offset of the path that was just written to path_room(), or of the same one before it. */
static size_t keep_path(struct parser *p, size_t len)
{
	size_t at = p->paths_len, last;

	if (len == 0)
		return 0;
	last = p->out.maps.nr ? p->path_at[p->out.maps.nr - 1] : 0;
	if (!strcmp(p->out.maps.paths + last, p->out.maps.paths + at))
		return last;
	p->paths_len += len + 1;
	return at;
}

static bool take_header(struct parser *p, const char *line, size_t len)
{
	struct smaps *out = &p->out;
	char *path = path_room(p, len);
	struct map map = {0};
	size_t path_len, at;

	p->in_region = false;
	if (!maps_parse_line(line, len, &map, path, &path_len) || map.start < p->last_end)
		return false;
	p->in_region = p->fresh = true;
	p->next_key = 0;
	p->last_end = map.end;
	at = keep_path(p, path_len);
	p->path_at = array_grow(p->path_at, out->maps.nr, &p->path_at_cap, sizeof(*p->path_at));
	p->path_at[out->maps.nr] = at;
	ARRAY_GROW(out->items, out->maps.nr, out->cap);
	out->items[out->maps.nr] = (struct smaps_region){.map = NULL};
	ARRAY_PUSH(out->maps.items, out->maps.nr, out->maps.cap, map);
	return true;
}

/* A header begins with a small hexadecimal digit, a key with a capital letter. */
static void take_line(struct parser *p, const char *line, size_t len)
{
	bool good;

	if (len == 0)
		return;
	if (line[0] < 'A' || line[0] > 'Z')
		good = take_header(p, line, len);
	else if (p->in_region)
		good = take_key(p, &p->out.items[p->out.maps.nr - 1], line, line + len);
	else
		return; /* of a mapping that was counted as bad already */
	if (!good)
		p->out.bad_lines++;
}

/* "     123": blanks, then digits up to the end. */
static bool read_padded(const char *at, uint64_t *ret)
{
	static const char blanks[] = "       ";
	const char *end = at + VALUE_WIDTH;
	uint64_t value = 0;

	if (!memcmp(at, blanks, VALUE_WIDTH - 1))
		at += VALUE_WIDTH - 1;
	while (at < end - 1 && *at == ' ')
		at++;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		value = value * 10 + (uint64_t)(*at - '0');
	}
	*ret = value;
	return true;
}

/*
 * Nearly every line is the next key in the kernel's own width: its end need not be looked for, and
 * 50,000 mappings have more than a million of them. Returns the line's length with its newline; 0:
 * it is another line, and nothing was done.
 */
static size_t take_padded(struct parser *p, const char *at, const char *end)
{
	const struct key *key = &keys[p->next_key];
	uint64_t kib;

	if (!p->in_region || p->next_key == NR_KEYS || end - at < PADDED_LINE ||
	    memcmp(at, p->padded[p->next_key], KEY_WIDTH) ||
	    memcmp(at + KEY_WIDTH + VALUE_WIDTH, " kB\n", 4) || !read_padded(at + KEY_WIDTH, &kib))
		return 0;
	if (key->offset != IGNORED && !add_to(&p->out.items[p->out.maps.nr - 1], key, kib << 10))
		return 0;
	p->next_key++;
	return PADDED_LINE;
}

/*
 * Many mappings have the very figures of one shortly before: nothing, or one page. Returns the
 * length of the lines that are known; 0: none, and they are to be remembered.
 */
static size_t take_seen(struct parser *p, const char *at, const char *end)
{
	for (size_t i = 0; i < SEEN_BLOCKS; i++) {
		const struct seen_block *seen = &p->seen[i];

		if (!seen->len || (size_t)(end - at) < seen->len ||
		    memcmp(at, seen->text, seen->len))
			continue;
		p->out.items[p->out.maps.nr - 1] = seen->row;
		p->next_key = seen->next_key;
		return seen->len;
	}
	p->block = at;
	return 0;
}

/* The padded lines of a mapping end at `end`. */
static void remember_block(struct parser *p, const char *end)
{
	size_t len = (size_t)(end - p->block);
	struct seen_block *seen = &p->seen[p->next_seen];

	p->block = NULL;
	if (len == 0 || len > sizeof(seen->text))
		return;
	memcpy(seen->text, end - len, len);
	seen->len = len;
	seen->row = p->out.items[p->out.maps.nr - 1];
	seen->next_key = p->next_key;
	p->next_seen = (p->next_seen + 1) % SEEN_BLOCKS;
}

/* Takes all whole lines and returns how many bytes that were. */
static size_t take_lines(struct parser *p, const char *text, size_t len)
{
	const char *at = text, *end = text + len, *newline;

	p->block = NULL; /* it was in another piece */
	while (at < end) {
		size_t taken = 0;

		if (p->fresh)
			taken = take_seen(p, at, end);
		p->fresh = false;
		if (!taken)
			taken = take_padded(p, at, end);
		if (!taken) {
			if (p->block)
				remember_block(p, at);
			newline = memchr(at, '\n', (size_t)(end - at));
			if (!newline)
				break;
			take_line(p, at, (size_t)(newline - at));
			taken = (size_t)(newline - at) + 1;
		}
		at += taken;
	}
	return (size_t)(at - text);
}

static void parser_init(struct parser *p)
{
	*p = (struct parser){.padded = mem_alloc_array(NR_KEYS, KEY_WIDTH),
			     .seen = mem_alloc_array(SEEN_BLOCKS, sizeof(*p->seen))};
	for (size_t i = 0; i < NR_KEYS; i++) {
		memset(p->padded[i], ' ', KEY_WIDTH);
		memcpy(p->padded[i], keys[i].name, keys[i].len);
		p->padded[i][keys[i].len] = ':';
	}
	path_room(p, 0)[0] = 0; /* offset 0: no path */
	p->paths_len = 1;
}

static void parser_finish(struct parser *p, struct smaps *ret)
{
	struct smaps *out = &p->out;

	for (size_t i = 0; i < out->maps.nr; i++) {
		out->maps.items[i].path = out->maps.paths + p->path_at[i];
		out->items[i].map = &out->maps.items[i];
	}
	out->nr = out->maps.nr;
	out->maps.bad_lines = out->bad_lines;
	free(p->path_at);
	free(p->padded);
	free(p->seen);
	*ret = *out;
}

void smaps_parse(const char *text, size_t len, struct smaps *ret)
{
	struct parser p;
	size_t taken;

	parser_init(&p);
	taken = take_lines(&p, text, len);
	take_line(&p, text + taken, len - taken);
	parser_finish(&p, ret);
}

/* Reads on until the end: *ret_len is what is left without a newline. */
static int read_lines(int fd, struct parser *p, char *piece, size_t *ret_len)
{
	size_t len = 0, taken;

	for (;;) {
		ssize_t got = read(fd, piece + len, PIECE_BYTES - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t)got;
		taken = take_lines(p, piece, len);
		len -= taken;
		memmove(piece, piece + taken, len);
		if (len > LINE_MAX_BYTES)
			return -EFBIG;
	}
	*ret_len = len;
	return 0;
}

static int read_file(int dir, const char *name, struct smaps *ret)
{
	struct smaps out;
	struct parser p;
	size_t len = 0;
	char *piece;
	int fd, r;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	piece = mem_alloc(PIECE_BYTES);
	parser_init(&p);
	r = read_lines(fd, &p, piece, &len);
	if (r == 0)
		take_line(&p, piece, len);
	parser_finish(&p, &out);
	if (r == 0)
		*ret = out;
	else
		smaps_release(&out);
	free(piece);
	close(fd);
	return r;
}

int smaps_read_at(int dir, struct smaps *ret)
{
	return read_file(dir, "smaps", ret);
}

int smaps_read_rollup_at(int dir, struct smaps_region *ret)
{
	struct smaps s;
	int r = read_file(dir, "smaps_rollup", &s);

	if (r < 0)
		return r;
	if (s.nr) {
		*ret = s.items[0];
		ret->map = NULL;
	}
	r = s.nr ? 0 : -ESRCH;
	smaps_release(&s);
	return r;
}

void smaps_take_maps(struct smaps *s, struct maps *ret)
{
	*ret = s->maps;
	s->maps = (struct maps)MAPS_INIT;
}

void smaps_release(struct smaps *s)
{
	if (!s)
		return;
	free(s->items);
	maps_release(&s->maps);
	*s = (struct smaps){.items = NULL};
}
