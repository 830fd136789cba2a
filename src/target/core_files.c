/* Mapped files of a core, found again; see core_files.h. */
#include "target/core_files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/maps.h"

#define PAGE_BYTES 4096ull
#define HEAD_BYTES 4096u
#define HEADERS_MAX 256
#define NOTE_MAX 4096u
#define SECTIONS_MAX 65536u
#define BUILD_ID_MAX 64
#define DEBUG_FOLDER "/usr/lib/debug"

/* Program headers of either class, and what names the build. */
struct outline {
	Elf64_Phdr headers[HEADERS_MAX];
	size_t nr;
	bool wide;
	uint8_t build_id[BUILD_ID_MAX];
	size_t build_id_bytes;
};

static size_t read_at(int fd, uint64_t offset, void *buffer, size_t len)
{
	size_t got = 0;

	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return 0;
	while (got < len) {
		ssize_t n = pread(fd, (char *)buffer + got, len - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* Where program headers lie; false: this is no ELF file's beginning. */
static bool find_headers(const uint8_t *head, size_t len, struct outline *o, uint64_t *ret_at)
{
	Elf64_Ehdr wide;
	Elf32_Ehdr narrow;

	if (len < sizeof(wide) || memcmp(head, ELFMAG, SELFMAG) != 0 ||
	    head[EI_DATA] != ELFDATA2LSB)
		return false;
	o->wide = head[EI_CLASS] == ELFCLASS64;
	memcpy(&wide, head, sizeof(wide));
	memcpy(&narrow, head, sizeof(narrow));
	*ret_at = o->wide ? wide.e_phoff : narrow.e_phoff;
	o->nr = o->wide ? wide.e_phnum : narrow.e_phnum;
	return (o->wide ? wide.e_phentsize == sizeof(Elf64_Phdr)
			: narrow.e_phentsize == sizeof(Elf32_Phdr)) &&
	       o->nr > 0 && o->nr <= HEADERS_MAX;
}

static void find_build_id(const uint8_t *notes, size_t len, struct outline *o)
{
	for (size_t at = 0; len - at >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr h;
		uint64_t desc, next;

		memcpy(&h, notes + at, sizeof(h));
		desc = at + sizeof(h) + ((h.n_namesz + 3ull) & ~3ull);
		next = desc + ((h.n_descsz + 3ull) & ~3ull);
		if (desc > len || h.n_descsz > len - desc)
			return;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && h.n_descsz >= 2 &&
		    h.n_descsz <= sizeof(o->build_id) &&
		    memcmp(notes + at + sizeof(h), "GNU", 4) == 0) {
			memcpy(o->build_id, notes + desc, h.n_descsz);
			o->build_id_bytes = h.n_descsz;
			return;
		}
		if (next > len)
			return;
		at = (size_t)next;
	}
}

/* From a file's first bytes alone; what lies beyond them is not known. */
static bool outline_of(const uint8_t *head, size_t len, struct outline *o)
{
	uint64_t at;

	memset(o, 0, sizeof(*o));
	if (!find_headers(head, len, o, &at) || at > len ||
	    o->nr * (o->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) > len - at)
		return false;
	for (size_t i = 0; i < o->nr; i++) {
		Elf64_Phdr *ph = &o->headers[i];
		Elf32_Phdr narrow;

		if (o->wide) {
			memcpy(ph, head + at + i * sizeof(*ph), sizeof(*ph));
		} else {
			memcpy(&narrow, head + at + i * sizeof(narrow), sizeof(narrow));
			*ph = (Elf64_Phdr){
				.p_type = narrow.p_type,
				.p_flags = narrow.p_flags,
				.p_offset = narrow.p_offset,
				.p_vaddr = narrow.p_vaddr,
				.p_filesz = narrow.p_filesz,
				.p_memsz = narrow.p_memsz,
			};
		}
		if (ph->p_type == PT_NOTE && !o->build_id_bytes && ph->p_offset < len)
			find_build_id(head + ph->p_offset,
				      ph->p_filesz < len - ph->p_offset ? ph->p_filesz
									: len - ph->p_offset,
				      o);
	}
	return true;
}

static bool same_headers(const struct outline *a, const struct outline *b)
{
	if (a->nr != b->nr || a->wide != b->wide)
		return false;
	for (size_t i = 0; i < a->nr; i++) {
		const Elf64_Phdr *x = &a->headers[i], *y = &b->headers[i];

		if (x->p_type != y->p_type || x->p_vaddr != y->p_vaddr ||
		    x->p_offset != y->p_offset || x->p_filesz != y->p_filesz ||
		    x->p_memsz != y->p_memsz || x->p_flags != y->p_flags)
			return false;
	}
	return true;
}

/*
 * A file with the debug information only has the same build-id and, from some tools, the same
 * program headers; but its code sections are empty.
 */
static bool has_contents(int fd, const uint8_t *head, bool wide)
{
	Elf64_Ehdr eh;
	Elf32_Ehdr eh32;
	uint64_t at, nr;

	memcpy(&eh, head, sizeof(eh));
	memcpy(&eh32, head, sizeof(eh32));
	at = wide ? eh.e_shoff : eh32.e_shoff;
	nr = wide ? eh.e_shnum : eh32.e_shnum;
	for (uint64_t i = 0; at && i < nr && i < SECTIONS_MAX; i++) {
		Elf64_Shdr sh;
		Elf32_Shdr sh32;
		uint64_t flags;
		uint32_t type;

		if (wide ? read_at(fd, at + i * sizeof(sh), &sh, sizeof(sh)) != sizeof(sh)
			 : read_at(fd, at + i * sizeof(sh32), &sh32, sizeof(sh32)) != sizeof(sh32))
			return true;
		flags = wide ? sh.sh_flags : sh32.sh_flags;
		type = wide ? sh.sh_type : sh32.sh_type;
		if ((flags & SHF_ALLOC) && (flags & SHF_EXECINSTR) && type == SHT_NOBITS)
			return false;
	}
	return true;
}

static void note_parts(const struct outline *o, struct core_file *f)
{
	const uint64_t mask = ~(PAGE_BYTES - 1);
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < o->nr; i++) {
		if (o->headers[i].p_type == PT_LOAD && (o->headers[i].p_vaddr & mask) < first)
			first = o->headers[i].p_vaddr & mask;
	}
	for (size_t i = 0; i < o->nr; i++) {
		const Elf64_Phdr *ph = &o->headers[i];

		if (ph->p_type != PT_LOAD || !ph->p_filesz || ph->p_filesz > INT64_MAX ||
		    ph->p_offset > INT64_MAX)
			continue;
		ARRAY_PUSH(f->parts, f->nr_parts, f->cap_parts,
			   ((struct core_file_part){
				   .start = ph->p_offset & mask,
				   .end = (ph->p_offset + ph->p_filesz + PAGE_BYTES - 1) & mask,
				   .place = (ph->p_vaddr & mask) - first,
				   .prot = (uint8_t)((ph->p_flags & PF_R ? MAP_READ : 0) |
						     (ph->p_flags & PF_W ? MAP_WRITE : 0) |
						     (ph->p_flags & PF_X ? MAP_EXEC : 0)),
			   }));
	}
}

/* Is what fd names the file of the hint? */
static enum core_file_state judge(const struct core_file_hint *hint, int fd, const struct stat *st,
				  struct core_file *f)
{
	struct outline theirs, ours;
	uint8_t head[HEAD_BYTES] = {0};
	size_t len = read_at(fd, 0, head, sizeof(head));
	bool elf = outline_of(head, len, &ours);

	if (!hint->head_bytes) {
		if (hint->deleted || st->st_mtim.tv_sec > hint->core_time)
			return CORE_FILE_OTHER;
		if (elf)
			note_parts(&ours, f);
		return CORE_FILE_UNVERIFIED;
	}
	if (outline_of(hint->head, hint->head_bytes, &theirs) && theirs.build_id_bytes) {
		if (!elf || theirs.build_id_bytes != ours.build_id_bytes ||
		    memcmp(theirs.build_id, ours.build_id, ours.build_id_bytes) != 0 ||
		    !same_headers(&theirs, &ours) || !has_contents(fd, head, ours.wide))
			return CORE_FILE_OTHER;
	} else if (memcmp(hint->head, head,
			  hint->head_bytes < sizeof(head) ? hint->head_bytes : sizeof(head)) != 0) {
		return CORE_FILE_OTHER;
	}
	if (elf)
		note_parts(&ours, f);
	return CORE_FILE_SAME;
}

static int64_t mtime_ns(const struct stat *st)
{
	return st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec;
}

/* True: this is it, the search is over. Keeps in f->state the best that was seen. */
static bool try_path(const struct core_file_hint *hint, const char *path, bool own_name,
		     struct core_file *f)
{
	enum core_file_state state;
	struct stat st;
	int fd;

	/* Before it is opened: the core chose the name, and opening a device can do things. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return false;
	}
	state = judge(hint, fd, &st, f);
	/* Another folder's file of the same name proves nothing by its name. */
	if (state == CORE_FILE_UNVERIFIED && !own_name)
		state = CORE_FILE_OTHER;
	close(fd);
	f->state = state;
	if (state == CORE_FILE_OTHER) {
		f->nr_parts = 0;
		return false;
	}
	f->path = mem_strdup(path);
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->bytes = (uint64_t)st.st_size;
	f->mtime_ns = mtime_ns(&st);
	return true;
}

/* FOLDER/.build-id/xx/yyyy; never yyyy.debug, which has no contents. */
static bool try_build_id(const struct core_file_hint *hint, const char *folder, struct core_file *f)
{
	char hex[2 * BUILD_ID_MAX + 1];
	struct outline o;
	char *path;
	bool found;

	if (!outline_of(hint->head, hint->head_bytes, &o) || !o.build_id_bytes)
		return false;
	for (size_t i = 0; i < o.build_id_bytes; i++) {
		hex[2 * i] = "0123456789abcdef"[o.build_id[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[o.build_id[i] & 15];
	}
	hex[2 * o.build_id_bytes] = '\0';
	path = mem_printf("%s/.build-id/%.2s/%s", folder, hex, hex + 2);
	found = try_path(hint, path, false, f);
	free(path);
	return found;
}

/* As a root that has the same tree, as a heap of files, and by build-id. */
static bool try_folder(const struct core_file_hint *hint, const char *folder, struct core_file *f)
{
	const char *base = strrchr(hint->path, '/');
	char *path = mem_printf("%s%s", folder, hint->path);
	bool found = try_path(hint, path, true, f);

	free(path);
	if (found || !base)
		return found;
	path = mem_printf("%s%s", folder, base);
	found = try_path(hint, path, false, f);
	free(path);
	return found || try_build_id(hint, folder, f);
}

void core_file_find(const struct core_file_hint *hint, const char *folders, struct core_file *ret)
{
	struct core_file f = {.state = CORE_FILE_MISSING};

	/* "[vdso]", "socket:[1]" and the like are no files. */
	if (hint->path[0] != '/') {
		*ret = f;
		return;
	}
	for (const char *at = folders; at && *at;) {
		size_t len = strcspn(at, ":");
		char *folder = mem_strndup(at, len);
		bool found = len && try_folder(hint, folder, &f);

		free(folder);
		if (found)
			goto out;
		at += len + (at[len] == ':');
	}
	if (!try_path(hint, hint->path, true, &f))
		(void)try_build_id(hint, DEBUG_FOLDER, &f);
out:
	*ret = f;
}

void core_file_release(struct core_file *f)
{
	free(f->path);
	free(f->parts);
	*f = (struct core_file){.state = CORE_FILE_MISSING};
}

uint64_t core_file_shows(const struct core_file *f, uint64_t place, uint64_t offset, uint64_t len)
{
	uint64_t end = (f->bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);

	if (!f->path || offset >= end)
		return 0;
	len = len < end - offset ? len : end - offset;
	for (size_t i = 0; i < f->nr_parts; i++) {
		const struct core_file_part *p = &f->parts[i];
		/* By address: a page that two parts share is mapped twice. */
		bool by_place = place != CORE_FILE_NO_PLACE;
		uint64_t at = by_place ? place : offset, from = by_place ? p->place : p->start;

		if (!(p->prot & MAP_WRITE))
			continue;
		if (at >= from && at - from < p->end - p->start)
			return 0;
		if (at < from && from - at < len)
			len = from - at;
	}
	return len;
}

uint8_t core_file_prot(const struct core_file *f, uint64_t offset)
{
	for (size_t i = 0; i < f->nr_parts; i++) {
		if (offset >= f->parts[i].start && offset < f->parts[i].end)
			return f->parts[i].prot;
	}
	return MAP_READ;
}

/* Its descriptor, opened again where need be; -1: it is not what it was. */
static int reopen(struct core_files_open *o, const struct core_file *f, size_t key)
{
	size_t slot = key % CORE_FILES_OPEN;
	struct stat st;
	int fd;

	if (o->slots[slot].file == f)
		return o->slots[slot].fd;
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != f->device || st.st_ino != f->inode ||
			(uint64_t)st.st_size != f->bytes || mtime_ns(&st) != f->mtime_ns)) {
		close(fd);
		fd = -1;
	}
	if (o->slots[slot].file && o->slots[slot].fd >= 0)
		close(o->slots[slot].fd);
	o->slots[slot].file = f;
	o->slots[slot].fd = fd;
	return fd;
}

size_t core_file_read(struct core_files_open *o, const struct core_file *f, size_t key,
		      uint64_t offset, void *buffer, size_t len)
{
	int fd = f->path ? reopen(o, f, key) : -1;
	size_t got;

	if (fd < 0)
		return 0;
	got = read_at(fd, offset, buffer, len);
	/* Shorter than it was a moment ago: nothing is invented. */
	if (got < len && offset + got < f->bytes)
		return got;
	memset((char *)buffer + got, 0, len - got);
	return len;
}

void core_files_close(struct core_files_open *o)
{
	for (size_t i = 0; i < CORE_FILES_OPEN; i++) {
		if (o->slots[i].file && o->slots[i].fd >= 0)
			close(o->slots[i].fd);
		o->slots[i].file = NULL;
	}
}
