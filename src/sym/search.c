/*
 * The search itself. Places, in this order: the module's path, the mapping itself (deleted and
 * replaced files), --symbols, and the system's /usr/lib/debug. debuginfod comes last and elsewhere
 * (debug.c), because libdwfl does it.
 */
#include "sym/search.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "sym/crc.h"
#include "sym/image.h"
#include "sym/root.h"
#include "sym/sym.h"

#define SYSTEM_DEBUG "/usr/lib/debug"

enum {
	HEX_MAX = 2 * IMAGE_BUILD_ID_MAX + 1,
};

/* What a candidate must be. All empty: anything. */
struct wanted {
	const uint8_t *build_id;
	size_t build_id_len;
	const uint32_t *crc; /* instead, for files without build-id */
	bool names;	     /* it must have debug information or a symbol table */
};

void search_init(struct search *s, const struct sym_options *o, int root_fd)
{
	const char *p = o->paths ? o->paths : "";

	*s = (struct search){
		.root_fd = root_fd,
		.open_mapped = o->open_mapped,
		.is_mapped = o->is_mapped,
		.process = o->process,
	};
	while (*p) {
		size_t len = strcspn(p, ":");

		if (len > 0)
			ARRAY_PUSH(s->paths, s->nr, s->cap, mem_strndup(p, len));
		p += len;
		p += *p == ':';
	}
}

void search_release(struct search *s)
{
	size_t i;

	for (i = 0; i < s->nr; i++)
		free(s->paths[i]);
	free(s->paths);
	*s = (struct search){.root_fd = -1};
}

void found_release(struct found *f)
{
	image_close(f->image);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = (struct found)FOUND_NONE;
}

static int take_fd(int fd, const char *path, struct found *ret)
{
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	ret->image = image_open(fd);
	if (!ret->image) {
		close(fd);
		return -ENOEXEC;
	}
	ret->fd = fd;
	ret->path = mem_strdup(path);
	return 0;
}

/* The stripped program has its debug file's build-id too, and may lie in a folder of --symbols. */
static bool has_names(const struct image *img)
{
	return image_has_symtab(img) || image_has_dwarf(img);
}

static bool fits(const struct found *f, const struct wanted *w)
{
	const uint8_t *id;

	if (w->names && !has_names(f->image))
		return false;
	if (w->build_id_len > 0 && image_build_id(f->image, &id) > 0)
		return image_has_build_id(f->image, w->build_id, w->build_id_len);
	if (w->crc)
		return crc_of_file_is(f->fd, *w->crc);
	return false;
}

static bool try_path(const struct search *s, const char *path, bool in_root, const struct wanted *w,
		     struct found *ret)
{
	if (take_fd(root_open_file(in_root ? s->root_fd : -1, path, 0), path, ret))
		return false;
	if (fits(ret, w))
		return true;
	found_release(ret);
	return false;
}

