/*
 * An ELF core as a target: its segments and the files that were mapped become one list of regions,
 * each with the bytes that the core holds of it and the file that holds the others.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "target/core_elf.h"
#include "target/core_files.h"
#include "target/core_notes.h"
#include "target/target_private.h"

#define HEAD_BYTES 4096
#define FILES_MAX 16384 /* looked for; a program with more is none that we have seen */
#define VVAR_MAX (32u << 10)
#define NO_FILE SIZE_MAX
#define VSYSCALL_ADDR 0xffffffffff600000ull

/* Beside the map of the same index: where its bytes are. */
struct region {
	bool listed; /* the core has a segment for it; its protection is known */
	uint64_t core_offset, core_bytes; /* the first ones, in the core */
	uint64_t cut_bytes;		  /* behind them, lost with the end of the core */
	size_t file;			  /* holds what follows, or NO_FILE */
	uint64_t file_bytes;		  /* up to which byte of the region it does */
};

struct core_state {
	struct core_elf elf;
	struct core_files_open open;
	struct core_file *files;
	size_t nr_files, cap_files;
	struct region *regions;
	size_t nr_regions, cap_regions;
	size_t last; /* region of the last read */
	struct target_gaps gaps;
};

/* ---- reading ---- */

static size_t region_at(struct target *t, uint64_t addr)
{
	struct core_state *s = t->state;
	const struct map *m;

	if (s->last < t->maps.nr && addr >= t->maps.items[s->last].start &&
	    addr < t->maps.items[s->last].end)
		return s->last;
	m = maps_find(&t->maps, addr);
	if (!m)
		return SIZE_MAX;
	s->last = (size_t)(m - t->maps.items);
	return s->last;
}

/* Bytes of one region from addr on, which lies in it. */
static size_t read_region(struct target *t, size_t i, uint64_t addr, char *buffer, size_t len)
{
	struct core_state *s = t->state;
	const struct region *r = &s->regions[i];
	const struct map *m = &t->maps.items[i];
	uint64_t at = addr - m->start;
	size_t want, got = 0;

	len = len < m->end - addr ? len : (size_t)(m->end - addr);
	if (at < r->core_bytes) {
		want = len < r->core_bytes - at ? len : (size_t)(r->core_bytes - at);
		got = core_elf_read(&s->elf, r->core_offset + at, buffer, want);
		if (got < want)
			return got;
		at += got;
	}
	if (got == len || r->file == NO_FILE || at >= r->file_bytes)
		return got;
	want = len - got < r->file_bytes - at ? len - got : (size_t)(r->file_bytes - at);
	return got + core_file_read(&s->open, &s->files[r->file], r->file, m->offset + at,
				    buffer + got, want);
}

static size_t core_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t i = region_at(t, addr + done), want, got;

		if (i == SIZE_MAX)
			break;
		want = len - done;
		if (want > t->maps.items[i].end - (addr + done))
			want = (size_t)(t->maps.items[i].end - (addr + done));
		got = read_region(t, i, addr + done, (char *)buffer + done, want);
		done += got;
		if (got < want)
			break;
	}
	return done;
}

/*
 * Dumpers leave holes in the file where a region holds nothing but zeros; where the file system
 * does not tell, all of it is data.
 */
