/* See frames.h. The records: LSB 5.0, 10.6.1; pointer encodings: 10.5.1. */
#include "inject/frames.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/module_file.h"
#include "target/target.h"

#define SECTIONS_MAX 4096
#define SECTION_BYTES_MAX (256u << 20)
#define PHDRS_MAX 64
#define LEB_BYTES_MAX 10 /* of 64 bits; each record reads those of another one again */
#define HEADER_BYTES 8	 /* of the table, before its rows */

#define ENCODING_PC_RELATIVE 0x10
#define ENCODING_FORMAT 0x0f

/* .eh_frame: its bytes as in the file, and where they are mapped. */
struct section {
	uint8_t *bytes;
	size_t len;
	uint64_t addr;
};

static bool read_at(int fd, void *to, size_t len, uint64_t offset)
{
	return pread(fd, to, len, (off_t)offset) == (ssize_t)len;
}

static bool has_table(struct target *t, const struct target_module *m)
{
	Elf64_Phdr phdrs[PHDRS_MAX];
	Elf64_Ehdr e;

	if (!target_read_all(t, m->start, &e, sizeof(e)) || e.e_phnum > PHDRS_MAX ||
	    !target_read_all(t, m->start + e.e_phoff, phdrs, e.e_phnum * sizeof(*phdrs)))
		return true;
	for (size_t i = 0; i < e.e_phnum; i++)
		if (phdrs[i].p_type == PT_GNU_EH_FRAME)
			return true;
	return false;
}

static bool read_named(int fd, const Elf64_Shdr *s, uint64_t bias, struct section *ret)
{
	if (s->sh_size > SECTION_BYTES_MAX || s->sh_type == SHT_NOBITS)
		return false;
	ret->len = s->sh_size;
	ret->addr = bias + s->sh_addr;
	ret->bytes = mem_alloc(ret->len);
	if (read_at(fd, ret->bytes, ret->len, s->sh_offset))
		return true;
	free(ret->bytes);
	return false;
}

/* The section by its name. */
static bool read_section(int fd, uint64_t bias, struct section *ret)
{
	static const char wanted[] = ".eh_frame";
	char name[sizeof(wanted)];
	Elf64_Shdr names, s;
	Elf64_Ehdr e;

	if (!read_at(fd, &e, sizeof(e), 0) || e.e_shentsize != sizeof(s) ||
	    e.e_shnum > SECTIONS_MAX || e.e_shstrndx >= e.e_shnum ||
	    !read_at(fd, &names, sizeof(names), e.e_shoff + e.e_shstrndx * sizeof(names)))
		return false;
	for (size_t i = 0; i < e.e_shnum; i++) {
		if (!read_at(fd, &s, sizeof(s), e.e_shoff + i * sizeof(s)) ||
		    !read_at(fd, name, sizeof(name), names.sh_offset + s.sh_name) ||
		    memcmp(name, wanted, sizeof(wanted)))
			continue;
		return read_named(fd, &s, bias, ret);
	}
	return false;
}

/* ---- records ---- */

struct cursor {
	const struct section *s;
	size_t at;
	bool bad;
};

static uint64_t take(struct cursor *c, size_t len)
{
	uint64_t value = 0;

	if (c->bad || c->at > c->s->len || c->s->len - c->at < len) {
		c->bad = true;
		return 0;
	}
	memcpy(&value, c->s->bytes + c->at, len);
	c->at += len;
	return value;
}

static void skip_leb(struct cursor *c)
{
	size_t nr = 1;

	for (; !c->bad && take(c, 1) & 0x80; nr++)
		c->bad = nr == LEB_BYTES_MAX;
}

/* A pointer; only what compilers write for code. */
static uint64_t take_pointer(struct cursor *c, uint8_t encoding)
{
	uint64_t at = c->s->addr + c->at, value;

	switch (encoding & ENCODING_FORMAT) {
	case 0x00: /* as wide as an address */
	case 0x04:
	case 0x0c:
		value = take(c, 8);
		break;
	case 0x03:
		value = take(c, 4);
		break;
	case 0x0b:
		value = (uint64_t)(int64_t)(int32_t)take(c, 4);
		break;
	default:
		c->bad = true;
		return 0;
	}
	if (encoding & 0x60)
		c->bad = true;
	return encoding & ENCODING_PC_RELATIVE ? at + value : value;
}

