/*
 * What is loaded, for the injected recorder. Where glibc has _dl_find_object, that is asked; it
 * needs no lock. The loader's list is never walked: without the lock it may change under our feet,
 * and we cannot have that. For what is not known that way there is a list of our own, begun by the
 * injector; an address that is not in it is looked up in /proc/self/maps.
 */
#include "loaded.h"

#include <elf.h>
#include <link.h>

#include "blob_hooks.h"
#include "blob_image.h"
#include "blob_told.h"
#include "bytes.h"
#include "elf_found.h"
#include "rec.h"
#include "sys.h"

/* Generated code is asked about at every walk: answer seriously now and then. */
#define ASK_EVERY 64
#define NOTES_MAX 256

/* ---- the list ---- */

static uint32_t list_nr(void)
{
	uint32_t nr = __atomic_load_n(&rec_blob.modules_nr, __ATOMIC_ACQUIRE);

	return nr < WIRE_BLOB_MODULES_MAX ? nr : WIRE_BLOB_MODULES_MAX;
}

/* end 0: it was unloaded. */
static const struct wire_blob_module *in_list(uint64_t addr)
{
	uint32_t nr = list_nr();

	for (uint32_t i = 0; i < nr; i++) {
		const struct wire_blob_module *m = &rec_blob.modules[i];

		if (addr < __atomic_load_n(&m->end, __ATOMIC_ACQUIRE) && addr >= m->start)
			return m;
	}
	return NULL;
}

static bool is_in_list(const void *entry)
{
	return entry >= (const void *)rec_blob.modules &&
	       entry < (const void *)(rec_blob.modules + WIRE_BLOB_MODULES_MAX);
}

static const struct wire_blob_module *add_to_list(const struct wire_blob_module *m)
{
	uint32_t i = __atomic_fetch_add(&rec_blob.modules_nr, 1, __ATOMIC_RELAXED);
	struct wire_blob_module *to = &rec_blob.modules[i];
	uint64_t end = m->end;

	if (i >= WIRE_BLOB_MODULES_MAX) {
		__atomic_store_n(&rec_blob.modules_nr, WIRE_BLOB_MODULES_MAX, __ATOMIC_RELAXED);
		return NULL;
	}
	bytes_copy(to, m, sizeof(*m));
	to->end = 0;
	__atomic_store_n(&to->end, end, __ATOMIC_RELEASE);
	return to;
}

/* ---- ELF images ---- */

static uint8_t build_id_in(const uint8_t *notes, size_t len, uint8_t *out, size_t cap)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *n = (const Elf64_Nhdr *)(notes + at);
		size_t name = at + sizeof(*n), desc = name + ((n->n_namesz + 3ull) & ~3ull);

		if (n->n_namesz > len || n->n_descsz > len || desc + n->n_descsz > len)
			return 0;
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
		    bytes_equal(notes + name, "GNU", 4) && n->n_descsz <= cap) {
			bytes_copy(out, notes + desc, n->n_descsz);
			return (uint8_t)n->n_descsz;
		}
		at = desc + ((n->n_descsz + 3ull) & ~3ull);
		if (at > len)
			return 0;
	}
	return 0;
}

static uint8_t image_build_id(const struct blob_image *image, uint64_t bias, uint8_t *out,
			      size_t cap)
{
	uint8_t notes[NOTES_MAX], len = 0;

	for (uint32_t i = 0; i < image->nr && !len; i++) {
		Elf64_Phdr p;
		size_t bytes;

		if (!blob_image_phdr(image, i, &p) || p.p_type != PT_NOTE)
			continue;
		bytes = p.p_memsz < NOTES_MAX ? p.p_memsz : NOTES_MAX;
		if (blob_read(bias + p.p_vaddr, notes, bytes))
			len = build_id_in(notes, bytes, out, cap);
	}
	return len;
}

/* The image whose header is at `at`, as a module. */
static bool describe_image(const struct blob_image *image, struct wire_blob_module *m)
{
	uint64_t low = ~0ull, high = 0, hdr = 0;

	for (uint32_t i = 0; i < image->nr; i++) {
		Elf64_Phdr p;

		if (!blob_image_phdr(image, i, &p))
			return false;
		if (p.p_type == PT_LOAD) {
			if ((p.p_vaddr & ~4095ull) < low)
				low = p.p_vaddr & ~4095ull;
			if (p.p_vaddr + p.p_memsz > high)
				high = p.p_vaddr + p.p_memsz;
		} else if (p.p_type == PT_GNU_EH_FRAME) {
			hdr = p.p_vaddr;
		}
	}
	if (low >= high)
		return false;
	m->bias = image->at - low;
	m->start = image->at;
	m->end = m->bias + high;
	m->eh_frame_hdr = hdr ? m->bias + hdr : 0;
	m->build_id_len = image_build_id(image, m->bias, m->build_id, sizeof(m->build_id));
	return true;
}

/* ---- /proc/self/maps ---- */

/* A line, character by character; fields as in proc(5). */
struct line {
	uint64_t low, high, inode;
	int field; /* 0 low, 1 high, 2 permissions, 3 offset, 4 device, 5 inode, 6 blanks, 7 path */
	uint32_t path_len;
	char path[WIRE_BLOB_PATH_MAX];
};