static int core_next_used(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	struct core_state *s = t->state;
	size_t i = region_at(t, from);
	const struct region *r = i == SIZE_MAX ? NULL : &s->regions[i];
	uint64_t base, dumped;
	off_t data, hole;

	*ret_start = from;
	*ret_end = end;
	if (!r)
		return 0;
	base = t->maps.items[i].start;
	dumped = base + r->core_bytes;
	if (from >= dumped)
		return 0;
	data = lseek(s->elf.fd, (off_t)(r->core_offset + (from - base)), SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return 0;
	*ret_start = data < 0 ? dumped : base + ((uint64_t)data - r->core_offset);
	if (*ret_start >= dumped || *ret_start >= end) {
		/* What follows comes from a file, or is not to be had: that is not for us to skip.
		 */
		*ret_start = dumped;
		return dumped < end ? 0 : -ENOENT;
	}
	hole = lseek(s->elf.fd, data, SEEK_HOLE);
	if (hole > data && base + ((uint64_t)hole - r->core_offset) < end)
		*ret_end = base + ((uint64_t)hole - r->core_offset);
	return 0;
}

static void core_close(struct target *t)
{
	struct core_state *s = t->state;

	core_files_close(&s->open);
	for (size_t i = 0; i < s->nr_files; i++)
		core_file_release(&s->files[i]);
	free(s->files);
	free(s->regions);
	core_elf_close(&s->elf);
	free(s);
}

static const struct target_ops core_ops = {
	.read = core_read,
	.next_used = core_next_used,
	.close = core_close,
};

/* ---- regions: segments and mapped files, one list ---- */

/* seg, mapped: NULL where there is none. */
static void add_region(struct target *t, const struct core_segment *seg,
		       const struct core_mapped *mapped, uint64_t start, uint64_t end)
{
	struct core_state *s = t->state;
	struct map m = {.start = start, .end = end, .prot = MAP_READ, .path = ""};
	struct region r = {.file = NO_FILE};

	if (mapped) {
		m.path = mapped->path;
		m.deleted = mapped->deleted;
		m.offset = mapped->offset + (start - mapped->start);
		m.inode = 1; /* its number is not in a core; that there is a file is known */
	}
	if (seg) {
		uint64_t at = start - seg->start, len = end - start;

		m.prot = seg->prot;
		r.listed = true;
		r.core_offset = seg->offset + at;
		if (seg->file_bytes > at)
			r.core_bytes = seg->file_bytes - at < len ? seg->file_bytes - at : len;
		if (seg->file_bytes + seg->cut_bytes > at + r.core_bytes)
			r.cut_bytes = seg->file_bytes + seg->cut_bytes - at - r.core_bytes;
		if (r.cut_bytes > len - r.core_bytes)
			r.cut_bytes = len - r.core_bytes;
	}
	ARRAY_PUSH(t->maps.items, t->maps.nr, t->maps.cap, m);
	ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, r);
}

/* Where both begin or end, a region begins or ends. Dumpers leave out segments of files. */
static void merge_regions(struct target *t, const struct core_notes *n)
{
	const struct core_elf *c = &((struct core_state *)t->state)->elf;
	size_t i = 0, j = 0;
	uint64_t at = 0;

	while (i < c->nr_segments || j < n->nr_mapped) {
		const struct core_segment *seg = i < c->nr_segments ? &c->segments[i] : NULL;
		const struct core_mapped *map = j < n->nr_mapped ? &n->mapped[j] : NULL;
		uint64_t seg_from = seg ? (seg->start > at ? seg->start : at) : UINT64_MAX;
		uint64_t map_from = map ? (map->start > at ? map->start : at) : UINT64_MAX;
		uint64_t from = seg_from < map_from ? seg_from : map_from, to = UINT64_MAX;

		if (seg)
			to = seg_from > from ? seg_from : seg->end;
		if (map && map_from > from)
			to = map_from < to ? map_from : to;
		else if (map)
			to = map->end < to ? map->end : to;
		add_region(t, seg_from == from ? seg : NULL, map_from == from ? map : NULL, from,
			   to);
		at = to;
		i += seg && at >= seg->end;
		j += map && at >= map->end;
	}
}

/* ---- files ---- */

struct by_path {
	const struct core_mapped *mapped;
	size_t region; /* in which it begins */
};

static int compare_paths(const void *a, const void *b)
{
	const struct by_path *x = a, *y = b;
	int order = strcmp(x->mapped->path, y->mapped->path);

	if (order)
		return order;
	return x->region < y->region ? -1 : x->region > y->region;
}

/* The first page of a mapping, when the core holds it. */
static size_t read_head(struct target *t, const struct by_path *p, uint8_t *head)
{
	const struct core_state *s = t->state;
	const struct region *r = &s->regions[p->region];
	size_t len = r->core_bytes < HEAD_BYTES ? (size_t)r->core_bytes : HEAD_BYTES;

	return p->mapped->offset ? 0 : core_elf_read(&s->elf, r->core_offset, head, len);
}

/* All mappings of one path: what is known of the file, then the file. */
static void find_file(struct target *t, const struct by_path *group, size_t nr, const char *folders,
		      struct core_file *ret)
{
	struct core_state *s = t->state;
	uint8_t head[HEAD_BYTES], other[HEAD_BYTES];
	struct core_file_hint hint = {
		.path = group[0].mapped->path,
		.deleted = group[0].mapped->deleted,
		.head = head,
		.core_time = s->elf.mtime,
	};
	bool alike = true;

	for (size_t i = 0; i < nr && alike; i++) {
		size_t len = read_head(t, &group[i], hint.head_bytes ? other : head);

		/* Replaced while it ran: two builds under one name. */
		if (hint.head_bytes && len)
			alike = len == hint.head_bytes && memcmp(head, other, len) == 0;
		else if (len)
			hint.head_bytes = len;
	}
	if (alike)
		core_file_find(&hint, folders, ret);
	else
		*ret = (struct core_file){.state = CORE_FILE_OTHER};
}