/* How the FDEs of the CIE whose augmentation begins at c say where their code is. */
static uint8_t code_encoding(struct cursor c)
{
	char text[8] = "";
	uint8_t version = (uint8_t)take(&c, 1), encoding = 0;
	size_t nr = 0;

	while (nr < sizeof(text) - 1 && (text[nr] = (char)take(&c, 1)))
		nr++;
	if (text[0] != 'z')
		return 0;
	skip_leb(&c); /* code alignment */
	skip_leb(&c); /* data alignment */
	if (version == 1)
		take(&c, 1);
	else
		skip_leb(&c);
	skip_leb(&c); /* length of what follows */
	for (size_t i = 1; i < nr && !c.bad; i++) {
		if (text[i] == 'R')
			return (uint8_t)take(&c, 1);
		if (text[i] == 'L') {
			take(&c, 1);
		} else if (text[i] == 'P') {
			encoding = (uint8_t)take(&c, 1);
			take_pointer(&c, encoding & 0x7f);
		}
	}
	return 0;
}

static void add_record(struct frames *f, const struct section *s, size_t at, size_t body)
{
	struct cursor c = {s, body, false}, cie = {s, 0, false};
	uint64_t back = take(&c, 4), code;

	if (!back || back > body) /* a CIE, or nonsense */
		return;
	cie.at = body - back;
	if ((uint32_t)take(&cie, 4) == UINT32_MAX)
		return; /* of the long kind, which nobody makes */
	take(&cie, 4);
	code = take_pointer(&c, code_encoding(cie));
	if (!c.bad && code)
		ARRAY_PUSH(f->entries, f->nr, f->cap, ((struct frame_entry){code, s->addr + at}));
}

static int by_code(const void *a, const void *b)
{
	const struct frame_entry *x = a, *y = b;

	return (x->code > y->code) - (x->code < y->code);
}

static void read_records(struct frames *f, const struct section *s)
{
	struct cursor c = {s, 0, false};

	while (c.at < s->len) {
		size_t at = c.at;
		uint64_t len = take(&c, 4);

		if (len == UINT32_MAX)
			len = take(&c, 8);
		if (c.bad || len > s->len - c.at)
			break;
		if (len)
			add_record(f, s, at, c.at);
		c.at += len;
	}
	if (f->nr)
		qsort(f->entries, f->nr, sizeof(*f->entries), by_code);
}

void frames_read(struct target *t, struct frames *ret)
{
	const struct target_module *m = target_main_module(t);
	struct section s;
	int fd;

	*ret = (struct frames){0};
	if (!m || has_table(t, m))
		return;
	fd = module_file_open(t, m);
	if (fd < 0)
		return;
	if (read_section(fd, m->bias, &s)) {
		read_records(ret, &s);
		free(s.bytes);
	}
	close(fd);
}

void frames_release(struct frames *f)
{
	free(f->entries);
	*f = (struct frames){0};
}

size_t frames_bytes(const struct frames *f)
{
	return f->nr ? HEADER_BYTES + f->nr * 2 * sizeof(int32_t) : 0;
}

void frames_write(const struct frames *f, uint64_t at, uint8_t *to)
{
	/* Version; no pointer to .eh_frame; the count in 4 bytes; rows relative to the table. */
	static const uint8_t head[] = {1, 0xff, 0x03, 0x3b};
	uint32_t nr = (uint32_t)f->nr;

	memcpy(to, head, sizeof(head));
	memcpy(to + 4, &nr, sizeof(nr));
	for (size_t i = 0; i < f->nr; i++) {
		int32_t row[2] = {(int32_t)(f->entries[i].code - at),
				  (int32_t)(f->entries[i].description - at)};

		memcpy(to + HEADER_BYTES + i * sizeof(row), row, sizeof(row));
	}
}
