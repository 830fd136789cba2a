/*
 * An ELF core, in this order: header, program headers, (one section header), notes, memory. Where a
 * segment's bytes lie is fixed beforehand; how many could be read is known afterwards, so the
 * headers are written a second time where that is possible.
 */
#include "target/core_write.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "target/core_plan.h"
#include "target/core_regs.h"
#include "target/proc.h"
#include "target/target_private.h"

#define PAGE_BYTES 4096ull
#define PIECE_BYTES ((size_t)1 << 20)

struct writer {
	struct target *t;
	const struct core_write_options *o;
	const struct core_regs *regs;
	struct core_plan plan;
	uint64_t *offsets; /* of each piece, in the file */
	uint64_t *there;   /* bytes of each piece that could be read */
	struct str notes;
	uint64_t notes_offset, end;
	struct replace file;
	bool sparse;	  /* a regular file of our own: holes are possible */
	uint64_t written; /* where the last write ended */
	char *buffer, *zeros;
	struct core_written done;
	struct error *e;
};

/* ---- the file ---- */

static int write_at(struct writer *w, uint64_t offset, const char *data, size_t len)
{
	int err;

	if (w->sparse && offset != w->written && lseek(w->file.fd, (off_t)offset, SEEK_SET) < 0)
		return error_set(w->e, -errno, EXIT_FILE, "cannot write '%s': %s", w->file.path,
				 error_strerror(errno));
	err = replace_write(&w->file, data, len, w->e);
	if (err == -EFBIG)
		error_hint(w->e, "a limit on file sizes (ulimit -f), or of the file system, is in "
				 "the way");
	w->written = offset + len;
	return err;
}

/* What is skipped reads as zeros; a stream cannot go back. */
static int put(struct writer *w, uint64_t offset, const char *data, size_t len)
{
	int err = 0;

	while (!w->sparse && !err && w->written < offset) {
		uint64_t gap = offset - w->written;

		err = write_at(w, w->written, w->zeros,
			       gap < PIECE_BYTES ? (size_t)gap : PIECE_BYTES);
	}
	return err ? err : write_at(w, offset, data, len);
}

static bool is_zero(const char *page, size_t len)
{
	return page[0] == 0 && memcmp(page, page + 1, len - 1) == 0;
}

static int put_run(struct writer *w, uint64_t offset, const char *data, size_t len)
{
	w->done.stored_bytes += len;
	return len ? put(w, offset, data, len) : 0;
}

/* Pages of zeros become holes. */
static int put_pages(struct writer *w, uint64_t offset, const char *data, size_t len)
{
	size_t from = 0, to = 0;
	int err = 0;

	while (to < len && !err) {
		size_t page = len - to < PAGE_BYTES ? len - to : PAGE_BYTES;

		if (is_zero(data + to, page)) {
			err = put_run(w, offset + from, data + from, to - from);
			from = to + page;
		}
		to += page;
	}
	/* Behind a page of zeros at the end, from is beyond it. */
	return err || from >= to ? err : put_run(w, offset + from, data + from, to - from);
}

/* ---- headers ---- */

static uint64_t up(uint64_t n)
{
	return (n + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static void put_header(struct str *out, bool wide, const Elf64_Phdr *ph)
{
	Elf32_Phdr narrow = {
		.p_type = ph->p_type,
		.p_flags = ph->p_flags,
		.p_offset = (Elf32_Off)ph->p_offset,
		.p_vaddr = (Elf32_Addr)ph->p_vaddr,
		.p_filesz = (Elf32_Word)ph->p_filesz,
		.p_memsz = (Elf32_Word)ph->p_memsz,
		.p_align = (Elf32_Word)ph->p_align,
	};

	if (wide)
		str_add_len(out, (const char *)ph, sizeof(*ph));
	else
		str_add_len(out, (const char *)&narrow, sizeof(narrow));
}

/* With more headers than e_phnum can say, the first section header has their number. */
static void put_section(struct str *out, bool wide, uint32_t nr)
{
	Elf64_Shdr sh = {.sh_type = SHT_NULL, .sh_size = 1, .sh_link = SHN_UNDEF, .sh_info = nr};
	Elf32_Shdr narrow = {.sh_type = SHT_NULL, .sh_size = 1, .sh_info = nr};

	if (wide)
		str_add_len(out, (const char *)&sh, sizeof(sh));
	else
		str_add_len(out, (const char *)&narrow, sizeof(narrow));
}

static void put_ehdr(struct str *out, const struct core_regs *regs, size_t nr)
{
	bool wide = regs->word_bytes == 8, many = nr >= PN_XNUM;
	Elf64_Ehdr eh = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
			    (unsigned char)(wide ? ELFCLASS64 : ELFCLASS32), ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = regs->machine,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(many ? PN_XNUM : nr),
	};
	Elf32_Ehdr narrow = {
		.e_type = ET_CORE,
		.e_machine = regs->machine,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf32_Ehdr),
		.e_ehsize = sizeof(Elf32_Ehdr),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = eh.e_phnum,
	};

	if (many) {
		eh.e_shoff = sizeof(Elf64_Ehdr) + nr * sizeof(Elf64_Phdr);
		eh.e_shentsize = sizeof(Elf64_Shdr);
		narrow.e_shoff = (Elf32_Off)(sizeof(Elf32_Ehdr) + nr * sizeof(Elf32_Phdr));
		narrow.e_shentsize = sizeof(Elf32_Shdr);
		eh.e_shnum = narrow.e_shnum = 1;
	}
	memcpy(narrow.e_ident, eh.e_ident, sizeof(narrow.e_ident));
	if (wide)
		str_add_len(out, (const char *)&eh, sizeof(eh));
	else
		str_add_len(out, (const char *)&narrow, sizeof(narrow));
}