/* Is there anything of it that the core does not hold, and that the program could not change? */
static bool wants_file(const struct target *t, const struct core_mapped *mapped, size_t region)
{
	const struct core_state *s = t->state;

	for (size_t i = region; i < t->maps.nr && t->maps.items[i].start < mapped->end; i++) {
		const struct map *m = &t->maps.items[i];

		if (s->regions[i].core_bytes < m->end - m->start && m->prot &&
		    !(m->prot & MAP_WRITE) && !s->regions[i].cut_bytes)
			return true;
	}
	return false;
}

/* head: where the file's beginning is mapped; 0: not below this mapping. */
static void use_file(struct target *t, const struct by_path *p, uint64_t head, size_t file)
{
	struct core_state *s = t->state;

	for (size_t i = p->region; i < t->maps.nr && t->maps.items[i].start < p->mapped->end; i++) {
		struct map *m = &t->maps.items[i];
		struct region *r = &s->regions[i];
		uint64_t place = head ? m->start - head : CORE_FILE_NO_PLACE;

		if ((m->prot & MAP_WRITE) || !m->prot || r->cut_bytes)
			continue;
		r->file = file;
		r->file_bytes =
			core_file_shows(&s->files[file], place, m->offset, m->end - m->start);
		if (!r->listed)
			m->prot = core_file_prot(&s->files[file], m->offset) & ~MAP_WRITE;
	}
}

static void use_file_everywhere(struct target *t, const struct by_path *group, size_t nr,
				size_t file)
{
	uint64_t head = 0;

	for (size_t i = 0; i < nr; i++) {
		if (!group[i].mapped->offset)
			head = group[i].mapped->start;
		use_file(t, &group[i], head, file);
	}
}

static void count_file(struct target_gaps *g, enum core_file_state state)
{
	g->files_missing += state == CORE_FILE_MISSING;
	g->files_other += state == CORE_FILE_OTHER;
	g->files_unverified += state == CORE_FILE_UNVERIFIED;
}

static void find_files(struct target *t, const struct core_notes *n, const char *folders)
{
	struct by_path *all = mem_alloc_array(n->nr_mapped, sizeof(*all));
	struct core_state *s = t->state;
	size_t first, last;

	for (size_t i = 0; i < n->nr_mapped; i++) {
		all[i].mapped = &n->mapped[i];
		all[i].region = region_at(t, n->mapped[i].start);
	}
	if (n->nr_mapped)
		qsort(all, n->nr_mapped, sizeof(*all), compare_paths);
	for (first = 0; first < n->nr_mapped; first = last) {
		struct core_file file = {.state = CORE_FILE_MISSING};
		bool wanted = false;

		for (last = first; last < n->nr_mapped &&
				   strcmp(all[last].mapped->path, all[first].mapped->path) == 0;
		     last++)
			wanted |= wants_file(t, all[last].mapped, all[last].region);
		if (!wanted)
			continue;
		if (s->nr_files < FILES_MAX)
			find_file(t, all + first, last - first, folders, &file);
		count_file(&s->gaps, file.state);
		if (!file.path) {
			core_file_release(&file);
			continue;
		}
		ARRAY_PUSH(s->files, s->nr_files, s->cap_files, file);
		use_file_everywhere(t, all + first, last - first, s->nr_files - 1);
	}
	free(all);
}

/* ---- who it was ---- */

static void name_region(struct target *t, uint64_t addr, const char *name)
{
	struct map *m = (struct map *)(addr ? maps_find(&t->maps, addr) : NULL);

	if (m && !*m->path)
		m->path = name;
}

/* What the kernel's maps call by a name and a core does not; [heap] is not to be known. */
static void name_regions(struct target *t, const struct core_notes *n)
{
	const struct map *vdso;

	name_region(t, n->vdso, "[vdso]");
	name_region(t, n->stack, "[stack]");
	if (!n->stack && t->nr_threads)
		name_region(t, t->threads[0].sp, "[stack]");
	if (t->machine == EM_X86_64)
		name_region(t, VSYSCALL_ADDR, "[vsyscall]");
	vdso = n->vdso ? maps_find(&t->maps, n->vdso) : NULL;
	if (!vdso)
		return;
	/* The kernel's data pages lie directly before its code. */
	for (size_t i = (size_t)(vdso - t->maps.items); i-- > 0;) {
		struct map *m = &t->maps.items[i];

		if (*m->path || m->prot != MAP_READ || m->end - m->start > VVAR_MAX ||
		    m->end != t->maps.items[i + 1].start)
			break;
		m->path = "[vvar]";
	}
}