static bool try_printf(const struct search *s, bool in_root, const struct wanted *w,
		       struct found *ret, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static bool try_printf(const struct search *s, bool in_root, const struct wanted *w,
		       struct found *ret, const char *format, ...)
{
	va_list args;
	char *path;
	bool ok;

	va_start(args, format);
	if (vasprintf(&path, format, args) < 0)
		path = NULL;
	va_end(args);
	ok = path && try_path(s, path, in_root, w, ret);
	free(path);
	return ok;
}

static void hex(const uint8_t *bytes, size_t len, char out[HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len && i < IMAGE_BUILD_ID_MAX; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * i] = '\0';
}

/* The folders and files of --symbols. name: base name of the program or of the debug link. */
static bool try_given(const struct search *s, const struct wanted *w, const char *name,
		      struct found *ret)
{
	char id[HEX_MAX];
	size_t i;

	hex(w->build_id, w->build_id_len, id);
	for (i = 0; i < s->nr; i++) {
		const char *p = s->paths[i];

		if (w->build_id_len > 1 &&
		    (try_printf(s, false, w, ret, "%s/.build-id/%.2s/%s.debug", p, id, id + 2) ||
		     try_printf(s, false, w, ret, "%s/%.2s/%s.debug", p, id, id + 2) ||
		     try_printf(s, false, w, ret, "%s/.build-id/%.2s/%s", p, id, id + 2)))
			return true;
		if (*name && (try_printf(s, false, w, ret, "%s/%s.debug", p, name) ||
			      try_printf(s, false, w, ret, "%s/%s", p, name)))
			return true;
		if (try_path(s, p, false, w, ret))
			return true;
	}
	return false;
}

static bool try_system_build_id(const struct search *s, const struct wanted *w, struct found *ret)
{
	char id[HEX_MAX];

	if (w->build_id_len < 2)
		return false;
	hex(w->build_id, w->build_id_len, id);
	if (s->root_fd >= 0 &&
	    try_printf(s, true, w, ret, SYSTEM_DEBUG "/.build-id/%.2s/%s.debug", id, id + 2))
		return true;
	return try_printf(s, false, w, ret, SYSTEM_DEBUG "/.build-id/%.2s/%s.debug", id, id + 2);
}

/* Says what differs, so that nobody has to guess why there are no names. */
static void explain_difference(const struct found *f, const struct sym_module *m, struct str *why)
{
	char ours[HEX_MAX], theirs[HEX_MAX];
	const uint8_t *id;
	size_t len = image_build_id(f->image, &id);

	hex(id, len, ours);
	hex(m->build_id, m->build_id_len, theirs);
	str_printf(why, "build-id differs: the file is %.12s, the process has %.12s",
		   len > 0 ? ours : "without one", theirs);
}

/* Do the file's segments make exactly this mapping? The weakest proof, for modules without
 * build-id. */
static bool same_shape(const struct image *img, const struct sym_module *m)
{
	const struct image_span *span = image_span(img);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t last = (m->end - m->bias - 1) / page;

	return span->end > 0 && m->end > m->start &&
	       span->start / page == (m->start - m->bias) / page &&
	       ((span->end - 1) / page == last || (span->end_of_file_bytes - 1) / page == last);
}

/* Only for modules without a build-id. */
static bool recognise(const struct search *s, const struct found *f, const struct sym_module *m,
		      struct str *why)
{
	const uint8_t *id;
	struct stat st;

	if (image_build_id(f->image, &id) > 0) {
		str_add(why, "build-id differs: the process had a file without one");
		return false;
	}
	if (s->is_mapped && !m->unloaded) {
		if (!fstat(f->fd, &st) && s->is_mapped(s->process, m->start, st.st_dev, st.st_ino))
			return true;
		str_add(why, "no build-id, and the file at its path is not the one that is mapped");
		return false;
	}
	if (same_shape(f->image, m)) {
		str_add(why, "no build-id: recognised by the size of its segments only");
		return true;
	}
	str_add(why, "no build-id, and the file's segments are not those of the process");
	return false;
}

static bool try_own_path(const struct search *s, const struct sym_module *m, struct found *ret,
			 struct str *why)
{
	int err;

	if (m->replaced) {
		str_add(why, "the file was replaced on disk");
		return false;
	}
	err = take_fd(root_open_file(s->root_fd, m->path, 0), m->path, ret);
	if (err == -ENOEXEC || err == -EINVAL) {
		str_add(why, "not an ELF file");
		return false;
	}
	if (err) {
		str_printf(why, "cannot open the file: %s", error_strerror(err));
		return false;
	}
	if (m->build_id_len == 0 ? recognise(s, ret, m, why)
				 : image_has_build_id(ret->image, m->build_id, m->build_id_len))
		return true;
	if (m->build_id_len > 0)
		explain_difference(ret, m, why);
	found_release(ret);
	return false;
}

/*
 * The mapping itself is the right file by its nature, unless the process has become another program
 * since (exec); so it is checked like every other.
 */
static bool try_mapped(const struct search *s, const struct sym_module *m, struct found *ret)
{
	const uint8_t *id;
	bool same;

	if (!s->open_mapped || m->unloaded ||
	    take_fd(s->open_mapped(s->process, m->start), m->path, ret))
		return false;
	same = m->build_id_len > 0
		       ? image_has_build_id(ret->image, m->build_id, m->build_id_len)
		       : image_build_id(ret->image, &id) == 0 && same_shape(ret->image, m);
	if (!same)
		found_release(ret);
	return same;
}

bool search_module(const struct search *s, const struct sym_module *m, struct found *ret,
		   struct str *why)
{
	struct wanted w = {.build_id = m->build_id, .build_id_len = m->build_id_len};
	bool ok;

	*ret = (struct found)FOUND_NONE;
	ok = try_own_path(s, m, ret, why);
	if (ok)
		return true;
	if (try_mapped(s, m, ret) || try_given(s, &w, text_base_name(m->path), ret) ||
	    try_system_build_id(s, &w, ret)) {
		str_clear(why);
		return true;
	}
	return false;
}

/* Where gdb looks for a debug link: beside the file, in .debug there, and under /usr/lib/debug. */
static bool try_link(const struct search *s, const char *of, const char *name,
		     const struct wanted *w, struct found *ret)
{
	int folder = (int)(text_base_name(of) - of);

	if (!*name || strchr(name, '/'))
		return false;
	return try_printf(s, true, w, ret, "%.*s%s", folder, of, name) ||
	       try_printf(s, true, w, ret, "%.*s.debug/%s", folder, of, name) ||
	       try_printf(s, true, w, ret, SYSTEM_DEBUG "%.*s%s", folder, of, name) ||
	       (s->root_fd >= 0 &&
		try_printf(s, false, w, ret, SYSTEM_DEBUG "%.*s%s", folder, of, name));
}

bool search_debug(const struct search *s, const struct found *of, struct found *ret)
{
	struct image_link link;
	struct wanted w = {.names = true};
	bool ok;

	*ret = (struct found)FOUND_NONE;
	w.build_id_len = image_build_id(of->image, &w.build_id);
	image_debuglink(of->image, &link);
	if (link.name)
		w.crc = &link.crc;
	ok = try_given(s, &w, text_base_name(link.name ? link.name : of->path), ret) ||
	     try_system_build_id(s, &w, ret) ||
	     (link.name && try_link(s, of->path, link.name, &w, ret));
	if (!ok && link.name)
		ok = try_given(s, &w, text_base_name(of->path), ret);
	free(link.name);
	return ok;
}

bool search_alternate(const struct search *s, const struct found *of, struct found *ret)
{
	struct image_link link;
	struct wanted w = {0};
	bool ok;

	*ret = (struct found)FOUND_NONE;
	image_debugaltlink(of->image, &link);
	if (!link.name)
		return false;
	w.build_id = link.build_id;
	w.build_id_len = link.build_id_len;
	ok = try_given(s, &w, text_base_name(link.name), ret) || try_system_build_id(s, &w, ret);
	if (!ok && link.name[0] == '/')
		ok = try_path(s, link.name, true, &w, ret);
	else if (!ok && link.name[0])
		ok = try_printf(s, true, &w, ret, "%.*s%s",
				(int)(text_base_name(of->path) - of->path), of->path, link.name);
	free(link.name);
	return ok;
}