static size_t headers_bytes(const struct writer *w)
{
	bool wide = w->regs->word_bytes == 8;
	size_t nr = w->plan.nr + 1;

	return (wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)) +
	       nr * (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) +
	       (nr >= PN_XNUM ? (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) : 0);
}

static int put_headers(struct writer *w)
{
	bool wide = w->regs->word_bytes == 8;
	struct str out = STR_INIT;
	Elf64_Phdr ph = {
		.p_type = PT_NOTE,
		.p_offset = w->notes_offset,
		.p_filesz = w->notes.len,
		.p_align = 4,
	};
	int err;

	put_ehdr(&out, w->regs, w->plan.nr + 1);
	put_header(&out, wide, &ph);
	for (size_t i = 0; i < w->plan.nr; i++) {
		const struct map *m = w->plan.items[i].map;

		ph = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = (Elf64_Word)((m->prot & MAP_READ ? PF_R : 0) |
						(m->prot & MAP_WRITE ? PF_W : 0) |
						(m->prot & MAP_EXEC ? PF_X : 0)),
			.p_offset = w->offsets[i],
			.p_vaddr = m->start,
			.p_filesz = w->there[i],
			.p_memsz = m->end - m->start,
			.p_align = PAGE_BYTES,
		};
		put_header(&out, wide, &ph);
	}
	if (w->plan.nr + 1 >= PN_XNUM)
		put_section(&out, wide, (uint32_t)(w->plan.nr + 1));
	err = put(w, 0, out.data, out.len);
	str_release(&out);
	return err;
}

static int lay_out(struct writer *w)
{
	uint64_t at;

	core_write_notes(w->t, &w->notes, &w->done);
	w->offsets = mem_alloc_array(w->plan.nr, sizeof(*w->offsets));
	w->there = mem_alloc_array(w->plan.nr, sizeof(*w->there));
	w->notes_offset = headers_bytes(w);
	at = up(w->notes_offset + w->notes.len);
	for (size_t i = 0; i < w->plan.nr; i++) {
		w->offsets[i] = at;
		w->there[i] = w->plan.items[i].bytes;
		at += up(w->plan.items[i].bytes);
	}
	w->end = at;
	if (w->regs->word_bytes == 4 && at > UINT32_MAX)
		return error_set(w->e, -EFBIG, EXIT_FILE,
				 "cannot write '%s': a 32-bit core cannot be larger than 4 GiB",
				 w->file.path);
	return 0;
}

/* ---- memory ---- */

static int stopped(struct writer *w)
{
	if (!w->o->stop || !*w->o->stop)
		return 0;
	return error_set(w->e, -EINTR, EXIT_FILE, "interrupted; '%s' was not written",
			 w->file.path);
}

/* The next part of [addr, end) that is to be read: untouched memory stays a hole in the file. */
static bool next_part(struct writer *w, const struct core_piece *p, uint64_t addr, uint64_t end,
		      uint64_t *ret_from, uint64_t *ret_to)
{
	int err = p->source == CORE_ANONYMOUS ? target_next_used(w->t, addr, end, ret_from, ret_to)
					      : -ENOTSUP;

	if (err == -ENOENT)
		return false;
	if (err < 0) {
		*ret_from = addr;
		*ret_to = end;
	}
	if (*ret_to - *ret_from > PIECE_BYTES)
		*ret_to = *ret_from + PIECE_BYTES;
	return true;
}

static int copy_memory(struct writer *w, size_t i)
{
	const struct core_piece *p = &w->plan.items[i];
	uint64_t start = p->map->start, end = start + p->bytes, addr = start, from, to;
	int err = 0;

	while (!err && addr < end && next_part(w, p, addr, end, &from, &to)) {
		size_t len = (size_t)(to - from), got;

		err = stopped(w);
		if (err)
			break;
		got = target_read(w->t, from, w->buffer, len);
		err = put_pages(w, w->offsets[i] + (from - start), w->buffer, got);
		if (!err && got < len) {
			w->there[i] = from + got - start;
			w->done.unread_bytes += end - from - got;
			return 0;
		}
		progress_step(w->o->progress, to - addr);
		addr = to;
	}
	if (!err)
		progress_step(w->o->progress, end - addr);
	return err;
}