static bool feed(struct line *l, char c)
{
	uint64_t digit = c <= '9' ? (uint64_t)(c - '0') : (uint64_t)(c - 'a' + 10);

	if (c == '\n')
		return true;
	if (l->field == 6 && c != ' ')
		l->field = 7;
	if (l->field == 7) {
		if (l->path_len + 1 < sizeof(l->path))
			l->path[l->path_len++] = c;
	} else if (c == (l->field ? ' ' : '-')) {
		if (l->field < 6)
			l->field++;
	} else if (l->field == 0) {
		l->low = l->low << 4 | digit;
	} else if (l->field == 1) {
		l->high = l->high << 4 | digit;
	} else if (l->field == 5) {
		l->inode = l->inode * 10 + digit;
	}
	return false;
}

/* Where the file that is mapped at addr begins in memory; with its path. */
static bool find_mapping(uint64_t addr, uint64_t *ret_start, char *path)
{
	struct line l = {0};
	char buffer[256];
	long fd = sys_open_read("/proc/self/maps"), n;
	uint64_t inode = 0, first = 0;
	bool found = false, over = false;

	if (fd < 0)
		return false;
	while (!over && (n = sys3(SYS_read, fd, (long)buffer, sizeof(buffer))) > 0) {
		for (long i = 0; i < n && !over; i++) {
			if (!feed(&l, buffer[i]))
				continue;
			if (l.inode && l.inode != inode)
				first = l.low;
			inode = l.inode;
			found = l.inode && addr >= l.low && addr < l.high;
			over = found || l.low > addr;
			if (found)
				bytes_copy(path, l.path, l.path_len + 1);
			bytes_zero(&l, offsetof(struct line, path));
			l.path[0] = '\0';
		}
	}
	sys1(SYS_close, fd);
	*ret_start = first;
	return found;
}

static COLD const struct wire_blob_module *look_up(uint64_t addr)
{
	struct wire_blob_module m = {0};
	struct blob_image image;

	if (!find_mapping(addr, &m.start, m.path) || !blob_image_read(m.start, &image) ||
	    !describe_image(&image, &m) || addr < m.start || addr >= m.end)
		return NULL;
	return add_to_list(&m);
}

/* ---- loaded.h ---- */

static bool ask_glibc(uint64_t addr, struct elf_found *ret)
{
	const uint64_t args[6] = {addr, (uint64_t)(uintptr_t)ret};

	return rec_blob.find_object && (int)blob_out(args, rec_blob.find_object) == 0 &&
	       ret->link_map;
}

bool loaded_find(uint64_t addr, struct loaded *ret)
{
	const struct wire_blob_module *m;
	struct elf_found f;

	if (ask_glibc(addr, &f)) {
		*ret = (struct loaded){
			.start = (uint64_t)f.map_start,
			.end = (uint64_t)f.map_end,
			.bias = f.link_map->l_addr,
			.eh_frame_hdr = f.eh_frame_hdr,
			.entry = f.link_map,
		};
		return true;
	}
	m = in_list(addr);
	if (!m && !rec_blob.find_object)
		m = look_up(addr);
	if (!m || (rec_blob.find_object && !m->stays))
		return false;
	*ret = (struct loaded){
		.start = m->start,
		.end = m->end,
		.bias = m->bias,
		.eh_frame_hdr = (const uint8_t *)(uintptr_t)m->eh_frame_hdr,
		.entry = m,
	};
	return true;
}

uint8_t loaded_build_id(const struct loaded *l, uint8_t *out, size_t cap)
{
	const struct wire_blob_module *m = is_in_list(l->entry) ? l->entry : in_list(l->start);
	struct blob_image image;

	/* The injector has read them all; what came later is read now. */
	if (m && m->start == l->start && m->build_id_len && m->build_id_len <= cap) {
		bytes_copy(out, m->build_id, m->build_id_len);
		return m->build_id_len;
	}
	return blob_image_read(l->start, &image) ? image_build_id(&image, l->bias, out, cap) : 0;
}

const char *loaded_path(const struct loaded *l)
{
	const char *name = is_in_list(l->entry) ? ((const struct wire_blob_module *)l->entry)->path
						: ((const struct link_map *)l->entry)->l_name;

	return name ? name : "";
}

void loaded_seen(const struct loaded *l)
{
	blob_told_by_module(l->start, l->bias);
}

bool loaded_more(uint64_t pc)
{
	static uint32_t asked;
	struct loaded l;

	return __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED) % ASK_EVERY == 0 &&
	       rec_blob.find_object && loaded_find(pc - 1, &l);
}

/* What is not there any more is taken off the list; where glibc knows, the list is not asked. */
void loaded_less(void)
{
	uint32_t nr = list_nr();

	for (uint32_t i = 0; i < nr && !rec_blob.find_object; i++) {
		struct wire_blob_module *m = &rec_blob.modules[i];
		struct blob_image image;
		uint8_t id[sizeof(m->build_id)];
		uint8_t len;

		if (!m->end)
			continue;
		if (blob_image_read(m->start, &image)) {
			len = image_build_id(&image, m->bias, id, sizeof(id));
			if (len == m->build_id_len && bytes_equal(id, m->build_id, len))
				continue;
		}
		__atomic_store_n(&m->end, 0, __ATOMIC_RELEASE);
	}
}