static void name_process(struct target *t, const struct core_notes *n)
{
	const struct map *m = n->program_headers ? maps_find(&t->maps, n->program_headers) : NULL;
	struct process_info *p = &t->process;

	p->exe = mem_strdup(m && *m->path == '/' ? m->path : "");
	p->exe_deleted = m && m->deleted;
	p->argv0 = mem_strdup("");
	if (!p->command)
		p->command = mem_strdup("");
	/* A core without NT_PRPSINFO. */
	if (!p->pid && t->nr_threads)
		p->pid = p->tgid = p->ns_pid = t->threads[0].tid;
}

static void count_gaps(const struct target *t, const struct core_notes *n)
{
	struct core_state *s = t->state;
	struct target_gaps *g = &s->gaps;

	for (size_t i = 0; i < s->nr_regions; i++) {
		const struct map *m = &t->maps.items[i];
		const struct region *r = &s->regions[i];
		uint64_t len = m->end - m->start, there;

		there = r->core_bytes > r->file_bytes ? r->core_bytes : r->file_bytes;
		if (!(m->prot & MAP_READ) || !strcmp(m->path, "[vvar]") || there >= len)
			continue;
		g->missing_regions++;
		g->missing_bytes += len - there;
	}
	g->cut_bytes = s->elf.cut_bytes;
	g->bad_records = s->elf.bad_segments + s->elf.cut_headers + n->bad_notes;
}

bool target_gaps(const struct target *t, struct target_gaps *ret)
{
	*ret = (struct target_gaps){.missing_bytes = 0};
	if (t->ops != &core_ops)
		return false;
	*ret = ((const struct core_state *)t->state)->gaps;
	return ret->missing_bytes || ret->cut_bytes || ret->bad_records || ret->files_missing ||
	       ret->files_other || ret->files_unverified;
}

static void say_part(struct str *out, size_t *nr, uint64_t n, const char *one, const char *many)
{
	if (!n)
		return;
	str_add(out, (*nr)++ ? "; " : "");
	str_printf(out, "%s %s", format_count(n).text, n == 1 ? one : many);
}

void target_gaps_describe(const struct target_gaps *g, struct str *out)
{
	size_t nr = 0;

	if (g->cut_bytes) {
		str_printf(out, "the core was cut short by %s", format_bytes(g->cut_bytes).text);
		nr++;
	}
	if (g->missing_bytes) {
		str_add(out, nr++ ? "; " : "");
		str_printf(out, "%s of %s region%s %s not in the core",
			   format_bytes(g->missing_bytes).text,
			   format_count(g->missing_regions).text,
			   g->missing_regions == 1 ? "" : "s",
			   g->missing_regions == 1 ? "is" : "are");
	}
	say_part(out, &nr, g->files_missing, "mapped file was not found",
		 "mapped files were not found");
	say_part(out, &nr, g->files_other, "mapped file is of another build now",
		 "mapped files are of another build now");
	say_part(out, &nr, g->files_unverified, "mapped file is believed by its name",
		 "mapped files are believed by their names");
	say_part(out, &nr, g->bad_records, "damaged record was left out",
		 "damaged records were left out");
}

int target_open_core(const char *path, const struct target_options *o, struct target **ret,
		     struct error *e)
{
	struct core_state *s = mem_alloc(sizeof(*s));
	struct core_notes notes;
	struct target *t;
	int err = core_elf_open(path, &s->elf, e);

	if (err < 0) {
		free(s);
		return err;
	}
	t = target_new();
	t->state = s;
	t->ops = &core_ops;
	t->how.kind = TARGET_CORE;
	t->machine = s->elf.machine;
	t->word_bytes = s->elf.wide ? 8 : 4;
	core_notes_read(&s->elf, t, &notes);
	t->how.consistent = !notes.not_one_instant;
	merge_regions(t, &notes);
	find_files(t, &notes, o ? o->files : NULL);
	name_regions(t, &notes);
	name_process(t, &notes);
	count_gaps(t, &notes);
	/* The maps' paths are the notes'. */
	t->maps.paths = notes.paths;
	notes.paths = NULL;
	core_notes_release(&notes);
	target_find_modules(t);
	*ret = t;
	return 0;
}

bool target_is_core(const char *path)
{
	unsigned char head[EI_NIDENT + 2];
	struct stat st;
	bool core;
	int fd;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	core = pread(fd, head, sizeof(head), 0) == sizeof(head) &&
	       core_elf_magic(head, sizeof(head));
	close(fd);
	return core;
}