/* Only pages that the process itself has touched: reading others would bring them into being. */
static int copy_touched(struct writer *w, size_t i)
{
	const struct core_piece *p = &w->plan.items[i];
	uint64_t page;
	struct procmem m;
	int dir = proc_open(w->t->process.pid), err = 0;

	if (dir < 0 || procmem_open(&m, dir) < 0) {
		if (dir >= 0)
			close(dir);
		w->there[i] = 0;
		w->done.unread_bytes += p->bytes;
		return 0;
	}
	close(dir);
	for (page = 0; page < p->bytes && !err; page += PAGE_BYTES) {
		uint64_t addr = p->map->start + page;
		struct target_residency r;

		if (procmem_residency(&m, addr, addr + PAGE_BYTES, &r) < 0 || !r.resident_bytes ||
		    procmem_read(&m, addr, w->buffer, PAGE_BYTES) < PAGE_BYTES)
			w->done.assumed_bytes += PAGE_BYTES;
		else
			err = put_pages(w, w->offsets[i] + page, w->buffer, PAGE_BYTES);
		if (!err && page % PIECE_BYTES == 0)
			err = stopped(w);
	}
	progress_step(w->o->progress, p->bytes);
	procmem_close(&m);
	return err;
}

/* The object behind a shared mapping; what lies beyond its end is in no memory either. */
static int copy_shared(struct writer *w, size_t i)
{
	const struct core_piece *p = &w->plan.items[i];
	uint64_t at = p->map->offset, end = at + p->bytes;
	int fd = core_shared_open(w->t, p->map), err = 0;
	struct stat st;

	if (fd < 0)
		return copy_touched(w, i);
	if (fstat(fd, &st) == 0 && up((uint64_t)st.st_size) < end) {
		uint64_t size = up((uint64_t)st.st_size);

		end = size > at ? size : at;
		w->there[i] = end - p->map->offset;
	}
	while (at < end && !err) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		ssize_t got;

		if (data < 0 && errno == ENXIO)
			break;
		if (data > 0 && (uint64_t)data > at)
			at = (uint64_t)data & ~(PAGE_BYTES - 1);
		if (at >= end)
			break;
		got = pread(fd, w->buffer, end - at < PIECE_BYTES ? end - at : PIECE_BYTES,
			    (off_t)at);
		if (got <= 0) {
			w->there[i] = got < 0 ? at - p->map->offset : w->there[i];
			w->done.unread_bytes += got < 0 ? end - at : 0;
			break;
		}
		err = put_pages(w, w->offsets[i] + (at - p->map->offset), w->buffer, (size_t)got);
		at += (uint64_t)got;
		if (!err)
			err = stopped(w);
	}
	progress_step(w->o->progress, p->bytes);
	close(fd);
	return err;
}

static int copy_pieces(struct writer *w)
{
	int err = 0;

	for (size_t i = 0; i < w->plan.nr && !err; i++) {
		switch (w->plan.items[i].source) {
		case CORE_NOTHING:
		case CORE_ZEROS:
			break;
		case CORE_ANONYMOUS:
		case CORE_MEMORY:
			err = copy_memory(w, i);
			break;
		case CORE_SHARED:
			err = copy_shared(w, i);
			break;
		}
		w->done.memory_bytes += w->there[i];
	}
	return err;
}

/* ---- all of it ---- */

static int write_all(struct writer *w)
{
	int err = lay_out(w);

	if (!err)
		err = put_headers(w);
	if (!err)
		err = put(w, w->notes_offset, w->notes.data, w->notes.len);
	if (!err)
		err = copy_pieces(w);
	target_thaw(w->t);
	/* Zeros up to the end: a stream has no holes, and a hole at the end is not in the size. */
	if (!err && w->written < w->end)
		err = put(w, w->end - 1, "", 1);
	if (!err && w->sparse)
		err = put_headers(w);
	if (!err && target_has_ended(w->t))
		err = error_set(
			w->e, -ESRCH, EXIT_TARGET,
			"cannot write '%s': process %d ended, or its frozen copy was killed",
			w->file.path, w->t->process.pid);
	return err ? err : replace_commit(&w->file, w->e);
}

int core_write(struct target *t, const char *path, const struct core_write_options *o,
	       struct core_written *ret, struct error *e)
{
	struct writer w = {
		.t = t, .o = o, .regs = core_regs_of(t->machine), .notes = STR_INIT, .e = e};
	int err;

	if (!w.regs)
		return error_set(e, -ENOTSUP, EXIT_TARGET,
				 "cannot write a core of process %d: its machine (%u) is not known",
				 t->process.pid, t->machine);
	err = replace_open(&w.file, path, e);
	if (err < 0)
		return err;
	w.sparse = w.file.temp_path != NULL;
	w.buffer = mem_alloc(PIECE_BYTES);
	w.zeros = mem_alloc(PIECE_BYTES);
	core_plan_make(t, o->everything, &w.plan);
	w.done.left_out_bytes = w.plan.left_out;
	if (o->progress)
		o->progress->total = w.plan.bytes;
	err = write_all(&w);
	if (!err)
		*ret = w.done;
	replace_close(&w.file);
	core_plan_release(&w.plan);
	str_release(&w.notes);
	free(w.offsets);
	free(w.there);
	free(w.buffer);
	free(w.zeros);
	return err;
}
